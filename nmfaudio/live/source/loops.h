/* The loops that take the time. loops.c is compiled once for each processor type; variants.c chooses. */
#ifndef NMFAUDIO_LOOPS_H
#define NMFAUDIO_LOOPS_H

#include "fft.h"

#define LANES 32 /* rows of templates are padded with zeros to a multiple of this */

/* Templates over bands, and what an update of the activations needs. */
typedef struct {
    const float *templates; /* [components][bands] */
    int components, bands;  /* multiples of 4 and of LANES */
    float beta, step, floor;
    float *model, *ratio;   /* [bands], overwritten */
} Update;

typedef struct {
    const char *name;
    /* Real samples to half-spectrum; `real` and `imag` have length / 2 + 1 entries. */
    void (*forward)(const Fft *fft, const float *samples, float *real, float *imag);
    /* The inverse, including the division by the length. */
    void (*inverse)(const Fft *fft, const float *real, const float *imag, float *samples);
    /* Add magnitudes of a spectrum to `total`. */
    void (*add_magnitudes)(const float *real, const float *imag, float *total, int count);
    /* values = (scale * values) ^ power */
    void (*raise)(float *values, float scale, float power, int count);
    /* Multiplicative updates of the activations for the data `v`. */
    void (*update)(const Update *with, const float *v, float *activations, int iterations);
    /* model[b] = sum over components of templates[k][b] * activations[k]; `width` is a multiple of LANES. */
    void (*model)(const float *templates, const float *activations, int components, float *model, int width);
    /* powers [sources][width] to the gain of each bin. */
    void (*gains)(const float *powers, int sources, int width, const float *levels, float exponent, float *gain,
                  float *loudest, float *sum);
    /* Multiply two arrays by a third. */
    void (*scale)(float *real, float *imag, const float *gain, int count);
    /* product = a * b */
    void (*multiply)(const float *a, const float *b, float *product, int count);
} Loops;

/* Names: "base", and on x86-64 "avx2" and "avx512". NULL or "" means the best one of this machine.
   Returns NULL for a name that this machine cannot run. */
const Loops *loops_for(const char *name);

#endif
