/* SPDX-License-Identifier: MIT */

#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/output.h"
#include "client/fipctl/pages.h"
#include "client/fipctl/table.h"

#include <stdlib.h>

static const struct pages pages = {"fipc.stats", "slots ", "slots"};

static const struct column columns[] = {
    {"SLOT", "slot", NULL, COLUMN_NUMBER},
    {"GENERATION", "generation", NULL, COLUMN_NUMBER},
    {"KIND", "kind", NULL, COLUMN_TEXT},
    {"STATE", "state", NULL, COLUMN_TEXT},
    {"UID", "uid", NULL, COLUMN_NUMBER},
    {"PID", "pid", NULL, COLUMN_NUMBER},
    {"AGE", "age_ms", NULL, COLUMN_MS},
    {"SERVES", "serves", NULL, COLUMN_NUMBER},
    {"CALLS", "calls", NULL, COLUMN_NUMBER},
    {"TAKEN", "handlers", "taken", COLUMN_NUMBER},
    {"ROUTED", "handlers", "routed", COLUMN_NUMBER},
    {"RUNNING", "handlers", "running", COLUMN_NUMBER},
    {"REPLYING", "handlers", "replying", COLUMN_NUMBER},
    {0},
};

static void print_slots(json_t *slots, json_int_t count)
{
    table_print(columns, slots);
    output_print("%zu of %" JSON_INTEGER_FORMAT " slots taken\n", json_array_size(slots), count);
}

int slots_run(const struct invocation *invocation)
{
    fipc_client *client;
    json_t *slots, *last = NULL;
    json_int_t count;
    int status = broker_connect(invocation, &client);

    if (status != EXIT_SUCCESS)
        return status;
    slots = json_array();
    status = pages_ask(invocation, client, &pages, slots, &last);
    fipc_unref(client);
    count = json_integer_value(json_object_get(last, "count"));
    if (status == EXIT_SUCCESS && invocation->settings.json)
        output_json(json_pack("{s:I, s:O}", "count", count, "slots", slots));
    else if (status == EXIT_SUCCESS)
        print_slots(slots, count);
    json_decref(last);
    json_decref(slots);
    return status;
}
