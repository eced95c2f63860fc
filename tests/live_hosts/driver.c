/* Runs the plugin's code without a host, for sanitizers, valgrind, fuzzing and timing.
   driver FILE stress | driver FILE fuzz SECONDS SEED | driver FILE bench RATE BLOCK CHANNELS [idle] */
#include "../../nmfaudio/live/source/json.h"
#include "../../nmfaudio/live/source/plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t seed = 1;

static uint32_t number(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static unsigned char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) exit(3);
    unsigned char *bytes = malloc(1 << 26);
    *size = fread(bytes, 1, 1 << 26, file);
    fclose(file);
    return bytes;
}

static Plugin *opened(const unsigned char *bytes, size_t size) {
    char message[LONGEST_MESSAGE];
    return plugin_new(dictionary_read(bytes, size, message), message);
}

enum { NOISE, SILENCE, IMPULSES, BAD, TINY, KINDS };

static float sample(int kind, int i) {
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    float noise = (float)number() / 2147483648.0f - 0.5f;
    if (kind == SILENCE) return 0;
    if (kind == IMPULSES) return i % 997 ? 0 : 1;
    if (kind == BAD) return i % 5 ? noise : bad[number() % 4];
    return kind == TINY ? noise * 1e-39f : noise;
}

/* Signals of all kinds in blocks of all sizes, with parameters that change; each output sample is checked. */
static void play(Plugin *plugin, int channels, int samples) {
    float *in[2] = {malloc(8192 * 4), malloc(8192 * 4)}, *out[2] = {malloc(8192 * 4), malloc(8192 * 4)};
    for (int done = 0, block; done < samples; done += block) {
        int kind = (int)(number() % KINDS), in_place = number() % 2;
        block = number() % 4 ? 1 + (int)(number() % 512) : 1 + (int)(number() % 8192);
        for (int c = 0; c < channels; c++)
            for (int i = 0; i < block; i++) in[c][i] = sample(kind, i);
        plugin_set(plugin, (int)(number() % PARAMETERS), (double)(number() % 200) - 80);
        plugin_process(plugin, (const float *const *)in, in_place ? in : out, block);
        for (int c = 0; c < channels; c++)
            for (int i = 0; i < block; i++)
                if (!isfinite((in_place ? in : out)[c][i])) exit(4);
    }
    for (int c = 0; c < 2; c++) {
        free(in[c]);
        free(out[c]);
    }
}

static void stress(const unsigned char *bytes, size_t size, int rounds) {
    static const double rates[] = {8000, 22050, 44100, 48000, 96000, 192000, 500};
    Plugin *plugin = opened(bytes, size);
    for (int round = 0; round < rounds; round++) {
        int channels = 1 + round % 2;
        plugin_activate(plugin, rates[round % 7], channels);
        play(plugin, channels, 60000);
        size_t length = plugin_state_size(plugin);
        unsigned char *state = malloc(length);
        char message[LONGEST_MESSAGE];
        plugin_write_state(plugin, state);
        if (!plugin_read_state(plugin, state, length, message)) exit(5);
        play(plugin, channels, 5000);
        free(state);
        if (round % 3 == 0) plugin_reset(plugin);
    }
    plugin_free(plugin);
}

/* Change some bytes, mostly in the header; or cut; or put a piece elsewhere. */
static size_t damage(unsigned char *bytes, size_t size, size_t header) {
    int changes = 1 + (int)(number() % 4);
    for (int i = 0; i < changes && size; i++) {
        size_t place = number() % (number() % 4 && header < size ? header : size);
        switch (number() % 5) {
            case 0: bytes[place] = (unsigned char)number(); break;
            case 1: bytes[place] ^= (unsigned char)(1u << number() % 8); break;
            case 2: bytes[place] = (unsigned char)"0123456789-+eE.{}[]\":,\\u "[number() % 26]; break;
            case 3: size = number() % 8 ? size : place; break;
            default: {
                size_t other = number() % size, most = size - (place > other ? place : other);
                memmove(bytes + place, bytes + other, number() % (most < 40 ? most + 1 : 40));
            }
        }
    }
    return size;
}

/* The reader of JSON alone, in memory that ends where the text does. */
static void fuzz_json(const unsigned char *bytes, size_t header) {
    size_t size = 1 + number() % header;
    unsigned char *copy = malloc(header);
    memcpy(copy, bytes + 8 + number() % (header - size + 1), size);
    size = damage(copy, size, size);
    char *exact = malloc(size ? size : 1), text[40];
    memcpy(exact, copy, size);
    Json value = {exact, exact + size}, name, member;
    if (json_valid(value))
        while (json_next_member(&value, &name, &member)) json_string(member, text, sizeof text);
    if (size > 5) {
        memcpy(exact + size - 5, "\"\\u12", 5);
        Json end = {exact + size - 5, exact + size};
        if (json_valid(end)) exit(6);
    }
    free(exact);
    free(copy);
}

static void fuzz(const unsigned char *bytes, size_t size, double seconds) {
    Plugin *whole = opened(bytes, size);
    size_t length = plugin_state_size(whole), header = 600, accepted = 0, runs = 0;
    unsigned char *state = malloc(length), *copy = malloc(length);
    plugin_write_state(whole, state);
    for (double end = now(CLOCK_MONOTONIC) + seconds; now(CLOCK_MONOTONIC) < end; runs++) {
        char message[LONGEST_MESSAGE];
        fuzz_json(bytes, header);
        int with_state = number() % 2;
        const unsigned char *from = with_state ? state : bytes;
        size_t own = with_state ? length : size, start = with_state ? length - size : 0;
        memcpy(copy, from, own);
        own = damage(copy, own, start + 8 + header);
        /* Exactly as much memory as the input has, so that a read behind its end is seen. */
        unsigned char *exact = malloc(own ? own : 1);
        memcpy(exact, copy, own);
        Plugin *plugin = with_state ? opened(bytes, size) : opened(exact, own);
        if (with_state) plugin_read_state(plugin, exact, own, message);
        if (plugin->dictionary && plugin->dictionary->n_fft <= 4096 && number() % 16 == 0) {
            plugin_activate(plugin, 44100, 2);
            play(plugin, 2, 3000);
        }
        accepted += plugin->dictionary != NULL;
        plugin_free(plugin);
        free(exact);
    }
    printf("%zu inputs, %zu accepted\n", runs, accepted);
    plugin_free(whole);
    free(state);
    free(copy);
}

static int by_size(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) * 2 - 1; }

/* Print the part of one core and, for single blocks, the median and the worst part of the deadline. */
static void bench(const unsigned char *bytes, size_t size, double rate, int block, int channels, int idle) {
    Plugin *plugin = opened(bytes, size);
    int count = (int)(20 * rate / block);
    float *in[2] = {calloc((size_t)block, 4), calloc((size_t)block, 4)}, *out[2] = {malloc((size_t)block * 4), malloc((size_t)block * 4)};
    double *times = malloc(sizeof(double) * (size_t)count);
    plugin_activate(plugin, rate, channels);
    plugin_set(plugin, GAIN, -12);
    double start = now(CLOCK_PROCESS_CPUTIME_ID), outside = 0;
    for (int i = 0; i < count; i++) {
        double a = now(CLOCK_PROCESS_CPUTIME_ID);
        for (int c = 0; c < channels && !idle; c++)
            for (int k = 0; k < block; k++) in[c][k] = sample(NOISE, k);
        double b = now(CLOCK_PROCESS_CPUTIME_ID);
        plugin_process(plugin, (const float *const *)in, out, block);
        outside += b - a;
        times[i] = now(CLOCK_PROCESS_CPUTIME_ID) - b;
    }
    double used = now(CLOCK_PROCESS_CPUTIME_ID) - start - outside;
    qsort(times, (size_t)count, sizeof(double), by_size);
    printf("core %.3f%% median %.2f%% p99.9 %.2f%% worst %.2f%%\n", 100 * used / 20, 100 * times[count / 2] * rate / block,
           100 * times[count - 1 - count / 1000] * rate / block, 100 * times[count - 1] * rate / block);
    plugin_free(plugin);
}

int main(int count, char **words) {
    size_t size;
    if (count < 3) return 2;
    unsigned char *bytes = read_file(words[1], &size);
    if (!strcmp(words[2], "stress")) {
        stress(bytes, size, count > 3 ? atoi(words[3]) : 14);
    } else if (!strcmp(words[2], "fuzz") && count > 4) {
        seed = (uint64_t)atoll(words[4]);
        fuzz(bytes, size, atof(words[3]));
    } else if (!strcmp(words[2], "bench") && count > 5) {
        bench(bytes, size, atof(words[3]), atoi(words[4]), atoi(words[5]), count > 6);
    } else {
        return 2;
    }
    free(bytes);
    return 0;
}
