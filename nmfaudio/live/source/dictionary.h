/* A dictionary's file, read and checked. */
#ifndef NMFAUDIO_DICTIONARY_H
#define NMFAUDIO_DICTIONARY_H

#include <stddef.h>

enum {
    MOST_SOURCES = 32,
    MOST_COMPONENTS = 1024,
    LONGEST_LABEL = 100, /* bytes */
    LONGEST_MESSAGE = 200,
    LARGEST_FILE = 1 << 26,
    LARGEST_HEADER = 1 << 19,
    LARGEST_N_FFT = 1 << 17,
};

typedef struct {
    int sources, components;
    char names[MOST_SOURCES][LONGEST_LABEL + 1];
    int source_of[MOST_COMPONENTS];
    int n_fft, win_length;
    double sample_rate, exponent, beta;
    const float *templates; /* [components][n_fft / 2 + 1], inside `bytes` */
    /* What `nmfaudio export` wrote beside the templates. */
    char plugin_name[LONGEST_LABEL + 1];
    double window_seconds, sharpness;
    int iterations;
    unsigned char *bytes; /* the whole file, for the saved state */
    size_t size;
} Dictionary;

/* Read a dictionary from memory, which is copied. Returns NULL and a message where it is not valid. */
Dictionary *dictionary_read(const void *bytes, size_t size, char message[LONGEST_MESSAGE]);

/* Read it from a file; `path` is UTF-8. */
Dictionary *dictionary_load(const char *path, char message[LONGEST_MESSAGE]);

/* Whether there is a file at that path, which is UTF-8. */
int dictionary_exists(const char *path);

void dictionary_free(Dictionary *dictionary);

#endif
