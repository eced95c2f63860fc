/* Reading JSON in place. */
#include "json.h"

#include <math.h>
#include <string.h>

enum { DEEPEST = 32 };

static const char *after_spaces(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Each of these returns the place behind what it read, or NULL. */
static const char *after_string(const char *at, const char *end) {
    if (at >= end || *at != '"') return NULL;
    for (at++; at < end && *at != '"'; at++) {
        if ((unsigned char)*at < 0x20) return NULL;
        if (*at != '\\') continue;
        if (++at >= end || !memchr("\"\\/bfnrtu", *at, 9)) return NULL;
        if (*at == 'u') {
            if (end - at < 5) return NULL;
            for (int i = 1; i <= 4; i++)
                if (hex_digit(at[i]) < 0) return NULL;
            at += 4;
        }
    }
    return at < end ? at + 1 : NULL;
}

static const char *after_digits(const char *at, const char *end) {
    if (at >= end || !is_digit(*at)) return NULL;
    while (at < end && is_digit(*at)) at++;
    return at;
}

static const char *after_number(const char *at, const char *end) {
    if (at < end && *at == '-') at++;
    at = after_digits(at, end);
    if (at && at < end && *at == '.') at = after_digits(at + 1, end);
    if (at && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        at = after_digits(at, end);
    }
    return at;
}

static const char *after_word(const char *at, const char *end, const char *word) {
    size_t length = strlen(word);
    return (size_t)(end - at) >= length && !memcmp(at, word, length) ? at + length : NULL;
}

static const char *after_value(const char *at, const char *end, int depth);

static const char *after_entries(const char *at, const char *end, int depth, char close) {
    at = after_spaces(at + 1, end);
    if (at < end && *at == close) return at + 1;
    while (at) {
        if (close == '}') {
            at = after_string(after_spaces(at, end), end);
            at = at ? after_spaces(at, end) : NULL;
            at = at && at < end && *at == ':' ? at + 1 : NULL;
        }
        at = at ? after_value(at, end, depth) : NULL;
        at = at ? after_spaces(at, end) : NULL;
        if (!at || at >= end) return NULL;
        if (*at == close) return at + 1;
        if (*at++ != ',') return NULL;
    }
    return NULL;
}

static const char *after_value(const char *at, const char *end, int depth) {
    at = after_spaces(at, end);
    if (at >= end || depth > DEEPEST) return NULL;
    switch (*at) {
        case '{': return after_entries(at, end, depth + 1, '}');
        case '[': return after_entries(at, end, depth + 1, ']');
        case '"': return after_string(at, end);
        case 't': return after_word(at, end, "true");
        case 'f': return after_word(at, end, "false");
        case 'n': return after_word(at, end, "null");
        default: return after_number(at, end);
    }
}

int json_valid(Json text) {
    const char *at = after_value(text.at, text.end, 0);
    return at && after_spaces(at, text.end) == text.end;
}

char json_kind(Json value) {
    const char *at = after_spaces(value.at, value.end);
    if (at >= value.end) return 0;
    return is_digit(*at) || *at == '-' ? '0' : *at;
}

/* Step over the opening bracket or the comma before an entry; NULL at the end. */
static const char *at_entry(const char *at, const char *end, char close) {
    at = after_spaces(at, end);
    if (at >= end || *at == close) return NULL;
    at = after_spaces(at + 1, end);
    return at < end && *at != close ? at : NULL;
}

static int take_value(Json *rest, const char *at, Json *value) {
    const char *behind = after_value(at, rest->end, 0);
    if (!behind) return 0;
    value->at = after_spaces(at, behind);
    value->end = behind;
    rest->at = behind;
    return 1;
}

int json_next_member(Json *rest, Json *name, Json *value) {
    const char *at = at_entry(rest->at, rest->end, '}');
    const char *behind = at ? after_string(at, rest->end) : NULL;
    if (!behind) return 0;
    name->at = at;
    name->end = behind;
    behind = after_spaces(behind, rest->end);
    return behind < rest->end && *behind == ':' && take_value(rest, behind + 1, value);
}

int json_next_element(Json *rest, Json *value) {
    const char *at = at_entry(rest->at, rest->end, ']');
    return at && take_value(rest, at, value);
}

int json_member(Json object, const char *name, Json *value) {
    char text[64];
    Json found;
    if (json_kind(object) != '{') return 0;
    while (json_next_member(&object, &found, value))
        if (json_string(found, text, sizeof text) >= 0 && !strcmp(text, name)) return 1;
    return 0;
}

static long four_digits(const char *at) {
    long code = 0;
    for (int i = 0; i < 4; i++) code = 16 * code + hex_digit(at[i]);
    return code;
}

static int utf8_of(long code, char bytes[4]) {
    if (code < 0x80) {
        bytes[0] = (char)code;
        return 1;
    }
    int count = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = count - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(first[count] | code);
    return count;
}

/* Decode what stands behind a backslash; `at` moves to its last character. -1 for what is no character. */
static long escaped(const char **at, const char *end) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (**at != 'u') return meanings[strchr(letters, **at) - letters];
    long code = four_digits(*at + 1);
    *at += 4;
    if (code < 0xd800 || code > 0xdfff) return code;
    if (code > 0xdbff || end - *at < 7 || (*at)[1] != '\\' || (*at)[2] != 'u') return -1;
    long low = four_digits(*at + 3);
    *at += 6;
    return low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : -1;
}

long json_string(Json value, char *text, size_t room) {
    if (json_kind(value) != '"') return -1;
    const char *at = after_spaces(value.at, value.end) + 1, *end = value.end - 1;
    size_t length = 0;
    for (; at < end; at++) {
        char bytes[4] = {*at, 0, 0, 0};
        int count = 1;
        if (*at == '\\') {
            at++;
            long code = escaped(&at, end);
            if (code <= 0) return -1;
            count = utf8_of(code, bytes);
        }
        if (length + (size_t)count >= room) return -1;
        memcpy(text + length, bytes, (size_t)count);
        length += (size_t)count;
    }
    if (length >= room) return -1;
    text[length] = 0;
    return (long)length;
}

int json_number(Json value, double *number) {
    const char *at = after_spaces(value.at, value.end), *end = value.end;
    if (json_kind(value) != '0') return 0;
    double sign = *at == '-' ? -1 : 1, found = 0, exponent = 0, place = 0, direction = 1;
    if (*at == '-') at++;
    for (; at < end && is_digit(*at); at++) found = 10 * found + (*at - '0');
    if (at < end && *at == '.')
        for (at++; at < end && is_digit(*at); at++, place--) found = 10 * found + (*at - '0');
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (*at == '+' || *at == '-') direction = *at++ == '-' ? -1 : 1;
        for (; at < end && is_digit(*at); at++) exponent = exponent < 1000 ? 10 * exponent + (*at - '0') : 1000;
    }
    *number = sign * found * pow(10, direction * exponent + place);
    return isfinite(*number);
}

int json_whole(Json value, long long least, long long most, long long *number) {
    double found;
    if (json_kind(value) != '0') return 0;
    for (const char *at = value.at; at < value.end; at++)
        if (*at == '.' || *at == 'e' || *at == 'E') return 0;
    if (!json_number(value, &found) || found < (double)least || found > (double)most) return 0;
    *number = (long long)found;
    return 1;
}
