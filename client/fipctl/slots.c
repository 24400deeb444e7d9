/* SPDX-License-Identifier: MIT */

/*
 * The broker tells its taken slots page by page, so that no page holds up its loop. Slots come and
 * go between two pages; none is told twice, since the pages go upward. One session asks for all, or
 * the list would show a different slot of our own on every page.
 */
#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"
#include "client/fipctl/output.h"
#include "client/fipctl/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SERVICE "fipc.stats"

static const struct column columns[] = {
    {"SLOT", "slot", NULL, COLUMN_NUMBER},
    {"GENERATION", "generation", NULL, COLUMN_NUMBER},
    {"KIND", "kind", NULL, COLUMN_TEXT},
    {"STATE", "state", NULL, COLUMN_TEXT},
    {"UID", "uid", NULL, COLUMN_NUMBER},
    {"PID", "pid", NULL, COLUMN_NUMBER},
    {"AGE", "age_ms", NULL, COLUMN_MS},
    {"CALLS", "calls", NULL, COLUMN_NUMBER},
    {"TAKEN", "handlers", "taken", COLUMN_NUMBER},
    {"ROUTED", "handlers", "routed", COLUMN_NUMBER},
    {"RUNNING", "handlers", "running", COLUMN_NUMBER},
    {"REPLYING", "handlers", "replying", COLUMN_NUMBER},
    {0},
};

/* Where the next page starts. Return: 0; 1 there is none; -1 not a page that follows slot @from */
static int next_page(const json_t *page, uint64_t from, uint64_t *ret_next)
{
    const json_t *next = json_object_get(page, "next");

    if (!json_is_integer(json_object_get(page, "count")) ||
        !json_is_array(json_object_get(page, "slots")))
        return -1;
    if (json_is_null(next))
        return 1;
    if (!json_is_integer(next) || json_integer_value(next) < 0 ||
        (uint64_t)json_integer_value(next) <= from)
        return -1;
    *ret_next = (uint64_t)json_integer_value(next);
    return 0;
}

/* @ret_slots: an array; returned to the caller. Return: EXIT_SUCCESS, or the exit status to end
 * with */
static int ask_all(const struct invocation *invocation, fipc_client *client, json_t *slots,
                   json_int_t *ret_count)
{
    uint64_t from = 0;
    int next = 0;

    while (next == 0) {
        char question[32];
        json_t *page;
        int status;

        (void)snprintf(question, sizeof(question), "slots %" PRIu64, from);
        status = broker_ask(invocation, client, SERVICE, question, &page);
        if (status != EXIT_SUCCESS)
            return status;
        next = next_page(page, from, &from);
        if (next >= 0) {
            (void)json_array_extend(slots, json_object_get(page, "slots"));
            *ret_count = json_integer_value(json_object_get(page, "count"));
        }
        json_decref(page);
    }
    if (next > 0)
        return EXIT_SUCCESS;
    failure_of_reply(invocation, SERVICE, "the reply is no page of slots");
    return EXIT_CALL_FAILED;
}

static void print_slots(json_t *slots, json_int_t count)
{
    table_print(columns, slots);
    output_print("%zu of %" JSON_INTEGER_FORMAT " slots taken\n", json_array_size(slots), count);
}

int slots_run(const struct invocation *invocation)
{
    fipc_client *client;
    json_t *slots;
    json_int_t count = 0;
    int status = broker_connect(invocation, &client);

    if (status != EXIT_SUCCESS)
        return status;
    slots = json_array();
    status = ask_all(invocation, client, slots, &count);
    fipc_unref(client);
    if (status == EXIT_SUCCESS && invocation->settings.json)
        output_json(json_pack("{s:I, s:O}", "count", count, "slots", slots));
    else if (status == EXIT_SUCCESS)
        print_slots(slots, count);
    json_decref(slots);
    return status;
}
