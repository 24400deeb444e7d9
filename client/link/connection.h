/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_CONNECTION_H
#define FIPC_CLIENT_LINK_CONNECTION_H

/*
 * One life of a client with the broker: a channel, its lane, its bell, the questions that
 * are open on it and the numbers that it gave to names. It is over when the session lets go of it;
 * the next one is another connection. Guarded by the handle's lock, but for the incoming side,
 * which belongs to the holder of the baton.
 */
#include "client/base/names.h"
#include "client/base/pending.h"
#include "client/link/places.h"
#include "common/channel.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fipc_greeting;
struct fipc_settings;

/* A cancel that is not sent yet. */
struct fipc_due_cancel {
    STAILQ_ENTRY(fipc_due_cancel) link; /* fipc_connection.cancels */
    uint64_t id;
    bool has_place; /* which is free once this is sent */
    uint16_t place;
};

struct fipc_connection {
    struct fipc_channel channel;
    int lane_fd;
    int bell_fd;
    uint64_t epoch;             /* fipc_process_epoch() */
    uint64_t number;            /* of the session's connections: the first is 1 */
    unsigned n_users;           /* the session, the holder of the baton: they need all of it */
    unsigned n_loans;           /* they need the region only */
    uint64_t heard_ns;          /* when the broker was last known to be alive */
    uint64_t quiet_since_ns;    /* the holder waits, and no record came; 0: it did not wait yet */
    uint64_t quiet_head;        /* of the incoming ring, since then */
    uint64_t no_futex_until_ns; /* the broker left the futex alone: the lane is used instead */
    uint64_t no_futex_ns;       /* for how long that is */
    bool lane_holds_fd;         /* a packet that its record had not announced yet */
    uint32_t handler_ms;        /* a call's longest life */
    uint32_t calls_max;         /* how many questions may be open */
    LIST_HEAD(, fipc_message) sent_loans; /* client/link/placing.h */
    bool is_over;                         /* the session has let go of it */
    bool is_corrupt;                      /* the outgoing ring: the session is to let go of it */
    struct fipc_pending_table pending;    /* the questions that are open */
    struct fipc_names names;
    struct fipc_places places;
    /* client/link/outgoing.h: */
    STAILQ_HEAD(, fipc_due_cancel) cancels;
    bool is_stuck;       /* the record to be sent next found no room: */
    uint16_t stuck_kind; /* enum fipc_kind */
    size_t stuck_size;
};

/**
 * fipc_connection_open() - greet a broker and take the client's end of the channel that it made
 * @ret_connection:  with one user: the caller
 *
 * Blocks until the deadline. Threads: any.
 *
 * Return: 0; -ENOMEM; -EPROTO if the broker did not hand out the region that it announced; else as
 * fipc_greet()
 */
int fipc_connection_open(const struct fipc_settings *settings, uint64_t deadline_ns,
                         struct fipc_connection **ret_connection);

/**
 * fipc_connection_new() - make the connection that a greeting brought about
 * @greeting:        gives up its channel, its lane and its bell on success
 * @ret_connection:  as fipc_connection_open()
 *
 * Return: 0; -ENOMEM; the errno of getrandom(2)
 */
int fipc_connection_new(struct fipc_greeting *greeting, struct fipc_connection **ret_connection);

/* One user or one loan less: @count is n_users or n_loans. Without users the lane is closed,
 * without both the connection is freed. */
void fipc_connection_release(struct fipc_connection *connection, unsigned *count);

/* Looks at the lane if the broker was not heard for @silence_ns. Return: whether it hung up */
bool fipc_connection_is_lost(struct fipc_connection *connection, uint64_t now_ns,
                             uint64_t silence_ns);

/* Takes the wake-up bytes out of the lane. Return: whether nothing is left there; false: a packet
 * that brings an fd, which a record announces */
bool fipc_connection_drain(const struct fipc_connection *connection);

#endif
