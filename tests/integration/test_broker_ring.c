/* SPDX-License-Identifier: MIT */
/* The broker closes the slot of a client that breaks the rules of a ring, and gives the reason. */
#include "tests/integration/ring_fixture.h"
#include "tests/suite.h"

#include <sys/mman.h>
#include <sys/prctl.h>

/* ---- positions ---- */

static void tail_moves_backward(void) { move_tail(-(uint64_t)FIPC_RECORD_ALIGN); }
static void tail_moves_far_backward(void) { move_tail(-(uint64_t)RING_BYTES); }
static void tail_moves_beyond_the_ring(void) { move_tail(RING_BYTES + FIPC_RECORD_ALIGN); }
static void tail_moves_to_the_end_of_time(void) { move_tail(UINT64_C(1) << 63); }

static void tail_is_misaligned_by_one(void) { move_tail(1); }
static void tail_moves_over_nothing(void) { move_tail(FIPC_RECORD_ALIGN); }
static void tail_moves_over_the_whole_ring(void) { move_tail(RING_BYTES); }

static void tail_is_zero(void)
{
    atomic_store(request_tail(), 0);
    ck_assert_int_eq(raw_ring_bell(&villain), 0);
}

/* ---- records ---- */

static void record_of_no_bytes(void) { publish_size(0, 32); }
static void record_smaller_than_its_header(void) { publish_size(31, 32); }

static void record_of_all_bits(void) { publish_size(UINT32_MAX, RING_BYTES); }

static void record_of_the_kind_after_the_last(void) { publish_kind(FIPC_KIND_CONTROL + 1); }
static void record_of_a_kind_of_all_bits(void) { publish_kind(UINT16_MAX); }

static void skip_runs_past_the_end(void)
{
    const struct fipc_header skip = {.size = 128, .kind = FIPC_KIND_SKIP};

    go_to(64);
    publish(&skip, 128);
}

/* A record that is good, and a next one that is not. */
static void good_record_before_a_bad_one(void)
{
    const struct fipc_header good = {.size = sizeof(good), .kind = FIPC_KIND_REQUEST};
    uint64_t tail = atomic_load(request_tail());
    unsigned char *ring = fipc_region_request_ring(&villain.channel.region);

    memcpy(ring + tail % RING_BYTES, &good, sizeof(good));
    memset(ring + (tail + sizeof(good)) % RING_BYTES, 0xff, sizeof(good));
    move_tail(2 * sizeof(good));
}

/* ---- holes ---- */

static void region_is_zeroed(void)
{
    send_while_frozen();
    memset(villain.channel.region.base, 0, villain.channel.region.size);
    test_broker_thaw(&broker);
}

/* ---- end words ---- */

/* A bad word is found when the broker would ring: there has to be something to ring for. */
static void set_end_word(uint32_t word)
{
    uint64_t id;

    atomic_store(&villain.channel.own->word, word);
    ck_assert_int_eq(raw_send_request(&villain, villains_echo, NULL, 0, &id), 0);
}

static void end_word_is_zero(void) { set_end_word(0); }
static void end_word_is_next_to_good(void) { set_end_word(FIPC_END_ASLEEP_FD + 1); }
static void end_word_is_room_alone(void) { set_end_word(FIPC_END_ROOM); }
static void end_word_is_awake_for_room(void) { set_end_word(FIPC_END_AWAKE | FIPC_END_ROOM); }
static void end_word_has_an_unknown_flag(void) { set_end_word(FIPC_END_ASLEEP_FD | 0x20); }
static void end_word_is_all_bits(void) { set_end_word(UINT32_MAX); }

/* ---- control records ---- */

static void control_without_a_packet(void) { send_control(NULL, 0); }
static void control_of_garbage(void)
{
    make(FIPC_CONTROL_OPEN, sizeof(struct fipc_named));
    memset(&wire, 0xa5, sizeof(wire.header));
    send_control(&wire, 24);
}
static void control_of_half_a_header(void)
{
    make(FIPC_CONTROL_OPEN, sizeof(struct fipc_named));
    send_control(&wire, sizeof(wire.header) / 2);
}
static void control_cut_short(void)
{
    make(FIPC_CONTROL_OPEN, sizeof(struct fipc_named));
    send_control(&wire, wire.header.size - 1);
}
static void control_too_long(void)
{
    make(FIPC_CONTROL_OPEN, sizeof(wire.body));
    send_made();
}
static void control_of_another_version(void)
{
    make(FIPC_CONTROL_OPEN, sizeof(struct fipc_named));
    wire.header.version++;
    send_made();
}
static void control_of_no_type(void)
{
    make(0, 8);
    send_made();
}

static void open_of_more_than_is_there(void)
{
    const struct fipc_named named = {.name_bytes = 9};

    make(FIPC_CONTROL_OPEN, sizeof(named) + 8);
    memcpy(wire.body, &named, sizeof(named));
    send_made();
}
static void open_of_a_name_too_long(void)
{
    const struct fipc_named named = {.name_bytes = FIPC_NAME_BYTES_MAX + 1};

    make(FIPC_CONTROL_OPEN, sizeof(named) + FIPC_NAME_BYTES_MAX + 1);
    memcpy(wire.body, &named, sizeof(named));
    send_made();
}
static void hello_in_the_ring(void)
{
    make(FIPC_CONTROL_HELLO, sizeof(struct fipc_hello));
    send_made();
}
static void welcome_in_the_ring(void)
{
    make(FIPC_CONTROL_WELCOME, sizeof(struct fipc_welcome));
    send_made();
}
static void opened_from_the_client(void)
{
    make(FIPC_CONTROL_OPENED, sizeof(struct fipc_opened));
    send_made();
}

/* ---- packets on the lane of an open session ---- */

static void empty_packet_on_the_lane(void) { send_on_lane(NULL, 0); }

static void second_hello(void)
{
    make(FIPC_CONTROL_HELLO, sizeof(struct fipc_hello));
    send_on_lane(&wire, wire.header.size);
}

static void flood_on_the_lane(void)
{
    make(FIPC_CONTROL_HELLO, sizeof(struct fipc_hello));
    send_on_lane(&wire, wire.header.size);
    while (raw_send_bytes(&villain, &wire, sizeof(wire), NULL, 0) == 0)
        ;
}

static const struct {
    void (*commit)(void);
    enum fipc_reason reason;
} crimes[] = {
    {tail_moves_backward, FIPC_REASON_CORRUPT_RING},
    {tail_moves_far_backward, FIPC_REASON_CORRUPT_RING},
    {tail_moves_beyond_the_ring, FIPC_REASON_CORRUPT_RING},
    {tail_moves_beyond_a_ring_of_good_records, FIPC_REASON_CORRUPT_RING},
    {tail_moves_to_the_end_of_time, FIPC_REASON_CORRUPT_RING},
    {tail_is_misaligned, FIPC_REASON_CORRUPT_RING},
    {tail_is_misaligned_by_one, FIPC_REASON_CORRUPT_RING},
    {tail_moves_over_nothing, FIPC_REASON_CORRUPT_RING},
    {tail_moves_over_the_whole_ring, FIPC_REASON_CORRUPT_RING},
    {tail_is_zero, FIPC_REASON_CORRUPT_RING},

    {record_of_no_bytes, FIPC_REASON_CORRUPT_RING},
    {record_smaller_than_its_header, FIPC_REASON_CORRUPT_RING},
    {record_larger_than_published, FIPC_REASON_CORRUPT_RING},
    {record_larger_than_half_the_ring, FIPC_REASON_CORRUPT_RING},
    {record_of_all_bits, FIPC_REASON_CORRUPT_RING},
    {record_runs_past_the_end, FIPC_REASON_CORRUPT_RING},
    {skip_runs_past_the_end, FIPC_REASON_CORRUPT_RING},
    {record_of_kind_zero, FIPC_REASON_CORRUPT_RING},
    {good_record_before_a_bad_one, FIPC_REASON_CORRUPT_RING},
    {record_of_the_kind_after_the_last, FIPC_REASON_UNEXPECTED},
    {record_of_a_kind_of_all_bits, FIPC_REASON_UNEXPECTED},
    {record_that_is_a_reply, FIPC_REASON_UNEXPECTED},

    {region_is_zeroed, FIPC_REASON_CORRUPT_RING},
    {waiting_request_is_zeroed, FIPC_REASON_CORRUPT_RING},

    {end_word_is_zero, FIPC_REASON_CORRUPT_END},
    {end_word_is_next_to_good, FIPC_REASON_CORRUPT_END},
    {end_word_is_room_alone, FIPC_REASON_CORRUPT_END},
    {end_word_is_awake_for_room, FIPC_REASON_CORRUPT_END},
    {end_word_has_an_unknown_flag, FIPC_REASON_CORRUPT_END},
    {end_word_is_all_bits, FIPC_REASON_CORRUPT_END},

    {control_without_a_packet, FIPC_REASON_MALFORMED},
    {control_of_garbage, FIPC_REASON_MALFORMED},
    {control_of_half_a_header, FIPC_REASON_MALFORMED},
    {control_cut_short, FIPC_REASON_MALFORMED},
    {control_too_long, FIPC_REASON_MALFORMED},
    {control_of_another_version, FIPC_REASON_MALFORMED},
    {control_of_no_type, FIPC_REASON_MALFORMED},
    {control_of_an_unknown_type, FIPC_REASON_MALFORMED},
    {open_of_more_than_is_there, FIPC_REASON_MALFORMED},
    {open_of_a_name_too_long, FIPC_REASON_MALFORMED},
    {hello_in_the_ring, FIPC_REASON_UNEXPECTED},
    {welcome_in_the_ring, FIPC_REASON_UNEXPECTED},
    {opened_from_the_client, FIPC_REASON_UNEXPECTED},
    {goodbye_from_the_client, FIPC_REASON_UNEXPECTED},

    {byte_on_the_lane, FIPC_REASON_UNEXPECTED},
    {empty_packet_on_the_lane, FIPC_REASON_UNEXPECTED},
    {second_hello, FIPC_REASON_UNEXPECTED},
    {flood_on_the_lane, FIPC_REASON_UNEXPECTED},
};

GROUP(thrown_out, .timeout = 30, .fixtures = {{start, stop}});

LOOP_TEST(who_breaks_the_rules_is_thrown_out_with_a_reason, COUNT_OF(crimes))
{
    crimes[_i].commit();
    ck_assert(check_thrown_out(crimes[_i].reason));
}

/* ---- crowds ---- */

/* A process that calls all the time and fails if anything of it goes wrong. */
static pid_t start_caller(void)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct test_witness caller;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        test_witness_open(&caller, &broker);
        for (;;)
            test_witness_check(&caller);
    }
    return pid;
}

GROUP(crowds, .timeout = 60, .fixtures = {{start, stop}});

TEST(others_are_served_while_villains_come_and_go)
{
    int fds, regions;
    pid_t callers[2];
    siginfo_t info = {.si_pid = 0};

    raw_close(&villain);
    TEST_WAIT_FOR(test_witness_number(&victim, "slots.taken") == 1);
    fds = test_broker_count_fds(&broker);
    regions = test_broker_count_regions(&broker);
    for (int i = 0; i < COUNT_OF(callers); i++)
        callers[i] = start_caller();

    for (int turn = 0; turn < test_scaled(10); turn++) {
        for (int i = 0; i < COUNT_OF(crimes); i++) {
            enter();
            crimes[i].commit();
            ck_assert_int_eq(raw_wait_hang_up(&villain), 0);
            raw_close(&villain);
        }
    }

    for (int i = 0; i < COUNT_OF(callers); i++) {
        ck_assert_int_eq(waitid(P_PID, (id_t)callers[i], &info, WEXITED | WNOHANG), 0);
        ck_assert_int_eq(info.si_pid, 0); /* it has not failed */
        ck_assert_int_eq(kill(callers[i], SIGKILL), 0);
        ck_assert_int_eq(waitpid(callers[i], NULL, 0), callers[i]);
    }
    TEST_WAIT_FOR(test_witness_number(&victim, "slots.taken") == 1);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == fds);
    TEST_WAIT_FOR(test_broker_count_regions(&broker) == regions);
}

/* Writes anything anywhere into the region, for ever. */
static pid_t start_scribbler(unsigned seed)
{
    _Atomic uint32_t *words = villain.channel.region.base;
    uint64_t random = seed;
    pid_t pid;

    ck_assert_int_eq(madvise(villain.channel.region.base, villain.channel.region.size, MADV_DOFORK),
                     0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            /* small numbers make it farther than large ones */
            atomic_store(&words[(random >> 40) % (villain.channel.region.size / sizeof(*words))],
                         (uint32_t)(random >> 32) % (random & 1 ? 64 : UINT32_MAX));
        }
    }
    return pid;
}

TEST(memory_that_changes_all_the_time_harms_nobody)
{
    for (int turn = 0; turn < test_scaled(50); turn++) {
        pid_t scribbler = start_scribbler((unsigned)turn + 1);
        uint64_t deadline_ns = fipc_now_ns() + 20 * FIPC_NS_PER_MS;

        while (fipc_now_ns() < deadline_ns && !fipc_lane_is_hung_up(villain.lane_fd)) {
            uint64_t id;

            (void)raw_send_request(&villain, villains_echo, "some data", 9, &id);
            (void)raw_ring_bell(&villain);
        }
        ck_assert_int_eq(kill(scribbler, SIGKILL), 0);
        ck_assert_int_eq(waitpid(scribbler, NULL, 0), scribbler);
        raw_close(&villain);
        check_victim();
        enter();
    }
    raw_close(&villain);
    TEST_WAIT_FOR(test_witness_number(&victim, "slots.taken") == 1);
    TEST_WAIT_FOR(test_broker_count_regions(&broker) == 1);
}
