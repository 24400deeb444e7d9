/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_LIFE_ADMISSION_H
#define FIPC_DAEMON_LIFE_ADMISSION_H

/*
 * A connection gets a slot at once, or waits in a bounded room until a slot is free that its
 * account may have, or until its own deadline for connecting, which HELLO carries. The accounts
 * take turns; of each the connection that came first comes first. HELLO stays unread in the socket
 * meanwhile, so that a waiting connection costs no more than its fd.
 */
#include "common/control.h"
#include "daemon/base/deadline.h"
#include "daemon/model/lines.h"
#include "daemon/model/slot.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct closer;
struct core;
struct greeting;

/* One connection without a slot. */
struct waiting {
    TAILQ_ENTRY(waiting) link; /* admission.waiting, or admission.unused */
    struct line_item in_line;  /* of its account, in admission.lines */
    uint32_t generation;       /* counts the connections that had this place */
    int lane_fd;               /* -1: the place is unused */
    struct fipc_identity peer;
    struct account *account;
    uint64_t since_ns;
    uint64_t since_turn; /* of core.n_turns */
    uint64_t deadline_ns;
    bool has_said_hello;  /* the deadline is its own */
    struct deadline look; /* when to look at it again */
    struct admission *admission;
};

TAILQ_HEAD(waiting_list, waiting);

struct admission {
    struct core *core;
    struct greeting *greeting;
    struct closer *closer;
    struct waiting *places;
    uint32_t capacity;
    struct waiting_list waiting; /* the waiting room: those that came first come first */
    struct lines lines;          /* the same, by accounts, which take turns */
    struct waiting_list unused;
};

/* Return: 0; -ENOMEM */
int admission_init(struct admission *admission, struct core *core, struct greeting *greeting,
                   struct closer *closer, uint32_t capacity);

/* Refuses all waiting connections. */
void admission_deinit(struct admission *admission);

/* A new connection. @lane_fd is consumed. */
void admission_admit(struct admission *admission, int lane_fd);

/* Gives free slots to waiting connections, some at a time. Called once per turn, not from where a
 * slot ends. Return: whether there is more to do, so that the loop may not block. */
bool admission_seat_waiting(struct admission *admission);

/* The lane of a waiting connection hung up; @place and @generation are from poller_watch().
 */
void admission_hung_up(struct admission *admission, uint32_t place, uint32_t generation);

#endif
