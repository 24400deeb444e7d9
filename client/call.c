/* SPDX-License-Identifier: MIT */
/*
 * Nothing happens twice that may not: a call that fails before its request is sent begins again on
 * the next connection, a call that fails afterwards returns the error.
 */
#include "client/call.h"

#include "client/exchange.h"
#include "client/session/client.h"
#include "client/session/session.h"
#include "common/control.h"
#include "common/os/os.h"

#include <errno.h>
#include <string.h>

/* Asks the broker for the number of a service. Return: as fipc_exchange(); -ENOENT, -EACCES */
static int ask_target(struct fipc_client *client, const struct fipc_call *call,
                      uint64_t deadline_ns, uint32_t *ret_target)
{
    bool waits = (call->flags & FIPC_WAIT_SERVICE) != 0;
    struct fipc_packet packet;
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_CONTROL,
                   .remaining_ns = waits ? fipc_remaining_ns(deadline_ns, fipc_now_ns()) : 0},
        .payload = packet.bytes,
        .no_wait = (call->flags & FIPC_NO_WAIT) != 0,
        .deadline_ns = deadline_ns,
    };
    struct fipc_pending answer = {.answer_kind = FIPC_KIND_CONTROL};
    uint64_t connection = client->connection->number;
    int r;

    r = fipc_packet_ask(&packet, call->service, call->service_bytes, waits);
    if (r < 0)
        return r;
    question.size = packet.size;
    r = fipc_exchange(client, &question, &answer);
    if (r < 0)
        return r;
    if (answer.status == -ECONNRESET) /* no harm in asking again */
        return FIPC_NOT_SENT;
    if (answer.status < 0)
        return answer.status;
    if (fipc_session_is_on(client, connection))
        fipc_names_add(&client->connection->names, call->service, call->service_bytes,
                       answer.target);
    *ret_target = answer.target;
    return 0;
}

/* Where a request goes: known before it is sent, on the open connection. */
struct destination {
    uint32_t target;
    bool is_full; /* its queue: the request would only come back */
    uint64_t now_ns;
};

static int find_destination(struct fipc_client *client, const struct fipc_call *call,
                            uint64_t deadline_ns, struct destination *destination)
{
    uint64_t connection;
    int r;

    destination->now_ns = call->started_ns;
    if (client->connection != NULL &&
        fipc_names_find(&client->connection->names, call->service, call->service_bytes,
                        &destination->target, &destination->is_full))
        return 0;
    destination->is_full = false;
    r = fipc_session_open(client, deadline_ns);
    if (r < 0)
        return r;
    connection = client->connection->number;
    r = ask_target(client, call, deadline_ns, &destination->target);
    destination->now_ns = fipc_now_ns();
    if (r == 0 && !fipc_session_is_on(client, connection)) /* lost in the moment of the answer */
        r = FIPC_NOT_SENT;
    return r;
}

/* A service whose queue was full. */
struct full_service {
    const struct fipc_client *client;
    const struct fipc_connection *connection;
    const struct fipc_call *call;
};

static bool has_room_again(void *arg)
{
    const struct full_service *full = arg;

    return full->client->connection != full->connection ||
           !fipc_names_is_full(&full->connection->names, full->call->service,
                               full->call->service_bytes);
}

/* Return: 0; -ETIMEDOUT */
static int wait_for_service_room(struct fipc_client *client, const struct fipc_call *call,
                                 uint64_t deadline_ns)
{
    struct full_service full = {client, client->connection, call};
    struct fipc_waiter waiter = {.ready = has_room_again, .arg = &full};

    return fipc_baton_wait(&client->baton, &waiter, deadline_ns);
}

static int exchange_request(struct fipc_client *client, const struct fipc_call *call,
                            const struct destination *destination, uint64_t deadline_ns,
                            fipc_message **ret_reply)
{
    struct fipc_question question = {
        /* 0 on the wire: the broker's longest */
        .header = fipc_request_header(
            destination->target, call->flags,
            call->timeout_ms >= 0 ? fipc_remaining_ns(deadline_ns, destination->now_ns) : 0),
        .payload = call->data,
        .size = call->size,
        .loan = call->loan,
        .no_wait = (call->flags & FIPC_NO_WAIT) != 0,
        .deadline_ns = deadline_ns,
    };
    struct fipc_pending answer = {
        .answer_kind = FIPC_KIND_REPLY,
        .keeps_payload = ret_reply != NULL,
        .is_idempotent = (call->flags & FIPC_IDEMPOTENT) != 0,
        .asked = destination->target,
        .no_wait = (call->flags & FIPC_NO_WAIT) != 0,
    };
    uint64_t connection = client->connection->number;
    int r;

    r = fipc_exchange(client, &question, &answer);
    if (r < 0)
        return r;
    if ((answer.reply_flags & FIPC_REPLY_NOT_DELIVERED) != 0 &&
        fipc_names_send_again(fipc_session_is_on(client, connection) ? &client->connection->names
                                                                     : NULL,
                              &answer, call->service, call->service_bytes, call->flags))
        return FIPC_NOT_SENT;
    if (answer.status == 0 && ret_reply != NULL)
        *ret_reply = answer.reply;
    return answer.status;
}

int fipc_call_run(struct fipc_client *client, const struct fipc_call *call,
                  fipc_message **ret_reply)
{
    uint64_t deadline_ns =
        fipc_call_deadline(client->handler_ms, call->started_ns, call->timeout_ms);
    struct destination destination;
    int r;

    if (call->size > fipc_ring_payload_max(client->request_ring_bytes))
        return -EMSGSIZE;
    fipc_session_catch_up(client, call->started_ns);
    do {
        r = find_destination(client, call, deadline_ns, &destination);
        if (r == 0 && destination.is_full && (call->flags & FIPC_NO_WAIT) == 0) {
            r = wait_for_service_room(client, call, deadline_ns);
            r = r == 0 ? FIPC_NOT_SENT : r;
        }
        if (r == 0)
            r = exchange_request(client, call, &destination, deadline_ns, ret_reply);
    } while (r == FIPC_NOT_SENT);
    return r;
}

int fipc_call_init(struct fipc_call *ret_call, const struct fipc_client *client,
                   const char *service, const void *data, size_t size, unsigned flags,
                   int timeout_ms)
{
    int r = fipc_session_check(client);

    if (r == 0)
        r = fipc_call_check(data, size, flags, timeout_ms);
    if (r < 0)
        return r;
    *ret_call = (struct fipc_call){
        .service = service,
        .service_bytes = fipc_service_bytes(service),
        .data = data,
        .size = size,
        .flags = flags,
        .timeout_ms = timeout_ms,
        .started_ns = fipc_now_ns(),
    };
    return ret_call->service_bytes == 0 ? -EINVAL : 0;
}

FIPC_PUBLIC int fipc_wait(fipc_client *client, const char *service, int timeout_ms)
{
    struct fipc_call call;
    uint64_t deadline_ns;
    uint32_t target;
    int r;

    r = fipc_call_init(&call, client, service, NULL, 0, FIPC_WAIT_SERVICE, timeout_ms);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->handle.lock);
    fipc_session_catch_up(client, call.started_ns);
    deadline_ns = fipc_call_deadline(client->handler_ms, call.started_ns, timeout_ms);
    do {
        r = fipc_session_open(client, deadline_ns);
        if (r == 0)
            r = ask_target(client, &call, deadline_ns, &target);
    } while (r == FIPC_NOT_SENT);
    (void)pthread_mutex_unlock(&client->handle.lock);
    return r;
}

FIPC_PUBLIC int fipc_call(fipc_client *client, const char *service, const void *data, size_t size,
                          unsigned flags, int timeout_ms, fipc_message **reply)
{
    struct fipc_call call;
    int r;

    r = fipc_call_init(&call, client, service, data, size, flags, timeout_ms);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&client->handle.lock);
    r = fipc_call_run(client, &call, reply);
    (void)pthread_mutex_unlock(&client->handle.lock);
    return r;
}
