/* SPDX-License-Identifier: MIT */
/* What a call carries, refuses and returns, on a broker that behaves. */
#include "common/control.h"
#include "common/ring.h"
#include "tests/integration/client_fixture.h"

#include <limits.h>
#include <signal.h>

#define SMALL_RING 4096

/* Of a broker's default rings. */
#define PAYLOAD_MAX 32736

static const size_t sizes[] = {0,   1,   31,   32,   33,   63,    64,    65,
                               127, 128, 4095, 4096, 4097, 20000, 32735, PAYLOAD_MAX};

/* ---- sizes ---- */

GROUP(client_call, .timeout = 60, .fixtures = {{set_up_client, tear_down_client}});

LOOP_TEST(call_carries_every_size, COUNT_OF(sizes))
{
    ck_assert_uint_eq(fipc_ring_payload_max(65536), PAYLOAD_MAX);
    for (uint64_t i = 0; i < 4; i++)
        ck_assert_int_eq(echo(client, sizes[_i], i), 0);
}

TEST(one_byte_more_is_too_large)
{
    static unsigned char data[PAYLOAD_MAX + 1];
    fipc_message *message = NULL;

    ck_assert_int_eq(fipc_call(client, "fipc.echo", data, sizeof(data), 0, PATIENT_MS, &message),
                     -EMSGSIZE);
    ck_assert_int_eq(fipc_loan(client, "fipc.echo", sizeof(data), &message), -EMSGSIZE);
    ck_assert_ptr_null(message);
    ck_assert_int_eq(echo(client, PAYLOAD_MAX, 1), 0);
}

TEST(ring_sizes_are_the_clients_choice)
{
    fipc_options options = options_for_broker();
    uint32_t payload_max = fipc_ring_payload_max(SMALL_RING);
    fipc_client *small;

    options.request_ring_bytes = SMALL_RING;
    options.reply_ring_bytes = 2 * SMALL_RING;
    ck_assert_int_eq(fipc_connect(&small, &options), 0);

    ck_assert_int_eq(echo(small, payload_max, 1), 0);
    ck_assert_int_eq(echo(small, payload_max + 1, 1), -EMSGSIZE);
    fipc_unref(small);
}

TEST(reply_that_does_not_fit_is_too_large)
{
    fipc_options options = options_for_broker();
    fipc_client *small;

    options.reply_ring_bytes = SMALL_RING;
    ck_assert_int_eq(fipc_connect(&small, &options), 0);

    ck_assert_int_eq(echo(small, SMALL_RING, 1), -EMSGSIZE);
    ck_assert_int_eq(echo(small, SMALL_RING / 4, 1), 0);
    fipc_unref(small);
}

TEST(ring_is_used_round_and_round)
{
    for (int i = 0; i < test_scaled(2000); i++)
        ck_assert_int_eq(echo(client, sizes[i % COUNT_OF(sizes)], (uint64_t)i), 0);
}

/* ---- names ---- */

TEST(unknown_service_is_told_each_time)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fipc_call(client, "com.example.nobody", NULL, 0, 0, PATIENT_MS, NULL),
                         -ENOENT);
    ck_assert_int_eq(echo(client, 10, 1), 0);
}

TEST(names_have_1_to_255_bytes)
{
    char name[FIPC_NAME_MAX + 2];

    memset(name, 'n', sizeof(name));
    name[FIPC_NAME_MAX + 1] = '\0';
    ck_assert_int_eq(fipc_call(client, name, NULL, 0, 0, PATIENT_MS, NULL), -EINVAL);
    name[FIPC_NAME_MAX] = '\0';
    ck_assert_int_eq(fipc_call(client, name, NULL, 0, 0, PATIENT_MS, NULL), -ENOENT);
    ck_assert_int_eq(fipc_call(client, "", NULL, 0, 0, PATIENT_MS, NULL), -EINVAL);
}

TEST(every_built_in_service_answers)
{
    static const char *const names[] = {"fipc.ping", "fipc.echo", "fipc.list", "fipc.stats"};

    for (int i = 0; i < 2 * COUNT_OF(names); i++)
        ck_assert_int_eq(
            fipc_call(client, names[i % COUNT_OF(names)], NULL, 0, 0, PATIENT_MS, NULL), 0);
}

/* ---- arguments ---- */

static int call_without_client(fipc_message **reply)
{
    return fipc_call(NULL, "fipc.echo", "x", 1, 0, PATIENT_MS, reply);
}

static int call_without_name(fipc_message **reply)
{
    return fipc_call(client, NULL, "x", 1, 0, PATIENT_MS, reply);
}

static int call_without_data(fipc_message **reply)
{
    return fipc_call(client, "fipc.echo", NULL, 1, 0, PATIENT_MS, reply);
}

static int call_with_unknown_flag(fipc_message **reply)
{
    return fipc_call(client, "fipc.echo", "x", 1, 1u << 31, PATIENT_MS, reply);
}

static int call_with_negative_timeout(fipc_message **reply)
{
    return fipc_call(client, "fipc.echo", "x", 1, 0, -2, reply);
}

static int loan_without_client(fipc_message **reply)
{
    return fipc_loan(NULL, "fipc.echo", 1, reply);
}

static int loan_without_name(fipc_message **reply) { return fipc_loan(client, NULL, 1, reply); }

static int loan_without_place(fipc_message **reply)
{
    (void)reply;
    return fipc_loan(client, "fipc.echo", 1, NULL);
}

static int send_without_loan(fipc_message **reply) { return fipc_send(NULL, 0, 1, reply); }

static int send_of_a_reply(fipc_message **reply)
{
    fipc_message *old;

    ck_assert_int_eq(fipc_call(client, "fipc.ping", NULL, 0, 0, PATIENT_MS, &old), 0);
    return fipc_send(old, 0, PATIENT_MS, reply);
}

static int send_with_unknown_flag(fipc_message **reply)
{
    fipc_message *loan;

    ck_assert_int_eq(fipc_loan(client, "fipc.echo", 1, &loan), 0);
    return fipc_send(loan, 1u << 31, PATIENT_MS, reply);
}

static int call_once_without_name(fipc_message **reply)
{
    const fipc_options options = options_for_broker();

    return fipc_call_once(&options, NULL, "x", 1, PATIENT_MS, reply);
}

static int call_once_without_data(fipc_message **reply)
{
    const fipc_options options = options_for_broker();

    return fipc_call_once(&options, "fipc.echo", NULL, 1, PATIENT_MS, reply);
}

static int (*const bad_calls[])(fipc_message **reply) = {
    call_without_client,        call_without_name,   call_without_data,      call_with_unknown_flag,
    call_with_negative_timeout, loan_without_client, loan_without_name,      loan_without_place,
    send_without_loan,          send_of_a_reply,     send_with_unknown_flag, call_once_without_name,
    call_once_without_data,
};

LOOP_TEST(bad_argument_changes_nothing, COUNT_OF(bad_calls))
{
    fipc_message *untouched = (fipc_message *)&broker;

    ck_assert_int_eq(bad_calls[_i](&untouched), -EINVAL);
    ck_assert_ptr_eq(untouched, &broker);
    ck_assert_int_eq(echo(client, 100, 1), 0);
}

TEST(null_is_nothing_to_free)
{
    fipc_free(NULL);
    fipc_unref(NULL);
    ck_assert_ptr_null(fipc_ref(NULL));
    ck_assert_ptr_null(fipc_data(NULL));
    ck_assert_ptr_null(fipc_loan_data(NULL));
    ck_assert_uint_eq(fipc_size(NULL), 0);
}

/* ---- replies ---- */

TEST(error_of_a_service_is_the_calls)
{
    fipc_message *untouched = (fipc_message *)&broker;

    ck_assert_int_eq(fipc_call(client, "fipc.delay", "soon", 4, 0, PATIENT_MS, &untouched),
                     -EINVAL);
    ck_assert_ptr_eq(untouched, &broker);
}

TEST(reply_that_is_not_wanted_is_dropped)
{
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(fipc_call(client, "fipc.echo", broker.folder, sizeof(broker.folder), 0,
                                   PATIENT_MS, NULL),
                         0);
}

#define KEPT 100

TEST(kept_replies_stop_nothing_and_outlive_the_session)
{
    unsigned char data[4000];
    fipc_message *replies[KEPT];

    for (uint64_t i = 0; i < KEPT; i++) { /* six rings full of them */
        pattern_fill(data, sizeof(data), i);
        ck_assert_int_eq(
            fipc_call(client, "fipc.echo", data, sizeof(data), 0, PATIENT_MS, &replies[i]), 0);
    }
    close_client();
    for (uint64_t i = 0; i < KEPT; i++) {
        ck_assert_uint_eq(fipc_size(replies[i]), sizeof(data));
        ck_assert(pattern_matches(fipc_data(replies[i]), sizeof(data), i));
        ck_assert_uint_eq((uintptr_t)fipc_data(replies[i]) % 16, 0);
        ck_assert_ptr_null(fipc_loan_data(replies[i]));
        fipc_free(replies[i]);
    }
}

TEST(session_lives_until_its_last_reference_goes)
{
    ck_assert_ptr_eq(fipc_ref(client), client);
    fipc_unref(client);
    ck_assert_int_eq(echo(client, 100, 1), 0);
}

/* ---- time ---- */

TEST(call_times_out)
{
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(delay(client, 1500, 50), -ETIMEDOUT);
    ck_assert_uint_ge(ms_since(start_ns), 50);
    ck_assert_uint_lt(ms_since(start_ns), 1500);
}

TEST(late_reply_is_dropped)
{
    ck_assert_int_eq(delay(client, 100, 20), -ETIMEDOUT);
    ck_assert_int_eq(delay(client, 200, PATIENT_MS), 0);
    ck_assert_int_eq(echo(client, 100, 1), 0);
}

TEST(timeout_of_0_does_not_wait)
{
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(delay(client, 1500, 0), -ETIMEDOUT);
    ck_assert_uint_lt(ms_since(start_ns), 1500);
}

static const int long_timeouts[] = {-1, PATIENT_MS, INT_MAX};

GROUP(limits, .timeout = 60, .fixtures = {{set_up_folder, tear_down_client}});

LOOP_TEST(broker_limits_how_long_a_call_takes, COUNT_OF(long_timeouts))
{
    uint64_t start_ns;

    start_with_config("{\"timeouts\": {\"handler_ms\": 100}}");
    open_client();
    start_ns = fipc_now_ns();

    ck_assert_int_eq(delay(client, PATIENT_MS, long_timeouts[_i]), -ETIMEDOUT);
    ck_assert_uint_ge(ms_since(start_ns), 100);
    ck_assert_uint_lt(ms_since(start_ns), 5000);
}

LOOP_TEST(broker_that_hangs_is_not_waited_for_longer, COUNT_OF(long_timeouts))
{
    uint64_t start_ns;

    start_with_config("{\"timeouts\": {\"handler_ms\": 100}}");
    open_client();
    ck_assert_int_eq(echo(client, 1, 1), 0);
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    start_ns = fipc_now_ns();

    ck_assert_int_eq(fipc_call(client, "fipc.echo", NULL, 0, 0, long_timeouts[_i], NULL),
                     -ETIMEDOUT);
    ck_assert_uint_ge(ms_since(start_ns), 100);
    ck_assert_uint_lt(ms_since(start_ns), 5000);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
    ck_assert_int_eq(echo(client, 1, 1), 0);
}

/* ---- room ---- */

/* Fills the request ring of a broker that does not read. */
static void fill_ring(void)
{
    static const char data[5000];
    int r;

    ck_assert_int_eq(echo(client, 1, 1), 0); /* the name is known from here on */
    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    do
        r = fipc_call(client, "fipc.echo", data, sizeof(data), FIPC_NO_WAIT, 0, NULL);
    while (r == -ETIMEDOUT);
    ck_assert_int_eq(r, -EAGAIN);
}

GROUP(client_call_2, .timeout = 60, .fixtures = {{set_up_client, tear_down_client}});

TEST(full_ring_is_told_by_flag)
{
    static const char data[5000];
    uint64_t start_ns = fipc_now_ns();

    fill_ring();
    ck_assert_int_eq(
        fipc_call(client, "fipc.echo", data, sizeof(data), FIPC_NO_WAIT, PATIENT_MS, NULL),
        -EAGAIN);
    ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS / 2);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
    ck_assert_int_eq(echo(client, 5000, 1), 0);
}

TEST(full_ring_is_waited_for_until_the_deadline)
{
    static const char data[5000];
    uint64_t start_ns;

    fill_ring();
    start_ns = fipc_now_ns();
    ck_assert_int_eq(fipc_call(client, "fipc.echo", data, sizeof(data), 0, 80, NULL), -ETIMEDOUT);
    ck_assert_uint_ge(ms_since(start_ns), 80);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
}

static void *wake_broker(void *arg)
{
    test_pause();
    test_pause();
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
    return arg;
}

TEST(room_is_used_as_soon_as_it_is_there)
{
    pthread_t thread;

    fill_ring();
    thread = thread_start(wake_broker, NULL);
    ck_assert_int_eq(echo(client, PAYLOAD_MAX, 1), 0);
    thread_join(thread);
}

/* ---- errors in words ---- */

TEST(every_error_has_words)
{
    for (int error = -200; error <= 200; error++) {
        ck_assert_ptr_nonnull(fipc_strerror(error));
        ck_assert_uint_gt(strlen(fipc_strerror(error)), 3);
    }
    ck_assert_ptr_nonnull(fipc_strerror(INT_MIN));
    ck_assert_ptr_nonnull(fipc_strerror(INT_MAX));
    ck_assert_str_eq(fipc_strerror(-ENOENT), "no such service");
    ck_assert_str_eq(fipc_strerror(ENOENT), fipc_strerror(-ENOENT));
    ck_assert_str_eq(fipc_strerror(-EMFILE), strerrordesc_np(EMFILE));
}

/* ---- calls without a session ---- */

static const size_t once_sizes[] = {0, 1, FIPC_ONESHOT_DATA_BYTES_MAX,
                                    FIPC_ONESHOT_DATA_BYTES_MAX + 1, PAYLOAD_MAX};

GROUP(once, .timeout = 60, .fixtures = {{set_up_broker, tear_down_folder}});

LOOP_TEST(call_once_carries_every_size, COUNT_OF(once_sizes))
{
    const fipc_options options = options_for_broker();
    static unsigned char data[PAYLOAD_MAX];
    size_t size = once_sizes[_i];
    fipc_message *reply;

    pattern_fill(data, size, 7);
    ck_assert_int_eq(fipc_call_once(&options, "fipc.echo", data, size, PATIENT_MS, &reply), 0);
    ck_assert_uint_eq(fipc_size(reply), size);
    ck_assert(pattern_matches(fipc_data(reply), size, 7));
    fipc_free(reply);
    ck_assert_int_eq(fipc_call_once(&options, "fipc.echo", data, size, PATIENT_MS, NULL), 0);
}

TEST(call_once_tells_errors)
{
    const fipc_options options = options_for_broker();
    static unsigned char data[PAYLOAD_MAX + 1];
    fipc_message *untouched = (fipc_message *)&broker;

    ck_assert_int_eq(fipc_call_once(&options, "nobody", NULL, 0, PATIENT_MS, &untouched), -ENOENT);
    ck_assert_int_eq(fipc_call_once(&options, "fipc.delay", "x", 1, -1, &untouched), -EINVAL);
    ck_assert_int_eq(
        fipc_call_once(&options, "fipc.echo", data, sizeof(data), PATIENT_MS, &untouched),
        -EMSGSIZE);
    ck_assert_ptr_eq(untouched, &broker);
}

TEST(call_once_times_out)
{
    const fipc_options options = options_for_broker();
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(fipc_call_once(&options, "fipc.delay", "1500", 4, 50, NULL), -ETIMEDOUT);
    ck_assert_uint_ge(ms_since(start_ns), 50);
    ck_assert_uint_lt(ms_since(start_ns), 1500);
}
