/* SPDX-License-Identifier: MIT */
/*
 * A small request travels inside the greeting, and its reply comes back on the lane: no region, no
 * bell. A larger one takes a session that lives for one call.
 */
#include "client/base/message.h"
#include "client/base/settings.h"
#include "client/call.h"
#include "client/link/greeting.h"
#include "client/session/client.h"
#include "client/session/session.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <sys/random.h>

/* When to have found a broker, and when to have the reply. */
struct once_deadlines {
    uint64_t connect_ns;
    uint64_t reply_ns;
};

static struct once_deadlines deadlines_of(const struct fipc_settings *settings,
                                          const struct fipc_call *call)
{
    struct once_deadlines deadlines = {
        .connect_ns = fipc_deadline_after(call->started_ns, settings->connect_ns),
        .reply_ns = fipc_deadline_after(call->started_ns, fipc_timeout_ns(call->timeout_ms)),
    };

    if (deadlines.connect_ns > deadlines.reply_ns)
        deadlines.connect_ns = deadlines.reply_ns;
    return deadlines;
}

static int call_in_session(const struct fipc_settings *settings, const struct fipc_call *call,
                           fipc_message **ret_reply)
{
    struct fipc_client *client;
    int r;

    r = fipc_session_new(settings, &client);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->handle.lock);
    r = fipc_session_open(client, deadlines_of(settings, call).connect_ns);
    if (r == 0)
        r = fipc_call_run(client, call, ret_reply);
    (void)pthread_mutex_unlock(&client->handle.lock);
    fipc_unref(client);
    return r;
}

/* Turns the packet in the message's buffer into its reply. Return: the status; -EPROTO */
static int take_reply(const struct fipc_greeting *greeting, struct fipc_message *message)
{
    const struct fipc_oneshot_reply *reply = &greeting->answer.oneshot_reply;

    if (reply->id != greeting->hello.hello.id || reply->status > 0)
        return -EPROTO;
    message->data = message->buffer + ((const unsigned char *)greeting->answer.data -
                                       (const unsigned char *)message->buffer);
    message->size = reply->data_bytes;
    return reply->status;
}

static int call_in_greeting(const struct fipc_settings *settings, const struct fipc_call *call,
                            struct fipc_message *message)
{
    struct once_deadlines deadlines = deadlines_of(settings, call);
    struct fipc_greeting greeting = {
        .address = &settings->address,
        .hello = {.type = FIPC_CONTROL_HELLO,
                  .hello = {.flags = FIPC_HELLO_ONESHOT,
                            .name_bytes = (uint32_t)call->service_bytes,
                            .data_bytes = (uint32_t)call->size},
                  .name = call->service,
                  .data = call->data},
        .connect_deadline_ns = deadlines.connect_ns,
        .deadline_ns = deadlines.reply_ns,
        .packet = message->buffer,
        .packet_size = message->capacity,
    };
    int r;

    while (getrandom(&greeting.hello.hello.id, sizeof(greeting.hello.hello.id), 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    greeting.hello.hello.id |= 1; /* 0 is no id */
    r = fipc_greet(&greeting);
    if (r == 0)
        r = take_reply(&greeting, message);
    fipc_greeting_end(&greeting);
    return r;
}

FIPC_PUBLIC int fipc_call_once(const fipc_options *options, const char *service, const void *data,
                               size_t size, int timeout_ms, fipc_message **reply)
{
    struct fipc_call call = {
        .service = service,
        .service_bytes = fipc_service_bytes(service),
        .data = data,
        .size = size,
        .timeout_ms = timeout_ms,
        .started_ns = fipc_now_ns(),
    };
    struct fipc_settings settings;
    struct fipc_message *message;
    int r;

    r = fipc_call_check(data, size, 0, timeout_ms);
    if (r < 0)
        return r;
    if (call.service_bytes == 0)
        return -EINVAL;
    r = fipc_settings_init(&settings, options);
    if (r < 0)
        return r;
    if (size > FIPC_ONESHOT_DATA_BYTES_MAX)
        return call_in_session(&settings, &call, reply);

    message = fipc_message_new(NULL, FIPC_PACKET_BYTES_MAX);
    if (message == NULL)
        return -ENOMEM;
    r = call_in_greeting(&settings, &call, message);
    if (r == 0 && reply != NULL)
        *reply = message;
    else
        fipc_message_recycle(message);
    return r;
}
