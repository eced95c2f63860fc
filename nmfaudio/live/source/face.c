/* The kernel as plain functions, for `nmfaudio live` and for the tests, which call it through ctypes. */
#include "plugin.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    void *allocated;
    Live *live;
    LiveControls controls;
} Face;

/* Open a dictionary at a sample rate; NULL and a message where it is not valid. */
EXPORT Face *nmfaudio_open(const void *bytes, size_t size, double sample_rate, int channels, const char *variant,
                           char *message) {
    Dictionary *dictionary = dictionary_read(bytes, size, message);
    Templates *templates = dictionary ? templates_for(dictionary, sample_rate) : NULL;
    Face *face = templates ? calloc(1, sizeof *face) : NULL;
    if (dictionary && !templates) strcpy(message, "the dictionary cannot be used at this sample rate");
    if (face) {
        face->allocated = malloc(live_room(templates, channels) + 64);
        uintptr_t aligned = ((uintptr_t)face->allocated + 63) & ~(uintptr_t)63;
        face->live = live_init((void *)aligned, templates, channels, sample_rate, variant);
        for (int j = 0; j < templates->sources; j++) face->controls.gains[j] = 1;
        face->controls.iterations = dictionary->iterations;
        face->controls.sharpness = (float)dictionary->sharpness;
    }
    templates_free(templates);
    dictionary_free(dictionary);
    if (face && !face->live) {
        strcpy(message, "this machine cannot run that variant");
        free(face->allocated);
        free(face);
        return NULL;
    }
    return face;
}

EXPORT void nmfaudio_close(Face *face) {
    if (face) free(face->allocated);
    free(face);
}

EXPORT int nmfaudio_latency(const Face *face) { return live_latency(face->live); }

EXPORT const char *nmfaudio_variant(const Face *face) { return live_variant(face->live); }

EXPORT LiveControls *nmfaudio_controls(Face *face) { return &face->controls; }

EXPORT void nmfaudio_meters(const Face *face, float *levels) { live_meters(face->live, levels); }

EXPORT void nmfaudio_process(Face *face, const float *const *in, float *const *out, int samples) {
    live_process(face->live, &face->controls, in, out, samples);
}

/* The templates at a rate, [components][bins]; returns the number of components, 0 where it fails. */
EXPORT int nmfaudio_templates(const void *bytes, size_t size, double sample_rate, float *values, size_t room) {
    char message[LONGEST_MESSAGE];
    Dictionary *dictionary = dictionary_read(bytes, size, message);
    Templates *templates = dictionary ? templates_for(dictionary, sample_rate) : NULL;
    size_t count = templates ? (size_t)templates->components * (size_t)templates->bins : 0;
    int components = templates && count <= room ? templates->components : 0;
    if (components) memcpy(values, templates->values, sizeof(float) * count);
    templates_free(templates);
    dictionary_free(dictionary);
    return components;
}
