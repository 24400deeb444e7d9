/* SPDX-License-Identifier: MIT */
#include "client/fipctl/base64.h"
#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"
#include "client/fipctl/options.h"
#include "client/fipctl/output.h"
#include "client/fipctl/payload.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct option_spec call_options[] = {
    {"wait", 'w', OPTION_FLAG, NULL, "Wait until somebody serves the name",
     offsetof(struct settings, call.wait), 0, 0},
    {0},
};

/* Reads all of stdin, and waits for it even if its other users made it non-blocking. Return: 0;
 * -EFBIG if it has more than PAYLOAD_BYTES_MAX; the error of payload_read() */
static int read_stdin(struct payload *payload)
{
    struct pollfd readable = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t n;

    while ((n = payload_read(payload, STDIN_FILENO)) != 0) {
        if (n == -EINTR || n == -EAGAIN)
            (void)poll(&readable, 1, -1);
        else if (n < 0)
            return (int)n;
        if (payload->size > PAYLOAD_BYTES_MAX)
            return -EFBIG;
    }
    return 0;
}

/* Gets the data to send: the text of the command line, stdin, or nothing. Return: EXIT_SUCCESS;
 * EXIT_CALL_FAILED */
static int payload_init(struct payload *payload, const char *data)
{
    int r = 0;

    *payload = (struct payload){0};
    if (data != NULL && strcmp(data, "-") == 0) {
        r = read_stdin(payload);
    } else if (data != NULL) {
        payload->bytes = strdup(data);
        payload->size = strlen(data);
        r = payload->bytes == NULL ? -ENOMEM : 0;
    }
    errno = -r;
    if (r == -EFBIG)
        failure_print("call: standard input has more than %" PRIu64 " bytes; send less",
                      PAYLOAD_BYTES_MAX);
    else if (r < 0)
        failure_print("call: cannot read the data: %m; look where it comes from");
    return r < 0 ? EXIT_CALL_FAILED : EXIT_SUCCESS;
}

static json_t *json_base64(const void *data, size_t size)
{
    char *text = base64_encode(data, size);
    json_t *json = json_string(text);

    free(text);
    return json;
}

/* Text stays readable, bytes stay exact. Return: NULL if there is no memory */
static json_t *json_reply(const char *service, const void *data, size_t size)
{
    json_t *text = json_stringn(size > 0 ? data : "", size); /* NULL: not UTF-8 */

    return json_pack("{s:s, s:I, s:o}", "service", service, "bytes", (json_int_t)size,
                     text != NULL ? "data" : "data_base64",
                     text != NULL ? text : json_base64(data, size));
}

static int call(const struct invocation *invocation, const char *service,
                const struct payload *payload, fipc_message **ret_reply)
{
    if (invocation->settings.call.wait)
        return broker_call_served(invocation, service, payload->bytes, payload->size, ret_reply);
    return broker_call_once(invocation, service, payload->bytes, payload->size, ret_reply);
}

int call_run(const struct invocation *invocation)
{
    const char *service = invocation->arguments[0];
    fipc_message *reply;
    struct payload payload;
    int status = options_check_name(invocation, service);

    if (status != OPTIONS_GO_ON)
        return status;
    status = payload_init(&payload, invocation->n_arguments > 1 ? invocation->arguments[1] : NULL);
    if (status == EXIT_SUCCESS)
        status = call(invocation, service, &payload, &reply);
    payload_deinit(&payload);
    if (status != EXIT_SUCCESS)
        return status;
    if (invocation->settings.json)
        output_json(json_reply(service, fipc_data(reply), fipc_size(reply)));
    else
        output_bytes(fipc_data(reply), fipc_size(reply));
    fipc_free(reply);
    return EXIT_SUCCESS;
}
