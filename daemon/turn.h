/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TURN_H
#define FIPC_DAEMON_TURN_H

/*
 * The event loop. libev polls a handful of fds; one of them is a private epoll set that holds every
 * fd of every slot. Slots that are active now are polled in memory while the loop spins; all others
 * ring their bell, which is in the set. The loop blocks only when every open slot is armed and was
 * looked at after that.
 */
#include "common/spin.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct broker;
struct slot;

struct loop {
    int slot_fds; /* the private epoll set, with those of the waiting room too */
    ev_io slot_fds_ready;
    ev_check after_poll;
    ev_prepare before_poll;
    ev_timer catch_up;    /* active: events were only counted, or systemd did not take a text */
    uint64_t catch_up_ns; /* when it runs out */
    ev_idle more_work;    /* active: poll without blocking */
    ev_async signals;     /* never sent: libev makes its fd for signals when the first one starts */
    struct fipc_spin spin;
    bool spinning;
};

/* Return: 0; a negative errno */
int loop_init(struct broker *broker);
void loop_deinit(struct broker *broker);

/* Takes what the config says of it. */
void loop_reconfigure(struct broker *broker);

/* Watches a slot's lane for packets and hang-up. Return: 0; a negative errno */
int loop_watch_lane(struct broker *broker, const struct slot *slot);

/* Watches a slot's bell, which is never read. The first one costs as much as a greeting, and is
 * told of until there is time for it; the next ones are told once. Return: 0; a negative errno */
int loop_watch_first_bell(struct broker *broker, const struct slot *slot);
void loop_watch_next_bells(struct broker *broker, const struct slot *slot);

/* Watches the lane of a connection in the waiting room for a hang-up. Return: 0; a negative errno
 */
int loop_watch_waiting(struct broker *broker, int lane_fd, uint32_t place, uint32_t generation);
void loop_unwatch_waiting(struct broker *broker, int lane_fd);

/* Forgets the bell, or both, before they are closed: others may hold the same files open. */
void loop_unwatch_bell(struct broker *broker, const struct slot *slot);
void loop_unwatch(struct broker *broker, const struct slot *slot);

#endif
