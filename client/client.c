/* SPDX-License-Identifier: MIT */
#include "client/client.h"

#include "client/base/message.h"
#include "client/base/process.h"
#include "client/session/session.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static void client_free(struct fipc_client *client)
{
    if (client->connection != NULL) {
        client->connection->n_users = 1; /* whoever read in a parent is not here */
        fipc_connection_release(client->connection, &client->connection->n_users);
    }
    fipc_backlog_deinit(&client->backlog);
    fipc_sending_deinit(&client->sending);
    fipc_serving_deinit(&client->serving);
    fipc_pollable_deinit(&client->pollable);
    fipc_names_clear(&client->names);
    fipc_pending_deinit(&client->pending);
    fipc_pool_close(client->pool);
    (void)pthread_mutex_destroy(&client->lock);
    free(client);
}

/* The fd is given the baton where no thread holds it any more. */
static void park(void *client) { fipc_pollable_park(client); }

int fipc_client_new(const struct fipc_settings *settings, struct fipc_client **ret_client)
{
    struct fipc_client *client;
    int r;

    client = calloc(1, sizeof(*client));
    if (client == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&client->lock, NULL);
    client->epoch = fipc_process_epoch();
    client->pool = fipc_pool_new();
    client->settings = *settings;
    client->n_refs = 1;
    fipc_baton_init(&client->baton, &client->lock, settings->spin_ns, fipc_reader_progress, park,
                    client);
    fipc_backlog_init(&client->backlog);
    fipc_serving_init(&client->serving);
    fipc_pollable_init(&client->pollable);
    r = fipc_pending_init(&client->pending);
    if (r == 0)
        r = fipc_sending_init(&client->sending);
    if (r == 0 && (client->epoch == FIPC_PROCESS_NONE || client->pool == NULL))
        r = -ENOMEM;
    if (r < 0) {
        client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

int fipc_client_check(const struct fipc_client *client)
{
    if (client == NULL)
        return -EINVAL;
    return fipc_process_made(client->epoch) ? 0 : -ECHILD;
}

static bool is_open(void *arg)
{
    const struct fipc_client *client = arg;

    return client->connection != NULL;
}

int fipc_client_open(struct fipc_client *client, uint64_t deadline_ns)
{
    struct fipc_waiter waiter = {.ready = is_open, .arg = client};
    int r;

    if (client->connection != NULL)
        return 0;
    r = fipc_baton_wait(&client->baton, &waiter, deadline_ns);
    return r == -ETIMEDOUT ? -ECONNREFUSED : r;
}

bool fipc_client_lock_to_release(struct fipc_client *client)
{
    if (fipc_process_made(client->epoch))
        return pthread_mutex_lock(&client->lock) == 0;
    return pthread_mutex_trylock(&client->lock) == 0;
}

FIPC_PUBLIC int fipc_connect(fipc_client **ret_client, const fipc_options *options)
{
    struct fipc_settings settings;
    struct fipc_client *client;
    int r;

    if (ret_client == NULL)
        return -EINVAL;
    r = fipc_settings_init(&settings, options);
    if (r < 0)
        return r;
    r = fipc_client_new(&settings, &client);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->lock);
    r = fipc_client_open(client, fipc_deadline_after(fipc_now_ns(), settings.connect_ns));
    (void)pthread_mutex_unlock(&client->lock);
    if (r < 0) {
        fipc_unref(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

FIPC_PUBLIC fipc_client *fipc_ref(fipc_client *client)
{
    if (client != NULL && fipc_client_lock_to_release(client)) {
        client->n_refs++;
        (void)pthread_mutex_unlock(&client->lock);
    }
    return client;
}

/* Nobody is left but requests that wait for their answer: nobody can dispatch. */
static bool is_abandoned(const struct fipc_client *client)
{
    return client->n_refs > 0 && client->n_refs == client->serving.n_in_hand &&
           fipc_process_made(client->epoch);
}

static void close_session(struct fipc_client *client)
{
    if (client->connection != NULL)
        fipc_reader_lose(client, -ECONNRESET);
    fipc_serving_forget_all(&client->serving);
}

FIPC_PUBLIC void fipc_unref(fipc_client *client)
{
    bool last;

    if (client == NULL || !fipc_client_lock_to_release(client))
        return;
    assert(client->n_refs > 0);
    last = --client->n_refs == 0;
    if (is_abandoned(client))
        close_session(client);
    (void)pthread_mutex_unlock(&client->lock);
    if (last)
        client_free(client);
}
