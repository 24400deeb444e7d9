/* SPDX-License-Identifier: MIT */
#include "client/session/client.h"

#include "client/session/session.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>

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
    r = fipc_session_new(&settings, &client);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->handle.lock);
    r = fipc_session_open(client, fipc_deadline_after(fipc_now_ns(), settings.connect_ns));
    (void)pthread_mutex_unlock(&client->handle.lock);
    if (r < 0) {
        fipc_unref(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

FIPC_PUBLIC fipc_client *fipc_ref(fipc_client *client)
{
    if (client != NULL)
        fipc_handle_ref(&client->handle);
    return client;
}

FIPC_PUBLIC void fipc_unref(fipc_client *client)
{
    if (client != NULL)
        fipc_handle_unref(&client->handle);
}
