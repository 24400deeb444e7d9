/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_END_H
#define FIPC_COMMON_END_H

/*
 * How one end of a channel sleeps and how the other wakes it, without losing a wake-up.
 *
 * To sleep: fipc_end_arm(), look at the incoming ring (and the room, with FIPC_END_ROOM) again, and
 * sleep only if nothing came. On leaving, fipc_end_disarm().
 *
 * To publish: store the tail (or the head), then fipc_end_rouse(); if it says so, ring ONCE
 * (fipc_end_wake(), or fipc_bell_ring() of common/os/os.h).
 *
 * The models in tests/model check this protocol. A bell is a hint: an end that wakes up looks at
 * the rings and never counts bells.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Values of an end word. Zero is undefined: a punched hole reads as zeros. */
enum fipc_end_word {
    FIPC_END_AWAKE = 1,
    FIPC_END_ASLEEP_FUTEX = 2, /* on the end word itself */
    FIPC_END_ASLEEP_FD = 3,    /* on its fds: the broker's eventfd, the client's lane */
};

/* Added to a sleeping word: the end also waits for room in the ring that it fills. */
#define FIPC_END_ROOM UINT32_C(0x10)

/* An end that sleeps on its word sleeps no longer than that before it looks by itself: its peer may
 * leave it alone where third parties make the futex slow to wake. On its fds it may sleep for ever.
 */
#define FIPC_END_FUTEX_NS UINT64_C(5000000)

/* The news for the peer since its last bell: records, or room in the ring that the peer fills. */
enum fipc_news {
    FIPC_NEWS_NONE = 0,
    FIPC_NEWS_RECORDS = 1 << 0,
    FIPC_NEWS_ROOM = 1 << 1,
};

/* One end of a channel, in the region's control block: its owner writes it, and the peer rings it.
 */
struct fipc_end {
    _Alignas(64) _Atomic uint32_t word; /* enum fipc_end_word, FIPC_END_ROOM */
    _Atomic uint32_t closing;           /* 1: this end takes no more records */
};

static_assert(sizeof(struct fipc_end) == 64, "an end has a cache line of its own");

/* Awake and not closing, before the end is shared. */
void fipc_end_init(struct fipc_end *end);

/* Publishes how this end is about to sleep. The word is visible before the caller looks at the
 * rings. */
void fipc_end_arm(struct fipc_end *own, uint32_t word);

/* As fipc_end_arm() for many ends: set each, then one fence for all, then look at all. */
void fipc_end_set(struct fipc_end *own, uint32_t word);
void fipc_end_fence(void);

/* Awake again. Return: whether the peer had rung (or claimed to) since fipc_end_arm(). */
bool fipc_end_disarm(struct fipc_end *own);

/**
 * fipc_end_sleep() - sleep on the own end word, armed with @word, until rung
 * @deadline_ns:  absolute CLOCK_MONOTONIC nanoseconds
 *
 * Return: 0 if the rings are to be looked at again; -ETIMEDOUT
 */
int fipc_end_sleep(struct fipc_end *own, uint32_t word, uint64_t deadline_ns);

/**
 * fipc_end_rouse() - find whether news need a bell
 * @news:  enum fipc_news: all that this end published since the last call
 *
 * Fences by itself. It claims a sleeping word by exchange, so that one of many ringers rings.
 *
 * Return: 0 if no bell is needed; FIPC_END_ASLEEP_FUTEX or FIPC_END_ASLEEP_FD if the caller has to
 * ring there; -EBADMSG if the end word is undefined
 */
int fipc_end_rouse(struct fipc_end *peer, unsigned news);

/* Whether fipc_end_rouse() will probably find the peer asleep: it may change at any time. */
bool fipc_end_seems_asleep(const struct fipc_end *peer);

/* Wakes the one thread of an end that sleeps on its word, after fipc_end_rouse() claimed it. */
void fipc_end_wake(struct fipc_end *peer);

/* Announces that this end takes no more records; fences, so that the caller's last look at the ring
 * comes after it. */
void fipc_end_close(struct fipc_end *own);
bool fipc_end_is_closing(const struct fipc_end *peer);

#endif
