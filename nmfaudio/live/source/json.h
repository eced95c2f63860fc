/* Reading JSON in place. Nothing is allocated; every function checks the bounds of what it is given. */
#ifndef NMFAUDIO_JSON_H
#define NMFAUDIO_JSON_H

#include <stddef.h>

/* Some bytes of a document. */
typedef struct {
    const char *at, *end;
} Json;

/* Whether the text is one JSON value, nested at most 32 deep, with white space around it at most. */
int json_valid(Json text);

/* The members of an object and the elements of an array, one after another; 0 at the end.
   `rest` begins as the whole value, which json_valid has accepted. */
int json_next_member(Json *rest, Json *name, Json *value);
int json_next_element(Json *rest, Json *value);

/* The member of that name; 0 where there is none, or where `object` is no object. */
int json_member(Json object, const char *name, Json *value);

/* The kind of a value: its first character ('{', '[', '"', 't', 'f', 'n'), or '0' for a number. */
char json_kind(Json value);

/* Decode a string to UTF-8 with a zero byte behind it. Returns its length, or -1 where it is no string,
   holds a zero byte or half a surrogate pair, or does not fit into `room` bytes. */
long json_string(Json value, char *text, size_t room);

int json_number(Json value, double *number);

/* A whole number within bounds, written without point and exponent. */
int json_whole(Json value, long long least, long long most, long long *number);

#endif
