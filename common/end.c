/* SPDX-License-Identifier: MIT */
/*
 * Both sides store first and look afterwards: the sleeper stores its word and looks at the ring,
 * the publisher stores a position and looks at the word. Only a seq_cst fence between store and
 * load keeps both from missing each other, on x86 too.
 */
#include "common/end.h"

#include "common/os/os.h"

#include <errno.h>

void fipc_end_init(struct fipc_end *end)
{
    /* relaxed: the end is not shared yet */
    atomic_store_explicit(&end->word, FIPC_END_AWAKE, memory_order_relaxed);
    atomic_store_explicit(&end->closing, 0, memory_order_relaxed);
}

void fipc_end_set(struct fipc_end *own, uint32_t word)
{
    /* relaxed: fipc_end_fence() follows before anything depends on it */
    atomic_store_explicit(&own->word, word, memory_order_relaxed);
}

void fipc_end_fence(void)
{
    /* seq_cst: the end word must be visible before we look at the rings; fipc_end_rouse() is the
     * mirror image */
    atomic_thread_fence(memory_order_seq_cst);
}

void fipc_end_arm(struct fipc_end *own, uint32_t word)
{
    fipc_end_set(own, word);
    fipc_end_fence();
}

bool fipc_end_disarm(struct fipc_end *own)
{
    /* acquire: pairs with the release exchange in fipc_end_rouse(); an exchange, or a late ringer's
     * claim is lost */
    return atomic_exchange_explicit(&own->word, FIPC_END_AWAKE, memory_order_acq_rel) ==
           FIPC_END_AWAKE;
}

int fipc_end_sleep(struct fipc_end *own, uint32_t word, uint64_t deadline_ns)
{
    return fipc_futex_wait(&own->word, word, deadline_ns, FIPC_FUTEX_SHARED);
}

static bool end_word_valid(uint32_t word)
{
    uint32_t state = word & ~FIPC_END_ROOM;

    return word == FIPC_END_AWAKE || state == FIPC_END_ASLEEP_FUTEX || state == FIPC_END_ASLEEP_FD;
}

bool fipc_end_seems_asleep(const struct fipc_end *peer)
{
    /* relaxed: nothing depends on it */
    return atomic_load_explicit(&peer->word, memory_order_relaxed) != FIPC_END_AWAKE;
}

int fipc_end_rouse(struct fipc_end *peer, unsigned news)
{
    uint32_t word;

    /* seq_cst: what we published must be visible before we look at the peer's word;
     * fipc_end_fence() is the mirror */
    atomic_thread_fence(memory_order_seq_cst);
    /* relaxed: ordered by the fence */
    word = atomic_load_explicit(&peer->word, memory_order_relaxed);
    if (word == FIPC_END_AWAKE)
        return 0;
    if (!end_word_valid(word))
        return -EBADMSG;
    if ((news & FIPC_NEWS_RECORDS) == 0 &&
        ((news & FIPC_NEWS_ROOM) == 0 || (word & FIPC_END_ROOM) == 0))
        return 0;

    /* release: pairs with the acquire exchange in fipc_end_disarm() */
    word = atomic_exchange_explicit(&peer->word, FIPC_END_AWAKE, memory_order_acq_rel);
    if (word == FIPC_END_AWAKE)
        return 0;
    return end_word_valid(word) ? (int)(word & ~FIPC_END_ROOM) : -EBADMSG;
}

void fipc_end_wake(struct fipc_end *peer)
{
    /* one: it has one sleeper; a hostile end can have thousands, and waking them takes our time */
    fipc_futex_wake(&peer->word, 1, FIPC_FUTEX_SHARED);
}

void fipc_end_close(struct fipc_end *own)
{
    atomic_store_explicit(&own->closing, 1, memory_order_relaxed);
    /* seq_cst: the flag must be visible before the last look at the ring; the peer publishes,
     * fences, looks at it */
    atomic_thread_fence(memory_order_seq_cst);
}

bool fipc_end_is_closing(const struct fipc_end *peer)
{
    /* relaxed: ordered by the caller's fence in fipc_end_rouse() */
    return atomic_load_explicit(&peer->closing, memory_order_relaxed) != 0;
}
