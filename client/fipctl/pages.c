/* SPDX-License-Identifier: MIT */
#include "client/fipctl/pages.h"

#include "client/fipctl/broker.h"
#include "client/fipctl/failure.h"
#include "client/fipctl/invocation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Finds where the next page starts. Return: 0; 1 if this is the last page; -1 if it is not a page
 * that follows number @from */
static int next_page(const json_t *page, const char *key, uint64_t from, uint64_t *ret_next)
{
    const json_t *next = json_object_get(page, "next");

    if (!json_is_array(json_object_get(page, key)))
        return -1;
    if (json_is_null(next))
        return 1;
    if (!json_is_integer(next) || json_integer_value(next) < 0 ||
        (uint64_t)json_integer_value(next) <= from)
        return -1;
    *ret_next = (uint64_t)json_integer_value(next);
    return 0;
}

int pages_ask(const struct invocation *invocation, fipc_client *client, const struct pages *pages,
              json_t *items, json_t **ret_last)
{
    uint64_t from = 0;
    int next = 0;

    while (next == 0) {
        char question[32];
        json_t *page;
        int status;

        (void)snprintf(question, sizeof(question), "%s%" PRIu64, pages->question, from);
        status = broker_ask(invocation, client, pages->service, question, &page);
        if (status != EXIT_SUCCESS)
            return status;
        next = next_page(page, pages->key, from, &from);
        if (next >= 0)
            (void)json_array_extend(items, json_object_get(page, pages->key));
        if (next > 0)
            *ret_last = page;
        else
            json_decref(page);
    }
    if (next > 0)
        return EXIT_SUCCESS;
    return failure_of_reply(invocation, pages->service, "the reply is no page of a list");
}
