/* SPDX-License-Identifier: MIT */
/*
 * The broker closes an idle slot while the client sends: each request is delivered or sent again
 * elsewhere, never both, never neither.
 *
 * The broker is fipc_end_close() of common/end.c and a last look after it; its farewell, GOODBYE
 * or the lane's hang-up, says that its head stays where it is. The client is fipc_channel_ring()
 * and a look at CLOSING after it. A call waits for its answer. A post does not: if CLOSING is not
 * set, it is delivered as far as the client knows. If CLOSING is set, the head decides, but only
 * after the farewell: during the last look it still moves.
 *
 * With KEEPS_RECORDS the client keeps each record, a post's too, until the head passed it, or sends
 * it again after the farewell. Then the farewell is enough: CLOSING, the last look and their fences
 * are not needed (FAREWELL_ONLY). That is outcome_of() of client/session/session.c with daemon/life/slot_close.c,
 * which takes no last look.
 *
 * Broken twins: NO_CLOSING_FENCE, NO_PUBLISHER_FENCE, NO_LAST_LOOK, NO_LOOK_AT_CLOSING,
 * NO_WAIT_FOR_FAREWELL, TAKES_AFTER_FAREWELL; the last one of FAREWELL_ONLY, too.
 */
#ifdef FAREWELL_ONLY
#define KEEPS_RECORDS
#define NO_CLOSING_FENCE
#define NO_PUBLISHER_FENCE
#define NO_LAST_LOOK
#define NO_LOOK_AT_CLOSING
#endif

#define REQUESTS 3

#define CPUS 2
#define CLIENT 0
#define BROKER 1
#define WORDS 6
#define TAIL 0
#define HEAD 1
#define BROKER_WORD 2
#define CLOSING 3
#define ANSWERED 4 /* the reply ring's tail */
#define FAREWELL 5
#include "memory.pml"

#define AWAKE 0
#define ASLEEP 1

bool bell_waiting;
byte delivered[REQUESTS]; /* how often; neither end knows it, the proof needs it */
byte sent_again[REQUESTS];
byte n_finished;

inline take_all()
{
    load(BROKER, TAIL, tail);
    worked = (tail != head);
    do
    :: head == tail -> break
    :: else ->
        delivered[head]++;
        head++;
        store(BROKER, ANSWERED, head);
        store(BROKER, HEAD, head)
    od;
    tail = 0
}

proctype broker()
{
    byte head, tail, word;
    bool worked, idle;

    do
    :: idle -> break
    :: else ->
        take_all();
        if
        :: !worked ->
            store(BROKER, BROKER_WORD, ASLEEP);
            fence(BROKER);
            load(BROKER, TAIL, tail);
            if
            :: tail == head ->
                if
                :: atomic { bell_waiting -> bell_waiting = false }
                :: idle = true /* the timer may expire at any moment */
                fi
            :: else
            fi;
            exchange(BROKER, BROKER_WORD, AWAKE, word);
            word = 0;
            tail = 0
        :: else
        fi
    od;

    store(BROKER, CLOSING, true);
#ifndef NO_CLOSING_FENCE
    fence(BROKER);
#endif
#ifndef NO_LAST_LOOK
    take_all();
#endif
    store(BROKER, FAREWELL, true);
#ifdef TAKES_AFTER_FAREWELL
    take_all();
#endif
    n_finished++
}

/* What did the broker not take? */
inline settle()
{
#ifndef NO_WAIT_FOR_FAREWELL
    memory[FAREWELL];
#endif
    load(CLIENT, HEAD, value);
    number = 0;
    do
    :: number == sent -> break
    :: number < sent ->
        if
        :: number >= value && !settled[number] -> sent_again[number]++
        :: else
        fi;
        settled[number] = true;
        number++
    od;
    value = 0;
    number = 0;
    closed = true
}

inline publish()
{
    sent++;
    store(CLIENT, TAIL, sent);
#ifndef NO_PUBLISHER_FENCE
    fence(CLIENT);
#endif
    load(CLIENT, BROKER_WORD, value);
    if
    :: value == ASLEEP ->
        exchange(CLIENT, BROKER_WORD, AWAKE, value);
        if
        :: value == ASLEEP -> bell_waiting = true
        :: else
        fi
    :: else
    fi;
    value = 0;
#ifndef NO_LOOK_AT_CLOSING
    load(CLIENT, CLOSING, closing);
#endif
}

/* The answers come in order here. */
inline wait_for_answers()
{
    memory[ANSWERED] == sent || memory[FAREWELL];
    if
    :: memory[ANSWERED] != sent -> settle()
    :: else
    fi
}

proctype client()
{
    byte sent, number, value;
    bool closing, closed;
    bool settled[REQUESTS]; /* as far as the client knows */

    do
    :: sent == REQUESTS -> break
    :: sent < REQUESTS && closed -> sent_again[sent]++; sent++
    :: sent < REQUESTS && !closed ->
        publish();
        if
        :: closing -> settle()
        :: !closing ->
            if
            :: wait_for_answers()
            :: skip /* a call that is waited for later */
#ifndef KEEPS_RECORDS
            :: settled[sent - 1] = true /* a post */
#endif
            fi
        fi
    od;
    if
    :: !closed -> wait_for_answers()
    :: else
    fi;
    n_finished++
}

init
{
    byte number;

    atomic { run broker(); run client() }
    n_finished == 2 && drained(BROKER) && drained(CLIENT);
    do
    :: number == REQUESTS -> break
    :: number < REQUESTS -> assert(delivered[number] + sent_again[number] == 1); number++
    od
}
