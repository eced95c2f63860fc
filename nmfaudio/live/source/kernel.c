/* Separation of a running signal by fixed templates.

   A Hann window before and after the transform, as the templates were learned through, four frames for each
   window's length. For each frame: magnitudes, mean over the channels; multiplicative updates of the activations in bands of a
   24th of an octave, from an even start, since one from the frame before separated worse; a soft mask of each source from the full
   templates; the masks' sum weighted by the gains; one multiplication of the spectrum by it. */
#include "kernel.h"

#include "loops.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum { OVERLAP = 4, MOST_CHANNELS = 2 };
#define BANDS_AN_OCTAVE 24
#define SMOOTHING_SECONDS 0.01f /* of gains and of the bypass */
#define LOUDEST 1e6f
#define SILENCE 1e-18f      /* a frame whose magnitudes sum to less is not analysed */
#define PI 3.14159265358979323846

struct Live {
    int channels, n_fft, hop, bins, width, known, bands, band_count, sources, components;
    int first[MOST_SOURCES + 1];
    float power, beta;
    float gain_step, bypass_step;
    const Loops *loops;
    Fft fft;
    Update update;
    int *starts;                 /* first bin of each band, and the one after the last */
    float *window, *banded, *full;
    float *h, *h_part;
    float *input[MOST_CHANNELS], *output[MOST_CHANNELS], *real[MOST_CHANNELS], *imag[MOST_CHANNELS];
    float *frame, *magnitude, *banded_magnitude, *powers, *gain, *loudest, *sum;
    float gains[MOST_SOURCES], meters[MOST_SOURCES];
    float dry; /* 1 while bypassed */
    int place, fresh;
};

static size_t padded(size_t count, size_t multiple) { return (count + multiple - 1) / multiple * multiple; }

/* First bins of the bands, as nmfaudio.sound.bands has them: numbered 1 + round(24 log2(bin)). */
static int write_bands(int known, int *starts) {
    int count = 0, before = -1;
    for (int b = 0; b < known; b++) {
        int number = b ? 1 + (int)rint(BANDS_AN_OCTAVE * log2(b) + 1e-9) : 0;
        if (number != before) starts[count++] = b;
        before = number;
    }
    starts[count] = known;
    return count;
}

static int known_bins(const Templates *t) {
    int known = 1;
    for (int k = 0; k < t->components; k++)
        for (int b = known; b < t->bins; b++)
            if (t->values[(size_t)k * t->bins + b] > 0) known = b + 1;
    return known;
}

/* Hands out parts of one block of memory; with a null base it only counts. */
typedef struct {
    unsigned char *base;
    size_t used;
} Shelf;

static void *take(Shelf *shelf, size_t bytes) {
    void *found = shelf->base ? shelf->base + shelf->used : NULL;
    shelf->used += padded(bytes, 64);
    return found;
}

static float *take_floats(Shelf *shelf, size_t count) { return take(shelf, sizeof(float) * count); }

static void lay_out(Live *live, Shelf *shelf, float **tables) {
    size_t n = (size_t)live->n_fft, width = (size_t)live->width, bands = (size_t)live->bands;
    size_t components = padded((size_t)live->components, 4);
    live->starts = take(shelf, sizeof(int) * ((size_t)live->bins + 1));
    *tables = take_floats(shelf, fft_room(live->n_fft));
    live->window = take_floats(shelf, n);
    live->banded = take_floats(shelf, components * bands);
    live->full = take_floats(shelf, components * width);
    live->h = take_floats(shelf, components);
    live->update.model = take_floats(shelf, bands);
    live->update.ratio = take_floats(shelf, bands);
    for (int c = 0; c < live->channels; c++) {
        live->input[c] = take_floats(shelf, n);
        live->output[c] = take_floats(shelf, n);
        live->real[c] = take_floats(shelf, width);
        live->imag[c] = take_floats(shelf, width);
    }
    live->frame = take_floats(shelf, n);
    live->magnitude = take_floats(shelf, width);
    live->banded_magnitude = take_floats(shelf, bands);
    live->powers = take_floats(shelf, width * (size_t)live->sources);
    live->gain = take_floats(shelf, width);
    live->loudest = take_floats(shelf, width);
    live->sum = take_floats(shelf, width);
}

/* The sizes that the layout follows from. Bands are counted as if there were one for each bin at most. */
static Live sized(const Templates *t, int channels) {
    Live live;
    memset(&live, 0, sizeof live);
    live.channels = channels;
    live.n_fft = t->n_fft;
    live.hop = t->n_fft / OVERLAP;
    live.bins = t->bins;
    live.width = (int)padded((size_t)t->bins, LANES);
    live.sources = t->sources;
    live.components = t->components;
    live.known = known_bins(t);
    int most = 2 + (int)(BANDS_AN_OCTAVE * log2(live.known > 1 ? live.known : 2));
    live.bands = (int)padded((size_t)(most < live.known ? most : live.known), LANES);
    return live;
}

size_t live_room(const Templates *templates, int channels) {
    Shelf shelf = {NULL, 0};
    float *tables;
    Live live = sized(templates, channels);
    take(&shelf, sizeof live);
    lay_out(&live, &shelf, &tables);
    return shelf.used;
}

static void fill_templates(Live *live, const Templates *t) {
    for (int k = 0; k < t->components; k++) {
        const float *from = t->values + (size_t)k * t->bins;
        memcpy(live->full + (size_t)k * live->width, from, sizeof(float) * (size_t)t->bins);
        float *banded = live->banded + (size_t)k * live->bands, total = 0;
        for (int band = 0; band < live->band_count; band++)
            for (int b = live->starts[band]; b < live->starts[band + 1]; b++) banded[band] += from[b];
        for (int band = 0; band < live->band_count; band++) total += banded[band];
        for (int band = 0; band < live->band_count; band++) banded[band] /= total;
    }
}

static float step_of(double beta) {
    if (beta < 1) return (float)(1 / (2 - beta));
    return beta > 2 ? (float)(1 / (beta - 1)) : 1;
}

Live *live_init(void *memory, const Templates *t, int channels, double sample_rate, const char *variant) {
    const Loops *loops = loops_for(variant);
    if (!loops || channels < 1 || channels > MOST_CHANNELS) return NULL;
    Shelf shelf = {memory, 0};
    memset(memory, 0, live_room(t, channels));
    Live *live = take(&shelf, sizeof *live);
    float *tables;
    *live = sized(t, channels);
    lay_out(live, &shelf, &tables);
    fft_init(&live->fft, live->n_fft, tables);
    live->loops = loops;
    live->power = (float)t->power;
    live->beta = (float)t->beta;
    memcpy(live->first, t->first, sizeof live->first);
    for (int i = 0; i < live->n_fft; i++) live->window[i] = (float)(0.5 - 0.5 * cos(2 * PI * i / live->n_fft));
    live->band_count = write_bands(live->known, live->starts);
    fill_templates(live, t);
    live->update.templates = live->banded;
    live->update.components = (int)padded((size_t)live->components, 4);
    live->update.bands = live->bands;
    live->update.beta = live->beta;
    live->update.step = step_of(t->beta);
    live->update.floor = t->beta >= 0 ? 1e-12f : 1e-9f;
    live->gain_step = 1 - expf(-(float)live->hop / (SMOOTHING_SECONDS * (float)sample_rate));
    live->bypass_step = 1 / (SMOOTHING_SECONDS * (float)sample_rate);
    live_reset(live);
    return live;
}

/* Where nothing sounds, all templates do so alike. */
static void forget(Live *live) {
    for (int k = 0; k < live->components; k++) live->h[k] = 1 / (float)live->components;
}

void live_reset(Live *live) {
    for (int c = 0; c < live->channels; c++) {
        memset(live->input[c], 0, sizeof(float) * (size_t)live->n_fft);
        memset(live->output[c], 0, sizeof(float) * (size_t)live->n_fft);
    }
    forget(live);
    memset(live->meters, 0, sizeof live->meters);
    live->place = 0;
    live->fresh = 1;
}

int live_latency(const Live *live) { return live->n_fft; }

const char *live_variant(const Live *live) { return live->loops->name; }

void live_meters(const Live *live, float *levels) {
    memcpy(levels, live->meters, sizeof(float) * (size_t)live->sources);
}

/* ---- one frame ---- */

/* The samples of the ring from the oldest on, windowed. */
static void read_ring(const Live *live, const float *ring, float *frame) {
    int rest = live->n_fft - live->place;
    live->loops->multiply(ring + live->place, live->window, frame, rest);
    live->loops->multiply(ring, live->window + rest, frame + rest, live->place);
}

static void add_to_ring(const Live *live, const float *frame, float *ring) {
    int rest = live->n_fft - live->place;
    float scale = 8.0f / 3 / OVERLAP; /* the squared windows over a sample sum to 3 / 8 * OVERLAP */
    for (int i = 0; i < rest; i++) ring[live->place + i] += scale * live->window[i] * frame[i];
    for (int i = 0; i < live->place; i++) ring[i] += scale * live->window[rest + i] * frame[rest + i];
}

/* Magnitudes to the templates' power, and their sums over bands. Returns the sum over all bands. */
static float measure(Live *live) {
    float level = 0;
    memset(live->magnitude, 0, sizeof(float) * (size_t)live->width);
    for (int c = 0; c < live->channels; c++)
        live->loops->add_magnitudes(live->real[c], live->imag[c], live->magnitude, live->bins);
    live->loops->raise(live->magnitude, 1 / (float)live->channels, live->power, live->bins);
    for (int band = 0; band < live->band_count; band++) {
        float sum = 0;
        for (int b = live->starts[band]; b < live->starts[band + 1]; b++) sum += live->magnitude[b];
        live->banded_magnitude[band] = sum;
        level += sum;
    }
    return level;
}

/* Find the activations of a frame whose bands sum to `level`; those that are kept sum to about one. */
static void activate(Live *live, float level, int iterations) {
    float scale = (float)live->band_count / level; /* a mean of one for each band */
    for (int k = 0; k < live->components; k++) live->h[k] = (float)live->band_count / (float)live->components;
    for (int band = 0; band < live->band_count; band++) live->banded_magnitude[band] *= scale;
    live->loops->update(&live->update, live->banded_magnitude, live->h, iterations);
    for (int k = 0; k < live->components; k++) live->h[k] /= (float)live->band_count;
}

/* Above what the templates know, sources share as in the third of an octave below. */
static void extend(const Live *live, float *power) {
    int from = (int)(live->known * 0.7937005259840998);
    double sum = 0;
    if (live->known >= live->bins) return;
    for (int b = from; b < live->known; b++) sum += power[b];
    float mean = (float)(sum / (live->known - from));
    for (int b = live->known; b < live->bins; b++) power[b] = mean;
}

static void find_gain(Live *live, const LiveControls *controls) {
    for (int j = 0; j < live->sources; j++) {
        float *power = live->powers + (size_t)j * live->width, change = controls->gains[j] - live->gains[j];
        int count = live->first[j + 1] - live->first[j];
        live->loops->model(live->full + (size_t)live->first[j] * live->width, live->h + live->first[j], count, power,
                           live->width);
        extend(live, power);
        live->gains[j] = live->fresh || fabsf(change) < 1e-5f ? controls->gains[j]
                                                              : live->gains[j] + live->gain_step * change;
    }
    live->loops->gains(live->powers, live->sources, live->width, live->gains, controls->sharpness / live->power,
                       live->gain, live->loudest, live->sum);
    live->fresh = 0;
}

static void find_meters(Live *live, float level) {
    for (int j = 0; j < live->sources; j++) {
        float part = 0;
        for (int k = live->first[j]; k < live->first[j + 1]; k++) part += live->h[k];
        live->meters[j] = 4 * part * level / (float)live->n_fft;
    }
}

static void process_frame(Live *live, const LiveControls *controls) {
    const Loops *loops = live->loops;
    for (int c = 0; c < live->channels; c++) {
        read_ring(live, live->input[c], live->frame);
        loops->forward(&live->fft, live->frame, live->real[c], live->imag[c]);
    }
    float level = measure(live);
    if (level > SILENCE)
        activate(live, level, controls->iterations);
    else
        forget(live);
    find_gain(live, controls);
    find_meters(live, level > SILENCE ? level : 0);
    for (int c = 0; c < live->channels; c++) {
        loops->scale(live->real[c], live->imag[c], live->gain, live->bins);
        loops->inverse(&live->fft, live->real[c], live->imag[c], live->frame);
        add_to_ring(live, live->frame, live->output[c]);
    }
}

/* ---- samples in, samples out ---- */

static float usable(float sample) { return sample > -LOUDEST && sample < LOUDEST ? sample : 0; }

/* Exchange the samples up to the next frame: the ring's old input is the delayed input, its sums the output. */
static void exchange(Live *live, const float *in, float *out, int channel, int count, float target) {
    float *input = live->input[channel] + live->place, *output = live->output[channel] + live->place;
    float dry = live->dry;
    for (int i = 0; i < count; i++) {
        float old = input[i], wet = output[i];
        input[i] = usable(in[i]);
        output[i] = 0;
        if (dry != target) {
            float next = dry < target ? dry + live->bypass_step : dry - live->bypass_step;
            dry = next < 0 ? 0 : next > 1 ? 1 : next;
        }
        out[i] = dry == 0 ? wet : dry == 1 ? old : wet + dry * (old - wet);
    }
    if (channel == live->channels - 1) live->dry = dry;
}

#if defined(__x86_64__)
typedef unsigned Mode;
/* Numbers too small for full precision count as zero: they would take many times as long. */
static Mode flush_denormals(void) {
    Mode before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
}
static void restore(Mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
typedef uint64_t Mode;
static Mode flush_denormals(void) {
    Mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (1 << 24)));
    return before;
}
static void restore(Mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
typedef int Mode;
static Mode flush_denormals(void) { return 0; }
static void restore(Mode mode) { (void)mode; }
#endif

void live_process(Live *live, const LiveControls *controls, const float *const *in, float *const *out, int samples) {
    Mode mode = flush_denormals();
    float target = controls->bypass ? 1 : 0;
    if (live->fresh && live->place == 0) live->dry = target;
    for (int done = 0; done < samples;) {
        int room = live->hop - live->place % live->hop, count = samples - done < room ? samples - done : room;
        for (int c = 0; c < live->channels; c++) exchange(live, in[c] + done, out[c] + done, c, count, target);
        done += count;
        live->place = (live->place + count) % live->n_fft;
        if (live->place % live->hop == 0) process_frame(live, controls);
    }
    restore(mode);
}
