/* SPDX-License-Identifier: MIT */
#include "client/base/wire.h"
#include "client/session/client.h"
#include "client/session/served.h"
#include "client/session/session.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>

static bool is_decided(void *arg)
{
    const struct fipc_served *served = arg;

    return served->state == FIPC_SERVED_AGREED || served->state == FIPC_SERVED_REFUSED;
}

static int served_wait(struct fipc_client *client, struct fipc_served *served)
{
    struct fipc_waiter waiter = {.ready = is_decided, .arg = served};
    uint64_t deadline_ns = fipc_deadline_after(fipc_now_ns(), client->settings.connect_ns);
    int r;

    fipc_session_catch_up(client, fipc_now_ns());
    fipc_session_go_on(client);
    r = fipc_baton_wait(&client->baton, &waiter, deadline_ns);
    if (r < 0 && served->state == FIPC_SERVED_ASKED) /* it may still agree, and must not */
        fipc_session_lose(client, -ECONNRESET);
    if (r < 0)
        return r == -ETIMEDOUT ? -ECONNREFUSED : r;
    return served->state == FIPC_SERVED_REFUSED ? served->error : 0;
}

static int serve(struct fipc_client *client, const char *name, size_t name_bytes,
                 unsigned concurrency, fipc_request_fn *fn, void *userdata)
{
    struct fipc_served *served;
    int r;

    if (fipc_served_find(&client->served, name, name_bytes) != NULL)
        return -EEXIST;
    served = fipc_served_add(&client->served, name, name_bytes);
    if (served == NULL)
        return -ENOMEM;
    served->concurrency = concurrency;
    served->fn = fn;
    served->userdata = userdata;
    r = served_wait(client, served);
    if (r < 0)
        fipc_served_remove(served);
    return r;
}

FIPC_PUBLIC int fipc_serve(fipc_client *client, const char *name, unsigned concurrency,
                           fipc_request_fn *fn, void *userdata)
{
    size_t name_bytes = fipc_service_bytes(name);
    int r = fipc_session_check(client);

    if (r == 0 && (name_bytes == 0 || fn == NULL || concurrency > FIPC_CONCURRENCY_MAX))
        r = -EINVAL;
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->handle.lock);
    r = serve(client, name, name_bytes, concurrency, fn, userdata);
    (void)pthread_mutex_unlock(&client->handle.lock);
    return r;
}
