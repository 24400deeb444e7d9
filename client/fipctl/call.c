/* SPDX-License-Identifier: MIT */
#include "client/fipctl/base64.h"
#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"
#include "client/fipctl/output.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 65536 /* to begin with */

struct payload {
    char *bytes; /* for free(3) */
    size_t size, capacity;
};

/* Return: 0; -ENOMEM */
static int payload_grow(struct payload *payload)
{
    size_t capacity = payload->capacity > 0 ? payload->capacity * 2 : READ_BYTES;
    char *bytes = realloc(payload->bytes, capacity);

    if (bytes == NULL)
        return -ENOMEM;
    payload->bytes = bytes;
    payload->capacity = capacity;
    return 0;
}

/* As read(2), but waits also where somebody else made stdin non-blocking. */
static ssize_t read_stdin(void *buffer, size_t size)
{
    struct pollfd readable = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t n;

    while ((n = read(STDIN_FILENO, buffer, size)) < 0 && (errno == EINTR || errno == EAGAIN))
        (void)poll(&readable, 1, -1);
    return n;
}

/* Return: 0; -EFBIG more than PAYLOAD_BYTES_MAX; the error of read(2); -ENOMEM */
static int payload_read(struct payload *payload)
{
    ssize_t n = 1;

    while (n > 0) {
        if (payload->size == payload->capacity && payload_grow(payload) < 0)
            return -ENOMEM;
        n = read_stdin(payload->bytes + payload->size, payload->capacity - payload->size);
        payload->size += n > 0 ? (size_t)n : 0;
        if (payload->size > PAYLOAD_BYTES_MAX)
            return -EFBIG;
    }
    return n < 0 ? -errno : 0;
}

/* What to send: the text of the command line, stdin, or nothing. Return: EXIT_SUCCESS;
 * EXIT_CALL_FAILED */
static int payload_init(struct payload *payload, const char *data)
{
    int r = 0;

    *payload = (struct payload){0};
    if (data != NULL && strcmp(data, "-") == 0) {
        r = payload_read(payload);
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

/* Text stays readable, bytes stay exact. Return: NULL: no memory */
static json_t *json_reply(const char *service, const void *data, size_t size)
{
    json_t *text = json_stringn(size > 0 ? data : "", size); /* NULL: not UTF-8 */

    return json_pack("{s:s, s:I, s:o}", "service", service, "bytes", (json_int_t)size,
                     text != NULL ? "data" : "data_base64",
                     text != NULL ? text : json_base64(data, size));
}

int call_run(const struct invocation *invocation)
{
    const char *service = invocation->arguments[0];
    fipc_message *reply;
    struct payload payload;
    int status;

    if (service[0] == '\0' || strlen(service) > FIPC_NAME_MAX)
        return failure_of_usage(invocation, "the name of a service has 1 to %d bytes",
                                FIPC_NAME_MAX);
    status = payload_init(&payload, invocation->n_arguments > 1 ? invocation->arguments[1] : NULL);
    if (status == EXIT_SUCCESS)
        status = broker_call_once(invocation, service, payload.bytes, payload.size, &reply);
    free(payload.bytes);
    if (status != EXIT_SUCCESS)
        return status;
    if (invocation->settings.json)
        output_json(json_reply(service, fipc_data(reply), fipc_size(reply)));
    else
        output_bytes(fipc_data(reply), fipc_size(reply));
    fipc_free(reply);
    return EXIT_SUCCESS;
}
