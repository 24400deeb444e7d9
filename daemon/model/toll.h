/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_TOLL_H
#define FIPC_DAEMON_MODEL_TOLL_H

/*
 * A peer can make system calls on its files slow: it hangs thousands of watchers on its end of a
 * lane, or on its bell, and each byte, packet, removal from a set and close walks all of them. The
 * broker charges the CPU time of such calls to the account of the peer, as far as they take longer
 * than they usually do on this machine. An account has a hundredth of the time, and all accounts
 * together a twentieth: with what they have saved, two and ten per cent of any second. The
 * broker serves an account in debt rarely: calls that would touch its files wait until
 * toll_until_ns(). The broker closes nobody for that, and no other account waits.
 *
 *      if (!toll_allows(&core->toll, &account->toll, core->now_ns))
 *          come again at toll_until_ns(&core->toll, &account->toll, core->now_ns)
 *      began_ns = core->cpu_clock();
 *      the system call
 *      toll_charge(&core->toll, &account->toll, core->cpu_clock() - began_ns, core->now_ns);
 *
 * Third parties can make the wake-up of a futex slow: threads of any process may sleep in the same
 * bucket of the kernel's table. That is never charged to the sleeper's account. But all slow ones
 * together have a small part of the time; beyond it a futex that was slow to wake is left alone,
 * and its sleeper looks by itself after FIPC_END_FUTEX_NS (common/end.h).
 *
 * Times are CPU time of the broker but for @now_ns.
 */
#include "common/bucket.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Accounts of which the counters are kept for the reports: those that were slow last. */
#define TOLL_ROWS 16

/* Of an account. toll_due_init() */
struct toll_due {
    uid_t uid;
    struct fipc_bucket due;
    uint64_t window_ns; /* when its slow calls began to be counted: */
    unsigned n_in_window;
    uint64_t cpu_in_window_ns;
    bool waits;          /* since its last call it was not allowed another one */
    bool is_logged;      /* that it had to wait */
    bool futex_was_slow; /* the last one that was woken */
};

/* What an account did to the broker. */
struct toll_row {
    uid_t uid;
    uint64_t n_slow;      /* system calls on its files, and futexes, that were slow */
    uint64_t slow_cpu_ns; /* that they took */
    uint64_t n_waits;     /* how often it had to wait */
    uint64_t n_unrung;    /* futexes that were left alone */
};

struct toll {
    uint64_t usual_ns;          /* no call is slow that takes no longer; likewise: */
    uint64_t usual_futex_ns;    /* of a wake-up of a futex */
    uint64_t first_futex_ns;    /* that, when the broker started */
    uint64_t n_limited;         /* waits and futexes left alone, at the last test */
    uint64_t test_after_ns;     /* no test before */
    struct fipc_bucket due;     /* of all accounts together */
    struct fipc_bucket futexes; /* of all futexes together */
    struct toll_row total;      /* since the start */
    struct toll_row rows[TOLL_ROWS];
    unsigned n_rows;
};

/**
 * toll_init() - learn what this machine needs
 * @lane_ns, @futex_ns:  what it takes to wake a thread by a byte on a lane, and by a futex; 0: not
 *                       known
 */
void toll_init(struct toll *toll, uint64_t lane_ns, uint64_t futex_ns);

/* Whether to try again what a wake-up takes: calls were slow, and the machine may be slow by now.
 * True once, and not for ten seconds afterwards. */
bool toll_wants_test(struct toll *toll, uint64_t now_ns);

/* @lane_ns: as for toll_init(), now. Third parties can't make it slow, as they can a futex: so it
 * tells how slow a futex may be, too. */
void toll_learn(struct toll *toll, uint64_t lane_ns);

void toll_due_init(struct toll_due *due, uid_t uid);

/* Whether a call that touches a file of this account may be made now. */
bool toll_allows(struct toll *toll, struct toll_due *due, uint64_t now_ns);

/* Return: when to ask again; @now_ns if a call is allowed now */
uint64_t toll_until_ns(struct toll *toll, struct toll_due *due, uint64_t now_ns);

/* Charges one such call, or some that belong together, which took @cpu_ns. */
void toll_charge(struct toll *toll, struct toll_due *due, uint64_t cpu_ns, uint64_t now_ns);

/* Whether a futex of this account's client is to be woken; if not, it looks by itself. */
bool toll_allows_futex(struct toll *toll, struct toll_due *due, uint64_t now_ns);
void toll_charge_futex(struct toll *toll, struct toll_due *due, uint64_t cpu_ns, uint64_t now_ns);

/* Whether the account owes anything: its uid is not rid of it by leaving. */
bool toll_is_due(struct toll_due *due, uint64_t now_ns);

#endif
