/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_BASE_NAMES_H
#define FIPC_CLIENT_BASE_NAMES_H

/* The numbers that the broker gave to the names of services on this connection. Guarded by the
 * client's lock. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIPC_NAMES_BUCKETS 64

struct fipc_name;
struct fipc_pending;

struct fipc_names {
    struct fipc_name *buckets[FIPC_NAMES_BUCKETS];
};

/* Return: whether the name, which is not terminated, is known; @ret_full as fipc_names_is_full() */
bool fipc_names_find(const struct fipc_names *names, const char *name, size_t name_bytes,
                     uint32_t *ret_target, bool *ret_full);

/* Whether the service's queue was full the last time, and no ROOM came since. */
bool fipc_names_is_full(const struct fipc_names *names, const char *name, size_t name_bytes);
void fipc_names_set_full(struct fipc_names *names, uint32_t target, bool is_full);

/* Forgets a number that is no longer valid, unless another one has replaced it since. */
void fipc_names_forget(struct fipc_names *names, const char *name, size_t name_bytes,
                       uint32_t target);

/* Remembers a name. Without memory it stays unknown. */
void fipc_names_add(struct fipc_names *names, const char *name, size_t name_bytes, uint32_t target);

/**
 * fipc_names_send_again() - decide whether a request that no service has seen goes out again
 * @names:   of the connection where it was answered; NULL: that is over
 * @answer:  the broker's answer to it
 * @flags:   the request's, as users give them
 *
 * Forgets the service's number where it has to be asked for first.
 *
 * Return: whether to send it again, once the service was opened again or has room
 */
bool fipc_names_send_again(struct fipc_names *names, const struct fipc_pending *answer,
                           const char *service, size_t service_bytes, unsigned flags);

/* Forgets all of them. */
void fipc_names_clear(struct fipc_names *names);

#endif
