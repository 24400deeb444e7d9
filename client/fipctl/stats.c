/* SPDX-License-Identifier: MIT */
#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"
#include "client/fipctl/output.h"
#include "client/fipctl/table.h"

#include <stdio.h>
#include <stdlib.h>

/* Keys as in the JSON document, with their units, so that a reader finds them there. */
static const struct column columns[] = {
    {NULL, "path", NULL, COLUMN_TEXT},
    {NULL, "value", NULL, COLUMN_TEXT},
    {0},
};

/* @path: of the parent; NULL: the parent is the document */
static json_t *make_row(const char *path, const char *key, json_t *value)
{
    return json_pack("{s:o, s:O}", "path",
                     path != NULL ? json_sprintf("%s.%s", path, key) : json_string(key), "value",
                     value);
}

/* Puts the members of @object in the place of row @i. */
static void unfold_object(json_t *rows, size_t i, const char *path, json_t *object)
{
    for (void *member = json_object_iter(object); member != NULL;
         member = json_object_iter_next(object, member))
        (void)json_array_insert_new(
            rows, i++,
            make_row(path, json_object_iter_key(member), json_object_iter_value(member)));
}

static void unfold_array(json_t *rows, size_t i, const char *path, json_t *array)
{
    for (size_t element = 0; element < json_array_size(array); element++) {
        char key[24];

        (void)snprintf(key, sizeof(key), "%zu", element);
        (void)json_array_insert_new(rows, i++, make_row(path, key, json_array_get(array, element)));
    }
}

/* Return: an array of {"path", "value"} in the order of the document, one for each leaf; NULL if
 * there is no memory */
static json_t *flatten(json_t *document)
{
    json_t *rows = json_array();
    size_t i = 0;

    unfold_object(rows, 0, NULL, document);
    while (i < json_array_size(rows)) {
        json_t *row = json_array_get(rows, i);
        json_t *value = json_object_get(row, "value");

        if (json_object_size(value) == 0 && json_array_size(value) == 0) {
            i++;
            continue;
        }
        json_incref(row);
        (void)json_array_remove(rows, i);
        if (json_is_object(value))
            unfold_object(rows, i, json_string_value(json_object_get(row, "path")), value);
        else
            unfold_array(rows, i, json_string_value(json_object_get(row, "path")), value);
        json_decref(row);
    }
    return rows;
}

int stats_run(const struct invocation *invocation)
{
    json_t *answer, *rows;
    int status = broker_ask(invocation, NULL, "fipc.stats", "", &answer);

    if (status != EXIT_SUCCESS)
        return status;
    if (invocation->settings.json) {
        output_json(answer);
        return EXIT_SUCCESS;
    }
    rows = flatten(answer);
    table_print(columns, rows);
    json_decref(rows);
    json_decref(answer);
    return EXIT_SUCCESS;
}
