/* The plugin as VST3 hosts see it. Longer than other files: each interface wants all its functions.
   One object is component, audio processor and edit controller.
   VST is a trademark of Steinberg Media Technologies GmbH. */
#include "plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define CALL __stdcall
enum { NO_INTERFACE = (int)0x80004002, BAD_ARGUMENT = (int)0x80070057, NOT_IMPLEMENTED = (int)0x80004001 };
#else
#define CALL
enum { NO_INTERFACE = -1, BAD_ARGUMENT = 2, NOT_IMPLEMENTED = 3 };
#endif
enum { OK = 0, FALSE_RESULT = 1 };
enum { CAN_AUTOMATE = 1, READ_ONLY = 2, IS_BYPASS = 1 << 16 };
enum { PARAMETER_VALUES_CHANGED = 4, LATENCY_CHANGED = 8, PARAMETER_TITLES_CHANGED = 16 };
#define MONO ((uint64_t)1 << 19)
#define STEREO ((uint64_t)3)

typedef unsigned char Id[16];
typedef int32_t Result;
typedef uint16_t Text[128]; /* UTF-16 */

/* Identifiers are four numbers; on Windows the first two are stored as in COM. */
static void write_id(Id id, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    const uint32_t parts[4] = {a, b, c, d};
    for (int i = 0; i < 16; i++) id[i] = (unsigned char)(parts[i / 4] >> (24 - 8 * (i % 4)));
#if defined(_WIN32)
    static const int order[8] = {3, 2, 1, 0, 5, 4, 7, 6};
    Id copy;
    memcpy(copy, id, 16);
    for (int i = 0; i < 8; i++) id[i] = copy[order[i]];
#endif
}

static int is_id(const unsigned char *id, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    Id wanted;
    write_id(wanted, a, b, c, d);
    return !memcmp(id, wanted, 16);
}

static int is_unknown(const unsigned char *id) { return is_id(id, 0, 0, 0xC0000000, 0x00000046); }
static int is_base(const unsigned char *id) { return is_id(id, 0x22888DDB, 0x156E45AE, 0x8358B348, 0x08190625); }
static int is_component(const unsigned char *id) { return is_id(id, 0xE831FF31, 0xF2D54301, 0x928EBBEE, 0x25697802); }
static int is_processor(const unsigned char *id) { return is_id(id, 0x42043F99, 0xB7DA453C, 0xA569E79D, 0x9AAEC33D); }
static int is_controller(const unsigned char *id) { return is_id(id, 0xDCD7BBE3, 0x7742448D, 0xA874AACC, 0x979C759E); }
static int is_factory(const unsigned char *id) { return is_id(id, 0x7A4D811C, 0x52114A1F, 0xAED9D2EE, 0x0B43BF9F); }
static int is_factory2(const unsigned char *id) { return is_id(id, 0x0007B650, 0xF24B4C0B, 0xA464EDB9, 0xF00B2ABB); }

/* ---- what the host gives ---- */

#define UNKNOWN                                                                    \
    Result(CALL *query)(void *self, const unsigned char *id, void **object);       \
    uint32_t(CALL *add_ref)(void *self);                                           \
    uint32_t(CALL *release)(void *self)

typedef struct {
    const struct {
        UNKNOWN;
        Result(CALL *read)(void *self, void *buffer, int32_t size, int32_t *done);
        Result(CALL *write)(void *self, void *buffer, int32_t size, int32_t *done);
    } *functions;
} Stream;

typedef struct {
    const struct {
        UNKNOWN;
        uint32_t(CALL *id)(void *self);
        int32_t(CALL *points)(void *self);
        Result(CALL *point)(void *self, int32_t index, int32_t *offset, double *value);
    } *functions;
} ValueQueue;

typedef struct {
    const struct {
        UNKNOWN;
        int32_t(CALL *count)(void *self);
        ValueQueue *(CALL *queue)(void *self, int32_t index);
    } *functions;
} Changes;

typedef struct {
    const struct {
        UNKNOWN;
        Result(CALL *begin)(void *self, uint32_t id);
        Result(CALL *perform)(void *self, uint32_t id, double value);
        Result(CALL *end)(void *self, uint32_t id);
        Result(CALL *restart)(void *self, int32_t flags);
    } *functions;
} Handler;

typedef struct {
    int32_t channels;
    uint64_t silence;
    float **samples;
} Buffers;

typedef struct {
    int32_t mode, sample_size, samples, input_count, output_count;
    Buffers *inputs, *outputs;
    Changes *changes;
    void *output_changes, *input_events, *output_events, *context;
} Data;

typedef struct {
    int32_t mode, sample_size, most_samples;
    double sample_rate;
} Setup;

typedef struct {
    int32_t media, direction, channels;
    Text name;
    int32_t type;
    uint32_t flags;
} Bus;

typedef struct {
    uint32_t id;
    Text title, short_title, unit;
    int32_t steps;
    double normal;
    int32_t group, flags;
} Info;

/* ---- the object ---- */

#define BASE                                              \
    UNKNOWN;                                              \
    Result(CALL *initialize)(void *self, void *host);     \
    Result(CALL *terminate)(void *self)

typedef struct {
    BASE;
    Result(CALL *controller_class)(void *self, unsigned char *id);
    Result(CALL *set_mode)(void *self, int32_t mode);
    int32_t(CALL *bus_count)(void *self, int32_t media, int32_t direction);
    Result(CALL *bus)(void *self, int32_t media, int32_t direction, int32_t index, Bus *bus);
    Result(CALL *routing)(void *self, void *in, void *out);
    Result(CALL *activate_bus)(void *self, int32_t media, int32_t direction, int32_t index, uint8_t state);
    Result(CALL *set_active)(void *self, uint8_t state);
    Result(CALL *set_state)(void *self, Stream *stream);
    Result(CALL *get_state)(void *self, Stream *stream);
} ComponentFunctions;

typedef struct {
    UNKNOWN;
    Result(CALL *set_arrangements)(void *self, uint64_t *in, int32_t ins, uint64_t *out, int32_t outs);
    Result(CALL *arrangement)(void *self, int32_t direction, int32_t index, uint64_t *arrangement);
    Result(CALL *can_process)(void *self, int32_t sample_size);
    uint32_t(CALL *latency)(void *self);
    Result(CALL *setup)(void *self, Setup *setup);
    Result(CALL *set_processing)(void *self, uint8_t state);
    Result(CALL *process)(void *self, Data *data);
    uint32_t(CALL *tail)(void *self);
} ProcessorFunctions;

typedef struct {
    BASE;
    Result(CALL *set_component_state)(void *self, Stream *stream);
    Result(CALL *set_state)(void *self, Stream *stream);
    Result(CALL *get_state)(void *self, Stream *stream);
    int32_t(CALL *count)(void *self);
    Result(CALL *info)(void *self, int32_t index, Info *info);
    Result(CALL *to_text)(void *self, uint32_t id, double normalized, uint16_t *text);
    Result(CALL *from_text)(void *self, uint32_t id, uint16_t *text, double *normalized);
    double(CALL *to_plain)(void *self, uint32_t id, double normalized);
    double(CALL *to_normalized)(void *self, uint32_t id, double plain);
    double(CALL *value)(void *self, uint32_t id);
    Result(CALL *set_value)(void *self, uint32_t id, double normalized);
    Result(CALL *set_handler)(void *self, Handler *handler);
    void *(CALL *view)(void *self, const char *name);
} ControllerFunctions;

typedef struct {
    const ComponentFunctions *component;
    const ProcessorFunctions *processor;
    const ControllerFunctions *controller;
    int references;
    Plugin *plugin;
    Handler *handler;
    double sample_rate;
    int channels;
} Instance;

/* Each interface is a pointer to one of the first three members. */
static Instance *of_component(void *self) { return self; }
static Instance *of_processor(void *self) { return (Instance *)(void *)((char *)self - offsetof(Instance, processor)); }
static Instance *of_controller(void *self) { return (Instance *)(void *)((char *)self - offsetof(Instance, controller)); }

static Result query(Instance *self, const unsigned char *id, void **object) {
    *object = NULL;
    if (is_unknown(id) || is_base(id) || is_component(id)) *object = &self->component;
    if (is_processor(id)) *object = &self->processor;
    if (is_controller(id)) *object = &self->controller;
    if (!*object) return NO_INTERFACE;
    __atomic_add_fetch(&self->references, 1, __ATOMIC_ACQ_REL);
    return OK;
}

static uint32_t release(Instance *self) {
    int left = __atomic_sub_fetch(&self->references, 1, __ATOMIC_ACQ_REL);
    if (left) return (uint32_t)left;
    if (self->handler) self->handler->functions->release(self->handler);
    plugin_free(self->plugin);
    free(self);
    return 0;
}

#define SHARED(kind)                                                                          \
    static Result CALL kind##_query(void *self, const unsigned char *id, void **object) {     \
        return query(of_##kind(self), id, object);                                            \
    }                                                                                         \
    static uint32_t CALL kind##_add_ref(void *self) {                                         \
        return (uint32_t)__atomic_add_fetch(&of_##kind(self)->references, 1, __ATOMIC_ACQ_REL); \
    }                                                                                         \
    static uint32_t CALL kind##_release(void *self) { return release(of_##kind(self)); }

SHARED(component)
SHARED(processor)
SHARED(controller)

static Result CALL initialize(void *self, void *host) {
    (void)self;
    (void)host;
    return OK;
}

static Result CALL terminate(void *self) {
    (void)self;
    return OK;
}

/* UTF-8 to UTF-16, cut where the room ends. */
static void write_text(uint16_t *text, const char *utf8) {
    int count = 0;
    for (const unsigned char *at = (const unsigned char *)utf8; *at && count < 126;) {
        int more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc0 ? 1 : 0;
        uint32_t code = more ? *at & (0x3f >> more) : *at;
        for (at++; more && (*at & 0xc0) == 0x80; more--) code = code << 6 | (*at++ & 0x3f);
        if (code >= 0x10000) {
            text[count++] = (uint16_t)(0xd800 + ((code - 0x10000) >> 10));
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        text[count++] = (uint16_t)code;
    }
    text[count] = 0;
}

/* ---- component ---- */

static Result CALL controller_class(void *self, unsigned char *id) {
    (void)self;
    (void)id;
    return NOT_IMPLEMENTED; /* the controller is this same object */
}

static Result CALL set_mode(void *self, int32_t mode) {
    (void)self;
    (void)mode;
    return NOT_IMPLEMENTED;
}

static int32_t CALL bus_count(void *self, int32_t media, int32_t direction) {
    (void)self;
    (void)direction;
    return media == 0;
}

static Result CALL bus(void *self, int32_t media, int32_t direction, int32_t index, Bus *found) {
    if (media || index) return BAD_ARGUMENT;
    memset(found, 0, sizeof *found);
    found->direction = direction;
    found->channels = of_component(self)->channels;
    write_text(found->name, direction ? "Output" : "Input");
    found->flags = 1;
    return OK;
}

static Result CALL routing(void *self, void *in, void *out) {
    (void)self;
    (void)in;
    (void)out;
    return NOT_IMPLEMENTED;
}

static Result CALL activate_bus(void *self, int32_t media, int32_t direction, int32_t index, uint8_t state) {
    (void)self;
    (void)direction;
    (void)state;
    return media || index ? BAD_ARGUMENT : OK;
}

static Result CALL set_active(void *self, uint8_t state) {
    Instance *own = of_component(self);
    if (!state)
        plugin_deactivate(own->plugin);
    else if (!plugin_activate(own->plugin, own->sample_rate, own->channels) && own->plugin->dictionary)
        fprintf(stderr, "nmfaudio: %s\n", own->plugin->message);
    return OK;
}

static Result read_state(Instance *self, Stream *stream) {
    char message[LONGEST_MESSAGE] = "the saved state cannot be read";
    size_t size = 0, room = 1 << 16;
    unsigned char *state = malloc(room);
    int32_t done = 0;
    while (state && stream->functions->read(stream, state + size, (int32_t)(room - size), &done) == OK && done > 0) {
        size += (size_t)done;
        if (size > 2 * (size_t)LARGEST_FILE) break;
        if (size == room) {
            unsigned char *larger = realloc(state, room *= 2);
            if (!larger) break;
            state = larger;
        }
        done = 0;
    }
    int good = state && plugin_read_state(self->plugin, state, size, message);
    free(state);
    if (!good) fprintf(stderr, "nmfaudio: %s\n", message);
    if (good && self->handler)
        self->handler->functions->restart(self->handler, PARAMETER_VALUES_CHANGED | PARAMETER_TITLES_CHANGED | LATENCY_CHANGED);
    return good ? OK : FALSE_RESULT;
}

static Result CALL set_state(void *self, Stream *stream) {
    return stream ? read_state(of_component(self), stream) : BAD_ARGUMENT;
}

static Result CALL get_state(void *self, Stream *stream) {
    const Plugin *plugin = of_component(self)->plugin;
    size_t size = plugin_state_size(plugin), written = 0;
    unsigned char *state = stream ? malloc(size) : NULL;
    if (!state) return BAD_ARGUMENT;
    plugin_write_state(plugin, state);
    for (int32_t done = 1; written < size && done > 0; written += (size_t)done) {
        done = 0;
        if (stream->functions->write(stream, state + written, (int32_t)(size - written), &done) != OK) break;
    }
    free(state);
    return written == size ? OK : FALSE_RESULT;
}

/* ---- audio processor ---- */

static Result CALL set_arrangements(void *self, uint64_t *in, int32_t ins, uint64_t *out, int32_t outs) {
    Instance *own = of_processor(self);
    if (ins != 1 || outs != 1 || *in != *out || (*in != MONO && *in != STEREO) || own->plugin->is_active)
        return FALSE_RESULT;
    own->channels = *in == STEREO ? 2 : 1;
    return OK;
}

static Result CALL arrangement(void *self, int32_t direction, int32_t index, uint64_t *found) {
    (void)direction;
    if (index) return BAD_ARGUMENT;
    *found = of_processor(self)->channels == 2 ? STEREO : MONO;
    return OK;
}

static Result CALL can_process(void *self, int32_t sample_size) {
    (void)self;
    return sample_size ? FALSE_RESULT : OK; /* 32 bits only */
}

static uint32_t CALL latency(void *self) {
    const Instance *own = of_processor(self);
    return (uint32_t)plugin_latency(own->plugin, own->sample_rate);
}

static Result CALL setup(void *self, Setup *wanted) {
    if (wanted->sample_size) return FALSE_RESULT;
    of_processor(self)->sample_rate = wanted->sample_rate;
    return OK;
}

static Result CALL set_processing(void *self, uint8_t state) {
    if (!state) plugin_reset(of_processor(self)->plugin);
    return OK;
}

static double plain_of(uint32_t id, double normalized) {
    Parameter found;
    if (!plugin_range((int)id, &found)) return 0;
    double value = found.least + normalized * (found.most - found.least);
    return found.steps ? (double)(int)(value + 0.5) : value;
}

static double normalized_of(uint32_t id, double value) {
    Parameter found;
    return plugin_range((int)id, &found) ? (value - found.least) / (found.most - found.least) : 0;
}

/* The exact value of 0 dB survives the way through a number between 0 and 1. */
static void set_normalized(Plugin *plugin, uint32_t id, double normalized) {
    double value = plain_of(id, normalized);
    plugin_set(plugin, (int)id, id < MUTE && value > -1e-4 && value < 1e-4 ? 0 : value);
}

static void take_changes(Plugin *plugin, Changes *changes) {
    int32_t count = changes ? changes->functions->count(changes) : 0, offset;
    for (int32_t i = 0; i < count; i++) {
        ValueQueue *queue = changes->functions->queue(changes, i);
        int32_t points = queue ? queue->functions->points(queue) : 0;
        double value;
        if (points > 0 && queue->functions->point(queue, points - 1, &offset, &value) == OK)
            set_normalized(plugin, queue->functions->id(queue), value);
    }
}

static Result CALL process(void *self, Data *data) {
    Instance *own = of_processor(self);
    take_changes(own->plugin, data->changes);
    if (data->samples <= 0 || !data->input_count || !data->output_count) return OK;
    if (data->inputs->channels < own->channels || data->outputs->channels < own->channels) return BAD_ARGUMENT;
    plugin_process(own->plugin, (const float *const *)data->inputs->samples, data->outputs->samples, data->samples);
    data->outputs->silence = 0;
    return OK;
}

static uint32_t CALL tail(void *self) { return latency(self); }

/* ---- edit controller ---- */

static Result CALL set_component_state(void *self, Stream *stream) {
    (void)self;
    (void)stream;
    return OK; /* the component is this same object and has it already */
}

static Result CALL set_controller_state(void *self, Stream *stream) {
    (void)self;
    (void)stream;
    return OK;
}

static Result CALL get_controller_state(void *self, Stream *stream) {
    (void)self;
    (void)stream;
    return OK;
}

static int32_t CALL parameter_count(void *self) { return plugin_parameters(of_controller(self)->plugin); }

static Result CALL parameter_info(void *self, int32_t index, Info *info) {
    Plugin *plugin = of_controller(self)->plugin;
    Parameter found;
    if (!plugin_describe(plugin, index, &found)) return BAD_ARGUMENT;
    memset(info, 0, sizeof *info);
    info->id = (uint32_t)found.id;
    write_text(info->title, found.name);
    write_text(info->short_title, found.name);
    write_text(info->unit, found.unit);
    info->steps = found.steps;
    info->normal = normalized_of(info->id, found.normal);
    info->flags = (found.read_only ? READ_ONLY : CAN_AUTOMATE) | (found.id == BYPASS ? IS_BYPASS : 0);
    return OK;
}

static Result CALL to_text(void *self, uint32_t id, double normalized, uint16_t *text) {
    Plugin *plugin = of_controller(self)->plugin;
    char plain[64];
    Parameter found;
    if (!plugin_find(plugin, (int)id, &found)) return BAD_ARGUMENT;
    plugin_text(&found, plain_of(id, normalized), plain, sizeof plain);
    write_text(text, plain);
    return OK;
}

static Result CALL from_text(void *self, uint32_t id, uint16_t *text, double *normalized) {
    Plugin *plugin = of_controller(self)->plugin;
    char plain[64] = "";
    double value;
    Parameter found;
    for (int i = 0; i < 63 && text[i]; i++) plain[i] = text[i] < 128 ? (char)text[i] : '?';
    if (!plugin_find(plugin, (int)id, &found) || !plugin_number(&found, plain, &value)) return FALSE_RESULT;
    *normalized = normalized_of(id, value);
    return OK;
}

static double CALL to_plain(void *self, uint32_t id, double normalized) {
    (void)self;
    return plain_of(id, normalized);
}

static double CALL to_normalized(void *self, uint32_t id, double plain) {
    (void)self;
    return normalized_of(id, plain);
}

static double CALL value_of(void *self, uint32_t id) {
    Plugin *plugin = of_controller(self)->plugin;
    return normalized_of(id, plugin_value(plugin, (int)id));
}

static Result CALL set_value(void *self, uint32_t id, double normalized) {
    set_normalized(of_controller(self)->plugin, id, normalized);
    return OK;
}

static Result CALL set_handler(void *self, Handler *handler) {
    Instance *own = of_controller(self);
    if (handler) handler->functions->add_ref(handler);
    if (own->handler) own->handler->functions->release(own->handler);
    own->handler = handler;
    return OK;
}

static void *CALL view(void *self, const char *name) {
    (void)self;
    (void)name;
    return NULL; /* hosts show their own controls */
}

static const ComponentFunctions component_functions = {
    component_query, component_add_ref, component_release, initialize, terminate, controller_class, set_mode,
    bus_count, bus, routing, activate_bus, set_active, set_state, get_state,
};
static const ProcessorFunctions processor_functions = {
    processor_query, processor_add_ref, processor_release, set_arrangements, arrangement, can_process, latency,
    setup, set_processing, process, tail,
};
static const ControllerFunctions controller_functions = {
    controller_query, controller_add_ref, controller_release, initialize, terminate, set_component_state,
    set_controller_state, get_controller_state, parameter_count, parameter_info, to_text, from_text, to_plain,
    to_normalized, value_of, set_value, set_handler, view,
};

/* ---- factory ---- */

typedef struct {
    char vendor[64], url[256], email[128];
    int32_t flags;
} FactoryInfo;

typedef struct {
    Id id;
    int32_t instances;
    char category[32], name[64];
} ClassInfo;

typedef struct {
    Id id;
    int32_t instances;
    char category[32], name[64];
    uint32_t flags;
    char kinds[128], vendor[64], version[64], sdk[64];
} ClassInfo2;

static void class_id(Id id) {
    char stem[256];
    if (!own_name(stem, sizeof stem)) snprintf(stem, sizeof stem, "nmfaudio");
    uint64_t first = name_hash(stem, 1), second = name_hash(stem, 2);
    write_id(id, (uint32_t)(first >> 32), (uint32_t)first, (uint32_t)(second >> 32), (uint32_t)second);
}

static Result CALL factory_query(void *self, const unsigned char *id, void **object) {
    int known = is_unknown(id) || is_factory(id) || is_factory2(id);
    *object = known ? self : NULL;
    return known ? OK : NO_INTERFACE;
}

static uint32_t CALL factory_reference(void *self) {
    (void)self;
    return 1; /* it lives as long as the library */
}

static Result CALL factory_info(void *self, FactoryInfo *info) {
    (void)self;
    memset(info, 0, sizeof *info);
    snprintf(info->vendor, sizeof info->vendor, "nmfaudio");
    info->flags = 1 << 4;
    return OK;
}

static int32_t CALL class_count(void *self) {
    (void)self;
    return 1;
}

static Result CALL class_info2(void *self, int32_t index, ClassInfo2 *info) {
    char message[LONGEST_MESSAGE];
    (void)self;
    if (index) return BAD_ARGUMENT;
    memset(info, 0, sizeof *info);
    class_id(info->id);
    info->instances = 0x7fffffff;
    snprintf(info->category, sizeof info->category, "Audio Module Class");
    Dictionary *dictionary = own_dictionary(message);
    plugin_title(dictionary, info->name, sizeof info->name);
    dictionary_free(dictionary);
    snprintf(info->kinds, sizeof info->kinds, "Fx|Tools");
    snprintf(info->vendor, sizeof info->vendor, "nmfaudio");
    snprintf(info->version, sizeof info->version, "1.0.0");
    snprintf(info->sdk, sizeof info->sdk, "VST 3.7.7");
    return OK;
}

static Result CALL class_info(void *self, int32_t index, ClassInfo *info) {
    ClassInfo2 found;
    Result result = class_info2(self, index, &found);
    if (result == OK) memcpy(info, &found, sizeof *info);
    return result;
}

static Result CALL create_instance(void *self, const unsigned char *class, const unsigned char *id, void **object) {
    Id own;
    char message[LONGEST_MESSAGE];
    (void)self;
    *object = NULL;
    class_id(own);
    Instance *made = memcmp(class, own, 16) ? NULL : calloc(1, sizeof *made);
    if (!made) return NO_INTERFACE;
    made->component = &component_functions;
    made->processor = &processor_functions;
    made->controller = &controller_functions;
    made->references = 1;
    made->channels = 2;
    made->sample_rate = 44100;
    made->plugin = plugin_new(own_dictionary(message), message);
    if (!made->plugin) {
        free(made);
        return NO_INTERFACE;
    }
    if (!made->plugin->dictionary) fprintf(stderr, "nmfaudio: %s\n", made->plugin->message);
    Result result = query(made, id, object);
    release(made);
    return result;
}

typedef struct {
    UNKNOWN;
    Result(CALL *info)(void *self, FactoryInfo *info);
    int32_t(CALL *count)(void *self);
    Result(CALL *class_info)(void *self, int32_t index, ClassInfo *info);
    Result(CALL *create)(void *self, const unsigned char *class, const unsigned char *id, void **object);
    Result(CALL *class_info2)(void *self, int32_t index, ClassInfo2 *info);
} FactoryFunctions;

EXPORT void *CALL GetPluginFactory(void) {
    static const FactoryFunctions functions = {
        factory_query, factory_reference, factory_reference, factory_info, class_count, class_info, create_instance,
        class_info2,
    };
    static const FactoryFunctions *factory = &functions;
    return &factory;
}

/* What hosts call after loading and before unloading; the names differ between systems. */
#if defined(_WIN32)
EXPORT int InitDll(void) { return 1; }
EXPORT int ExitDll(void) { return 1; }
#elif defined(__APPLE__)
EXPORT int bundleEntry(void *bundle) { return bundle != NULL; }
EXPORT int bundleExit(void) { return 1; }
#else
EXPORT int ModuleEntry(void *handle) { return handle != NULL; }
EXPORT int ModuleExit(void) { return 1; }
#endif
