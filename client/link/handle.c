/* SPDX-License-Identifier: MIT */
#include "client/link/handle.h"

#include "client/base/process.h"

#include <assert.h>
#include <errno.h>

int fipc_handle_init(struct fipc_handle *handle, void (*abandoned)(struct fipc_handle *handle),
                     void (*destroy)(struct fipc_handle *handle))
{
    *handle = (struct fipc_handle){
        .epoch = fipc_process_epoch(), .n_refs = 1, .abandoned = abandoned, .destroy = destroy};
    (void)pthread_mutex_init(&handle->lock, NULL);
    return handle->epoch == FIPC_PROCESS_NONE ? -ENOMEM : 0;
}

void fipc_handle_deinit(struct fipc_handle *handle) { (void)pthread_mutex_destroy(&handle->lock); }

bool fipc_handle_lock_to_release(struct fipc_handle *handle)
{
    if (fipc_process_made(handle->epoch))
        return pthread_mutex_lock(&handle->lock) == 0;
    return pthread_mutex_trylock(&handle->lock) == 0;
}

void fipc_handle_ref(struct fipc_handle *handle)
{
    if (!fipc_handle_lock_to_release(handle))
        return;
    handle->n_refs++;
    (void)pthread_mutex_unlock(&handle->lock);
}

static bool is_abandoned(const struct fipc_handle *handle)
{
    return handle->n_refs > 0 && handle->n_refs == handle->n_idle_refs &&
           fipc_process_made(handle->epoch);
}

void fipc_handle_unref(struct fipc_handle *handle)
{
    bool last;

    if (!fipc_handle_lock_to_release(handle))
        return;
    assert(handle->n_refs > 0);
    last = --handle->n_refs == 0;
    if (is_abandoned(handle))
        handle->abandoned(handle);
    (void)pthread_mutex_unlock(&handle->lock);
    if (last)
        handle->destroy(handle);
}
