/* SPDX-License-Identifier: MIT */
#include "client/fipctl/base64.h"
#include "client/fipctl/command.h"
#include "client/fipctl/duration.h"
#include "client/fipctl/options.h"
#include "client/fipctl/samples.h"
#include "tests/integration/fake_broker.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct {
    uint64_t ns;
    const char *text;
} durations[] = {
    {0, "0 ns"},
    {999, "999 ns"},
    {1000, "1.00 us"},
    {9994, "9.99 us"},
    {9995, "10.0 us"},
    {99949, "99.9 us"},
    {99950, "100 us"},
    {999499, "999 us"},
    {999500, "1.00 ms"},
    {1234567, "1.23 ms"},
    {999499999, "999 ms"},
    {999500000, "1.00 s"},
    {UINT64_C(59000000000), "59.0 s"},
    {UINT64_C(60000000000), "1.00 min"},
    {UINT64_C(3600000000000), "1.00 h"},
    {UINT64_C(86400000000000), "1.00 d"},
    {UINT64_MAX, "213504 d"},
};

GROUP(parts);

LOOP_TEST(duration_has_three_digits_and_the_unit_that_fits, COUNT_OF(durations))
{
    ck_assert_str_eq(duration_format(durations[_i].ns).text, durations[_i].text);
}

TEST(duration_never_shrinks_while_time_grows)
{
    /* Each rounded text is one of a longer time, or the same: a unit that came stays. */
    const char *units[] = {"ns", "us", "ms", "s", "min", "h", "d"};
    size_t unit = 0;

    for (uint64_t ns = 1; ns < UINT64_MAX / 2; ns += ns / 64 + 1) {
        struct duration_text duration = duration_format(ns);
        size_t i = 0;

        while (strcmp(strchr(duration.text, ' ') + 1, units[i]) != 0)
            i++;
        ck_assert_uint_ge(i, unit);
        unit = i;
        ck_assert(strtod(duration.text, NULL) < 1000 || strcmp(units[i], "d") == 0);
    }
}

/* The definition, counted: the smallest sample that at least @per_mille of 1000 samples don't
 * exceed.
 */
static uint64_t counted_percentile(uint64_t n, unsigned per_mille)
{
    uint64_t value = 1;

    while (value * 1000 < n * per_mille)
        value++;
    return value;
}

LOOP_TEST(percentile_is_that_of_the_nearest_rank, 39 + 5)
{
    static const unsigned asked[] = {0, 1, 500, 501, 900, 990, 999, 1000};
    size_t n = (size_t)(_i < 39 ? 1 + _i : 998 + _i - 39); /* small, and around 1000 */
    struct samples samples;

    ck_assert_int_eq(samples_init(&samples, n), 0);
    for (size_t i = 0; i < n; i++) /* 1 to n, out of order */
        samples_add(&samples, i % 2 == 0 ? n - i / 2 : i / 2 + 1);
    samples_sort(&samples);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
        ck_assert_uint_eq(samples_percentile(&samples, asked[i]), counted_percentile(n, asked[i]));
    samples_deinit(&samples);
}

TEST(base64_is_that_of_the_rfc)
{
    static const struct {
        const char *text, *base64;
    } vectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfd\xfb\xef\xbe", "//79++++"},
    };

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char *base64 = base64_encode(vectors[i].text, strlen(vectors[i].text));

        ck_assert_str_eq(base64, vectors[i].base64);
        free(base64);
    }
}

/* ---- a broker that is lost ---- */

/* Runs a command line, its words separated by spaces. @said: what it wrote to stderr. Return: the
 * exit status */
static int run_fipctl(char *line, char *said, size_t size)
{
    int said_fd = memfd_create("stderr", MFD_CLOEXEC), saved_fd = dup(STDERR_FILENO);
    struct invocation invocation;
    char *argv[16], *rest = line;
    int argc = 0, status;
    ssize_t n;

    while ((argv[argc] = strtok_r(rest, " ", &rest)) != NULL)
        argc++;
    ck_assert_int_eq(dup2(said_fd, STDERR_FILENO), STDERR_FILENO);
    status = options_parse(&invocation, &fipctl_program, argc, argv);
    if (status == OPTIONS_GO_ON)
        status = invocation.command->run(&invocation);
    ck_assert_int_eq(dup2(saved_fd, STDERR_FILENO), STDERR_FILENO);
    n = pread(said_fd, said, size - 1, 0);
    ck_assert_int_ge(n, 0);
    said[n] = '\0';
    (void)close(said_fd);
    (void)close(saved_fd);
    return status;
}

/* Has a client ask something, and is gone. */
static void *leave_when_asked(void *argument)
{
    struct fake_broker *fake = argument;

    fake_accept(fake);
    fake_welcome(fake);
    ck_assert(fake_receive(fake));
    fake_deinit(fake);
    return NULL;
}

static const char *const lost[] = {
    "call --wait com.example.x",  "list",  "ping",
    "serve com.example.x -- cat", "slots", "wait com.example.x",
};

LOOP_TEST(a_lost_broker_is_no_broker, COUNT_OF(lost))
{
    struct fake_broker fake;
    char line[256], expected[256], said[256];
    pthread_t thread;

    fake_init(&fake, 1);
    (void)snprintf(line, sizeof(line), "fipctl --timeout 200 --socket %s %s", fake.address.sun_path,
                   lost[_i]);
    (void)snprintf(expected, sizeof(expected),
                   "fipctl: cannot reach the broker at %s: no answer within 200 ms; is fipcd "
                   "running? (systemctl status fipcd)\n",
                   fake.address.sun_path);
    ck_assert_int_eq(pthread_create(&thread, NULL, leave_when_asked, &fake), 0);
    ck_assert_int_eq(run_fipctl(line, said, sizeof(said)), EXIT_NO_BROKER);
    ck_assert_str_eq(said, expected);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* ---- errors that a service chose ---- */

static const struct {
    int error;
    const char *said; /* a part of the line */
} answers[] = {
    {EACCES, ": the service does not allow it to you; "},
    {ECONNREFUSED, ": the service cannot connect to what it needs, or the broker was away "},
    {ECONNRESET, ": the service or the broker was lost, it is not known whether "},
    {EAGAIN, ": there is no room for the request now, or the service has no time; "},
    {EDQUOT, ", of the broker or of the service; "},
    {EPROTO, ": the broker, or the service, broke a protocol; "},
    {ETIMEDOUT,
     " ms, since the broker gives no call longer, or the service gave up on something; "},
    {EPROTONOSUPPORT, ": Protocol not supported; see what the service says"},
    {EEXIST, ": File exists; "},
    {ENOMEM, ": Cannot allocate memory; "},
};

static int n_to_refuse;

/* Speaks version 77 to each client. */
static void *refuse_version(void *argument)
{
    static const struct fipc_control refused = {.type = FIPC_CONTROL_REFUSED,
                                                .refused.reason = FIPC_REASON_VERSION};
    struct fake_broker *fake = argument;

    for (int i = 0; i < n_to_refuse; i++) {
        struct fipc_control_head packet;
        struct fipc_control_header header;

        fipc_control_head(&refused, &packet);
        memcpy(&header, packet.bytes, sizeof(header));
        header.version = 77;
        memcpy(packet.bytes, &header, sizeof(header));
        fake_accept(fake);
        fake_send_bytes(fake, packet.bytes, packet.size);
        fake_drop(fake);
    }
    return NULL;
}

/* A one-shot, after which fipctl looks why, and a session. */
static const struct {
    const char *command;
    int n_connections;
} meetings[] = {{"call com.example.x", 2}, {"ping", 1}};

LOOP_TEST(broker_of_another_version_is_named_with_both_versions, COUNT_OF(meetings))
{
    struct fake_broker fake;
    char line[256], said[512], expected[512];
    pthread_t thread;

    fake_init(&fake, 1);
    n_to_refuse = meetings[_i].n_connections;
    (void)snprintf(line, sizeof(line), "fipctl --socket %s %s", fake.address.sun_path,
                   meetings[_i].command);
    (void)snprintf(expected, sizeof(expected),
                   "fipctl: cannot talk to the broker at %s: the broker speaks version 77 of the "
                   "protocol, this library version %d; install fipctl and fipcd of one release\n",
                   fake.address.sun_path, FIPC_CONTROL_VERSION);
    ck_assert_int_eq(pthread_create(&thread, NULL, refuse_version, &fake), 0);
    ck_assert_int_eq(run_fipctl(line, said, sizeof(said)), EXIT_CALL_FAILED);
    ck_assert_str_eq(said, expected);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    fake_deinit(&fake);
}

struct answering {
    struct fake_broker fake;
    int error;
};

/* fipctl connects once more to find out what it means. */
static bool is_error_of_connect(int error)
{
    return error == ECONNREFUSED || error == EAGAIN || error == EDQUOT || error == EPROTONOSUPPORT;
}

/* Answers with the error, and takes the next client. */
static void *answer_and_welcome(void *argument)
{
    struct answering *answering = argument;
    struct fake_broker *fake = &answering->fake;
    struct fipc_control reply = {.type = FIPC_CONTROL_ONESHOT_REPLY};

    fake_accept(fake);
    reply.oneshot_reply.id = fake->hello.id;
    reply.oneshot_reply.status = -answering->error;
    fake_send_packet(fake, &reply, NULL, 0);
    if (!is_error_of_connect(answering->error))
        return NULL;
    fake_drop(fake);
    fake_accept(fake);
    fake_welcome(fake);
    return NULL;
}

LOOP_TEST(error_of_a_service_is_not_taken_for_one_of_the_broker, COUNT_OF(answers))
{
    struct answering answering = {.error = answers[_i].error};
    char line[256], said[256];
    pthread_t thread;

    fake_init(&answering.fake, 1);
    (void)snprintf(line, sizeof(line), "fipctl --socket %s call com.example.x",
                   answering.fake.address.sun_path);
    ck_assert_int_eq(pthread_create(&thread, NULL, answer_and_welcome, &answering), 0);
    ck_assert_int_eq(run_fipctl(line, said, sizeof(said)), EXIT_CALL_FAILED);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ptr_nonnull(strstr(said, answers[_i].said));
    ck_assert_ptr_eq(strstr(said, "fipctl: call: com.example.x: "), said);
    ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
    fake_deinit(&answering.fake);
}
