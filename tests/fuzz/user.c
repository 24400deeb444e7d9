/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/user.h"

#include <errno.h>
#include <fipc/client.h>
#include <fipc/service.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES_MAX 8192
#define CALLS_MAX 64
#define REQUESTS_MAX 16
/* Callbacks and handlers make moves, too; so deep do these nest. */
#define DEPTH_MAX 3

struct call {
    uint64_t id;
    bool is_open; /* submitted, and its callback has not run */
};

static struct input *script;
static fipc_client *client;
static fipc_message *loan;
static struct call calls[CALLS_MAX];
static unsigned n_calls;
static fipc_request *requests[REQUESTS_MAX]; /* NULL: answered */
static unsigned depth;

static const char text[TEXT_BYTES_MAX];

/* ---- what moves need ---- */

static fipc_options read_options(void)
{
    uint8_t rings = input_byte(script);
    fipc_options options = {
        .size = sizeof(options),
        .socket = "/nowhere",
        .spin_us = UINT32_MAX,
        .connect_timeout_ms = (int16_t)input_u16(script),
    };

    options.request_ring_bytes = rings % 16 == 0 ? 0 : UINT32_C(1) << rings % 16;
    options.reply_ring_bytes = rings / 16 == 0 ? 0 : UINT32_C(1) << rings / 16;
    return options;
}

static const char *read_service(void)
{
    static const char *const services[] = {"fipc.echo", "a", "another.name", ""};

    return services[input_byte(script) % 4];
}

static size_t read_size(void) { return input_u16(script) % TEXT_BYTES_MAX; }

/* All that there are, and one that there is not. */
static unsigned read_flags(void)
{
    static const unsigned flags[] = {0, FIPC_NO_WAIT, FIPC_WAIT_SERVICE, FIPC_IDEMPOTENT};
    uint8_t choice = input_byte(script);

    return choice == UINT8_MAX ? 1u << 31 : flags[choice % 4] | flags[choice / 4 % 4];
}

static int read_timeout(void) { return (int16_t)input_u16(script); }

static fipc_request **read_request(void) { return &requests[input_byte(script) % REQUESTS_MAX]; }

/* ---- what the library tells ---- */

static void look_at(const void *data, size_t size)
{
    static volatile unsigned char sum;

    for (size_t i = 0; i < size; i++)
        sum = (unsigned char)(sum + ((const unsigned char *)data)[i]);
}

/* What the library says is one of its errors; a reply is there to be read. */
static void check_result(int r, const fipc_message *reply)
{
    FUZZ_CHECK(r <= 0);
    FUZZ_CHECK(fipc_strerror(r)[0] != '\0');
    FUZZ_CHECK(r == 0 || reply == NULL);
    look_at(fipc_data(reply), fipc_size(reply));
}

/* In the middle of a dispatch: another move. */
static void move_inside(void)
{
    if (depth == DEPTH_MAX || script->left == 0)
        return;
    depth++;
    user_moves(script, (enum user_move)(input_byte(script) % USER_MOVE_COUNT));
    depth--;
}

static void on_reply(int error, const fipc_message *reply, void *userdata)
{
    struct call *call = userdata;

    FUZZ_CHECK(call->is_open);
    call->is_open = false;
    check_result(error, reply);
    move_inside();
}

static void on_request(fipc_request *request, void *userdata)
{
    (void)userdata;
    look_at(fipc_request_data(request), fipc_request_size(request));
    for (int i = 0; i < REQUESTS_MAX; i++) {
        if (requests[i] == NULL) {
            requests[i] = request;
            move_inside();
            return;
        }
    }
    check_result(fipc_reply_error(request, EAGAIN), NULL);
}

/* ---- calls ---- */

static void connects(void)
{
    fipc_options options = read_options();

    if (client == NULL && fipc_connect(&client, &options) < 0)
        client = NULL;
}

static void makes_call(void)
{
    const char *service = read_service();
    size_t size = read_size();
    unsigned flags = read_flags();
    int timeout_ms = read_timeout();
    fipc_message *reply = NULL;

    check_result(fipc_call(client, service, text, size, flags, timeout_ms, &reply), reply);
    fipc_free(reply);
}

static void makes_call_once(void)
{
    const char *service = read_service();
    size_t size = read_size();
    int timeout_ms = read_timeout();
    fipc_options options = read_options();
    fipc_message *reply = NULL;

    check_result(fipc_call_once(&options, service, text, size, timeout_ms, &reply), reply);
    fipc_free(reply);
}

static void takes_loan(void)
{
    const char *service = read_service();
    size_t size = read_size();

    if (loan != NULL || fipc_loan(client, service, size, &loan) < 0)
        return;
    memset(fipc_loan_data(loan), 'x', fipc_size(loan));
}

static void sends_loan(void)
{
    unsigned flags = read_flags();
    int timeout_ms = read_timeout();
    fipc_message *reply = NULL, *sent = loan;

    loan = NULL;
    check_result(fipc_send(sent, flags, timeout_ms, &reply), reply);
    fipc_free(reply);
}

static void frees_loan(void)
{
    fipc_free(loan);
    loan = NULL;
}

static void unrefs(void)
{
    fipc_unref(client);
    client = NULL;
}

static void waits(void)
{
    const char *service = read_service();

    check_result(fipc_wait(client, service, read_timeout()), NULL);
}

/* ---- calls that nobody waits for ---- */

static void submits(void)
{
    const char *service = read_service();
    size_t size = read_size();
    unsigned flags = read_flags();
    int r, timeout_ms = read_timeout();
    struct call *call = &calls[n_calls % CALLS_MAX];

    if (call->is_open)
        return;
    r = fipc_submit(client, service, text, size, flags, timeout_ms, on_reply, call, &call->id);
    check_result(r, NULL);
    if (r < 0)
        return;
    call->is_open = true;
    n_calls++;
}

static void cancels(void)
{
    const struct call *call = &calls[(n_calls - 1 - input_byte(script)) % CALLS_MAX];
    bool was_open = call->is_open;
    int r = fipc_cancel(client, call->id);

    FUZZ_CHECK(r < 0 || was_open);
}

static void dispatches(void)
{
    int r, timeout_ms = read_timeout();

    /* without a limit it goes on for as long as there is no broker */
    r = fipc_dispatch(client, timeout_ms < 0 ? -2 : timeout_ms);
    FUZZ_CHECK(fipc_strerror(r)[0] != '\0');
}

static void polls(void) { FUZZ_CHECK(client == NULL || fipc_fd(client) >= 0); }

/* ---- serving ---- */

static void serves(void)
{
    const char *service = read_service();

    check_result(fipc_serve(client, service, input_byte(script), on_request, NULL), NULL);
}

static void answers(void)
{
    fipc_request **request = read_request();
    int r, status = input_u16(script);
    size_t size = read_size();

    r = status != 0 ? fipc_reply_error(*request, status) : fipc_reply(*request, text, size);
    check_result(r, NULL);
    if (r != -EMSGSIZE && r != -EINVAL)
        *request = NULL;
}

static void looks_at_request(void)
{
    const fipc_request *request = *read_request();
    const fipc_peer *peer = fipc_peer_of(request);

    FUZZ_CHECK((peer == NULL) == (request == NULL));
    look_at(fipc_request_data(request), fipc_request_size(request));
    if (request == NULL)
        return;
    look_at(peer->groups, peer->n_groups * sizeof(peer->groups[0]));
    check_result(-fipc_request_is_cancelled(request), NULL);
}

static void asks_pidfd(void)
{
    int fd = fipc_peer_pidfd(*read_request());

    if (fd >= 0)
        (void)close(fd);
    else
        check_result(fd, NULL);
}

/* ---- */

void user_moves(struct input *input, enum user_move move)
{
    static void (*const moves[USER_MOVE_COUNT])(void) = {
        [USER_CONNECTS] = connects,
        [USER_CALLS] = makes_call,
        [USER_CALLS_ONCE] = makes_call_once,
        [USER_TAKES_LOAN] = takes_loan,
        [USER_SENDS_LOAN] = sends_loan,
        [USER_FREES_LOAN] = frees_loan,
        [USER_UNREFS] = unrefs,
        [USER_SUBMITS] = submits,
        [USER_CANCELS] = cancels,
        [USER_DISPATCHES] = dispatches,
        [USER_WAITS] = waits,
        [USER_SERVES] = serves,
        [USER_ANSWERS] = answers,
        [USER_LOOKS_AT] = looks_at_request,
        [USER_ASKS_PIDFD] = asks_pidfd,
        [USER_POLLS] = polls,
    };

    script = input;
    moves[move]();
}

void user_ends(void)
{
    frees_loan();
    for (int i = 0; i < REQUESTS_MAX; i++) {
        if (requests[i] != NULL)
            check_result(fipc_reply_error(requests[i], ECANCELED), NULL);
        requests[i] = NULL;
    }
    unrefs();
    memset(calls, 0, sizeof(calls));
    n_calls = 0;
}
