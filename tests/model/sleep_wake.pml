/* SPDX-License-Identifier: MIT */
/*
 * No wake-up is lost: every published record is taken, although no bell rings for an end that is
 * awake. And an end that stops sleeping knows whether a bell is on its way to it.
 *
 * The consumer is fipc_end_arm(), fipc_end_sleep() and fipc_end_disarm(), a publisher is
 * fipc_channel_ring() with its fipc_end_rouse(), all of common/end.c and common/channel.c. Two
 * publishers share the consumer's end word: the peer may ring for records in one thread and for
 * room in another. The consumer sleeps on the futex or on its fds, as it likes, again and again,
 * and sometimes leaves before it is rung.
 *
 * Broken twins: NO_PUBLISHER_FENCE, NO_CONSUMER_FENCE, NO_SECOND_LOOK, RING_BEFORE_CLEARING,
 * RING_WHERE_SEEN, CLEAR_BY_STORE, RESET_BY_STORE, LATE_DRAIN.
 */
#define PUBLISHERS 2
#define MESSAGES 2  /* of each publisher */
#define DEADLINES 1 /* so often the consumer leaves unrung */

#define CPUS 3
#define CONSUMER 0 /* the publishers are 1 and 2, and so are the words of their tails */
#define WORDS 3
#define END_WORD 0
#include "memory.pml"

#define AWAKE 0
#define ASLEEP_FUTEX 1
#define ASLEEP_FD 2

bool in_futex_queue; /* the kernel's: the consumer sleeps there until somebody takes it out */
bool bell_waiting;   /* the kernel's: an eventfd's edge or a lane's byte, until it is consumed */
bool claimed;        /* not of the code: somebody cleared the word and will ring for this sleep */

inline ring(how)
{
    if
    :: how == ASLEEP_FUTEX -> in_futex_queue = false
    :: how == ASLEEP_FD -> bell_waiting = true
    :: else /* another publisher rings, or the consumer left */
    fi
}

inline claim(how)
{
    if
    :: how != AWAKE -> claimed = true
    :: else
    fi
}

proctype publisher(byte me)
{
    byte tail, how, exchanged;

    do
    :: tail == MESSAGES -> break
    :: else ->
        tail++;
        store(me, me, tail);
#ifndef NO_PUBLISHER_FENCE
        fence(me);
#endif
        load(me, END_WORD, how);
        if
        :: how != AWAKE ->
#if defined(RING_BEFORE_CLEARING)
            /* the consumer can wake up, arm again and fall asleep before the word is cleared */
            ring(how);
            atomic { exchange(me, END_WORD, AWAKE, how); claim(how) }
#elif defined(RING_WHERE_SEEN)
            /* the consumer can leave the futex and arm its fds between load and exchange */
            atomic { exchange(me, END_WORD, AWAKE, exchanged); claim(exchanged) }
            if
            :: exchanged != AWAKE -> ring(how)
            :: else
            fi;
            exchanged = 0
#elif defined(CLEAR_BY_STORE)
            /* both publishers ring, or the store lands on a later sleep */
            atomic { store(me, END_WORD, AWAKE); claim(how) }
            drained(me); /* the system call's */
            ring(how)
#else
            atomic { exchange(me, END_WORD, AWAKE, how); claim(how) }
            ring(how)
#endif
        :: else
        fi;
        how = 0
    od
}

byte heads[CPUS];

/* Takes what is there. */
inline look(publisher_number)
{
    load(CONSUMER, publisher_number, tail);
    if
    :: tail != heads[publisher_number] -> heads[publisher_number] = tail; news = true
    :: else
    fi;
    tail = 0
}

/* A sleep with a deadline may end at any moment. */
inline deadline()
{
    deadlines > 0 -> deadlines--
}

inline sleep(how)
{
    if
    :: how == ASLEEP_FUTEX ->
        /* the kernel compares and queues in one step, under a lock */
        atomic { drained(CONSUMER) -> in_futex_queue = (memory[END_WORD] == how) }
        if
        :: !in_futex_queue
        :: atomic { deadline(); in_futex_queue = false }
        fi
    :: how == ASLEEP_FD ->
        if
        :: atomic { bell_waiting -> bell_waiting = false }
        :: deadline()
        fi
    fi
}

/* Whether it was rung must be known, so that no bell is left behind that nobody expects. */
inline disarm(how)
{
#ifdef RESET_BY_STORE
    /* loses no wake-up, but a publisher can clear the word between load and store */
    load(CONSUMER, END_WORD, how);
    store(CONSUMER, END_WORD, AWAKE);
    fence(CONSUMER);
    atomic { assert(claimed == (how == AWAKE)); claimed = false; how = 0 }
#else
    atomic {
        exchange(CONSUMER, END_WORD, AWAKE, how);
        assert(claimed == (how == AWAKE));
        claimed = false;
        how = 0
    }
#endif
}

proctype consumer()
{
    byte deadlines = DEADLINES;
    byte how, tail;
    bool news;

    do
    :: heads[1] + heads[2] == PUBLISHERS * MESSAGES -> break
    :: else ->
        news = false;
        look(1);
        look(2);
        if
        :: !news ->
            if
            :: how = ASLEEP_FUTEX
            :: how = ASLEEP_FD
            fi;
            store(CONSUMER, END_WORD, how);
#ifndef NO_CONSUMER_FENCE
            fence(CONSUMER);
#endif
#ifndef NO_SECOND_LOOK
            look(1);
            look(2);
#endif
            if
            :: !news ->
#ifdef LATE_DRAIN
                /* the byte may be that of a publisher who rang after the look */
                bell_waiting = false;
#endif
                sleep(how)
            :: else
            fi;
            disarm(how)
        :: else
        fi
    od
}

init
{
    atomic { run consumer(); run publisher(1); run publisher(2) }
}
