/* SPDX-License-Identifier: MIT */
#include "client/fipctl/broker.h"

#include "client/fipctl/failure.h"
#include "client/fipctl/invocation.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBE_MS_MIN 100

static fipc_options connect_options(const struct invocation *invocation, int timeout_ms)
{
    return (fipc_options){
        .size = sizeof(fipc_options),
        .socket = invocation->socket_path,
        .connect_timeout_ms = timeout_ms,
    };
}

int broker_try_connect(const struct invocation *invocation, int timeout_ms,
                       fipc_client **ret_client)
{
    const fipc_options options = connect_options(invocation, timeout_ms);

    return fipc_connect(ret_client, &options);
}

int broker_connect(const struct invocation *invocation, fipc_client **ret_client)
{
    int r = broker_try_connect(invocation, (int)invocation->settings.timeout_ms, ret_client);

    return r < 0 ? failure_of_connect(invocation, r) : EXIT_SUCCESS;
}

int broker_remaining_ms(const struct invocation *invocation)
{
    uint64_t waited_ms = (fipc_now_ns() - invocation->started_ns) / FIPC_NS_PER_MS;

    return waited_ms < invocation->settings.timeout_ms
               ? (int)(invocation->settings.timeout_ms - waited_ms)
               : 1;
}

/* Whether it is connecting that fails. A call without a connection ends with an error that services
 * return too, so this tries to connect: as long as --timeout lasts, and long enough for a busy
 * broker. */
static bool cannot_connect(const struct invocation *invocation)
{
    const int remaining_ms = broker_remaining_ms(invocation);
    fipc_client *client = NULL;
    int r = broker_try_connect(invocation,
                               remaining_ms > PROBE_MS_MIN ? remaining_ms : PROBE_MS_MIN, &client);

    fipc_unref(client);
    return r < 0;
}

static bool is_of_connect(const struct invocation *invocation, int error)
{
    bool is_ambiguous =
        error == -ECONNREFUSED || error == -EAGAIN || error == -EDQUOT || error == -EPROTONOSUPPORT;

    return (is_ambiguous && cannot_connect(invocation)) ||
           (error == -EACCES && access(invocation->socket_path, W_OK) < 0 && errno == EACCES);
}

int broker_tell_error(const struct invocation *invocation, const char *service, int error)
{
    return is_of_connect(invocation, error) ? failure_of_connect(invocation, error)
                                            : failure_of_call(invocation, service, error);
}

/* Asks the library for a loan: it decides without a message, and knows the broker's ring sizes. */
size_t broker_find_limit(fipc_client *client, const char *service, size_t size)
{
    size_t fits = 0, too_large = size + 1;

    while (too_large - fits > 1) {
        size_t middle = fits + (too_large - fits) / 2;
        fipc_message *loan;
        int r = fipc_loan(client, service, middle, &loan);

        if (r == 0)
            fipc_free(loan);
        if (r < 0 && r != -EMSGSIZE)
            return 0;
        if (r == 0)
            fits = middle;
        else
            too_large = middle;
    }
    return fits;
}

/* Prints that a request was too large, and the limit. */
static int tell_limit(const struct invocation *invocation, const char *service, size_t size)
{
    fipc_client *client;
    size_t limit = 0;

    if (broker_try_connect(invocation, (int)invocation->settings.timeout_ms, &client) == 0) {
        limit = broker_find_limit(client, service, size);
        fipc_unref(client);
    }
    if (limit == 0 || limit >= size)
        return broker_tell_error(invocation, service, -EMSGSIZE);
    failure_print("%s: %s: %zu bytes are too many for one request; the limit is %zu bytes",
                  invocation->command->name, service, size, limit);
    return EXIT_CALL_FAILED;
}

int broker_tell_call(const struct invocation *invocation, const char *service, size_t size, int r)
{
    switch (r) {
    case 0:
        return EXIT_SUCCESS;
    case -EMSGSIZE:
        return tell_limit(invocation, service, size);
    default:
        return broker_tell_error(invocation, service, r);
    }
}

int broker_call_once(const struct invocation *invocation, const char *service, const void *data,
                     size_t size, fipc_message **ret_reply)
{
    const int timeout_ms = (int)invocation->settings.timeout_ms;
    const fipc_options options = connect_options(invocation, timeout_ms);
    int r = fipc_call_once(&options, service, data, size, timeout_ms, ret_reply);

    return broker_tell_call(invocation, service, size, r);
}

/* The broker ends every wait after timeouts.handler_ms: then this asks again. */
int broker_wait_served(const struct invocation *invocation, fipc_client *client, const char *name)
{
    uint64_t deadline_ns =
        invocation->started_ns + invocation->settings.timeout_ms * FIPC_NS_PER_MS;
    int r;

    do {
        r = fipc_wait(client, name, broker_remaining_ms(invocation));
    } while (r == -ETIMEDOUT && fipc_now_ns() < deadline_ns);
    if (r == -ETIMEDOUT)
        return failure_of_wait(invocation, name);
    return r < 0 ? broker_tell_error(invocation, name, r) : EXIT_SUCCESS;
}

int broker_call_served(const struct invocation *invocation, const char *service, const void *data,
                       size_t size, fipc_message **ret_reply)
{
    fipc_client *client;
    int status = broker_connect(invocation, &client);
    int r = 0;

    if (status != EXIT_SUCCESS)
        return status;
    status = broker_wait_served(invocation, client, service);
    if (status == EXIT_SUCCESS)
        r = fipc_call(client, service, data, size, FIPC_WAIT_SERVICE,
                      broker_remaining_ms(invocation), ret_reply);
    fipc_unref(client);
    return status == EXIT_SUCCESS ? broker_tell_call(invocation, service, size, r) : status;
}

static int call(const struct invocation *invocation, fipc_client *client, const char *service,
                const char *question, fipc_message **ret_reply)
{
    size_t size = strlen(question);
    int r;

    if (client == NULL)
        return broker_call_once(invocation, service, question, size, ret_reply);
    r = fipc_call(client, service, question, size, 0, (int)invocation->settings.timeout_ms,
                  ret_reply);
    return broker_tell_call(invocation, service, size, r);
}

int broker_ask(const struct invocation *invocation, fipc_client *client, const char *service,
               const char *question, json_t **ret_answer)
{
    fipc_message *reply;
    json_t *answer;
    int status = call(invocation, client, service, question, &reply);

    if (status != EXIT_SUCCESS)
        return status;
    answer = json_loadb(fipc_data(reply), fipc_size(reply), JSON_REJECT_DUPLICATES, NULL);
    fipc_free(reply);
    if (!json_is_object(answer)) {
        json_decref(answer);
        return failure_of_reply(invocation, service, "the reply is no JSON object");
    }
    *ret_answer = answer;
    return EXIT_SUCCESS;
}
