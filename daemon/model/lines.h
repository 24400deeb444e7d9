/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_LINES_H
#define FIPC_DAEMON_MODEL_LINES_H

/*
 * Things of many accounts that wait for the same: requests for a service, connections for a slot.
 * Each account has a line of its own, first come, first served; the lines take turns. So a thing
 * waits for one of each other account at most, however many these have.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct account;

/* A part of what waits; LINE_ITEM_OWNER() leads from it to the whole. */
struct line_item {
    TAILQ_ENTRY(line_item) in_line;
    struct line *line; /* NULL: it does not wait */
};

#define LINE_ITEM_OWNER(item_, type_, field_)                                                      \
    ((type_ *)(void *)((char *)(item_)-offsetof(type_, field_)))

/* Of one account; it is there as long as it is not empty. */
struct line {
    const struct account *account;
    TAILQ_HEAD(, line_item) items; /* oldest first */
    uint32_t n_items;
    TAILQ_ENTRY(line) in_turn;
};

TAILQ_HEAD(line_list, line);

struct lines {
    struct line_list turns; /* the line whose turn is next comes first */
    void *by_account;       /* of tsearch(3) */
    uint32_t n_lines;
    uint32_t n_items; /* of all lines */
};

/* Nothing waits. */
void lines_init(struct lines *lines);

/* Puts an item at the end of the account's line. Return: 0; -ENOMEM */
int lines_put(struct lines *lines, const struct account *account, struct line_item *item);

/* Puts an item before all others, of its own account and of others. Return: 0; -ENOMEM */
int lines_put_first(struct lines *lines, const struct account *account, struct line_item *item);

/* Takes an item out of its line. Whose turn is next stays as it is. */
void lines_remove(struct lines *lines, struct line_item *item);

/* Ends the turn of this account: its line, if it has one, comes behind all others. */
void lines_end_turn(struct lines *lines, const struct account *account);

/* Return: the item whose turn is next; NULL if nothing waits */
struct line_item *lines_first(const struct lines *lines);

/* Goes on from an item to the next one, line by line. Return: NULL after the last one */
struct line_item *lines_next(const struct line_item *item);

/* How many items an account has in its line. */
uint32_t lines_held(const struct lines *lines, const struct account *account);

#endif
