/* SPDX-License-Identifier: MIT */
/*
 * An end that waits for room gets it: the consumer rings for a new head only if the ROOM flag is
 * set and half the ring is free. And two ends that fill each other's ring don't deadlock, as an end
 * that waits for room also takes incoming records.
 *
 * An end is fipc_producer_has_room(), fipc_consumer_left_room() and fipc_channel_ring() with
 * fipc_end_arm() and fipc_end_disarm() around its sleep, of common/ring.c, common/channel.c and
 * common/end.c. The ring has four units; records take one or two, and one of them needs three,
 * since it does not fit before the wrap.
 *
 * Without BOTH_WAYS only end 0 sends. With BROKER_ANSWERS_FIRST end 1 takes nothing while it
 * waits for room, as daemon/traffic/intake.c does: one end that always takes, the client's, is enough.
 * Broken twins: NO_HEAD_FENCE, NO_ARM_FENCE, NO_SECOND_LOOK_AT_ROOM, NO_ROOM_FLAG,
 * RING_ON_CROSSING_HALF, and with BOTH_WAYS also NO_TAKING.
 */
#define CAPACITY 4

#define CPUS 2 /* one end each */
#define WORDS 6
#define TAIL_OF(end) (end)     /* of the ring that this end fills */
#define HEAD_OF(end) (2 + end) /* likewise; its peer stores it */
#define WORD_OF(end) (4 + end)
#include "memory.pml"

#define AWAKE 0
#define ASLEEP 1
#define ASLEEP_ROOM 2

/* Sizes 2, 1, 2, 2 at positions 0, 2, 4 (after a skip of 1), 6. */
#define RECORDS 4
#define UNITS 8
#define SPAN(record) (record == 1 -> 1 : (record == 2 -> 3 : 2)) /* with its skip */
#ifdef BOTH_WAYS
#define SENDS(end) true
#else
#define SENDS(end) (end == 0)
#endif

/* Of the end whose code it stands in. */
#define waits_for_room (SENDS(me) && n_sent < RECORDS)
#define waits_for_records (SENDS(peer) && head < UNITS)
#if defined(NO_TAKING)
#define takes (!waits_for_room)
#elif defined(BROKER_ANSWERS_FIRST)
#define takes (!waits_for_room || me == 0)
#else
#define takes true
#endif

bool in_futex_queue[2];

inline look_for_records()
{
    load(me, TAIL_OF(peer), value);
    news = news || value != head;
    value = 0
}

inline look_for_room()
{
    load(me, HEAD_OF(me), value);
    has_room = (CAPACITY - (tail - value) >= SPAN(n_sent));
    value = 0
}

/* Takes one record's worth or all that is there; it does not matter here where records end. */
inline take()
{
    load(me, TAIL_OF(peer), value);
    if
    :: value != head ->
        was_free = CAPACITY - (value - head);
        if
        :: head++
        :: value - head > 1 -> head = value
        fi;
        store(me, HEAD_OF(peer), head);
        worked = true;
        left_room = (CAPACITY - (value - head) >= CAPACITY / 2);
#ifdef RING_ON_CROSSING_HALF
        left_room = left_room && was_free < CAPACITY / 2;
#endif
        was_free = 0
    :: else
    fi;
    value = 0
}

inline send()
{
    look_for_room();
    if
    :: has_room ->
        tail = tail + SPAN(n_sent);
        n_sent++;
        store(me, TAIL_OF(me), tail);
        worked = true;
        sent = true
    :: else
    fi;
    has_room = false
}

/* One look at the peer's word for all that was published. */
inline flush_news()
{
#ifdef NO_HEAD_FENCE
    if
    :: sent -> fence(me)
    :: else
    fi;
#else
    fence(me);
#endif
    load(me, WORD_OF(peer), value);
    if
    :: value != AWAKE && (sent || (left_room && value == ASLEEP_ROOM)) ->
        exchange(me, WORD_OF(peer), AWAKE, value);
        if
        :: value != AWAKE -> in_futex_queue[peer] = false
        :: else
        fi
    :: else
    fi;
    value = 0;
    sent = false;
    left_room = false
}

inline sleep()
{
    how = (waits_for_room -> ASLEEP_ROOM : ASLEEP);
#ifdef NO_ROOM_FLAG
    how = ASLEEP;
#endif
    store(me, WORD_OF(me), how);
#ifndef NO_ARM_FENCE
    fence(me);
#endif
    if
    :: takes -> look_for_records()
    :: else
    fi;
#ifndef NO_SECOND_LOOK_AT_ROOM
    if
    :: waits_for_room -> look_for_room()
    :: else
    fi;
#endif
    if
    :: !news && !has_room ->
        atomic { drained(me) -> in_futex_queue[me] = (memory[WORD_OF(me)] == how) }
        !in_futex_queue[me]
    :: else
    fi;
    exchange(me, WORD_OF(me), AWAKE, how);
    how = 0;
    news = false;
    has_room = false
}

proctype end_of_channel(byte me, peer)
{
    byte tail, head, n_sent, value, how, was_free;
    bool worked, sent, left_room, has_room, news;

    do
    :: !waits_for_room && !waits_for_records -> break
    :: else ->
        worked = false;
        if
        :: takes -> take()
        :: else
        fi;
        if
        :: waits_for_room -> send()
        :: else
        fi;
        if
        :: worked -> flush_news()
        :: else -> sleep()
        fi
    od
}

init
{
    atomic { run end_of_channel(0, 1); run end_of_channel(1, 0) }
}
