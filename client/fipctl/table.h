/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_TABLE_H
#define FIPC_FIPCTL_TABLE_H

/* A JSON array of objects as an aligned table, for people. */
#include <jansson.h>

enum column_kind {
    COLUMN_TEXT,   /* to the left */
    COLUMN_NUMBER, /* to the right */
    COLUMN_MS,     /* milliseconds, printed with the unit that fits */
};

/* A column without a key ends the table's columns. */
struct column {
    const char *title; /* NULL in the first column: no line of titles */
    const char *key;
    const char *inner; /* key inside the object that @key holds; NULL: @key holds the cell */
    enum column_kind kind;
};

/* Prints "-" for a key that a row does not have, and the items of an array with commas between. */
void table_print(const struct column *columns, const json_t *rows);

#endif
