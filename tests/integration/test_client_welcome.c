/* SPDX-License-Identifier: MIT */
/* A broker that welcomes a client to a region that is not, or no more, what it said. The client is
 * held by a signal meanwhile, so that it finds all that the broker says. */
#include "tests/integration/client_fixture.h"
#include "tests/integration/fake_broker.h"

#include <signal.h>
#include <unistd.h>

static struct fake_broker fake;

static void set_up(void)
{
    note_holdings();
    fake_init(&fake, 16);
}

static void tear_down(void)
{
    close_client();
    fake_deinit(&fake);
    expect_same_holdings();
}

static int connect_to_fake(void)
{
    const fipc_options options = {
        .size = sizeof(options),
        .socket = fake.address.sun_path,
        .connect_timeout_ms = PATIENT_MS,
    };

    return fipc_connect(&client, &options);
}

static pthread_t held_thread;
static int held_fds[2], let_go_fds[2]; /* pipes */

static void stay_until_let_go(int signal)
{
    int saved_errno = errno;
    char byte = (char)signal;

    (void)!write(held_fds[1], &byte, 1);
    while (read(let_go_fds[0], &byte, 1) < 0 && errno == EINTR) {
    }
    errno = saved_errno;
}

static void hold_client(void)
{
    char byte;

    EXPECT(pthread_kill(held_thread, SIGUSR1) == 0);
    EXPECT(read(held_fds[0], &byte, 1) == 1);
}

static void let_client_go(void) { EXPECT(write(let_go_fds[1], "", 1) == 1); }

/* To a broker that holds it. */
static int connect_to_holder(void *(*holder)(void *), void *arg)
{
    pthread_t thread;
    int r;

    held_thread = pthread_self();
    handle(SIGUSR1, stay_until_let_go);
    ck_assert_int_eq(pipe(held_fds), 0);
    ck_assert_int_eq(pipe(let_go_fds), 0);
    thread = thread_start(holder, arg);
    r = connect_to_fake();
    thread_join(thread);
    for (int i = 0; i < 2; i++) {
        (void)close(held_fds[i]);
        (void)close(let_go_fds[i]);
    }
    return r;
}

static void welcome_to_a_sealed_region(void)
{
    static const struct fipc_control welcome = {
        .type = FIPC_CONTROL_WELCOME,
        .welcome = {.request_ring_bytes = FAKE_RING_BYTES,
                    .reply_ring_bytes = FAKE_RING_BYTES,
                    .handler_ms = 30000,
                    .calls_max = 1024,
                    .n_places = FIPC_PLACES_MAX},
    };

    fake_make_channel(&fake);
    fipc_memory_seal(fake.region_fd);
    fake_send_packet(&fake, &welcome, (const int[]){fake.region_fd, fake.bell_fd}, 2);
}

#define REGIONS_TAKEN_BACK 3

/* What the broker asks for then: nothing, and a pause. */
static const uint32_t retries_ms[] = {0, 40};

/* As a broker that stops while its client opens what it was welcomed with. */
static void *take_regions_back(void *arg)
{
    for (int i = 0; i < REGIONS_TAKEN_BACK; i++) {
        fake_accept(&fake);
        hold_client();
        welcome_to_a_sealed_region();
        fake_refuse(&fake, FIPC_REASON_STOPPING, retries_ms[*(const int *)arg]);
        fake_drop(&fake);
        let_client_go();
    }
    fake_accept(&fake);
    fake_welcome(&fake);
    return NULL;
}

GROUP(regions, .timeout = 60, .fixtures = {{set_up, tear_down}});

LOOP_TEST(broker_that_takes_the_region_back_is_asked_again_after_a_pause, COUNT_OF(retries_ms))
{
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(connect_to_holder(take_regions_back, &_i), 0);
    ck_assert_uint_ge(ms_since(start_ns), REGIONS_TAKEN_BACK * (uint64_t)(retries_ms[_i] + 2));
}

static void say_nothing_more(void) {}

static void hang_up(void) { fake_drop(&fake); }

static void say_garbage(void) { fake_send_bytes(&fake, "garbage", 7); }

static void say_garbage_and_refuse(void)
{
    say_garbage();
    fake_refuse(&fake, FIPC_REASON_STOPPING, 5);
}

static void (*const bad_farewells[])(void) = {say_nothing_more, hang_up, say_garbage,
                                              say_garbage_and_refuse};

static void *welcome_and_say_farewell_badly(void *arg)
{
    fake_accept(&fake);
    hold_client();
    welcome_to_a_sealed_region();
    bad_farewells[*(const int *)arg]();
    let_client_go();
    return NULL;
}

LOOP_TEST(region_that_is_sealed_already_is_a_violation_at_once, COUNT_OF(bad_farewells))
{
    uint64_t start_ns = fipc_now_ns();

    ck_assert_int_eq(connect_to_holder(welcome_and_say_farewell_badly, &_i), -EPROTO);
    ck_assert_uint_lt(ms_since(start_ns), PATIENT_MS / 2);
}
