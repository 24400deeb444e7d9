/* SPDX-License-Identifier: MIT */
/*
 * Threads that share a handle: one of them, the reader, holds the baton, reads the ring and sleeps
 * on the end word; the others sleep on words of their own. No thread sleeps for ever whose reply is
 * there, or that could have the room that is there; there is one reader at most; and no thread goes
 * round and round without anything to do.
 *
 * A thread is fipc_baton_wait() of client/link/baton.c with read_or_wait() of client/session/session.c,
 * over fipc_end_arm() and fipc_end_disarm() of common/end.c; the broker is fipc_channel_ring()
 * of common/channel.c. A deadline may pass at any moment of a sleep. Without POSTS three threads
 * wait for replies. With POSTS thread 0 does, the other two wait for room for a message without
 * a reply; thread 0 may be answered only after they had their turn, so that no reply hides a
 * lost wake-up for room.
 *
 * A thread that wants room while another one sleeps kicks the reader, as if the peer had rung, so
 * that it arms again with ROOM. For that the reader arms under the mutex: were it to choose its
 * word under the mutex and to store it later, a kick in between would find it awake and be lost
 * (LATE_ARMING). And threads that were notified of room don't count as wanting it, or else the
 * reader, which looks at the room after each fence, could not sleep until they ran (STILL_WANTED).
 *
 * With IMPATIENT everything may happen that may happen, but nobody waits long enough to be stuck:
 * good for finding endless runs.
 *
 * Broken twins: NO_PASS_ON_TIMEOUT, PASS_ONLY_AFTER_READING, UNLOCKED_TEST, LATE_RESET,
 * LATE_CLEARING, and with POSTS also LATE_ARMING, NO_KICK, NO_NEWS_OF_ROOM, STILL_WANTED.
 */
#define THREADS 3
#ifdef POSTS
#define POSTERS 2
#else
#define POSTERS 0
#endif

#define CPUS (THREADS + 1) /* one for each thread */
#define BROKER THREADS
#define WORDS 3
#define END_WORD 0 /* of the client */
#define TAIL 1     /* of the reply ring */
#define HEAD 2     /* of the request ring: the records taken; the ring is full at first */
#include "memory.pml"

#define AWAKE 0
#define ASLEEP 1
#define ASLEEP_ROOM 2

mtype = { READ, KICK, SLEEP, LEAVE };

bool in_futex_queue;   /* the kernel's: the reader sleeps on the end word */
byte records[THREADS]; /* the reply ring: whose reply */

/* Under the mutex. What a thread does with it is one step, unless the broker has a part in it. */
bool locked;
bool reading;
bool asleep_for_room; /* the reader armed with ROOM */
bool asleep;          /* the reader armed */
chan waiters = [THREADS] of { byte }; /* first come, first to take over */
bool done[THREADS];
bool wants_room[THREADS];
byte n_sent;
byte n_taken; /* the head of the reply ring */

/* The words of the others. */
bool wake[THREADS];
bool in_wake_queue[THREADS]; /* the kernel's */

/* Not of the code. */
byte n_readers;
bool gone[THREADS];
bool impatient[THREADS];
bool reply_last; /* thread 0 is answered after the others sent, or gave up */

#define is_waiting(thread) (waiters??[eval(thread)])
#define has_room (memory[HEAD] > n_sent)
#define is_ready(thread) ((wants_room[thread] && has_room) || (!wants_room[thread] && done[thread]))
#define room_is_wanted ((wants_room[1] && is_waiting(1)) || (wants_room[2] && is_waiting(2)))

inline wake_up(thread)
{
    wake[thread] = true;
    in_wake_queue[thread] = false
}

/* What it waits for is there. */
inline finish(thread)
{
    if
    :: is_waiting(thread) ->
#ifdef STILL_WANTED
        if
        :: !wants_room[thread] -> waiters??eval(thread)
        :: wants_room[thread]
        fi;
#else
        waiters??eval(thread);
#endif
        if
        :: thread != me -> wake_up(thread)
        :: thread == me
        fi
    :: !is_waiting(thread)
    fi
}

inline take_records()
{
    do
    :: n_taken == memory[TAIL] -> break
    :: n_taken != memory[TAIL] ->
        other = records[n_taken];
        done[other] = true;
        finish(other);
        records[n_taken] = 0;
        n_taken++
    od;
    other = 0
}

/* Tells those who want room that there is. */
inline tell_of_room()
{
#ifdef NO_NEWS_OF_ROOM
    skip
#else
    if
    :: room_is_wanted && has_room ->
        news = true;
        do
        :: other == THREADS -> break
        :: other < THREADS && wants_room[other] -> finish(other); other++
        :: other < THREADS && !wants_room[other] -> other++
        od;
        other = 0
    :: !room_is_wanted || !has_room
    fi
#endif
}

#if defined(NO_PASS_ON_TIMEOUT)
#define PASSES_ON is_ready(me)
#elif defined(PASS_ONLY_AFTER_READING)
#define PASSES_ON has_read
#else
#define PASSES_ON true
#endif

/* Takes care that somebody reads as long as anybody waits, whatever the reason for leaving. */
inline leave()
{
    if
    :: is_waiting(me) -> waiters??eval(me)
    :: !is_waiting(me)
    fi;
    if
    :: PASSES_ON && !reading && len(waiters) > 0 ->
        waiters?<other>;
        wake_up(other);
        other = 0
    :: !PASSES_ON || reading || len(waiters) == 0
    fi;
    if
    :: is_ready(me) && wants_room[me] -> n_sent++
    :: else
    fi;
    wants_room[me] = false;
    gone[me] = true;
    next = LEAVE
}

/* One turn of the loop in fipc_baton_wait(). A thread that reads or kicks keeps the mutex for now.
 */
inline turn()
{
    wake[me] = false;
    if
    :: is_ready(me) || expired -> leave()
    :: !is_ready(me) && !expired ->
        if
        :: is_waiting(me) /* else other threads were faster than the notified one */
        :: !is_waiting(me) -> waiters!me
        fi;
        if
        :: !reading ->
#ifndef UNLOCKED_TEST
            reading = true;
            locked = true;
#endif
            next = READ
        :: reading && wants_room[me] && asleep && !asleep_for_room -> locked = true; next = KICK
        :: reading && !(wants_room[me] && asleep && !asleep_for_room) -> next = SLEEP
        fi
    fi
}

/* Clears the end word of one who sleeps and rings; the client's own threads do so, too. */
inline rouse(cpu)
{
    atomic { exchange(cpu, END_WORD, AWAKE, word); was_asleep = (word != AWAKE); word = 0 }
    if
    :: was_asleep -> atomic { in_futex_queue = false; was_asleep = false }
    :: !was_asleep
    fi
}

/* The mutex keeps the reader from leaving meanwhile. */
inline kick()
{
#ifndef NO_KICK
    rouse(me);
#endif
    atomic { locked = false; next = SLEEP }
}

inline sleep()
{
#ifdef LATE_CLEARING
    wake[me] = false;
#endif
    in_wake_queue[me] = !wake[me];
    if
    :: !in_wake_queue[me]
    :: atomic { impatient[me] -> in_wake_queue[me] = false; expired = true }
    fi
}

/* With the mutex on entry, without it on exit. */
inline wait_for_news()
{
    if
    :: room_is_wanted
    :: atomic { !room_is_wanted -> locked = false } /* spins */
        atomic { !locked -> locked = true }
    fi;
    atomic {
        asleep = true;
        asleep_for_room = room_is_wanted;
        word = (asleep_for_room -> ASLEEP_ROOM : ASLEEP)
    }
#ifdef LATE_ARMING
    locked = false;
#endif
    store(me, END_WORD, word);
    fence(me);
#ifdef LATE_ARMING
    atomic { !locked -> locked = true }
#endif
    atomic {
        if
        :: memory[TAIL] != n_taken -> news = true
        :: memory[TAIL] == n_taken -> tell_of_room()
        fi;
        locked = false
    }
    if
    :: !news ->
        atomic { drained(me) -> in_futex_queue = (memory[END_WORD] == word) }
        if
        :: !in_futex_queue
        :: atomic { impatient[me] -> in_futex_queue = false; expired = true }
        fi
    :: news
    fi;
    news = false;
#ifndef LATE_RESET
    exchange(me, END_WORD, AWAKE, word);
#endif
    word = 0
}

inline read_some()
{
    atomic {
        n_readers++;
        assert(n_readers == 1);
        if
        :: memory[TAIL] == n_taken -> skip
        :: memory[TAIL] != n_taken -> locked = false; goto look_again
        fi
    }
    wait_for_news()
}

/* With the mutex. */
inline stop_reading()
{
    asleep = false;
    asleep_for_room = false;
    take_records();
    tell_of_room();
    news = false;
    n_readers--;
    reading = false
}

proctype thread(byte me)
{
    mtype next;
    byte word, other;
    bool expired, was_asleep, news, has_read;

look_again:
    atomic {
        !locked ->
        if
        :: next == READ -> stop_reading()
        :: next != READ
        fi;
        turn()
    }
    if
    :: next == READ ->
#ifdef PASS_ONLY_AFTER_READING
        has_read = true;
#endif
#ifdef UNLOCKED_TEST
        atomic { !locked -> locked = true; reading = true }
#endif
        read_some();
#ifdef LATE_RESET
        atomic { !locked -> stop_reading(); next = SLEEP }
        exchange(me, END_WORD, AWAKE, word);
        word = 0;
#endif
        goto look_again
    :: next == KICK -> kick(); goto to_sleep
    :: next == SLEEP ->
to_sleep:
        sleep();
        goto look_again
    :: next == LEAVE
    fi
}

/* Replies come in any order. Of two equal threads the first is answered first: no difference. */
#define equal(thread) (impatient[thread - 1] == impatient[thread])
#ifdef POSTS
#define may_answer_0 (!answered[0] && (!reply_last || (gone[1] && gone[2])))
#define may_answer_1 false
#define may_answer_2 false
#else
#define may_answer_0 (!answered[0])
#define may_answer_1 (!answered[1] && (answered[0] || !equal(1)))
#define may_answer_2 (!answered[2] && (answered[1] || !equal(2)))
#endif

proctype broker()
{
    byte n_freed, tail, word, who;
    bool answered[THREADS];
    bool was_asleep;

end:
    do
    :: atomic { n_freed < POSTERS ->
            n_freed++;
            store(BROKER, HEAD, n_freed)
        }
        fence(BROKER);
        load(BROKER, END_WORD, word);
        if
        :: word == ASLEEP_ROOM -> rouse(BROKER)
        :: word != ASLEEP_ROOM -> word = 0
        fi
    :: atomic {
            if
            :: may_answer_0 -> who = 0
            :: may_answer_1 -> who = 1
            :: may_answer_2 -> who = 2
            fi;
            answered[who] = true;
            records[tail] = who;
            who = 0;
            tail++;
            store(BROKER, TAIL, tail)
        }
        fence(BROKER);
        load(BROKER, END_WORD, word);
        if
        :: word != AWAKE -> rouse(BROKER)
        :: word == AWAKE
        fi
    od
}

init
{
    atomic {
#ifdef POSTS
        wants_room[1] = true;
        wants_room[2] = true;
#endif
#ifdef IMPATIENT
        impatient[0] = true;
        impatient[1] = true;
        impatient[2] = true;
#else
        if
        :: skip
        :: impatient[0] = true
        :: impatient[0] = true; impatient[1] = true
#ifdef POSTS
        :: impatient[1] = true
        :: impatient[1] = true; impatient[2] = true
#endif
        fi;
#ifdef POSTS
        if
        :: reply_last = true
        :: reply_last = false
        fi;
#endif
#endif
        run broker();
        run thread(0);
        run thread(1);
        run thread(2)
    }
}
