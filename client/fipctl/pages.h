/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_PAGES_H
#define FIPC_FIPCTL_PAGES_H

/*
 * What the broker tells page by page, so that no page holds up its loop: an object with an array of
 * items, and "next", the number with which the next page begins, or null. Items come and go between
 * two pages; none is told twice, since the pages go upward.
 */
#include <fipc/client.h>
#include <jansson.h>

struct invocation;

struct pages {
    const char *service;
    const char *question; /* to which the number of the first item is added */
    const char *key;      /* of the array */
};

/**
 * pages_ask() - ask for all pages
 * @client:    one session for all, or a list of sessions would show a different one on every page
 * @items:     an array, to which they are added
 * @ret_last:  the last page, for what else is in it; returned to the caller, for json_decref()
 *
 * What fails prints its error line here. Return: EXIT_SUCCESS; or the exit status to end with
 */
int pages_ask(const struct invocation *invocation, fipc_client *client, const struct pages *pages,
              json_t *items, json_t **ret_last);

#endif
