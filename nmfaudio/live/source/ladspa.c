/* The plugin as LADSPA hosts see it. The ports follow from the dictionary beside the shared object. */
#include "plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IS_INPUT = 1, IS_OUTPUT = 2, IS_CONTROL = 4, IS_AUDIO = 8 };
enum {
    BELOW = 1, ABOVE = 2, TOGGLED = 4, INTEGER = 0x20, DEFAULT_0 = 0x200,
    HARD_REAL_TIME = 4, MOST_PORTS = 4 + 3 * MOST_SOURCES + 5,
};

typedef struct {
    int hint;
    float lower, upper;
} Range;

typedef struct LadspaDescriptor LadspaDescriptor;
struct LadspaDescriptor {
    unsigned long unique_id;
    const char *label;
    int properties;
    const char *name, *maker, *copyright;
    unsigned long port_count;
    const int *port_kinds;
    const char *const *port_names;
    const Range *port_ranges;
    void *data;
    void *(*instantiate)(const LadspaDescriptor *, unsigned long rate);
    void (*connect_port)(void *instance, unsigned long port, float *location);
    void (*activate)(void *instance);
    void (*run)(void *instance, unsigned long samples);
    void (*run_adding)(void *instance, unsigned long samples);
    void (*set_run_adding_gain)(void *instance, float gain);
    void (*deactivate)(void *instance);
    void (*cleanup)(void *instance);
};

/* What the library says of itself; made when it is asked for the first time. */
typedef struct {
    Dictionary *dictionary;
    char message[LONGEST_MESSAGE], title[128], stem[256];
    char labels[2][300], names[2][300], port_names[MOST_PORTS][LONGEST_LABEL + 32];
    const char *name_list[2][MOST_PORTS];
    int kinds[2][MOST_PORTS];
    Range ranges[2][MOST_PORTS];
    LadspaDescriptor descriptors[2];
} Library;

typedef struct {
    Plugin *plugin;
    double sample_rate;
    int channels, sources;
    float *ports[MOST_PORTS];
} Instance;

static Library library;

static void *instantiate(const LadspaDescriptor *descriptor, unsigned long rate) {
    char message[LONGEST_MESSAGE] = "";
    Dictionary *dictionary = library.dictionary
                                 ? dictionary_read(library.dictionary->bytes, library.dictionary->size, message)
                                 : NULL;
    if (!dictionary) {
        fprintf(stderr, "nmfaudio: %s: %s\n", library.stem, library.dictionary ? message : library.message);
        return NULL;
    }
    Instance *self = calloc(1, sizeof *self);
    Plugin *plugin = plugin_new(dictionary, message);
    if (!self || !plugin) {
        free(self);
        plugin_free(plugin);
        return NULL;
    }
    self->plugin = plugin;
    self->sample_rate = (double)rate;
    self->channels = descriptor == &library.descriptors[1] ? 2 : 1;
    self->sources = dictionary->sources;
    return self;
}

static void connect_port(void *instance, unsigned long port, float *location) {
    if (port < MOST_PORTS) ((Instance *)instance)->ports[port] = location;
}

static void activate(void *instance) {
    Instance *self = instance;
    if (!plugin_activate(self->plugin, self->sample_rate, self->channels))
        fprintf(stderr, "nmfaudio: %s: %s\n", library.stem, self->plugin->message);
}

static void deactivate(void *instance) { plugin_deactivate(((Instance *)instance)->plugin); }

static void cleanup(void *instance) {
    plugin_free(((Instance *)instance)->plugin);
    free(instance);
}

static void set_from(Instance *self, int id, const float *port, int zero_is_normal) {
    if (port && !(zero_is_normal && *port == 0)) plugin_set(self->plugin, id, *port);
}

static void run(void *instance, unsigned long samples) {
    Instance *self = instance;
    float **controls = self->ports + 2 * self->channels, **rest = controls + 3 * self->sources;
    for (int kind = 0; kind < 3; kind++)
        for (int j = 0; j < self->sources; j++)
            set_from(self, kind * MOST_SOURCES + j, controls[kind * self->sources + j], 0);
    set_from(self, BYPASS, rest[0], 0);
    set_from(self, ITERATIONS, rest[1], 1);
    set_from(self, SHARPNESS, rest[2], 1);
    if (rest[3]) *rest[3] = (float)plugin_latency(self->plugin, self->sample_rate);
    if (rest[4]) *rest[4] = plugin_value(self->plugin, STATUS);
    for (int c = 0; c < 2 * self->channels; c++)
        if (!self->ports[c]) return;
    plugin_process(self->plugin, (const float *const *)self->ports, self->ports + self->channels, (int)samples);
}

static void add_port(int channels, const char *name, int kind, int hint, float lower, float upper) {
    LadspaDescriptor *d = &library.descriptors[channels - 1];
    unsigned long port = d->port_count++;
    /* Names of the stereo plugin's ports serve the mono one as well: it has fewer audio ports. */
    char *own = library.port_names[port];
    if (channels == 2) snprintf(own, sizeof library.port_names[0], "%s", name);
    library.name_list[channels - 1][port] = channels == 2 ? own : library.port_names[port + (port < 1 ? 0 : port < 2 ? 1 : 2)];
    library.kinds[channels - 1][port] = kind;
    library.ranges[channels - 1][port] = (Range){hint, lower, upper};
}

static void add_ports(int channels) {
    static const char *const suffixes[] = {"(dB)", "mute", "solo"};
    static const char *const audio[2][2] = {{"Input L", "Input R"}, {"Output L", "Output R"}};
    const Dictionary *d = library.dictionary;
    char name[LONGEST_LABEL + 32];
    for (int side = 0; side < 2; side++)
        for (int c = 0; c < channels; c++)
            add_port(channels, audio[side][c], IS_AUDIO | (side ? IS_OUTPUT : IS_INPUT), 0, 0, 0);
    for (int kind = 0; kind < 3; kind++)
        for (int j = 0; d && j < d->sources; j++) {
            snprintf(name, sizeof name, "%s %s", d->names[j], suffixes[kind]);
            int hint = kind ? TOGGLED | DEFAULT_0 : BELOW | ABOVE | DEFAULT_0;
            add_port(channels, name, IS_CONTROL | IS_INPUT, hint, kind ? 0 : (float)LEAST_GAIN, kind ? 1 : (float)MOST_GAIN);
        }
    add_port(channels, "Bypass", IS_CONTROL | IS_INPUT, TOGGLED | DEFAULT_0, 0, 1);
    add_port(channels, "Iterations (0: as exported)", IS_CONTROL | IS_INPUT, BELOW | ABOVE | INTEGER | DEFAULT_0, 0, 100);
    add_port(channels, "Sharpness (0: as exported)", IS_CONTROL | IS_INPUT, BELOW | ABOVE | DEFAULT_0, 0, 4);
    add_port(channels, "latency", IS_CONTROL | IS_OUTPUT, DEFAULT_0, 0, 0);
    add_port(channels, "No dictionary", IS_CONTROL | IS_OUTPUT, TOGGLED | DEFAULT_0, 0, 1);
}

static void make_descriptor(int channels) {
    LadspaDescriptor *d = &library.descriptors[channels - 1];
    char *label = library.labels[channels - 1], *name = library.names[channels - 1];
    snprintf(label, sizeof library.labels[0], "%s_%s", library.stem, channels == 2 ? "stereo" : "mono");
    snprintf(name, sizeof library.names[0], "%s (%s)", library.title, channels == 2 ? "stereo" : "mono");
    *d = (LadspaDescriptor){
        .unique_id = 1 + (unsigned long)(name_hash(label, 0) % 0xfffffe),
        .label = label, .properties = HARD_REAL_TIME, .name = name, .maker = "nmfaudio", .copyright = "MIT",
        .port_kinds = library.kinds[channels - 1], .port_names = library.name_list[channels - 1],
        .port_ranges = library.ranges[channels - 1], .instantiate = instantiate, .connect_port = connect_port,
        .activate = activate, .run = run, .deactivate = deactivate, .cleanup = cleanup,
    };
    add_ports(channels);
}

static void make_library(void) {
    if (!own_name(library.stem, sizeof library.stem)) strcpy(library.stem, "nmfaudio");
    library.dictionary = own_dictionary(library.message);
    plugin_title(library.dictionary, library.title, sizeof library.title);
    make_descriptor(2);
    make_descriptor(1);
}

EXPORT const LadspaDescriptor *ladspa_descriptor(unsigned long index) {
    if (!library.stem[0]) make_library();
    return index < 2 ? &library.descriptors[index] : NULL;
}

/* The dictionary lives as long as the library is loaded. */
__attribute__((destructor)) static void forget(void) { dictionary_free(library.dictionary); }
