/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_METER_H
#define FIPC_DAEMON_MODEL_METER_H

/*
 * The longest turn, and the longest act of each kind, in CPU time of the loop. An act is one thing
 * that the turn does without looking whether its time is over: the longest one is how far a turn
 * can go beyond its end, and how long one client can keep the others waiting.
 *
 * The clock of CPU time is a system call. So the meter takes the ordinary one, and looks at that of
 * CPU time only when a turn begins and after an act that would be the longest so far. Time that the
 * loop spent without the CPU is taken off: where it cannot be told from which act, from this one,
 * so that noise of the machine never makes an act longer than it was. What a host takes from a
 * virtual machine without saying so counts as CPU time all the same: a loop that only looks at that
 * clock sees some jumps of 0.2 to 4 ms in a second. So one long act tells little, and a part of all
 * acts that are long tells much. How many acts a turn begins after its end is not a matter of time.
 */
#include <stdint.h>

enum act {
    ACT_GREETING, /* HELLO to WELCOME; the first bell */
    ACT_SEATING,  /* a connection gets a slot, or a place in the waiting room */
    ACT_CLOSE,    /* one step of the end of a slot */
    ACT_WAKE,     /* a client is rung for */
    ACT_DEADLINE, /* one deadline is over, or some of what waited for a service goes on */
    ACT_REPORT,   /* a page of fipc.list or fipc.stats */
    ACT_COUNT,
};

/* An act that takes more is a long one. */
#define METER_ACT_NS UINT64_C(200000)
/* Likewise a turn: it begins nothing new after 0.5 ms, and the last thing is an act. */
#define METER_TURN_NS UINT64_C(700000)

/* Of a kind. Never reset: an observer takes the difference of two looks at the counts. */
struct meter_count {
    uint64_t n;
    uint64_t n_long;
    uint64_t max_ns; /* since the broker started */
};

struct meter {
    uint64_t (*cpu_clock)(void); /* of the loop's thread */
    uint64_t began_ns, began_cpu_ns;
    uint64_t away_ns;  /* of this turn without the CPU, as far as it is known */
    uint64_t end_ns;   /* this turn should begin nothing new after */
    uint64_t n_late;   /* acts that it began all the same */
    uint64_t late_max; /* of any turn */
    struct meter_count turns;
    struct meter_count acts[ACT_COUNT];
};

/* All times are of the ordinary clock, and were just looked at. */
void meter_begin_turn(struct meter *meter, uint64_t now_ns, uint64_t end_ns);
void meter_end_turn(struct meter *meter, uint64_t now_ns);

/* An act begins; an act ends that began at @began_ns. */
void meter_begin_act(struct meter *meter, uint64_t now_ns);
void meter_count(struct meter *meter, enum act act, uint64_t began_ns, uint64_t now_ns);

const char *act_name(enum act act);

#endif
