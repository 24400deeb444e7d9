/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_OUTGOING_FIXTURE_H
#define FIPC_TESTS_OUTGOING_FIXTURE_H

/* A client whose request ring is full. */
#include "tests/integration/fake_broker.h"
#include "tests/integration/submit_fixture.h"

static const char filling[2000];

/* Submits calls until there is no room for any; the name is known. Return: how many there are */
static inline int fill_ring(const char *service)
{
    int n = 0;

    for (size_t size = sizeof(filling); size > 0; size /= 2)
        while (submit(n, service, filling, size, FIPC_NO_WAIT, PATIENT_MS) == 0)
            n++;
    ck_assert_int_gt(n, 0);
    return n;
}

static inline void submit_numbered(int first, int count, unsigned flags)
{
    for (int i = first; i < first + count; i++)
        ck_assert_int_eq(submit(i, SERVICE, &i, sizeof(i), flags, PATIENT_MS), 0);
}

/* All of them, as soon as they are there. */
static inline void answer_kept(int count)
{
    TEST_WAIT_FOR(keeper_count(&keeper) == count);
    for (int i = 0; i < count; i++)
        (void)fipc_reply(keeper.kept[i], NULL, 0);
}

#endif
