/* SPDX-License-Identifier: MIT */
#include "daemon/model/account.h"

#include "daemon/model/policy.h"

#include <search.h>
#include <stdlib.h>

/* More are a circle: each of its uids is as good as another. */
#define OWNER_STEPS_MAX 8

static int compare_uids(const void *a, const void *b)
{
    const struct account *left = a, *right = b;

    return (left->uid > right->uid) - (left->uid < right->uid);
}

static bool is_trusted(const struct account_table *table, uid_t uid)
{
    return policy_is_trusted_uid(table->own_uid, uid);
}

/* Return: the uid that the account of @uid has */
static uid_t account_uid(const struct account_table *table, uid_t uid)
{
    const struct owner_range *range;

    for (int i = 0; i < OWNER_STEPS_MAX && !is_trusted(table, uid); i++) {
        range = owners_find(&table->owners, uid);
        if (range == NULL)
            break;
        if (is_trusted(table, range->owner))
            return range->first;
        uid = range->owner;
    }
    return uid;
}

struct account *account_open(struct account_table *table, uid_t uid)
{
    const struct account wanted = {.uid = account_uid(table, uid)};
    struct account **found = tfind(&wanted, &table->tree, compare_uids);
    struct account *account;

    if (found != NULL)
        return *found;
    account = calloc(1, sizeof(*account));
    if (account == NULL)
        return NULL;
    account->uid = wanted.uid;
    account->is_trusted = is_trusted(table, wanted.uid);
    toll_due_init(&account->toll, account->uid);
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

void account_table_set_owners(struct account_table *table, struct owners *owners)
{
    owners_deinit(&table->owners);
    table->owners = *owners;
    *owners = (struct owners){.n_ranges = 0};
}

void account_table_deinit(struct account_table *table)
{
    tdestroy(table->tree, free);
    table->tree = NULL;
    owners_deinit(&table->owners);
}
