/* SPDX-License-Identifier: MIT */
#include "client/fipctl/broker.h"

#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static fipc_options connect_options(const struct invocation *invocation)
{
    return (fipc_options){
        .size = sizeof(fipc_options),
        .socket = invocation->socket_path,
        .connect_timeout_ms = (int)invocation->settings.timeout_ms,
    };
}

int broker_connect(const struct invocation *invocation, fipc_client **ret_client)
{
    const fipc_options options = connect_options(invocation);
    int r = fipc_connect(ret_client, &options);

    return r < 0 ? failure_of_connect(invocation, r) : EXIT_SUCCESS;
}

/*
 * The largest request that a session carries, found by asking for room: that is decided without a
 * message, and in one place, whatever sizes the broker is configured for. Return: @size if it fits.
 */
static size_t find_limit(fipc_client *client, const char *service, size_t size)
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

void broker_tell_limit(const struct invocation *invocation, const char *service, size_t size)
{
    const fipc_options options = connect_options(invocation);
    fipc_client *client;
    size_t limit = 0;

    if (fipc_connect(&client, &options) == 0) {
        limit = find_limit(client, service, size);
        fipc_unref(client);
    }
    if (limit > 0 && limit < size)
        failure_print("%s: %s: %zu bytes are too many for one request; the limit is %zu bytes",
                      invocation->command->name, service, size, limit);
    else
        failure_of_call(invocation, service, -EMSGSIZE);
}

int broker_call_once(const struct invocation *invocation, const char *service, const void *data,
                     size_t size, fipc_message **ret_reply)
{
    const fipc_options options = connect_options(invocation);
    int r = fipc_call_once(&options, service, data, size, (int)invocation->settings.timeout_ms,
                           ret_reply);

    switch (r) {
    case 0:
        return EXIT_SUCCESS;
    case -ECONNREFUSED:
        return failure_of_connect(invocation, r);
    case -EMSGSIZE:
        broker_tell_limit(invocation, service, size);
        return EXIT_CALL_FAILED;
    default:
        failure_of_call(invocation, service, r);
        return EXIT_CALL_FAILED;
    }
}

static int call(const struct invocation *invocation, fipc_client *client, const char *service,
                const char *question, fipc_message **ret_reply)
{
    int r;

    if (client == NULL)
        return broker_call_once(invocation, service, question, strlen(question), ret_reply);
    r = fipc_call(client, service, question, strlen(question), 0,
                  (int)invocation->settings.timeout_ms, ret_reply);
    if (r == 0)
        return EXIT_SUCCESS;
    failure_of_call(invocation, service, r);
    return EXIT_CALL_FAILED;
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
        failure_of_reply(invocation, service, "the reply is no JSON object");
        return EXIT_CALL_FAILED;
    }
    *ret_answer = answer;
    return EXIT_SUCCESS;
}
