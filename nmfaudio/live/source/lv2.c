/* The plugin as LV2 hosts see it: the structures of the LV2 core, state, URID and log specifications. */
#include "plugin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *uri;
    void *data;
} Lv2Feature;

typedef struct Lv2Descriptor Lv2Descriptor;
struct Lv2Descriptor {
    const char *uri;
    void *(*instantiate)(const Lv2Descriptor *, double rate, const char *bundle, const Lv2Feature *const *features);
    void (*connect_port)(void *instance, uint32_t port, void *location);
    void (*activate)(void *instance);
    void (*run)(void *instance, uint32_t samples);
    void (*deactivate)(void *instance);
    void (*cleanup)(void *instance);
    const void *(*extension_data)(const char *uri);
};

typedef struct {
    void *handle;
    uint32_t (*map)(void *handle, const char *uri);
} Lv2Map;

typedef struct {
    void *handle;
    int (*printf)(void *handle, uint32_t type, const char *format, ...);
    int (*vprintf)(void *handle, uint32_t type, const char *format, va_list arguments);
} Lv2Log;

typedef int Lv2Store(void *handle, uint32_t key, const void *value, size_t size, uint32_t type, uint32_t flags);
typedef const void *Lv2Retrieve(void *handle, uint32_t key, size_t *size, uint32_t *type, uint32_t *flags);

typedef struct {
    int (*save)(void *instance, Lv2Store *store, void *handle, uint32_t flags, const Lv2Feature *const *features);
    int (*restore)(void *instance, Lv2Retrieve *retrieve, void *handle, uint32_t flags,
                   const Lv2Feature *const *features);
} Lv2State;

enum { STATE_SUCCESS, STATE_UNKNOWN, STATE_BAD_TYPE, STATE_BAD_FLAGS, STATE_NO_FEATURE, STATE_NO_PROPERTY };
enum { PORTABLE = 1 | 2 }; /* plain data that any machine can read */

/* Ports behind the audio ports; three for each source follow. scripts and bundles use the same order. */
enum { PORT_ENABLED, PORT_ITERATIONS, PORT_SHARPNESS, PORT_LATENCY, PORT_STATUS, PORTS_FIXED };

typedef struct {
    Plugin *plugin;
    double sample_rate;
    int channels;
    const float *in[2];
    float *out[2];
    float *fixed[PORTS_FIXED];
    const float *sources[3 * MOST_SOURCES];
    Lv2Map map;
    Lv2Log log;
    uint32_t error;
} Instance;

static const void *feature(const Lv2Feature *const *features, const char *uri) {
    for (; features && *features; features++)
        if (!strcmp((*features)->uri, uri)) return (*features)->data;
    return NULL;
}

static void say(const Instance *self, const char *message) {
    if (self->log.printf)
        self->log.printf(self->log.handle, self->error, "nmfaudio: %s\n", message);
    else
        fprintf(stderr, "nmfaudio: %s\n", message);
}

static void *instantiate_with(int channels, double rate, const Lv2Feature *const *features) {
    char message[LONGEST_MESSAGE];
    Instance *self = calloc(1, sizeof *self);
    if (!self) return NULL;
    const Lv2Map *map = feature(features, "http://lv2plug.in/ns/ext/urid#map");
    const Lv2Log *log = feature(features, "http://lv2plug.in/ns/ext/log#log");
    if (map) self->map = *map;
    if (map && log) {
        self->log = *log;
        self->error = map->map(map->handle, "http://lv2plug.in/ns/ext/log#Error");
    }
    self->channels = channels;
    self->sample_rate = rate;
    self->plugin = plugin_new(own_dictionary(message), message);
    if (!self->plugin) {
        free(self);
        return NULL;
    }
    if (!self->plugin->dictionary) say(self, self->plugin->message);
    return self;
}

static void *instantiate_mono(const Lv2Descriptor *d, double rate, const char *b, const Lv2Feature *const *f) {
    (void)d;
    (void)b;
    return instantiate_with(1, rate, f);
}

static void *instantiate_stereo(const Lv2Descriptor *d, double rate, const char *b, const Lv2Feature *const *f) {
    (void)d;
    (void)b;
    return instantiate_with(2, rate, f);
}

static void connect_port(void *instance, uint32_t port, void *location) {
    Instance *self = instance;
    uint32_t channels = (uint32_t)self->channels, fixed = 2 * channels, sources = fixed + PORTS_FIXED;
    if (port < channels)
        self->in[port] = location;
    else if (port < fixed)
        self->out[port - channels] = location;
    else if (port < sources)
        self->fixed[port - fixed] = location;
    else if (port - sources < 3 * MOST_SOURCES)
        self->sources[port - sources] = location;
}

static void activate(void *instance) {
    Instance *self = instance;
    if (!plugin_activate(self->plugin, self->sample_rate, self->channels) && self->plugin->dictionary)
        say(self, self->plugin->message);
}

static void deactivate(void *instance) { plugin_deactivate(((Instance *)instance)->plugin); }

static void cleanup(void *instance) {
    plugin_free(((Instance *)instance)->plugin);
    free(instance);
}

static void read_ports(Instance *self) {
    Plugin *plugin = self->plugin;
    int sources = plugin->dictionary ? plugin->dictionary->sources : 0;
    for (int j = 0; j < sources; j++)
        for (int kind = 0; kind < 3; kind++) {
            const float *value = self->sources[3 * j + kind];
            if (value) plugin_set(plugin, kind * MOST_SOURCES + j, *value);
        }
    if (self->fixed[PORT_ENABLED]) plugin_set(plugin, BYPASS, *self->fixed[PORT_ENABLED] <= 0);
    if (self->fixed[PORT_ITERATIONS]) plugin_set(plugin, ITERATIONS, *self->fixed[PORT_ITERATIONS]);
    if (self->fixed[PORT_SHARPNESS]) plugin_set(plugin, SHARPNESS, *self->fixed[PORT_SHARPNESS]);
}

static void run(void *instance, uint32_t samples) {
    Instance *self = instance;
    read_ports(self);
    if (self->fixed[PORT_LATENCY]) *self->fixed[PORT_LATENCY] = (float)plugin_latency(self->plugin, self->sample_rate);
    if (self->fixed[PORT_STATUS]) *self->fixed[PORT_STATUS] = plugin_value(self->plugin, STATUS);
    for (int c = 0; c < self->channels; c++)
        if (!self->in[c] || !self->out[c]) return;
    plugin_process(self->plugin, self->in, self->out, (int)samples);
}

static int keys(const Instance *self, uint32_t *key, uint32_t *chunk) {
    if (!self->map.map) return 0;
    *key = self->map.map(self->map.handle, "urn:nmfaudio:state");
    *chunk = self->map.map(self->map.handle, "http://lv2plug.in/ns/ext/atom#Chunk");
    return 1;
}

static int save(void *instance, Lv2Store *store, void *handle, uint32_t flags, const Lv2Feature *const *features) {
    (void)flags;
    (void)features;
    const Instance *self = instance;
    uint32_t key, chunk;
    size_t size = plugin_state_size(self->plugin);
    unsigned char *state = malloc(size);
    if (!state || !keys(self, &key, &chunk)) {
        free(state);
        return state ? STATE_NO_FEATURE : STATE_UNKNOWN;
    }
    plugin_write_state(self->plugin, state);
    int result = store(handle, key, state, size, chunk, PORTABLE);
    free(state);
    return result;
}

/* Ports are fixed in the bundle, so a state is only taken where its sources are those of the bundle. */
static int restore(void *instance, Lv2Retrieve *retrieve, void *handle, uint32_t flags,
                   const Lv2Feature *const *features) {
    (void)flags;
    (void)features;
    Instance *self = instance;
    uint32_t key, chunk, type = 0, kind = 0;
    size_t size = 0;
    char message[LONGEST_MESSAGE];
    if (!keys(self, &key, &chunk)) return STATE_NO_FEATURE;
    const void *state = retrieve(handle, key, &size, &type, &kind);
    if (!state) return STATE_NO_PROPERTY;
    if (type != chunk) return STATE_BAD_TYPE;
    if (!plugin_state_fits(self->plugin, state, size)) {
        say(self, "the saved state has other sources than this bundle: the bundle's dictionary stays in use");
        return STATE_UNKNOWN;
    }
    if (plugin_read_state(self->plugin, state, size, message)) return STATE_SUCCESS;
    say(self, message);
    return STATE_UNKNOWN;
}

static const void *extension_data(const char *uri) {
    static const Lv2State state = {save, restore};
    return strcmp(uri, "http://lv2plug.in/ns/ext/state#interface") ? NULL : &state;
}

EXPORT const Lv2Descriptor *lv2_descriptor(uint32_t index) {
    static char uris[2][300];
    static const Lv2Descriptor descriptors[2] = {
        {uris[0], instantiate_mono, connect_port, activate, run, deactivate, cleanup, extension_data},
        {uris[1], instantiate_stereo, connect_port, activate, run, deactivate, cleanup, extension_data},
    };
    char stem[256];
    if (index > 1 || !own_name(stem, sizeof stem)) return NULL;
    if (!uris[index][0]) snprintf(uris[index], sizeof uris[index], "urn:nmfaudio:%s:%s", stem, index ? "stereo" : "mono");
    return &descriptors[index];
}
