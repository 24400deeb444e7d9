/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_SERVICE_H
#define FIPC_DAEMON_SERVICE_H

/* Names that answer requests. A target is the number of a name, which OPENED tells the client. */
#include <stddef.h>
#include <stdint.h>

struct broker;
struct handler;

#define SERVICE_NONE UINT32_C(0)

/**
 * Serves one request, in HANDLER_RUNNING: ends it by answer_reply() or answer_error(), now or
 * later.
 * @payload: in shared memory, or in the packet of a one-shot: valid until the function returns, and
 * its bytes can change meanwhile
 */
typedef void service_fn(struct broker *broker, struct handler *handler, const void *payload,
                        size_t size);

struct service {
    const char *name;
    service_fn *serve;
};

/* Return: the service; NULL no such target. */
const struct service *service_of_target(uint32_t target);

/* Return: the target of a name; SERVICE_NONE nobody serves it. */
uint32_t service_target(const void *name, size_t name_bytes);

/* Takes a handler from TAKEN to RUNNING and calls the service; NULL answers -ENOENT. */
void service_run(struct broker *broker, struct handler *handler, const struct service *service,
                 const void *payload, size_t size);

#endif
