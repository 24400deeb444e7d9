/* SPDX-License-Identifier: MIT */
/*
 * Nothing happens twice that may not: what fails before the request is sent begins again on the
 * next connection, what fails afterwards is told as it is.
 */
#include "client/call.h"

#include "client/client.h"
#include "client/exchange.h"
#include "client/reader.h"
#include "common/clock.h"
#include "common/control.h"

#include <errno.h>
#include <string.h>

#define FLAGS_KNOWN FIPC_NO_WAIT

/* The broker ends what takes too long; it is given so much more time to say so. */
#define GRACE_NS (500 * FIPC_NS_PER_MS)

#define OPEN_BYTES_MAX                                                                             \
    (sizeof(struct fipc_control_header) + sizeof(struct fipc_named) + FIPC_NAME_BYTES_MAX)

static_assert(FIPC_NAME_MAX == FIPC_NAME_BYTES_MAX,
              "a name that users may use is one for the wire");

size_t fipc_service_bytes(const char *service)
{
    size_t bytes = service != NULL ? strnlen(service, FIPC_NAME_BYTES_MAX + 1) : 0;

    return bytes <= FIPC_NAME_BYTES_MAX ? bytes : 0;
}

int fipc_call_check(const void *data, size_t size, unsigned flags, int timeout_ms)
{
    if ((data == NULL && size > 0) || (flags & ~FLAGS_KNOWN) != 0 || timeout_ms < -1)
        return -EINVAL;
    return 0;
}

/* Asks the broker for the number of a service. Return: as fipc_exchange(); -ENOENT, -EACCES */
static int ask_target(struct fipc_client *client, const struct fipc_call *call,
                      uint64_t deadline_ns, uint32_t *ret_target)
{
    struct fipc_control open = {
        .type = FIPC_CONTROL_OPEN,
        .open = {.name_bytes = (uint32_t)call->service_bytes},
        .name = call->service,
    };
    unsigned char packet[OPEN_BYTES_MAX];
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_CONTROL},
        .payload = packet,
        .no_wait = (call->flags & FIPC_NO_WAIT) != 0,
        .deadline_ns = deadline_ns,
    };
    struct fipc_pending answer = {.answer_kind = FIPC_KIND_CONTROL};
    int r;

    r = fipc_control_encode(&open, packet, sizeof(packet), &question.size);
    if (r < 0)
        return r;
    r = fipc_exchange(client, &question, &answer);
    if (r < 0)
        return r;
    if (answer.status == -ECONNRESET) /* no harm in asking again */
        return FIPC_NOT_SENT;
    if (answer.status < 0)
        return answer.status;
    fipc_names_add(&client->names, call->service, call->service_bytes, answer.target);
    *ret_target = answer.target;
    return 0;
}

/* What has to be known before a request can be sent: of the open connection. */
struct route {
    uint32_t target;
    uint64_t now_ns;
};

static int find_route(struct fipc_client *client, const struct fipc_call *call,
                      uint64_t deadline_ns, struct route *route)
{
    int r;

    route->now_ns = call->started_ns;
    if (client->connection != NULL &&
        fipc_names_find(&client->names, call->service, call->service_bytes, &route->target))
        return 0;
    r = fipc_client_open(client, deadline_ns);
    if (r == 0)
        r = ask_target(client, call, deadline_ns, &route->target);
    route->now_ns = fipc_now_ns();
    if (r == 0 && client->connection == NULL) /* lost in the moment of the answer */
        r = FIPC_NOT_SENT;
    return r;
}

static int exchange_request(struct fipc_client *client, const struct fipc_call *call,
                            const struct route *route, uint64_t deadline_ns,
                            fipc_message **ret_reply)
{
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_REQUEST, .target = route->target},
        .payload = call->data,
        .size = call->size,
        .loan = call->loan,
        .no_wait = (call->flags & FIPC_NO_WAIT) != 0,
        .deadline_ns = deadline_ns,
    };
    struct fipc_pending answer = {
        .answer_kind = FIPC_KIND_REPLY,
        .keeps_payload = ret_reply != NULL,
    };
    int r;

    if (call->timeout_ms >= 0) /* 0 on the wire: the broker's longest */
        question.header.remaining_ns =
            deadline_ns > route->now_ns ? deadline_ns - route->now_ns : 1;
    r = fipc_exchange(client, &question, &answer);
    if (r < 0)
        return r;
    if (answer.status == 0 && ret_reply != NULL)
        *ret_reply = answer.reply;
    return answer.status;
}

static uint64_t deadline_of(const struct fipc_client *client, const struct fipc_call *call)
{
    uint64_t span_ns = fipc_timeout_ns(call->timeout_ms);
    uint64_t longest_ns = client->handler_ms * FIPC_NS_PER_MS + GRACE_NS;

    return fipc_deadline_after(call->started_ns, span_ns < longest_ns ? span_ns : longest_ns);
}

int fipc_call_run(struct fipc_client *client, const struct fipc_call *call,
                  fipc_message **ret_reply)
{
    uint64_t deadline_ns = deadline_of(client, call);
    struct route route;
    int r;

    if (call->size > fipc_ring_payload_max(client->request_ring_bytes))
        return -EMSGSIZE;
    fipc_reader_catch_up(client, call->started_ns);
    do {
        r = find_route(client, call, deadline_ns, &route);
        if (r == 0)
            r = exchange_request(client, call, &route, deadline_ns, ret_reply);
    } while (r == FIPC_NOT_SENT);
    return r;
}

FIPC_PUBLIC int fipc_call(fipc_client *client, const char *service, const void *data, size_t size,
                          unsigned flags, int timeout_ms, fipc_message **reply)
{
    struct fipc_call call = {
        .service = service,
        .service_bytes = fipc_service_bytes(service),
        .data = data,
        .size = size,
        .flags = flags,
        .timeout_ms = timeout_ms,
    };
    int r;

    r = fipc_client_check(client);
    if (r == 0)
        r = fipc_call_check(data, size, flags, timeout_ms);
    if (r == 0 && call.service_bytes == 0)
        r = -EINVAL;
    if (r < 0)
        return r;
    call.started_ns = fipc_now_ns();
    (void)pthread_mutex_lock(&client->lock);
    r = fipc_call_run(client, &call, reply);
    (void)pthread_mutex_unlock(&client->lock);
    return r;
}
