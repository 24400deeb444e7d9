/* SPDX-License-Identifier: MIT */
/*
 * Nothing happens twice that may not: what fails before the request is sent begins again on the
 * next connection, what fails afterwards is told as it is.
 */
#include "client/call.h"

#include "client/client.h"
#include "client/exchange.h"
#include "client/session/session.h"
#include "common/clock.h"
#include "common/control.h"
#include "common/os/os.h"

#include <errno.h>
#include <string.h>

#define FLAGS_KNOWN (FIPC_WAIT_SERVICE | FIPC_NO_WAIT | FIPC_IDEMPOTENT)

/* The broker ends what takes too long; it is given so much more time to say so. */
#define GRACE_NS (500 * FIPC_NS_PER_MS)

static_assert(FIPC_NAME_MAX == FIPC_NAME_BYTES_MAX,
              "a name that users may use is one for the wire");

size_t fipc_service_bytes(const char *service)
{
    size_t bytes = service != NULL ? strnlen(service, FIPC_NAME_BYTES_MAX + 1) : 0;

    return fipc_name_is_valid(service, bytes) ? bytes : 0;
}

int fipc_call_check(const void *data, size_t size, unsigned flags, int timeout_ms)
{
    if ((data == NULL && size > 0) || (flags & ~FLAGS_KNOWN) != 0 || timeout_ms < -1)
        return -EINVAL;
    return 0;
}

int fipc_ask_encode(struct fipc_ask *ask, const char *service, size_t service_bytes, bool waits)
{
    const struct fipc_control control = {
        .type = waits ? FIPC_CONTROL_WAIT : FIPC_CONTROL_OPEN,
        .open = {.name_bytes = (uint32_t)service_bytes},
        .name = service,
    };

    return fipc_control_encode(&control, ask->packet, sizeof(ask->packet), &ask->size);
}

/* Asks the broker for the number of a service. Return: as fipc_exchange(); -ENOENT, -EACCES */
static int ask_target(struct fipc_client *client, const struct fipc_call *call,
                      uint64_t deadline_ns, uint32_t *ret_target)
{
    bool waits = (call->flags & FIPC_WAIT_SERVICE) != 0;
    struct fipc_ask ask;
    struct fipc_question question = {
        .header = {.kind = FIPC_KIND_CONTROL,
                   .remaining_ns = waits ? fipc_remaining_ns(deadline_ns, fipc_now_ns()) : 0},
        .payload = ask.packet,
        .no_wait = (call->flags & FIPC_NO_WAIT) != 0,
        .deadline_ns = deadline_ns,
    };
    struct fipc_pending answer = {.answer_kind = FIPC_KIND_CONTROL};
    int r;

    r = fipc_ask_encode(&ask, call->service, call->service_bytes, waits);
    if (r < 0)
        return r;
    question.size = ask.size;
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
    bool is_full; /* its queue: the request would only come back */
    uint64_t now_ns;
};

static int find_route(struct fipc_client *client, const struct fipc_call *call,
                      uint64_t deadline_ns, struct route *route)
{
    int r;

    route->now_ns = call->started_ns;
    if (client->connection != NULL &&
        fipc_names_find(&client->names, call->service, call->service_bytes, &route->target,
                        &route->is_full))
        return 0;
    route->is_full = false;
    r = fipc_client_open(client, deadline_ns);
    if (r == 0)
        r = ask_target(client, call, deadline_ns, &route->target);
    route->now_ns = fipc_now_ns();
    if (r == 0 && client->connection == NULL) /* lost in the moment of the answer */
        r = FIPC_NOT_SENT;
    return r;
}

bool fipc_is_to_be_sent_again(struct fipc_client *client, const struct fipc_pending *answer,
                              const char *service, size_t service_bytes, unsigned flags)
{
    if ((answer->reply_flags & FIPC_REPLY_NOT_DELIVERED) == 0)
        return false;
    switch (answer->status) {
    case -ENOENT: /* who served it has left since */
        if ((flags & FIPC_WAIT_SERVICE) == 0)
            return false;
        break;
    case -ESTALE:
        break;
    case -EAGAIN:
        return !answer->no_wait;
    default:
        return false;
    }
    fipc_names_forget(&client->names, service, service_bytes, answer->asked);
    return true;
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
           !fipc_names_is_full(&full->client->names, full->call->service,
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

static uint16_t request_flags(unsigned flags)
{
    return (uint16_t)(((flags & FIPC_WAIT_SERVICE) != 0 ? FIPC_REQUEST_WAIT_SERVICE : 0) |
                      ((flags & FIPC_NO_WAIT) != 0 ? FIPC_REQUEST_NO_WAIT : 0) |
                      ((flags & FIPC_IDEMPOTENT) != 0 ? FIPC_REQUEST_IDEMPOTENT : 0));
}

struct fipc_header fipc_request_header(uint32_t target, unsigned flags, uint64_t remaining_ns)
{
    return (struct fipc_header){
        .kind = FIPC_KIND_REQUEST,
        .flags = request_flags(flags),
        .target = target,
        .remaining_ns = remaining_ns,
    };
}

uint64_t fipc_remaining_ns(uint64_t deadline_ns, uint64_t now_ns)
{
    return deadline_ns > now_ns ? deadline_ns - now_ns : 1;
}

static int exchange_request(struct fipc_client *client, const struct fipc_call *call,
                            const struct route *route, uint64_t deadline_ns,
                            fipc_message **ret_reply)
{
    struct fipc_question question = {
        /* 0 on the wire: the broker's longest */
        .header = fipc_request_header(
            route->target, call->flags,
            call->timeout_ms >= 0 ? fipc_remaining_ns(deadline_ns, route->now_ns) : 0),
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
        .asked = route->target,
        .no_wait = (call->flags & FIPC_NO_WAIT) != 0,
    };
    int r;

    r = fipc_exchange(client, &question, &answer);
    if (r < 0)
        return r;
    if (fipc_is_to_be_sent_again(client, &answer, call->service, call->service_bytes, call->flags))
        return FIPC_NOT_SENT;
    if (answer.status == 0 && ret_reply != NULL)
        *ret_reply = answer.reply;
    return answer.status;
}

uint64_t fipc_call_deadline(const struct fipc_client *client, uint64_t started_ns, int timeout_ms)
{
    uint64_t span_ns = fipc_timeout_ns(timeout_ms);
    uint64_t longest_ns = client->handler_ms * FIPC_NS_PER_MS + GRACE_NS;

    return fipc_deadline_after(started_ns, span_ns < longest_ns ? span_ns : longest_ns);
}

int fipc_call_run(struct fipc_client *client, const struct fipc_call *call,
                  fipc_message **ret_reply)
{
    uint64_t deadline_ns = fipc_call_deadline(client, call->started_ns, call->timeout_ms);
    struct route route;
    int r;

    if (call->size > fipc_ring_payload_max(client->request_ring_bytes))
        return -EMSGSIZE;
    fipc_reader_catch_up(client, call->started_ns);
    do {
        r = find_route(client, call, deadline_ns, &route);
        if (r == 0 && route.is_full && (call->flags & FIPC_NO_WAIT) == 0) {
            r = wait_for_service_room(client, call, deadline_ns);
            r = r == 0 ? FIPC_NOT_SENT : r;
        }
        if (r == 0)
            r = exchange_request(client, call, &route, deadline_ns, ret_reply);
    } while (r == FIPC_NOT_SENT);
    return r;
}

int fipc_call_init(struct fipc_call *ret_call, const struct fipc_client *client,
                   const char *service, const void *data, size_t size, unsigned flags,
                   int timeout_ms)
{
    int r = fipc_client_check(client);

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
    (void)pthread_mutex_lock(&client->lock);
    fipc_reader_catch_up(client, call.started_ns);
    deadline_ns = fipc_call_deadline(client, call.started_ns, timeout_ms);
    do {
        r = fipc_client_open(client, deadline_ns);
        if (r == 0)
            r = ask_target(client, &call, deadline_ns, &target);
    } while (r == FIPC_NOT_SENT);
    (void)pthread_mutex_unlock(&client->lock);
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
    (void)pthread_mutex_lock(&client->lock);
    r = fipc_call_run(client, &call, reply);
    (void)pthread_mutex_unlock(&client->lock);
    return r;
}
