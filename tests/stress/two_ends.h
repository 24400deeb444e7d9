/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_STRESS_TWO_ENDS_H
#define FIPC_TESTS_STRESS_TWO_ENDS_H

/*
 * Two processes at the ends of one channel send each other records, with contents that the other
 * checks, and sleep and wake by the protocol of common/end.h. A sleep has a deadline, but a sleep
 * that ends by it is no failure: the other process may not have had a CPU. It is one if the other
 * had published something for the sleeper, had looked whether the sleeper wants a bell, and had not
 * rung: then nobody ever would have.
 */
#include <stdbool.h>
#include <stdint.h>

enum sleeping {
    SLEEP_ON_FUTEX = 1 << 0,
    SLEEP_ON_FD = 1 << 1, /* the client on its lane, the broker on its eventfd */
    SLEEP_ON_EITHER = SLEEP_ON_FUTEX | SLEEP_ON_FD,
};

struct traffic {
    const char *name;
    uint64_t n_records;   /* each way */
    bool ping_pong;       /* false: both ends send as much as there is room for */
    uint32_t ring_bytes;  /* of each ring */
    uint32_t payload_max; /* sizes are 0 to this, small ones more often */
    enum sleeping client, broker;
    uint64_t give_up_after_ns;
};

struct outcome {
    uint64_t n_lost_records; /* wake-ups for records that nobody rang */
    uint64_t n_lost_room;    /* likewise for room */
    uint64_t n_wrong;        /* records that are not what was sent, errors of the channel */
    bool gave_up;            /* the time was over */
    uint64_t n_taken;
    uint64_t n_sleeps;
    uint64_t n_close_calls; /* news that came between arming and the look after it */
    uint64_t n_rung;        /* sleeps that a bell ended, or prevented */
    uint64_t n_waits_for_room;
    uint64_t n_deadlines;
    uint64_t longest_sleep_ns;
};

/* Runs both ends to their end; stops at the first failure. The outcome is the sum of both. */
struct outcome two_ends_run(const struct traffic *traffic);

/* One line for people. */
void two_ends_print(const struct traffic *traffic, const struct outcome *outcome);

#endif
