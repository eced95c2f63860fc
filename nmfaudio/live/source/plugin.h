/* One instance of the plugin, whatever the host's interface: dictionary, parameters, state, engine. */
#ifndef NMFAUDIO_PLUGIN_H
#define NMFAUDIO_PLUGIN_H

#include "kernel.h"

#include <stdint.h>

/* Parameters have fixed numbers, so that automation survives a change of the dictionary. */
enum {
    GAIN = 0,                      /* of source j: GAIN + j, in dB; the lowest value is silence */
    MUTE = MOST_SOURCES,
    SOLO = 2 * MOST_SOURCES,
    BYPASS = 3 * MOST_SOURCES,
    ITERATIONS,
    SHARPNESS,
    STATUS,                        /* read only: 0 all is well, 1 there is no usable dictionary */
    PARAMETERS,
};

#define LEAST_GAIN (-60.0)
#define MOST_GAIN 12.0

typedef struct {
    int id;
    char name[LONGEST_LABEL + 16];
    const char *unit;
    double least, most, normal;
    int steps;                     /* 0: continuous; else the number of steps between least and most */
    int read_only;
} Parameter;

typedef struct Engine Engine;

typedef struct {
    Dictionary *dictionary;        /* NULL where there is none that is valid */
    char message[LONGEST_MESSAGE]; /* what is wrong; empty where all is well */
    float values[PARAMETERS];
    int is_active, channels;
    double sample_rate;
    Engine *running, *waiting, *retired;
} Plugin;

/* Folder and name of the shared object that this code lies in; the dictionary lies beside it under the same
   name, or in ../Resources. Returns 0 where they cannot be told. */
int own_name(char *stem, size_t room);
Dictionary *own_dictionary(char message[LONGEST_MESSAGE]);

/* Make an instance with a dictionary, which it then owns, or with none and a message that says why. */
Plugin *plugin_new(Dictionary *dictionary, const char *message);
void plugin_free(Plugin *plugin);

/* Build what a sample rate needs. Returns 0 where that is not possible; `message` then says why. */
int plugin_activate(Plugin *plugin, double sample_rate, int channels);
void plugin_deactivate(Plugin *plugin);
void plugin_reset(Plugin *plugin);

/* In the audio thread. Without a dictionary the output is silence. */
void plugin_process(Plugin *plugin, const float *const *in, float *const *out, int samples);

int plugin_latency(const Plugin *plugin, double sample_rate);

int plugin_parameters(const Plugin *plugin);
int plugin_describe(const Plugin *plugin, int index, Parameter *parameter);
/* Range and steps of a parameter, all but its name: the audio thread may call this at any time. */
int plugin_range(int id, Parameter *parameter);
/* Find a parameter by its number; 0 where this plugin has none of it. */
int plugin_find(const Plugin *plugin, int id, Parameter *parameter);
float plugin_value(const Plugin *plugin, int id);
void plugin_set(Plugin *plugin, int id, double value);

/* A value as a host shows it, and back; plugin_number returns 0 for a text that is no value. */
void plugin_text(const Parameter *parameter, double value, char *text, size_t room);
int plugin_number(const Parameter *parameter, const char *text, double *value);

/* The saved state: the values of the parameters and the bytes of the dictionary. */
size_t plugin_state_size(const Plugin *plugin);
void plugin_write_state(const Plugin *plugin, unsigned char *state);
/* Returns 0 and a message, and leaves all as it is, where the state is not valid. */
int plugin_read_state(Plugin *plugin, const unsigned char *state, size_t size, char message[LONGEST_MESSAGE]);

/* Whether a saved state has the same sources as this plugin, or one of them has no dictionary. */
int plugin_state_fits(const Plugin *plugin, const unsigned char *state, size_t size);

/* The title to show; it says so where there is no dictionary. */
void plugin_title(const Dictionary *dictionary, char *title, size_t room);

/* A number that follows from the name alone, for formats that want one. */
uint64_t name_hash(const char *text, uint64_t salt);

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#endif
