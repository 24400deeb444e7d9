/* SPDX-License-Identifier: MIT */
/* Threads that share one handle. */
#include "tests/integration/client_fixture.h"

#include <signal.h>
#include <stdatomic.h>

#define THREADS 32

/* ---- all at once ---- */

static void run_threads(void *(*run)(void *))
{
    pthread_t threads[THREADS];
    int numbers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        threads[i] = thread_start(run, &numbers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
}

/* What nobody else sends. */
static uint64_t unique(int thread, int call) { return (uint64_t)thread << 32 | (uint32_t)call; }

static void *echo_often(void *arg)
{
    int me = *(const int *)arg;

    for (int i = 0; i < test_scaled(1000); i++)
        EXPECT(echo(client, (size_t)(i * 37 % 3000), unique(me, i)) == 0);
    return NULL;
}

GROUP(threads, .timeout = 60, .fixtures = {{set_up_client, tear_down_client}});

TEST(everybody_gets_his_own_reply) { run_threads(echo_often); }

static void *delay_and_echo(void *arg)
{
    int me = *(const int *)arg;

    for (int i = 0; i < test_scaled(10); i++) {
        EXPECT(delay(client, (me * 7 + i * 5) % 30, PATIENT_MS) == 0);
        for (int k = 0; k < 20; k++)
            EXPECT(echo(client, 100, unique(me, i * 20 + k)) == 0);
    }
    return NULL;
}

TEST(slow_and_fast_calls_mix) { run_threads(delay_and_echo); }

static void *fill_rings(void *arg)
{
    int me = *(const int *)arg;

    for (int i = 0; i < test_scaled(125); i++)
        EXPECT(echo(client, 1500 + (size_t)(i * 101 % 500), unique(me, i)) == 0);
    return NULL;
}

TEST(rings_that_are_too_small_for_all_are_shared)
{
    fipc_options options = options_for_broker();

    close_client();
    options.request_ring_bytes = options.reply_ring_bytes = 4096;
    ck_assert_int_eq(fipc_connect(&client, &options), 0);
    run_threads(fill_rings);
}

static void *lend_often(void *arg)
{
    int me = *(const int *)arg;

    for (int i = 0; i < test_scaled(250); i++) {
        size_t size = (size_t)(i * 211 % 8000);
        fipc_message *loan, *reply;

        EXPECT(fipc_loan(client, "fipc.echo", size, &loan) == 0);
        pattern_fill(fipc_loan_data(loan), size, unique(me, i));
        if (i % 5 == 4) {
            fipc_free(loan);
            continue;
        }
        EXPECT(fipc_send(loan, 0, PATIENT_MS, &reply) == 0);
        EXPECT(fipc_size(reply) == size);
        EXPECT(pattern_matches(fipc_data(reply), size, unique(me, i)));
        fipc_free(reply);
    }
    return NULL;
}

TEST(loans_of_many_threads_do_not_mix) { run_threads(lend_often); }

static _Atomic bool sleeps_are_over;

static void *dispatch_all_the_time(void *arg)
{
    (void)arg;
    while (!atomic_load(&sleeps_are_over))
        EXPECT(fipc_dispatch(client, 0) >= 0);
    return NULL;
}

/* The bell for a thread that sleeps on the lane is not taken by one that only looks. */
TEST(thread_that_sleeps_is_woken_beside_one_that_dispatches)
{
    pthread_t thread;

    ck_assert_int_ge(fipc_fd(client), 0);
    atomic_store(&sleeps_are_over, false);
    thread = thread_start(dispatch_all_the_time, NULL);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(delay(client, 20, PATIENT_MS), 0);
    atomic_store(&sleeps_are_over, true);
    thread_join(thread);
}

static void *be_impatient(void *arg)
{
    int me = *(const int *)arg;

    for (int i = 0; i < test_scaled(25); i++) {
        if (me % 2 == 0)
            EXPECT(delay(client, 40, (i + me) % 5) == -ETIMEDOUT);
        else
            EXPECT(echo(client, 500, unique(me, i)) == 0);
    }
    return NULL;
}

TEST(those_who_give_up_do_not_disturb_the_others) { run_threads(be_impatient); }

static void *take_and_give_references(void *arg)
{
    for (int i = 0; i < test_scaled(1250); i++) {
        fipc_client *mine = fipc_ref(client);

        if (i % 100 == 0)
            EXPECT(fipc_call(mine, "fipc.ping", NULL, 0, 0, PATIENT_MS, NULL) == 0);
        fipc_unref(mine);
    }
    return arg;
}

TEST(references_are_counted_right) { run_threads(take_and_give_references); }

static void *ask_for_new_names(void *arg)
{
    static const char *const names[] = {"fipc.ping", "fipc.echo", "fipc.list", "com.example.none"};
    int me = *(const int *)arg;

    for (int i = 0; i < test_scaled(50); i++) {
        int r = fipc_call(client, names[(me + i) % 4], NULL, 0, 0, PATIENT_MS, NULL);

        EXPECT(r == ((me + i) % 4 == 3 ? -ENOENT : 0));
    }
    return NULL;
}

TEST(names_are_resolved_by_all_at_once) { run_threads(ask_for_new_names); }

/* ---- the baton ---- */

struct sleeper {
    int ms;         /* its call takes */
    int timeout_ms; /* it waits */
    int expected;
    uint64_t start_ns;
    uint64_t took_ms;
};

static void *sleep_in_call(void *arg)
{
    struct sleeper *sleeper = arg;

    sleeper->start_ns = fipc_now_ns();
    ck_assert_int_eq(delay(client, sleeper->ms, sleeper->timeout_ms), sleeper->expected);
    sleeper->took_ms = ms_since(sleeper->start_ns);
    return NULL;
}

/* The first thread reads for all, and leaves first: by its reply, or because it gives up. */
static const struct sleeper first_readers[] = {
    {.ms = 50, .timeout_ms = PATIENT_MS, .expected = 0},
    {.ms = PATIENT_MS, .timeout_ms = 50, .expected = -ETIMEDOUT},
};

LOOP_TEST(baton_is_passed_on_by_who_leaves, COUNT_OF(first_readers))
{
    struct sleeper sleepers[THREADS];
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        sleepers[i] = (struct sleeper){.ms = 50 + 20 * i, .timeout_ms = PATIENT_MS};
        if (i == 0)
            sleepers[i] = first_readers[_i];
        threads[i] = thread_start(sleep_in_call, &sleepers[i]);
        test_pause();
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
        ck_assert_uint_ge(sleepers[i].took_ms, i == 0 ? 50 : (uint64_t)sleepers[i].ms);
        ck_assert_uint_lt(sleepers[i].took_ms, PATIENT_MS / 2);
    }
}

TEST(baton_is_passed_on_by_many_who_give_up_at_once)
{
    struct sleeper sleepers[THREADS];
    pthread_t threads[THREADS];

    for (int round = 0; round < test_scaled(10); round++) {
        for (int i = 0; i < THREADS; i++) {
            sleepers[i] =
                (struct sleeper){.ms = PATIENT_MS, .timeout_ms = 30, .expected = -ETIMEDOUT};
            if (i == THREADS - 1)
                sleepers[i] = (struct sleeper){.ms = 60, .timeout_ms = PATIENT_MS};
            threads[i] = thread_start(sleep_in_call, &sleepers[i]);
        }
        for (int i = 0; i < THREADS; i++) {
            thread_join(threads[i]);
            ck_assert_uint_lt(sleepers[i].took_ms, PATIENT_MS / 2);
        }
    }
}

/* ---- the death of the broker ---- */

static void *lose_broker(void *arg)
{
    int r = delay(client, PATIENT_MS, PATIENT_MS);

    (void)arg;
    EXPECT(r == -ECONNRESET);
    EXPECT(echo(client, 100, 1) == 0); /* of its successor */
    return NULL;
}

static void *replace_broker(void *arg)
{
    wait_until_taken(THREADS);
    test_broker_kill(&broker);
    test_broker_start(&broker, NULL);
    return arg;
}

TEST(all_learn_of_the_death_and_go_on)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(lose_broker, NULL);
    (void)replace_broker(NULL);
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
}

/* ---- the end of a handle ---- */

static pthread_barrier_t all_are_here;

static void *drop_at_once(void *arg)
{
    int me = *(const int *)arg;

    for (int i = 0; i < test_scaled(100); i++) {
        if (me == 0) {
            open_client();
            for (int k = 1; k < THREADS; k++)
                EXPECT(fipc_ref(client) == client);
        }
        (void)pthread_barrier_wait(&all_are_here);
        if (me % 8 == i % 8)
            EXPECT(fipc_call(client, "fipc.ping", NULL, 0, 0, PATIENT_MS, NULL) == 0);
        fipc_unref(client);
        (void)pthread_barrier_wait(&all_are_here);
    }
    return NULL;
}

TEST(anybody_may_drop_the_last_reference)
{
    close_client();
    ck_assert_int_eq(pthread_barrier_init(&all_are_here, NULL, THREADS), 0);
    run_threads(drop_at_once);
    ck_assert_int_eq(pthread_barrier_destroy(&all_are_here), 0);
    client = NULL;
}

/* ---- everything at once ---- */

#define DEEDS 70

/* A thread with a reference of its own. */
struct user {
    fipc_client *own;
    fipc_message *kept; /* outlives it; NULL: the call was lost */
    int number;
};

static bool broker_is_replaced;
static atomic_int n_done;

/* What a call may also come to while one broker goes and the next one comes. */
static bool is_result(int r, int expected)
{
    return r == expected || (broker_is_replaced && (r == -ECONNRESET || r == -ECONNREFUSED));
}

static void call(struct user *user, int i)
{
    EXPECT(is_result(echo(user->own, (size_t)(i * 37 % 3000), unique(user->number, i)), 0));
}

static fipc_message *lend(const struct user *user, int i)
{
    fipc_message *loan;

    EXPECT(fipc_loan(user->own, "fipc.echo", 500, &loan) == 0);
    pattern_fill(fipc_loan_data(loan), 500, unique(user->number, i));
    return loan;
}

static void expect_echo_of_loan(fipc_message *loan, const struct user *user, int i)
{
    fipc_message *reply = NULL;

    EXPECT(is_result(fipc_send(loan, 0, PATIENT_MS, &reply), 0));
    EXPECT(reply == NULL || pattern_matches(fipc_data(reply), 500, unique(user->number, i)));
    fipc_free(reply);
}

static void send_loan(struct user *user, int i) { expect_echo_of_loan(lend(user, i), user, i); }

static void free_loan(struct user *user, int i) { fipc_free(lend(user, i)); }

static void call_once(struct user *user, int i)
{
    const fipc_options options = options_for_broker();

    (void)user;
    (void)i;
    EXPECT(is_result(fipc_call_once(&options, "fipc.ping", NULL, 0, PATIENT_MS, NULL), 0));
}

static void give_up(struct user *user, int i)
{
    EXPECT(is_result(delay(user->own, 100, i % 3), -ETIMEDOUT));
}

static void change_reference(struct user *user, int i)
{
    fipc_client *another = fipc_ref(user->own);

    (void)i;
    fipc_unref(user->own);
    user->own = another;
}

static void keep_reply(struct user *user, int i)
{
    fipc_message *reply = NULL;

    (void)i;
    EXPECT(is_result(fipc_call(user->own, "fipc.echo", &user->number, sizeof(user->number), 0,
                               PATIENT_MS, &reply),
                     0));
    fipc_free(user->kept);
    user->kept = reply;
}

static void (*const deeds[])(struct user *user, int i) = {
    call, send_loan, free_loan, call_once, give_up, change_reference, keep_reply,
};

static void *use_and_drop(void *arg)
{
    struct user *user = arg;
    fipc_message *loan;

    for (int i = 0; i < DEEDS; i++) {
        deeds[(user->number + i) % COUNT_OF(deeds)](user, i);
        atomic_fetch_add(&n_done, 1);
    }
    loan = lend(user, DEEDS);
    fipc_unref(user->own);
    if (user->number % 2 == 0) /* it keeps the session */
        expect_echo_of_loan(loan, user, DEEDS);
    else
        fipc_free(loan);
    return NULL;
}

/* While they are at it. */
static void replace_broker_often(void)
{
    for (int i = 1; i <= 3; i++) {
        TEST_WAIT_FOR(atomic_load(&n_done) >= i * THREADS * DEEDS / 4);
        test_broker_kill(&broker);
        test_broker_start(&broker, NULL);
    }
}

LOOP_TEST(handle_lasts_until_all_have_dropped_their_own, 2)
{
    struct user users[THREADS];
    pthread_t threads[THREADS];

    broker_is_replaced = _i == 1;
    for (int i = 0; i < THREADS; i++)
        users[i] = (struct user){.own = fipc_ref(client), .number = i};
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(use_and_drop, &users[i]);
    close_client();
    if (broker_is_replaced)
        replace_broker_often();
    for (int i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
        if (users[i].kept != NULL)
            ck_assert_mem_eq(fipc_data(users[i].kept), &i, sizeof(i));
        fipc_free(users[i].kept);
    }
}
