/* A dictionary's file: a safetensors file with metadata in JSON. Nothing in it is believed unchecked. */
#include "dictionary.h"

#include "json.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Write a message and return 0, so that checks read as one expression. */
static int refuse(char *message, const char *text) {
    snprintf(message, LONGEST_MESSAGE, "%s", text);
    return 0;
}

static uint64_t little_endian(const unsigned char *bytes) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

/* The text of a metadata entry, decoded into memory of the caller's; it is JSON itself. */
static int metadata_text(Json metadata, const char *name, char **room, size_t *left, Json *text) {
    Json value;
    if (!json_member(metadata, name, &value)) return 0;
    long length = json_string(value, *room, *left);
    if (length < 0) return 0;
    text->at = *room;
    text->end = *room + length;
    *room += length + 1;
    *left -= (size_t)length + 1;
    return 1;
}

static int metadata_value(Json metadata, const char *name, char **room, size_t *left, Json *value) {
    return metadata_text(metadata, name, room, left, value) && json_valid(*value);
}

static int whole_member(Json object, const char *name, long long least, long long most, int *number) {
    Json value;
    long long found;
    if (!json_member(object, name, &value) || !json_whole(value, least, most, &found)) return 0;
    *number = (int)found;
    return 1;
}

/* A label as nmfaudio.labels.check_label accepts it: printable, and a part of file names everywhere. */
static int good_label(const char *label) {
    size_t length = strlen(label);
    if (!length || strchr(" .", label[0]) || strchr(" .", label[length - 1])) return 0;
    for (const char *at = label; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f || strchr("/\\:*?\"<>|", *at)) return 0;
    return 1;
}

static int read_sources(Dictionary *d, Json sources) {
    Json value;
    if (json_kind(sources) != '[') return 0;
    for (d->sources = 0; json_next_element(&sources, &value); d->sources++) {
        if (d->sources == MOST_SOURCES) return 0;
        char *name = d->names[d->sources];
        if (json_string(value, name, LONGEST_LABEL + 1) < 1 || !good_label(name)) return 0;
        for (int other = 0; other < d->sources; other++)
            if (!strcmp(name, d->names[other])) return 0;
    }
    return d->sources > 0;
}

static int read_components(Dictionary *d, Json components) {
    Json value;
    long long source;
    if (json_kind(components) != '[') return 0;
    for (d->components = 0; json_next_element(&components, &value); d->components++) {
        if (d->components == MOST_COMPONENTS || !json_whole(value, 0, d->sources - 1, &source)) return 0;
        d->source_of[d->components] = (int)source;
    }
    return d->components > 0;
}

static int read_settings(Dictionary *d, Json metadata, char **room, size_t *left) {
    Json value;
    if (!metadata_value(metadata, "stft", room, left, &value)) return 0;
    if (!whole_member(value, "n_fft", 16, LARGEST_N_FFT, &d->n_fft)) return 0;
    if (!whole_member(value, "win_length", 1, d->n_fft, &d->win_length)) return 0;
    if (!metadata_value(metadata, "sample_rate", room, left, &value) || !json_number(value, &d->sample_rate)) return 0;
    if (!metadata_value(metadata, "exponent", room, left, &value) || !json_number(value, &d->exponent)) return 0;
    if (!metadata_value(metadata, "beta", room, left, &value) || !json_number(value, &d->beta)) return 0;
    int fits = d->sample_rate >= 1 && d->sample_rate <= 1 << 22 && d->exponent > 0 && d->exponent <= 4;
    return fits && d->beta >= -1 && d->beta <= 3;
}

/* The settings of the plugin; a file that `nmfaudio learn` wrote has none, and gets the defaults. */
static int read_plugin(Dictionary *d, Json metadata, char **room, size_t *left) {
    Json plugin, value;
    snprintf(d->plugin_name, sizeof d->plugin_name, "%s", d->names[0]);
    d->window_seconds = 0.046;
    d->sharpness = 1.5;
    d->iterations = 30;
    if (!json_member(metadata, "plugin", &value)) return 1;
    if (!metadata_value(metadata, "plugin", room, left, &plugin)) return 0;
    if (!json_member(plugin, "name", &value)) return 0;
    if (json_string(value, d->plugin_name, sizeof d->plugin_name) < 1 || !good_label(d->plugin_name)) return 0;
    if (!json_member(plugin, "window", &value) || !json_number(value, &d->window_seconds)) return 0;
    if (!json_member(plugin, "sharpness", &value) || !json_number(value, &d->sharpness)) return 0;
    if (!whole_member(plugin, "iterations", 1, 100, &d->iterations)) return 0;
    int fits = d->window_seconds >= 0.001 && d->window_seconds <= 1;
    return fits && d->sharpness >= 0.5 && d->sharpness <= 4;
}

/* Where an array begins and ends. */
static int read_place(Json entry, long long room, long long *start, long long *end) {
    Json offsets, value;
    if (!json_member(entry, "data_offsets", &offsets) || json_kind(offsets) != '[') return 0;
    if (!json_next_element(&offsets, &value) || !json_whole(value, 0, room, start)) return 0;
    return json_next_element(&offsets, &value) && json_whole(value, *start, room, end);
}

/* Whether the arrays that the header declares fill the file, one after another. */
static int fills_file(Json header, long long room) {
    enum { MOST_ARRAYS = 16 };
    long long starts[MOST_ARRAYS], ends[MOST_ARRAYS], position = 0;
    int count = 0, used = 0;
    Json name, entry;
    char text[64];
    while (json_next_member(&header, &name, &entry)) {
        if (json_string(name, text, sizeof text) >= 0 && !strcmp(text, "__metadata__")) continue;
        if (count == MOST_ARRAYS || !read_place(entry, room, &starts[count], &ends[count])) return 0;
        count++;
    }
    for (int found = 1; found;) { /* the next array begins where the last one ended */
        found = 0;
        for (int i = 0; i < count && !found; i++)
            if (starts[i] == position && ends[i] > position) {
                position = ends[i];
                used++;
                found = 1;
            }
    }
    return used == count && position == room;
}

/* The shape, the place and the type of the array of templates. */
static int find_templates(Dictionary *d, Json header, size_t start, char *message) {
    Json entry, value, shape, offsets, first, second;
    char type[8];
    long long rows, columns, from, to, most = (long long)(d->size - start);
    if (!fills_file(header, most)) return refuse(message, "it was cut short or altered");
    if (!json_member(header, "templates", &entry)) return refuse(message, "it holds no templates");
    if (!json_member(entry, "dtype", &value) || json_string(value, type, sizeof type) < 0 || strcmp(type, "F32"))
        return refuse(message, "its templates are not of the type F32");
    if (!json_member(entry, "shape", &shape) || !json_member(entry, "data_offsets", &offsets) ||
        json_kind(shape) != '[' || json_kind(offsets) != '[' || !json_next_element(&shape, &first) || !json_next_element(&shape, &second) ||
        !json_whole(first, 1, MOST_COMPONENTS, &rows) || !json_whole(second, 1, LARGEST_N_FFT, &columns))
        return refuse(message, "its templates have no valid shape");
    if (rows != d->components || columns != d->n_fft / 2 + 1)
        return refuse(message, "the shape of its templates fits neither its labels nor its n_fft");
    if (!json_next_element(&offsets, &first) || !json_next_element(&offsets, &second) ||
        !json_whole(first, 0, most, &from) || !json_whole(second, 0, most, &to) || to - from != 4 * rows * columns)
        return refuse(message, "its templates lie outside of the file: it was cut short or altered");
    if ((start + (size_t)from) % sizeof(float)) return refuse(message, "its templates are not aligned");
    d->templates = (const float *)(const void *)(d->bytes + start + from);
    return 1;
}

static int check_templates(const Dictionary *d, char *message) {
    size_t bins = (size_t)d->n_fft / 2 + 1;
    for (int k = 0; k < d->components; k++) {
        double sum = 0;
        for (size_t b = 0; b < bins; b++) {
            float value = d->templates[(size_t)k * bins + b];
            if (!(value >= 0 && value < INFINITY))
                return refuse(message, "its templates hold negative or non-finite numbers");
            sum += value;
        }
        if (!(sum > 1e-30 && sum < 1e30)) return refuse(message, "one of its templates is silent or too loud");
    }
    return 1;
}

static int read_metadata(Dictionary *d, Json header, char *room, size_t left, char *message) {
    Json metadata, value;
    if (!json_member(header, "__metadata__", &metadata) || json_kind(metadata) != '{')
        return refuse(message, "it has no metadata: it is not a dictionary of nmfaudio");
    if (!metadata_text(metadata, "format", &room, &left, &value) || strcmp(value.at, "nmfaudio dictionary"))
        return refuse(message, "it is not a dictionary of nmfaudio");
    if (!metadata_text(metadata, "version", &room, &left, &value) || strcmp(value.at, "1"))
        return refuse(message, "its format is of another version than this plugin: export it again");
    if (!metadata_value(metadata, "sources", &room, &left, &value) || !read_sources(d, value))
        return refuse(message, "its sources are not 1 to 32 different names");
    if (!metadata_value(metadata, "components", &room, &left, &value) || !read_components(d, value))
        return refuse(message, "its components are not 1 to 1024 numbers of its sources");
    if (!read_settings(d, metadata, &room, &left)) return refuse(message, "its settings are out of range");
    if (!read_plugin(d, metadata, &room, &left)) return refuse(message, "its plugin settings are out of range");
    return 1;
}

static int parse(Dictionary *d, char *message) {
    if (d->size < 8 || d->size > LARGEST_FILE) return refuse(message, "its size is not that of a dictionary");
    uint64_t length = little_endian(d->bytes);
    if (length > LARGEST_HEADER || length > d->size - 8)
        return refuse(message, "it is not a dictionary, or it was cut short");
    Json header = {(const char *)d->bytes + 8, (const char *)d->bytes + 8 + length};
    if (!json_valid(header) || json_kind(header) != '{') return refuse(message, "its header is not JSON");
    char *room = malloc((size_t)length + 16);
    if (!room) return refuse(message, "there is no memory for it");
    int good = read_metadata(d, header, room, (size_t)length + 16, message) &&
               find_templates(d, header, (size_t)length + 8, message) && check_templates(d, message);
    free(room);
    return good;
}

Dictionary *dictionary_read(const void *bytes, size_t size, char message[LONGEST_MESSAGE]) {
    Dictionary *d = calloc(1, sizeof *d);
    if (d) d->bytes = malloc(size ? size : 1);
    if (!d || !d->bytes) {
        refuse(message, "there is no memory for it");
        free(d);
        return NULL;
    }
    memcpy(d->bytes, bytes, size);
    d->size = size;
    message[0] = 0;
    if (parse(d, message)) return d;
    dictionary_free(d);
    return NULL;
}

#ifdef _WIN32
#include <wchar.h>
#include <windows.h>

static FILE *opened(const char *path) {
    wchar_t wide[4096];
    return MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, 4096) ? _wfopen(wide, L"rb") : NULL;
}
#else
static FILE *opened(const char *path) { return fopen(path, "rb"); }
#endif

int dictionary_exists(const char *path) {
    FILE *file = opened(path);
    if (file) fclose(file);
    return file != NULL;
}

Dictionary *dictionary_load(const char *path, char message[LONGEST_MESSAGE]) {
    Dictionary *found = NULL;
    FILE *file = opened(path);
    if (!file) {
        refuse(message, "the dictionary is missing or cannot be opened");
        return NULL;
    }
    long size = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    unsigned char *bytes = size >= 0 && size <= LARGEST_FILE ? malloc((size_t)size + 1) : NULL;
    rewind(file);
    if (!bytes)
        refuse(message, "its size is not that of a dictionary");
    else if (fread(bytes, 1, (size_t)size, file) != (size_t)size)
        refuse(message, "the dictionary cannot be read");
    else
        found = dictionary_read(bytes, (size_t)size, message);
    free(bytes);
    fclose(file);
    return found;
}

void dictionary_free(Dictionary *dictionary) {
    if (!dictionary) return;
    free(dictionary->bytes);
    free(dictionary);
}
