/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_PAGES_H
#define FIPC_FIPCTL_PAGES_H

/*
 * Lists that the broker sends page by page, so that no page holds up its loop. A page is an object
 * with an array of items and with "next", the number at which the next page begins, or null. Items
 * come and go between two pages; no item comes twice, since the numbers only grow.
 */
#include <fipc/client.h>
#include <jansson.h>

struct invocation;

struct pages {
    const char *service;
    const char *question; /* pages_ask() adds the number of the first item */
    const char *key;      /* of the array */
};

/**
 * pages_ask() - ask for all pages
 * @client:    one session for all, or a list of sessions would show a different one on every page
 * @items:     an array, gets all items
 * @ret_last:  the last page, for its other fields; returned to the caller, for json_decref()
 *
 * Prints the error line if it fails. Return: EXIT_SUCCESS; or the exit status to end with
 */
int pages_ask(const struct invocation *invocation, fipc_client *client, const struct pages *pages,
              json_t *items, json_t **ret_last);

#endif
