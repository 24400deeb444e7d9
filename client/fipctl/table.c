/* SPDX-License-Identifier: MIT */
#include "client/fipctl/table.h"

#include "client/fipctl/duration.h"
#include "client/fipctl/output.h"
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 16
#define GAP 2

/* Other users choose the names, and a terminal obeys control characters: only plain ones pass. */
static char *plain(char *text)
{
    for (char *c = text; c != NULL && *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    return text;
}

static const json_t *cell(const struct column *column, const json_t *row)
{
    const json_t *value = json_object_get(row, column->key);

    return column->inner != NULL ? json_object_get(value, column->inner) : value;
}

/* Below a second as the broker sent it: "4 ms" claims no digits that were never measured. */
static char *milliseconds_text(uint64_t ms)
{
    char text[16];

    if (ms >= 1000)
        return strdup(duration_format(ms * FIPC_NS_PER_MS).text);
    (void)snprintf(text, sizeof(text), "%u ms", (unsigned)ms);
    return strdup(text);
}

/* The items of an array, without its brackets. Return: for free(3); NULL if there is no memory */
static char *array_text(const json_t *array)
{
    char *text = json_dumps(array, JSON_COMPACT);
    size_t size = text != NULL ? strlen(text) : 0;

    if (size < strlen("[]"))
        return text;
    memmove(text, text + 1, size - 2);
    text[size - 2] = '\0';
    return text;
}

/* Return: for free(3); NULL if there is no memory */
static char *cell_text(const struct column *column, const json_t *row)
{
    const json_t *value = cell(column, row);

    if (value == NULL || json_is_null(value) ||
        (json_is_array(value) && json_array_size(value) == 0))
        return strdup("-");
    if (json_is_array(value))
        return plain(array_text(value));
    if (json_is_string(value))
        return plain(strdup(json_string_value(value)));
    if (column->kind == COLUMN_MS && json_is_integer(value) && json_integer_value(value) >= 0)
        return milliseconds_text((uint64_t)json_integer_value(value));
    return plain(json_dumps(value, JSON_ENCODE_ANY));
}

static int text_width(const char *text)
{
    size_t length = text != NULL ? strlen(text) : 0;

    return length < 1000 ? (int)length : 1000; /* a wider cell is printed whole, out of line */
}

static void print_cell(const struct column *column, int width, const char *text)
{
    if (column->kind != COLUMN_TEXT)
        output_print("%*s", width, text);
    else if (column[1].key != NULL)
        output_print("%-*s", width, text);
    else
        output_print("%s", text);
    output_print("%*s", column[1].key != NULL ? GAP : 0, "");
}

static void find_widths(const struct column *columns, const json_t *rows, int widths[COLUMNS_MAX])
{
    for (unsigned i = 0; i < COLUMNS_MAX && columns[i].key != NULL; i++) {
        widths[i] = text_width(columns[i].title);
        for (size_t r = 0; r < json_array_size(rows); r++) {
            char *text = cell_text(&columns[i], json_array_get(rows, r));
            int width = text_width(text);

            widths[i] = width > widths[i] ? width : widths[i];
            free(text);
        }
    }
}

static void print_titles(const struct column *columns, const int widths[COLUMNS_MAX])
{
    for (unsigned i = 0; i < COLUMNS_MAX && columns[i].key != NULL; i++)
        print_cell(&columns[i], widths[i], columns[i].title);
    output_print("\n");
}

static void print_row(const struct column *columns, const int widths[COLUMNS_MAX],
                      const json_t *row)
{
    for (unsigned i = 0; i < COLUMNS_MAX && columns[i].key != NULL; i++) {
        char *text = cell_text(&columns[i], row);

        print_cell(&columns[i], widths[i], text != NULL ? text : "?");
        free(text);
    }
    output_print("\n");
}

void table_print(const struct column *columns, const json_t *rows)
{
    int widths[COLUMNS_MAX] = {0};

    find_widths(columns, rows, widths);
    if (columns[0].title != NULL)
        print_titles(columns, widths);
    for (size_t i = 0; i < json_array_size(rows); i++)
        print_row(columns, widths, json_array_get(rows, i));
}
