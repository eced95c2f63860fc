/* A Fourier transform of real samples, for lengths that are powers of two. */
#ifndef NMFAUDIO_FFT_H
#define NMFAUDIO_FFT_H

#include <stddef.h>

/* Tables for one length; they lie in memory that the caller gives. */
typedef struct {
    int length;        /* of the real signal: a power of two, at least 16 */
    float *stages;     /* twiddle factors of the complex transform, stage after stage */
    float *half_real;  /* exp(-2 pi i k / length) for k = 0 .. length / 4 */
    float *half_imag;
    float *work;       /* 4 * (length / 2) numbers that a transform overwrites */
} Fft;

/* Numbers of type float that the tables of a length take. */
size_t fft_room(int length);

/* Fill the tables; `memory` holds fft_room(length) numbers and is aligned to 64 bytes. */
void fft_init(Fft *fft, int length, float *memory);

#endif
