/* SPDX-License-Identifier: MIT */
/* What a client can do to a broker through the memory that they share: to be thrown out, and
 * nothing more. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define RING_BYTES 4096u

static struct test_broker broker;
static struct test_witness victim;
static struct raw_client villain; /* a session with small rings */
static uint32_t villains_echo;

static void enter(void)
{
    villain = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(raw_open_session(&villain, broker.socket, RING_BYTES, RING_BYTES), 0);
    ck_assert_int_eq(raw_open_name(&villain, "fipc.echo", &villains_echo), 0);
}

static void start(void)
{
    test_broker_init(&broker);
    test_broker_start(&broker, NULL);
    test_witness_open(&victim, &broker);
    enter();
}

static void check_victim(void)
{
    ck_assert(test_broker_is_alive(&broker));
    test_witness_check(&victim);
}

static void stop(void)
{
    check_victim();
    test_witness_check_sum(&victim);
    raw_close(&villain);
    test_witness_close(&victim);
    test_broker_deinit(&broker);
}

/* All that comes of it: the slot is closed with a reason, which is counted and logged in one line.
 * Waits for the hang-up first: who sleeps or reads repairs what is corrupt. Return: whether the
 * client was told by a GOODBYE in the ring. */
static bool check_thrown_out(enum fipc_reason reason)
{
    enum fipc_reason told = FIPC_REASON_NONE;
    bool is_told;
    char text[128];

    ck_assert_int_eq(raw_wait_hang_up(&villain), 0);
    ck_assert(fipc_end_is_closing(villain.channel.peer));
    is_told = raw_receive_goodbye(&villain, &told) == 0;
    ck_assert_str_eq(fipc_reason_name(told), fipc_reason_name(is_told ? reason : FIPC_REASON_NONE));

    (void)snprintf(text, sizeof(text), "slots.closed.%s", fipc_reason_name(reason));
    ck_assert_int_eq(test_witness_number(&victim, text), 1);
    (void)snprintf(text, sizeof(text), "slot %u (uid %u, pid %d): closed: %s", villain.welcome.slot,
                   getuid(), getpid(), fipc_reason_name(reason));
    ck_assert_int_eq(test_broker_log_lines(&broker, text), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 1);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": error: "), 0);
    check_victim();
    return is_told;
}

/* It is not thrown out. */
static void check_tolerated(void)
{
    ck_assert_int_eq(raw_call(&villain, villains_echo, "1234", 4), 0);
    ck_assert_mem_eq(villain.payload, "1234", 4);
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
    check_victim();
}

/* ---- positions ---- */

static _Atomic uint64_t *request_tail(void) { return &villain.channel.out.shared->tail; }

static void move_tail(uint64_t by)
{
    atomic_fetch_add(request_tail(), by);
    ck_assert_int_eq(raw_ring_bell(&villain), 0);
}

static void tail_moves_backward(void) { move_tail(-(uint64_t)FIPC_RECORD_ALIGN); }
static void tail_moves_far_backward(void) { move_tail(-(uint64_t)RING_BYTES); }
static void tail_moves_beyond_the_ring(void) { move_tail(RING_BYTES + FIPC_RECORD_ALIGN); }
static void tail_moves_to_the_end_of_time(void) { move_tail(UINT64_C(1) << 63); }
static void tail_is_misaligned(void) { move_tail(FIPC_RECORD_ALIGN / 2); }
static void tail_is_misaligned_by_one(void) { move_tail(1); }
static void tail_moves_over_nothing(void) { move_tail(FIPC_RECORD_ALIGN); }
static void tail_moves_over_the_whole_ring(void) { move_tail(RING_BYTES); }

static void tail_is_zero(void)
{
    atomic_store(request_tail(), 0);
    ck_assert_int_eq(raw_ring_bell(&villain), 0);
}

/* ---- records ---- */

/* Publishes so many bytes, at the beginning of which this header lies. */
static void publish(const struct fipc_header *header, uint64_t bytes)
{
    uint64_t tail = atomic_load(request_tail());
    unsigned char *ring = fipc_region_request_ring(&villain.channel.region);

    memcpy(ring + tail % RING_BYTES, header, sizeof(*header));
    move_tail(bytes);
}

static void publish_size(uint32_t size, uint64_t bytes)
{
    const struct fipc_header header = {
        .size = size, .kind = FIPC_KIND_REQUEST, .target = villains_echo};

    publish(&header, bytes);
}

static void record_of_no_bytes(void) { publish_size(0, 32); }
static void record_smaller_than_its_header(void) { publish_size(31, 32); }
static void record_larger_than_published(void) { publish_size(33, 32); }
static void record_larger_than_half_the_ring(void) { publish_size(RING_BYTES / 2 + 1, RING_BYTES); }
static void record_of_all_bits(void) { publish_size(UINT32_MAX, RING_BYTES); }

static void publish_kind(uint16_t kind)
{
    const struct fipc_header header = {.size = sizeof(header), .kind = kind};

    publish(&header, sizeof(header));
}

static void record_of_kind_zero(void) { publish_kind(FIPC_KIND_CORRUPT); }
static void record_of_the_kind_after_the_last(void) { publish_kind(FIPC_KIND_CONTROL + 1); }
static void record_of_a_kind_of_all_bits(void) { publish_kind(UINT16_MAX); }
static void record_that_is_a_reply(void) { publish_kind(FIPC_KIND_REPLY); }

/* Sends honest requests until the next record would start @left bytes before the end of the ring.
 */
static void go_to(uint64_t left)
{
    while (RING_BYTES - atomic_load(request_tail()) % RING_BYTES != left)
        ck_assert_int_eq(raw_call(&villain, villains_echo, NULL, 0), 0);
}

static void record_runs_past_the_end(void)
{
    go_to(64);
    publish_size(65, 96);
}

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

/* Every record in the ring is good, but there is one more of them than the ring holds. */
static void tail_moves_beyond_a_ring_of_good_records(void)
{
    const struct fipc_header good = {
        .size = sizeof(good), .kind = FIPC_KIND_REQUEST, .target = villains_echo};
    unsigned char *ring = fipc_region_request_ring(&villain.channel.region);

    for (size_t i = 0; i < RING_BYTES; i += sizeof(good))
        memcpy(ring + i, &good, sizeof(good));
    move_tail(RING_BYTES + sizeof(good));
}

/* ---- holes ---- */

/* Stops the broker's process for a while. */
static void freeze(void)
{
    siginfo_t info;

    ck_assert_int_eq(kill(broker.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)broker.pid, &info, WSTOPPED), 0);
}

static void thaw(void)
{
    ck_assert_int_eq(raw_ring_bell(&villain), 0);
    ck_assert_int_eq(kill(broker.pid, SIGCONT), 0);
}

static void send_while_frozen(void)
{
    uint64_t id;

    freeze();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(raw_send_request(&villain, villains_echo, "hole", 4, &id), 0);
}

static void region_is_zeroed(void)
{
    send_while_frozen();
    memset(villain.channel.region.base, 0, villain.channel.region.size);
    thaw();
}

static void waiting_request_is_zeroed(void)
{
    send_while_frozen();
    memset(fipc_region_request_ring(&villain.channel.region), 0, RING_BYTES);
    thaw();
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

static void send_control(const void *packet, size_t size)
{
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL, .id = 1};

    ck_assert_int_eq(raw_send_record(&villain, &header, packet, size), 0);
}

/* The wire form of a packet whose body is all zero. */
struct wire {
    struct fipc_control_header header;
    unsigned char body[512];
};

static struct wire wire;

static void make(unsigned type, size_t body_bytes)
{
    memset(&wire, 0, sizeof(wire));
    wire.header.magic = FIPC_CONTROL_MAGIC;
    wire.header.version = FIPC_CONTROL_VERSION;
    wire.header.type = (uint16_t)type;
    wire.header.size = (uint32_t)(sizeof(wire.header) + body_bytes);
}

static void send_made(void) { send_control(&wire, wire.header.size); }

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
static void control_of_an_unknown_type(void)
{
    make(FIPC_CONTROL_PIDFD + 1, 8);
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
static void goodbye_from_the_client(void)
{
    make(FIPC_CONTROL_GOODBYE, sizeof(struct fipc_farewell));
    send_made();
}

/* ---- packets on the lane of an open session ---- */

static void send_on_lane(const void *bytes, size_t size)
{
    ck_assert_int_eq(raw_send_bytes(&villain, bytes, size, NULL, 0), 0);
}

static void byte_on_the_lane(void) { send_on_lane("x", 1); }
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

/* ---- when the broker needs room ---- */

/* The broker looks at the head of replies only when it needs the room: no reply is taken until it
 * does. */
static void set_reply_head(uint64_t head)
{
    uint64_t id;

    atomic_store(&villain.channel.in.shared->head, head);
    for (int i = 0; i < 1000 && !fipc_lane_is_hung_up(villain.lane_fd); i++) {
        if (raw_send_request(&villain, villains_echo, NULL, 0, &id) == -EAGAIN)
            test_pause();
    }
}

static uint64_t reply_head(void) { return villain.channel.in.head; }

static void head_moves_backward(void) { set_reply_head(reply_head() - RING_BYTES); }
static void head_moves_beyond_the_tail(void) { set_reply_head(reply_head() + 64 * RING_BYTES); }
static void head_is_misaligned(void) { set_reply_head(reply_head() + 1); }
static void head_moves_to_the_end_of_time(void) { set_reply_head(UINT64_C(1) << 63); }

static void (*const head_crimes[])(void) = {
    head_moves_backward,
    head_moves_beyond_the_tail,
    head_is_misaligned,
    head_moves_to_the_end_of_time,
};

LOOP_TEST(who_corrupts_the_head_is_thrown_out, COUNT_OF(head_crimes))
{
    head_crimes[_i]();
    (void)check_thrown_out(FIPC_REASON_CORRUPT_RING); /* there may be room for GOODBYE still */
}

TEST(who_left_no_room_is_thrown_out_without_a_word)
{
    uint32_t delay;
    uint64_t id;

    raw_close(&villain);
    ck_assert_int_eq(raw_open_session(&villain, broker.socket, 16 * RING_BYTES, RING_BYTES), 0);
    ck_assert_int_eq(raw_open_name(&villain, "fipc.delay", &delay), 0);
    freeze();
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(raw_send_request(&villain, delay, "300", 3, &id), 0);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(raw_send_request(&villain, villains_echo, NULL, 0, &id), 0);
    thaw();
    TEST_WAIT_FOR(test_witness_slot_number(&victim, villain.welcome.slot, "handlers.replying") > 0);

    byte_on_the_lane();

    ck_assert(!check_thrown_out(FIPC_REASON_UNEXPECTED));
}

TEST(corrupt_slot_drops_what_it_had_asked_for)
{
    uint32_t delay;
    uint64_t id;

    ck_assert_int_eq(raw_open_name(&villain, "fipc.delay", &delay), 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(raw_send_request(&villain, delay, "20000", 5, &id), 0);
    TEST_WAIT_FOR(test_witness_number(&victim, "handlers.live") == 6); /* five, and the report */

    tail_is_misaligned();

    ck_assert(check_thrown_out(FIPC_REASON_CORRUPT_RING));
    ck_assert_int_eq(test_witness_number(&victim, "handlers.dropped"), 5);
    ck_assert_int_eq(test_witness_number(&victim, "handlers.live"), 1);
}

static void (*const undelivered[])(void) = {
    record_of_kind_zero,
    record_that_is_a_reply,
    control_of_an_unknown_type,
    goodbye_from_the_client,
};

LOOP_TEST(head_stays_before_the_record_that_was_not_delivered, COUNT_OF(undelivered))
{
    _Atomic uint64_t *head = &villain.channel.out.shared->head;
    uint64_t before;

    ck_assert_int_eq(raw_call(&villain, villains_echo, NULL, 0), 0);
    before = atomic_load(request_tail());
    undelivered[_i]();
    ck_assert_int_eq(raw_wait_hang_up(&villain), 0);
    ck_assert_uint_eq(atomic_load(head), before);
}

static void (*const unserved[])(void) = {
    tail_moves_beyond_a_ring_of_good_records,
    record_larger_than_published,
    record_larger_than_half_the_ring,
    record_runs_past_the_end,
    waiting_request_is_zeroed,
};

LOOP_TEST(nothing_of_a_corrupt_ring_is_served, COUNT_OF(unserved))
{
    unserved[_i]();
    ck_assert_int_eq(raw_wait_hang_up(&villain), 0);
    ck_assert_int_eq(raw_try_receive_record(&villain), 0);
    ck_assert_int_eq(villain.header.kind, FIPC_KIND_CONTROL); /* GOODBYE, and no reply before it */
}

/* ---- what is tolerated ---- */

static const struct {
    const char *name;
    int status;
} unknown_names[] = {
    {"no.such.name", -ENOENT}, {"fipc.ech", -ENOENT}, {"fipc.echo ", -EINVAL},
    {"FIPC.ECHO", -ENOENT},    {"fipc.", -EINVAL},    {"", -EINVAL},
};

GROUP(tolerated, .timeout = 30, .fixtures = {{start, stop}});

LOOP_TEST(unknown_name_is_answered_and_nothing_else, COUNT_OF(unknown_names))
{
    uint32_t target = 7;

    ck_assert_int_eq(raw_open_name(&villain, unknown_names[_i].name, &target),
                     unknown_names[_i].status);
    ck_assert_uint_eq(target, 0);
    check_tolerated();
}

TEST(longest_name_is_looked_up)
{
    char name[FIPC_NAME_BYTES_MAX + 1];
    uint32_t target;

    memset(name, 'n', FIPC_NAME_BYTES_MAX);
    name[FIPC_NAME_BYTES_MAX] = '\0';
    ck_assert_int_eq(raw_open_name(&villain, name, &target), -ENOENT);
    check_tolerated();
}

static const uint32_t unknown_targets[] = {0, 6, 1000, UINT32_MAX};

LOOP_TEST(unknown_target_is_answered_and_nothing_else, COUNT_OF(unknown_targets))
{
    ck_assert_int_eq(raw_call(&villain, unknown_targets[_i], "data", 4), -ESTALE);
    ck_assert_uint_eq(villain.header.flags, FIPC_REPLY_NOT_DELIVERED);
    ck_assert_uint_eq(villain.payload_bytes, 0);
    check_tolerated();
}

RANGE_TEST(unknown_flag_of_a_request_is_answered_and_nothing_else, 5, 16)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_REQUEST,
        .flags = (uint16_t)(1u << _i),
        .target = villains_echo,
        .id = 4711,
    };

    ck_assert_int_eq(raw_send_record(&villain, &header, "data", 4), 0);
    ck_assert_int_eq(raw_receive_record(&villain), 0);
    ck_assert_int_eq(villain.header.kind, FIPC_KIND_REPLY);
    ck_assert_uint_eq(villain.header.id, 4711);
    ck_assert_int_eq(villain.header.status, -EOPNOTSUPP);
    ck_assert_uint_eq(villain.payload_bytes, 0);
    check_tolerated();
}

TEST(ids_are_the_clients_business)
{
    const uint64_t ids[] = {0, 0, UINT64_MAX};

    for (int i = 0; i < COUNT_OF(ids); i++) {
        const struct fipc_header header = {
            .kind = FIPC_KIND_REQUEST,
            .target = villains_echo,
            .id = ids[i],
        };

        ck_assert_int_eq(raw_send_record(&villain, &header, NULL, 0), 0);
        ck_assert_int_eq(raw_receive_record(&villain), 0);
        ck_assert_int_eq(villain.header.status, 0);
        ck_assert_uint_eq(villain.header.id, ids[i]);
    }
    check_tolerated();
}

TEST(skip_records_and_needless_bells_are_tolerated)
{
    const struct fipc_header skip = {.kind = FIPC_KIND_SKIP};

    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(raw_ring_bell(&villain), 0);
        if (raw_send_record(&villain, &skip, NULL, 0) == -EAGAIN)
            test_pause();
    }
    TEST_WAIT_FOR(raw_send_record(&villain, &skip, NULL, 0) == 0);
    TEST_WAIT_FOR(fipc_producer_has_room(&villain.channel.out, 100) == 1);
    check_tolerated();
}

/* What the broker writes it never reads back. So few turns that our own producer does not look at
 * the head. */
TEST(scribbling_over_what_is_the_brokers_harms_the_scribbler_alone)
{
    struct fipc_control_block *control = fipc_region_control(&villain.channel.region);
    const struct fipc_header header = {
        .kind = FIPC_KIND_REQUEST, .target = villains_echo, .id = 4711};

    for (int turn = 0; turn < 40; turn++) {
        atomic_store(&control->broker.word, (uint32_t)turn * 0x01010101u);
        atomic_store(&control->broker.closing, (uint32_t)turn);
        atomic_store(&control->request.head, (uint64_t)turn << 32);
        memset(control->reserved, turn, sizeof(control->reserved));

        ck_assert_int_eq(fipc_producer_send(&villain.channel.out, &header, "data", 4), 0);
        ck_assert_int_eq(raw_ring_bell(&villain), 0);
        TEST_WAIT_FOR(atomic_load(&control->reply.tail) != villain.channel.in.head);
        ck_assert_int_eq(raw_receive_record(&villain), 0);
        ck_assert_int_eq(villain.header.status, 0);
        ck_assert_mem_eq(villain.payload, "data", 4);
        TEST_WAIT_FOR(atomic_load(&control->request.head) == villain.channel.out.tail);
    }
    ck_assert_int_eq(test_broker_log_lines(&broker, ": warning: "), 0);
}

TEST(shutting_the_bell_up_harms_the_ringer_alone)
{
    uint64_t count;

    /* blocking, which holds for the broker's end too, then empty, then full, then empty */
    ck_assert_int_eq(fcntl(villain.bell_fd, F_SETFL, 0), 0);
    ck_assert_int_eq(raw_ring_bell(&villain), 0);
    ck_assert_int_eq((int)read(villain.bell_fd, &count, sizeof(count)), sizeof(count));
    check_victim();
    count = UINT64_MAX - 1;
    ck_assert_int_eq((int)write(villain.bell_fd, &count, sizeof(count)), sizeof(count));
    check_victim();
    ck_assert_int_eq((int)read(villain.bell_fd, &count, sizeof(count)), sizeof(count));
    check_victim();
    ck_assert_int_eq(fcntl(villain.bell_fd, F_SETFL, O_NONBLOCK), 0);
    check_tolerated();
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
