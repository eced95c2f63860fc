/* The templates of a dictionary as another sample rate and another window see them. */
#ifndef NMFAUDIO_TEMPLATES_H
#define NMFAUDIO_TEMPLATES_H

#include "dictionary.h"

typedef struct {
    int n_fft, bins, sources, components;
    int first[MOST_SOURCES + 1]; /* components of source j: first[j] .. first[j + 1] - 1 */
    double power, beta;          /* templates are magnitudes to this power */
    float *values;               /* [components][bins], each of unit sum */
} Templates;

/* The length of the transform at a rate: the power of two nearest to the window, at least 64. */
int n_fft_for(double window_seconds, double sample_rate);

/* Convert; returns NULL where there is no memory or nothing lies below half of the sample rate. */
Templates *templates_for(const Dictionary *dictionary, double sample_rate);

void templates_free(Templates *templates);

#endif
