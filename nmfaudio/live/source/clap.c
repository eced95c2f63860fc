/* The plugin as CLAP hosts see it. Longer than other files: the structures of every extension come first. */
#include "plugin.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t major, minor, revision;
} ClapVersion;

typedef struct {
    ClapVersion version;
    const char *id, *name, *vendor, *url, *manual_url, *support_url, *plugin_version, *description;
    const char *const *features;
} ClapDescriptor;

typedef struct ClapHost ClapHost;
struct ClapHost {
    ClapVersion version;
    void *data;
    const char *name, *vendor, *url, *host_version;
    const void *(*get_extension)(const ClapHost *host, const char *id);
    void (*request_restart)(const ClapHost *host);
    void (*request_process)(const ClapHost *host);
    void (*request_callback)(const ClapHost *host);
};

typedef struct {
    uint32_t size, time;
    uint16_t space, type;
    uint32_t flags;
} ClapEvent;

typedef struct {
    ClapEvent event;
    uint32_t parameter;
    void *cookie;
    int32_t note;
    int16_t port, channel, key;
    double value;
} ClapValueEvent;

typedef struct ClapEvents ClapEvents;
struct ClapEvents {
    void *context;
    uint32_t (*size)(const ClapEvents *events);
    const ClapEvent *(*get)(const ClapEvents *events, uint32_t index);
};

typedef struct {
    float **data32;
    double **data64;
    uint32_t channels, latency;
    uint64_t constant_mask;
} ClapBuffer;

typedef struct {
    int64_t steady_time;
    uint32_t frames;
    const void *transport;
    const ClapBuffer *inputs;
    ClapBuffer *outputs;
    uint32_t input_count, output_count;
    const ClapEvents *in_events;
    const void *out_events;
} ClapProcess;

typedef struct ClapPlugin ClapPlugin;
struct ClapPlugin {
    const ClapDescriptor *descriptor;
    void *data;
    bool (*init)(const ClapPlugin *);
    void (*destroy)(const ClapPlugin *);
    bool (*activate)(const ClapPlugin *, double rate, uint32_t least_frames, uint32_t most_frames);
    void (*deactivate)(const ClapPlugin *);
    bool (*start_processing)(const ClapPlugin *);
    void (*stop_processing)(const ClapPlugin *);
    void (*reset)(const ClapPlugin *);
    int32_t (*process)(const ClapPlugin *, const ClapProcess *);
    const void *(*get_extension)(const ClapPlugin *, const char *id);
    void (*on_main_thread)(const ClapPlugin *);
};

typedef struct {
    uint32_t id, flags;
    void *cookie;
    char name[256], module[1024];
    double least, most, normal;
} ClapParameter;

typedef struct {
    uint32_t id;
    char name[256];
    uint32_t flags, channels;
    const char *type;
    uint32_t in_place_pair;
} ClapPort;

typedef struct {
    uint32_t id;
    char name[256];
    uint32_t inputs, outputs;
    bool has_input;
    uint32_t input_channels;
    const char *input_type;
    bool has_output;
    uint32_t output_channels;
    const char *output_type;
} ClapConfig;

typedef struct ClapInput ClapInput;
struct ClapInput {
    void *context;
    int64_t (*read)(const ClapInput *stream, void *buffer, uint64_t size);
};

typedef struct ClapOutput ClapOutput;
struct ClapOutput {
    void *context;
    int64_t (*write)(const ClapOutput *stream, const void *buffer, uint64_t size);
};

enum { STEPPED = 1, READ_ONLY = 8, IS_BYPASS = 16, AUTOMATABLE = 32, PARAM_VALUE = 5, RESCAN_ALL = 8 + 4 + 2 + 1 };
enum { PROCESS_ERROR = 0, PROCESS_CONTINUE = 1, LOG_ERROR = 3, NO_PAIR = -1 };

typedef struct {
    ClapPlugin face;
    const ClapHost *host;
    Plugin *plugin;
    double sample_rate;
    int channels;
} Instance;

static struct {
    char id[300], title[128];
    ClapDescriptor descriptor;
} library;

static Instance *of(const ClapPlugin *plugin) { return plugin->data; }

static void say(const Instance *self, const char *message) {
    const struct {
        void (*log)(const ClapHost *, int32_t severity, const char *text);
    } *log = self->host && self->host->get_extension ? self->host->get_extension(self->host, "clap.log") : NULL;
    if (log)
        log->log(self->host, LOG_ERROR, message);
    else
        fprintf(stderr, "nmfaudio: %s\n", message);
}

/* ---- parameters ---- */

static uint32_t parameter_count(const ClapPlugin *p) { return (uint32_t)plugin_parameters(of(p)->plugin); }

static bool parameter_info(const ClapPlugin *p, uint32_t index, ClapParameter *info) {
    Parameter found;
    if (!plugin_describe(of(p)->plugin, (int)index, &found)) return false;
    memset(info, 0, sizeof *info);
    info->id = (uint32_t)found.id;
    info->flags = (found.steps ? STEPPED : 0) | (found.read_only ? READ_ONLY : AUTOMATABLE);
    if (found.id == BYPASS) info->flags |= IS_BYPASS;
    snprintf(info->name, sizeof info->name, "%s", found.name);
    info->least = found.least;
    info->most = found.most;
    info->normal = found.normal;
    return true;
}

static bool parameter_value(const ClapPlugin *p, uint32_t id, double *value) {
    Parameter found;
    if (!plugin_find(of(p)->plugin, (int)id, &found)) return false;
    *value = plugin_value(of(p)->plugin, found.id);
    return true;
}

static bool value_to_text(const ClapPlugin *p, uint32_t id, double value, char *text, uint32_t room) {
    Parameter found;
    if (!plugin_find(of(p)->plugin, (int)id, &found)) return false;
    plugin_text(&found, value, text, room);
    size_t length = strlen(text);
    if (*found.unit) snprintf(text + length, room - length, " %s", found.unit);
    return true;
}

static bool text_to_value(const ClapPlugin *p, uint32_t id, const char *text, double *value) {
    Parameter found;
    return plugin_find(of(p)->plugin, (int)id, &found) && plugin_number(&found, text, value);
}

static void take_events(const Instance *self, const ClapEvents *events) {
    uint32_t count = events ? events->size(events) : 0;
    for (uint32_t i = 0; i < count; i++) {
        const ClapEvent *event = events->get(events, i);
        if (event->space || event->type != PARAM_VALUE) continue;
        const ClapValueEvent *value = (const ClapValueEvent *)event;
        plugin_set(self->plugin, (int)value->parameter, value->value);
    }
}

static void flush(const ClapPlugin *p, const ClapEvents *in, const void *out) {
    (void)out;
    take_events(of(p), in);
}

/* ---- ports ---- */

static const char *type_of(int channels) { return channels == 2 ? "stereo" : "mono"; }

static uint32_t port_count(const ClapPlugin *p, bool is_input) {
    (void)p;
    (void)is_input;
    return 1;
}

static bool port_info(const ClapPlugin *p, uint32_t index, bool is_input, ClapPort *info) {
    if (index) return false;
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", is_input ? "Input" : "Output");
    info->flags = 1;
    info->channels = (uint32_t)of(p)->channels;
    info->type = type_of(of(p)->channels);
    info->in_place_pair = 0;
    return true;
}

static uint32_t config_count(const ClapPlugin *p) {
    (void)p;
    return 2;
}

static bool config_info(const ClapPlugin *p, uint32_t index, ClapConfig *config) {
    (void)p;
    if (index > 1) return false;
    uint32_t channels = 2 - index;
    memset(config, 0, sizeof *config);
    config->id = channels;
    snprintf(config->name, sizeof config->name, "%s", type_of((int)channels));
    config->inputs = config->outputs = 1;
    config->has_input = config->has_output = true;
    config->input_channels = config->output_channels = channels;
    config->input_type = config->output_type = type_of((int)channels);
    return true;
}

static bool select_config(const ClapPlugin *p, uint32_t id) {
    if (id < 1 || id > 2 || of(p)->plugin->is_active) return false;
    of(p)->channels = (int)id;
    return true;
}

static uint32_t latency(const ClapPlugin *p) { return (uint32_t)plugin_latency(of(p)->plugin, of(p)->sample_rate); }

/* ---- state ---- */

static bool save(const ClapPlugin *p, const ClapOutput *stream) {
    size_t size = plugin_state_size(of(p)->plugin), done = 0;
    unsigned char *state = malloc(size);
    if (!state) return false;
    plugin_write_state(of(p)->plugin, state);
    while (done < size) {
        int64_t written = stream->write(stream, state + done, size - done);
        if (written <= 0) break;
        done += (size_t)written;
    }
    free(state);
    return done == size;
}

/* Read to the end of the stream; NULL where it fails or is longer than a state can be. */
static unsigned char *whole(const ClapInput *stream, size_t *size) {
    size_t room = 1 << 16;
    unsigned char *bytes = malloc(room);
    for (*size = 0; bytes;) {
        int64_t found = stream->read(stream, bytes + *size, room - *size);
        if (found == 0) return bytes;
        if (found < 0 || *size + (size_t)found > 2 * (size_t)LARGEST_FILE) break;
        *size += (size_t)found;
        if (*size == room) {
            unsigned char *larger = realloc(bytes, room *= 2);
            if (!larger) break;
            bytes = larger;
        }
    }
    free(bytes);
    return NULL;
}

static void announce_change(const Instance *self) {
    const struct {
        void (*rescan)(const ClapHost *, uint32_t flags);
    } *params = self->host && self->host->get_extension ? self->host->get_extension(self->host, "clap.params") : NULL;
    if (params) params->rescan(self->host, self->plugin->is_active ? 1 : RESCAN_ALL);
    if (self->plugin->is_active && self->host && self->host->request_restart) self->host->request_restart(self->host);
}

static bool load(const ClapPlugin *p, const ClapInput *stream) {
    Instance *self = of(p);
    char message[LONGEST_MESSAGE] = "the saved state cannot be read";
    size_t size;
    unsigned char *state = whole(stream, &size);
    int good = state && plugin_read_state(self->plugin, state, size, message);
    free(state);
    if (!good) say(self, message);
    if (good) announce_change(self);
    return good;
}

/* ---- life ---- */

static bool init(const ClapPlugin *p) {
    char message[LONGEST_MESSAGE];
    of(p)->plugin = plugin_new(own_dictionary(message), message);
    if (of(p)->plugin && !of(p)->plugin->dictionary) say(of(p), of(p)->plugin->message);
    return of(p)->plugin != NULL;
}

static void destroy(const ClapPlugin *p) {
    plugin_free(of(p)->plugin);
    free(of(p));
}

static bool activate(const ClapPlugin *p, double rate, uint32_t least_frames, uint32_t most_frames) {
    (void)least_frames;
    (void)most_frames;
    of(p)->sample_rate = rate;
    if (!plugin_activate(of(p)->plugin, rate, of(p)->channels) && of(p)->plugin->dictionary)
        say(of(p), of(p)->plugin->message);
    return true;
}

static void deactivate(const ClapPlugin *p) { plugin_deactivate(of(p)->plugin); }

static bool start_processing(const ClapPlugin *p) {
    (void)p;
    return true;
}

static void nothing(const ClapPlugin *p) { (void)p; }

static void reset(const ClapPlugin *p) { plugin_reset(of(p)->plugin); }

static int32_t process(const ClapPlugin *p, const ClapProcess *data) {
    Instance *self = of(p);
    uint32_t channels = (uint32_t)self->channels;
    take_events(self, data->in_events);
    if (!data->input_count || !data->output_count) return PROCESS_CONTINUE;
    if (data->inputs->channels < channels || data->outputs->channels < channels || !data->inputs->data32 ||
        !data->outputs->data32)
        return PROCESS_ERROR;
    plugin_process(self->plugin, (const float *const *)data->inputs->data32, data->outputs->data32, (int)data->frames);
    data->outputs->constant_mask = 0;
    return PROCESS_CONTINUE;
}

static const void *get_extension(const ClapPlugin *p, const char *id) {
    (void)p;
    static const struct {
        uint32_t (*count)(const ClapPlugin *);
        bool (*info)(const ClapPlugin *, uint32_t, ClapParameter *);
        bool (*value)(const ClapPlugin *, uint32_t, double *);
        bool (*to_text)(const ClapPlugin *, uint32_t, double, char *, uint32_t);
        bool (*from_text)(const ClapPlugin *, uint32_t, const char *, double *);
        void (*flush)(const ClapPlugin *, const ClapEvents *, const void *);
    } parameters = {parameter_count, parameter_info, parameter_value, value_to_text, text_to_value, flush};
    static const struct {
        uint32_t (*count)(const ClapPlugin *, bool);
        bool (*get)(const ClapPlugin *, uint32_t, bool, ClapPort *);
    } ports = {port_count, port_info};
    static const struct {
        uint32_t (*count)(const ClapPlugin *);
        bool (*get)(const ClapPlugin *, uint32_t, ClapConfig *);
        bool (*select)(const ClapPlugin *, uint32_t);
    } configs = {config_count, config_info, select_config};
    static const struct {
        bool (*save)(const ClapPlugin *, const ClapOutput *);
        bool (*load)(const ClapPlugin *, const ClapInput *);
    } state = {save, load};
    static const struct {
        uint32_t (*get)(const ClapPlugin *);
    } samples = {latency};
    if (!strcmp(id, "clap.params")) return &parameters;
    if (!strcmp(id, "clap.audio-ports")) return &ports;
    if (!strcmp(id, "clap.audio-ports-config")) return &configs;
    if (!strcmp(id, "clap.state")) return &state;
    return strcmp(id, "clap.latency") && strcmp(id, "clap.tail") ? NULL : &samples;
}

/* ---- factory and entry ---- */

static uint32_t plugin_count(const void *factory) {
    (void)factory;
    return 1;
}

static const ClapDescriptor *descriptor(const void *factory, uint32_t index) {
    (void)factory;
    return index ? NULL : &library.descriptor;
}

static const ClapPlugin *create(const void *factory, const ClapHost *host, const char *id) {
    (void)factory;
    Instance *self = strcmp(id, library.id) ? NULL : calloc(1, sizeof *self);
    if (!self) return NULL;
    self->host = host;
    self->channels = 2;
    self->sample_rate = 48000;
    self->face = (ClapPlugin){&library.descriptor, self, init, destroy, activate, deactivate, start_processing,
                              nothing, reset, process, get_extension, nothing};
    return &self->face;
}

static bool entry_init(const char *path) {
    (void)path;
    static const char *const features[] = {"audio-effect", "utility", "mono", "stereo", NULL};
    char message[LONGEST_MESSAGE], stem[256];
    Dictionary *dictionary = own_dictionary(message);
    plugin_title(dictionary, library.title, sizeof library.title);
    dictionary_free(dictionary);
    snprintf(library.id, sizeof library.id, "nmfaudio.%s", own_name(stem, sizeof stem) ? stem : "plugin");
    library.descriptor = (ClapDescriptor){{1, 1, 0}, library.id, library.title, "nmfaudio", "", "", "", "1.0.0",
                                          "Gains of sources, separated by what was learned of them", features};
    return true;
}

static void entry_deinit(void) {}

static const void *get_factory(const char *id) {
    static const struct {
        uint32_t (*count)(const void *);
        const ClapDescriptor *(*descriptor)(const void *, uint32_t);
        const ClapPlugin *(*create)(const void *, const ClapHost *, const char *);
    } factory = {plugin_count, descriptor, create};
    return strcmp(id, "clap.plugin-factory") ? NULL : &factory;
}

typedef struct {
    ClapVersion version;
    bool (*init)(const char *path);
    void (*deinit)(void);
    const void *(*get_factory)(const char *id);
} ClapEntry;

extern EXPORT const ClapEntry clap_entry;
EXPORT const ClapEntry clap_entry = {{1, 1, 0}, entry_init, entry_deinit, get_factory};
