/* SPDX-License-Identifier: MIT */
#include "daemon/model/account.h"

#include <search.h>
#include <stdlib.h>

static int compare_uids(const void *a, const void *b)
{
    const struct account *left = a, *right = b;

    return (left->uid > right->uid) - (left->uid < right->uid);
}

struct account *account_open(struct account_table *table, uid_t uid)
{
    const struct account wanted = {.uid = uid};
    struct account **found = tfind(&wanted, &table->tree, compare_uids);
    struct account *account;

    if (found != NULL)
        return *found;
    account = calloc(1, sizeof(*account));
    if (account == NULL)
        return NULL;
    account->uid = uid;
    toll_due_init(&account->toll, uid);
    TAILQ_INIT(&account->room_wishes);
    fipc_hot_group_init(&account->hot);
    if (tsearch(account, &table->tree, compare_uids) == NULL) {
        free(account);
        return NULL;
    }
    return account;
}

void account_release_if_unused(struct account_table *table, struct account *account,
                               uint64_t now_ns)
{
    if (account->n_slots > 0 || account->n_waiting > 0 || account->n_closing > 0 ||
        account->n_names > 0 || toll_is_due(&account->toll, now_ns))
        return;
    (void)tdelete(account, &table->tree, compare_uids);
    free(account);
}

void account_table_deinit(struct account_table *table)
{
    tdestroy(table->tree, free);
    table->tree = NULL;
}
