/* SPDX-License-Identifier: MIT */
#include "daemon/model/lines.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

static int compare_accounts(const void *a, const void *b)
{
    const struct line *left = a, *right = b;

    return ((uintptr_t)left->account > (uintptr_t)right->account) -
           ((uintptr_t)left->account < (uintptr_t)right->account);
}

/* Return: NULL if the account has none */
static struct line *line_find(const struct lines *lines, const struct account *account)
{
    const struct line wanted = {.account = account};
    struct line **found = tfind(&wanted, &lines->by_account, compare_accounts);

    return found != NULL ? *found : NULL;
}

/* Return: the account's line, a new one behind all others if it has none; NULL if there is no
 * memory */
static struct line *line_open(struct lines *lines, const struct account *account)
{
    struct line *line = line_find(lines, account);

    if (line != NULL)
        return line;
    line = calloc(1, sizeof(*line));
    if (line == NULL)
        return NULL;
    line->account = account;
    TAILQ_INIT(&line->items);
    if (tsearch(line, &lines->by_account, compare_accounts) == NULL) {
        free(line);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&lines->turns, line, in_turn);
    lines->n_lines++;
    return line;
}

static void line_close(struct lines *lines, struct line *line)
{
    (void)tdelete(line, &lines->by_account, compare_accounts);
    TAILQ_REMOVE(&lines->turns, line, in_turn);
    lines->n_lines--;
    free(line);
}

static void count_in(struct lines *lines, struct line *line, struct line_item *item)
{
    item->line = line;
    line->n_items++;
    lines->n_items++;
}

void lines_init(struct lines *lines)
{
    *lines = (struct lines){.by_account = NULL};
    TAILQ_INIT(&lines->turns);
}

int lines_put(struct lines *lines, const struct account *account, struct line_item *item)
{
    struct line *line = line_open(lines, account);

    if (line == NULL)
        return -ENOMEM;
    TAILQ_INSERT_TAIL(&line->items, item, in_line);
    count_in(lines, line, item);
    return 0;
}

int lines_put_first(struct lines *lines, const struct account *account, struct line_item *item)
{
    struct line *line = line_open(lines, account);

    if (line == NULL)
        return -ENOMEM;
    TAILQ_INSERT_HEAD(&line->items, item, in_line);
    TAILQ_REMOVE(&lines->turns, line, in_turn);
    TAILQ_INSERT_HEAD(&lines->turns, line, in_turn);
    count_in(lines, line, item);
    return 0;
}

void lines_remove(struct lines *lines, struct line_item *item)
{
    struct line *line = item->line;

    TAILQ_REMOVE(&line->items, item, in_line);
    item->line = NULL;
    lines->n_items--;
    if (--line->n_items == 0)
        line_close(lines, line);
}

void lines_end_turn(struct lines *lines, const struct account *account)
{
    struct line *line = line_find(lines, account);

    if (line == NULL)
        return;
    TAILQ_REMOVE(&lines->turns, line, in_turn);
    TAILQ_INSERT_TAIL(&lines->turns, line, in_turn);
}

static struct line_item *first_of(const struct line *line)
{
    return line != NULL ? TAILQ_FIRST(&line->items) : NULL;
}

struct line_item *lines_first(const struct lines *lines)
{
    return first_of(TAILQ_FIRST(&lines->turns));
}

struct line_item *lines_next(const struct line_item *item)
{
    struct line_item *next = TAILQ_NEXT(item, in_line);

    return next != NULL ? next : first_of(TAILQ_NEXT(item->line, in_turn));
}

uint32_t lines_held(const struct lines *lines, const struct account *account)
{
    const struct line *line = line_find(lines, account);

    return line != NULL ? line->n_items : 0;
}
