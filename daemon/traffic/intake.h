/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_TRAFFIC_INTAKE_H
#define FIPC_DAEMON_TRAFFIC_INTAKE_H

/* Takes what open slots sent: requests to services, control records to the broker itself. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct fipc_control;
struct fipc_header;
struct handler;
struct service;
struct slot;

/* Requests and waits of one slot that may be open at the same time. */
#define DISPATCH_CALLS_MAX 1024

/* Takes a handler from TAKEN to whoever serves it; @service: NULL: nobody.
 * @payload: borrowed; its bytes can change meanwhile */
void dispatch_request(struct core *core, struct handler *handler, struct service *service,
                      const void *payload, size_t size);

/**
 * dispatch_serve() - give a slot its share of a turn
 *
 * Sends what waited for room, takes a bounded number of records, none long after @end_ns, rings the
 * client once.
 *
 * Return: how many records were sent and taken
 */
unsigned dispatch_serve(struct core *core, struct slot *slot, uint64_t end_ns);

/* Whether dispatch_serve() would do anything now. */
bool dispatch_has_work(struct core *core, struct slot *slot);

/* Has a slot rest as long as the wake-ups of its uid's clients demand: daemon/model/wake_cost.h */
void dispatch_rest(struct core *core, struct slot *slot);

/* Whether a slot is not read because its client has not made room for answers. */
bool dispatch_waits_for_room(struct slot *slot);

/* Answers a control record that was just taken: there is room for it. */
void dispatch_answer_control(struct slot *slot, const struct fipc_header *question,
                             const struct fipc_control *control, int status, uint32_t target);

#endif
