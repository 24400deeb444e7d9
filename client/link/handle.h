/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_LINK_HANDLE_H
#define FIPC_CLIENT_LINK_HANDLE_H

/*
 * A user's hold on a client: a lock, references to count, the process that it was made in. The
 * client itself is unknown here: a pointer that was handed in destroys it.
 */
#include "client/base/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fipc_handle {
    pthread_mutex_t lock;
    uint64_t epoch;       /* fipc_process_epoch() */
    unsigned n_refs;      /* the users', one for each loan, request in hand, dispatcher */
    unsigned n_idle_refs; /* of them: those of requests in hand, which only wait for their answer */
    /* Called under the lock when only idle references are left: nobody can dispatch any more. */
    void (*abandoned)(struct fipc_handle *handle);
    void (*destroy)(struct fipc_handle *handle); /* the last reference is gone */
};

/* Makes a handle with one reference: the caller's. Return: 0; -ENOMEM */
int fipc_handle_init(struct fipc_handle *handle, void (*abandoned)(struct fipc_handle *handle),
                     void (*destroy)(struct fipc_handle *handle));
void fipc_handle_deinit(struct fipc_handle *handle);

/* Return: 0; -ECHILD it was made before fork(2) */
static inline int fipc_handle_check(const struct fipc_handle *handle)
{
    return fipc_process_made(handle->epoch) ? 0 : -ECHILD;
}

/* Takes the lock to release something. Return: whether it could: not in a child of fork(2) where
 * another thread of the parent held it, so that nothing may be changed */
bool fipc_handle_lock_to_release(struct fipc_handle *handle);

void fipc_handle_ref(struct fipc_handle *handle);

/* Gives a reference back, which may destroy the handle. Without the lock. */
void fipc_handle_unref(struct fipc_handle *handle);

#endif
