/* The tables of the Fourier transform. The transform itself is in loops.c, once for each processor type. */
#include "fft.h"

#include <math.h>

#define PI 3.14159265358979323846

static size_t padded(size_t count) { return (count + 15) & ~(size_t)15; }

size_t fft_room(int length) {
    size_t half = (size_t)length / 2;
    return padded(3 * half + 64) + 2 * padded(half / 2 + 1) + 4 * padded(half);
}

/* Write the factors of each radix-4 stage: three pairs of arrays, one entry for each group. */
static void fill_stages(float *stages, int half) {
    for (int size = half; size >= 4; size /= 4) {
        int groups = size / 4;
        for (int power = 1; power <= 3; power++)
            for (int group = 0; group < groups; group++) {
                double angle = -2 * PI * power * group / size;
                stages[(2 * power - 2) * groups + group] = (float)cos(angle);
                stages[(2 * power - 1) * groups + group] = (float)sin(angle);
            }
        stages += 6 * groups;
    }
}

void fft_init(Fft *fft, int length, float *memory) {
    int half = length / 2;
    fft->length = length;
    fft->stages = memory;
    fft->half_real = fft->stages + padded(3 * (size_t)half + 64);
    fft->half_imag = fft->half_real + padded((size_t)half / 2 + 1);
    fft->work = fft->half_imag + padded((size_t)half / 2 + 1);
    fill_stages(fft->stages, half);
    for (int k = 0; k <= half / 2; k++) {
        fft->half_real[k] = (float)cos(-2 * PI * k / length);
        fft->half_imag[k] = (float)sin(-2 * PI * k / length);
    }
}
