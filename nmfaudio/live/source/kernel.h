/* Separation of a running signal by fixed templates: the part that runs in the audio thread. */
#ifndef NMFAUDIO_KERNEL_H
#define NMFAUDIO_KERNEL_H

#include "templates.h"

typedef struct Live Live;

/* What may change while it runs. */
typedef struct {
    float gains[MOST_SOURCES]; /* factors of the sources; 1 leaves a source as it is */
    int bypass;                /* give the delayed input */
    int iterations;            /* updates of the activations for each frame, 1 to 100 */
    float sharpness;           /* exponent of the masks, 0.5 to 4 */
} LiveControls;

/* Bytes of memory for templates and 1 or 2 channels. All that live_process touches lies in them. */
size_t live_room(const Templates *templates, int channels);

/* Make it ready in `memory`, aligned to 64 bytes. The templates are copied. `variant` names the loops as
   loops_for does; NULL means the best. Returns NULL for a variant that this machine cannot run. */
Live *live_init(void *memory, const Templates *templates, int channels, double sample_rate, const char *variant);

/* Forget the past: what comes next is separated as if it were the start. */
void live_reset(Live *live);

/* Samples by which the output is later than the input. */
int live_latency(const Live *live);

/* Process any number of samples; `in` and `out` may be the same memory. Samples that are not numbers, or
   above a million, count as zero. No memory is allocated, no lock taken, no system called. */
void live_process(Live *live, const LiveControls *controls, const float *const *in, float *const *out, int samples);

/* The level of each source in the last frame, before its gain, as a factor of full scale, roughly. */
void live_meters(const Live *live, float *levels);

/* The name of the loops in use. */
const char *live_variant(const Live *live);

#endif
