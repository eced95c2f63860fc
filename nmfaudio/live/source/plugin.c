/* One instance of the plugin, whatever the host's interface. */
#define _GNU_SOURCE /* dladdr */
#include "plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Engine {
    void *allocated;
    Live *live;
    int sources;
};

/* ---- where the dictionary lies ---- */

#if defined(_WIN32)
#include <windows.h>

static int own_path(char *path, size_t room) {
    HMODULE module;
    wchar_t wide[2048];
    DWORD from = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (!GetModuleHandleExW(from, (LPCWSTR)(void *)&own_path, &module)) return 0;
    DWORD length = GetModuleFileNameW(module, wide, 2048);
    if (!length || length >= 2048) return 0;
    if (!WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, (int)room, NULL, NULL)) return 0;
    for (char *at = path; *at; at++)
        if (*at == '\\') *at = '/';
    return 1;
}
#else
#include <dlfcn.h>

static int own_path(char *path, size_t room) {
    Dl_info found;
    if (!dladdr((void *)(uintptr_t)&own_path, &found) || !found.dli_fname) return 0;
    return (size_t)snprintf(path, room, "%s", found.dli_fname) < room;
}
#endif

/* Split the path of the shared object into a folder and a name without ending. */
static int split_path(char *path, const char **folder, const char **stem) {
    char *slash = strrchr(path, '/');
    *folder = slash ? path : ".";
    *stem = slash ? slash + 1 : path;
    if (slash) *slash = 0;
    char *dot = strrchr((char *)(uintptr_t)*stem, '.');
    if (dot) *dot = 0;
    return **stem != 0;
}

int own_name(char *stem, size_t room) {
    char path[4096];
    const char *folder, *found;
    if (!own_path(path, sizeof path) || !split_path(path, &folder, &found)) return 0;
    return (size_t)snprintf(stem, room, "%s", found) < room;
}

Dictionary *own_dictionary(char message[LONGEST_MESSAGE]) {
    char path[4096], wanted[8300];
    const char *folder, *stem;
    snprintf(message, LONGEST_MESSAGE, "the folder of the plugin cannot be told");
    if (!own_path(path, sizeof path) || !split_path(path, &folder, &stem)) return NULL;
    snprintf(wanted, sizeof wanted, "%s/../Resources/%s.safetensors", folder, stem);
    if (!dictionary_exists(wanted)) snprintf(wanted, sizeof wanted, "%s/%s.safetensors", folder, stem);
    return dictionary_load(wanted, message);
}

/* FNV-1a */
uint64_t name_hash(const char *text, uint64_t salt) {
    uint64_t hash = 0xcbf29ce484222325u ^ salt;
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

void plugin_title(const Dictionary *dictionary, char *title, size_t room) {
    char stem[256];
    if (dictionary)
        snprintf(title, room, "%s", dictionary->plugin_name);
    else
        snprintf(title, room, "%.80s (no dictionary)", own_name(stem, sizeof stem) ? stem : "nmfaudio");
}

/* ---- parameters ---- */

static int sources_of(const Plugin *plugin) { return plugin->dictionary ? plugin->dictionary->sources : 0; }

static float normal_value(const Plugin *plugin, int id) {
    if (id == ITERATIONS) return plugin->dictionary ? (float)plugin->dictionary->iterations : 30;
    if (id == SHARPNESS) return plugin->dictionary ? (float)plugin->dictionary->sharpness : 1.5f;
    return 0;
}

int plugin_parameters(const Plugin *plugin) { return 3 * sources_of(plugin) + 4; }

int plugin_range(int id, Parameter *p) {
    static const Parameter toggle = {0, "", "", 0, 1, 0, 1, 0}, gain = {0, "", "dB", LEAST_GAIN, MOST_GAIN, 0, 0, 0};
    static const Parameter iterations = {0, "Iterations", "", 1, 100, 30, 99, 0};
    static const Parameter sharpness = {0, "Sharpness", "", 0.5, 4, 1.5, 0, 0};
    if (id < 0 || id >= PARAMETERS) return 0;
    *p = id < MUTE ? gain : id == ITERATIONS ? iterations : id == SHARPNESS ? sharpness : toggle;
    p->id = id;
    p->read_only = id == STATUS;
    return 1;
}

int plugin_find(const Plugin *plugin, int id, Parameter *p) {
    static const char *const kinds[] = {"", " mute", " solo"};
    if (!plugin_range(id, p) || (id < BYPASS && id % MOST_SOURCES >= sources_of(plugin))) return 0;
    p->normal = normal_value(plugin, id);
    if (id < BYPASS)
        snprintf(p->name, sizeof p->name, "%s%s", plugin->dictionary->names[id % MOST_SOURCES], kinds[id / MOST_SOURCES]);
    else if (id == BYPASS || id == STATUS)
        snprintf(p->name, sizeof p->name, "%s", id == BYPASS ? "Bypass" : "No dictionary");
    return 1;
}

int plugin_describe(const Plugin *plugin, int index, Parameter *parameter) {
    int sources = sources_of(plugin), id = index - 3 * sources + BYPASS;
    if (index < 0) return 0;
    if (index < 3 * sources) id = index / sources * MOST_SOURCES + index % sources;
    return plugin_find(plugin, id, parameter);
}

float plugin_value(const Plugin *plugin, int id) {
    if (id == STATUS) return plugin->dictionary ? 0 : 1;
    return id >= 0 && id < STATUS ? plugin->values[id] : 0;
}

void plugin_set(Plugin *plugin, int id, double value) {
    Parameter p;
    if (id >= STATUS || !(value > -1e9 && value < 1e9) || !plugin_range(id, &p)) return;
    plugin->values[id] = (float)(value < p.least ? p.least : value > p.most ? p.most : value);
}

void plugin_text(const Parameter *p, double value, char *text, size_t room) {
    if (p->steps == 1)
        snprintf(text, room, "%s", value >= 0.5 ? "on" : "off");
    else if (p->id < MUTE)
        snprintf(text, room, "%.1f", value > -0.05 && value < 0.05 ? 0.0 : value);
    else
        snprintf(text, room, p->steps ? "%.0f" : "%.2f", value);
}

int plugin_number(const Parameter *p, const char *text, double *value) {
    if (!strcmp(text, "off")) {
        *value = p->least;
        return 1;
    }
    if (!strcmp(text, "on")) {
        *value = p->most;
        return 1;
    }
    char *end;
    *value = strtod(text, &end);
    if (end == text || !(*value >= -1e9 && *value <= 1e9)) return 0;
    *value = *value < p->least ? p->least : *value > p->most ? p->most : *value;
    return 1;
}

static void set_normal_values(Plugin *plugin) {
    for (int id = 0; id < STATUS; id++) plugin->values[id] = normal_value(plugin, id);
}

/* ---- the engine ---- */

static void engine_free(Engine *engine) {
    if (!engine) return;
    free(engine->allocated);
    free(engine);
}

static Engine *engine_for(const Dictionary *dictionary, double sample_rate, int channels) {
    Templates *templates = dictionary ? templates_for(dictionary, sample_rate) : NULL;
    Engine *engine = templates ? calloc(1, sizeof *engine) : NULL;
    if (engine) {
        engine->allocated = malloc(live_room(templates, channels) + 64);
        uintptr_t aligned = ((uintptr_t)engine->allocated + 63) & ~(uintptr_t)63;
        if (engine->allocated) engine->live = live_init((void *)aligned, templates, channels, sample_rate, NULL);
        engine->sources = templates->sources;
    }
    templates_free(templates);
    if (engine && engine->live) return engine;
    engine_free(engine);
    return NULL;
}

Plugin *plugin_new(Dictionary *dictionary, const char *message) {
    Plugin *plugin = calloc(1, sizeof *plugin);
    if (!plugin) {
        dictionary_free(dictionary);
        return NULL;
    }
    plugin->dictionary = dictionary;
    snprintf(plugin->message, sizeof plugin->message, "%s", dictionary ? "" : message);
    set_normal_values(plugin);
    return plugin;
}

void plugin_free(Plugin *plugin) {
    if (!plugin) return;
    plugin_deactivate(plugin);
    dictionary_free(plugin->dictionary);
    free(plugin);
}

/* Give an engine to the audio thread, which takes it at its next call. */
static void hand_over(Plugin *plugin, Engine *engine) {
    engine_free(__atomic_exchange_n(&plugin->waiting, engine, __ATOMIC_ACQ_REL));
    engine_free(__atomic_exchange_n(&plugin->retired, NULL, __ATOMIC_ACQ_REL));
}

int plugin_activate(Plugin *plugin, double sample_rate, int channels) {
    plugin_deactivate(plugin);
    plugin->is_active = 1;
    plugin->sample_rate = sample_rate;
    plugin->channels = channels;
    if (!plugin->dictionary) return 0;
    plugin->running = engine_for(plugin->dictionary, sample_rate, channels);
    snprintf(plugin->message, sizeof plugin->message, "%s",
             plugin->running ? "" : "the dictionary cannot be used at this sample rate");
    return plugin->running != NULL;
}

void plugin_deactivate(Plugin *plugin) {
    hand_over(plugin, NULL);
    engine_free(plugin->running);
    plugin->running = NULL;
    plugin->is_active = 0;
}

void plugin_reset(Plugin *plugin) {
    if (plugin->running) live_reset(plugin->running->live);
}

static void take_waiting(Plugin *plugin) {
    if (__atomic_load_n(&plugin->retired, __ATOMIC_ACQUIRE)) return;
    Engine *engine = __atomic_exchange_n(&plugin->waiting, NULL, __ATOMIC_ACQ_REL);
    if (!engine) return;
    __atomic_store_n(&plugin->retired, plugin->running, __ATOMIC_RELEASE);
    plugin->running = engine;
}

static LiveControls controls_of(const Plugin *plugin, int sources) {
    LiveControls controls;
    int any_solo = 0;
    for (int j = 0; j < sources; j++) any_solo |= plugin->values[SOLO + j] >= 0.5f;
    for (int j = 0; j < sources; j++) {
        float gain = plugin->values[GAIN + j];
        int silent = plugin->values[MUTE + j] >= 0.5f || (any_solo && plugin->values[SOLO + j] < 0.5f);
        controls.gains[j] = silent || gain <= LEAST_GAIN ? 0 : gain == 0 ? 1 : powf(10, gain / 20);
    }
    controls.bypass = plugin->values[BYPASS] >= 0.5f;
    controls.iterations = (int)(plugin->values[ITERATIONS] + 0.5f);
    controls.sharpness = plugin->values[SHARPNESS];
    return controls;
}

void plugin_process(Plugin *plugin, const float *const *in, float *const *out, int samples) {
    take_waiting(plugin);
    if (plugin->running) {
        LiveControls controls = controls_of(plugin, plugin->running->sources);
        live_process(plugin->running->live, &controls, in, out, samples);
    } else {
        for (int c = 0; c < plugin->channels; c++) memset(out[c], 0, sizeof(float) * (size_t)samples);
    }
}

int plugin_latency(const Plugin *plugin, double sample_rate) {
    return plugin->dictionary ? n_fft_for(plugin->dictionary->window_seconds, sample_rate) : 0;
}

/* ---- the saved state: eight letters, version, values, size of the dictionary, its bytes ---- */

static const char MAGIC[] = "NMFAUDIO";
enum { VERSION = 1, STATE_HEAD = 8 + 4 + 4 * STATUS + 4 };

size_t plugin_state_size(const Plugin *plugin) {
    return STATE_HEAD + (plugin->dictionary ? plugin->dictionary->size : 0);
}

void plugin_write_state(const Plugin *plugin, unsigned char *state) {
    uint32_t version = VERSION, size = plugin->dictionary ? (uint32_t)plugin->dictionary->size : 0;
    memcpy(state, MAGIC, 8);
    memcpy(state + 8, &version, 4);
    memcpy(state + 12, plugin->values, 4 * STATUS);
    memcpy(state + STATE_HEAD - 4, &size, 4);
    if (size) memcpy(state + STATE_HEAD, plugin->dictionary->bytes, size);
}

static int use_dictionary(Plugin *plugin, Dictionary *dictionary, char *message) {
    Engine *engine = NULL;
    if (plugin->is_active && !(engine = engine_for(dictionary, plugin->sample_rate, plugin->channels))) {
        snprintf(message, LONGEST_MESSAGE, "the dictionary in the state cannot be used at this sample rate");
        dictionary_free(dictionary);
        return 0;
    }
    dictionary_free(plugin->dictionary);
    plugin->dictionary = dictionary;
    plugin->message[0] = 0;
    if (engine) hand_over(plugin, engine);
    return 1;
}

int plugin_read_state(Plugin *plugin, const unsigned char *state, size_t size, char message[LONGEST_MESSAGE]) {
    uint32_t version, bytes;
    float values[STATUS];
    snprintf(message, LONGEST_MESSAGE, "the saved state is not one of this plugin, or it was cut short");
    if (size < STATE_HEAD || memcmp(state, MAGIC, 8)) return 0;
    memcpy(&version, state + 8, 4);
    memcpy(values, state + 12, sizeof values);
    memcpy(&bytes, state + STATE_HEAD - 4, 4);
    if (version != VERSION || bytes != size - STATE_HEAD) return 0;
    const unsigned char *saved = state + STATE_HEAD;
    const Dictionary *own = plugin->dictionary;
    if (bytes && !(own && own->size == bytes && !memcmp(own->bytes, saved, bytes))) {
        Dictionary *found = dictionary_read(saved, bytes, message);
        if (!found || !use_dictionary(plugin, found, message)) return 0;
    }
    set_normal_values(plugin);
    for (int id = 0; id < STATUS; id++) plugin_set(plugin, id, values[id]);
    message[0] = 0;
    return 1;
}

int plugin_state_fits(const Plugin *plugin, const unsigned char *state, size_t size) {
    char message[LONGEST_MESSAGE];
    if (!plugin->dictionary || size <= STATE_HEAD) return 1;
    Dictionary *saved = dictionary_read(state + STATE_HEAD, size - STATE_HEAD, message);
    if (!saved) return 1; /* plugin_read_state says what is wrong with it */
    int same = saved->sources == plugin->dictionary->sources;
    for (int j = 0; same && j < saved->sources; j++) same = !strcmp(saved->names[j], plugin->dictionary->names[j]);
    dictionary_free(saved);
    return same;
}
