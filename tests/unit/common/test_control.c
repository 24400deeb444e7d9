/* SPDX-License-Identifier: MIT */
/* The control protocol's wire form: each encoded packet is decoded again, and no other one is. */
#include "common/control.h"

#include "tests/unit/common/ring_pair.h"
#include "tests/unit/fixture.h"

#include <errno.h>

/* ---- one sample of each type ---- */

struct sample {
    const char *type_name;
    struct fipc_control control;
    size_t body_bytes, name_bytes, data_bytes;
};

static const unsigned char name_255[FIPC_NAME_BYTES_MAX] = {'n', 'a', 'm', 'e', [254] = '!'};
static const unsigned char data_4096[FIPC_ONESHOT_DATA_BYTES_MAX] = {'d', [4095] = 'z'};
static const unsigned char data_32736[FIPC_ONESHOT_REPLY_BYTES_MAX] = {'r', [32735] = 'y'};

#define HELLO(name_size, data_size)                                                                \
    {                                                                                              \
        .type = FIPC_CONTROL_HELLO, .name = name_255, .data = data_4096, .hello = {                \
            .features = UINT64_C(0x1122334455667788),                                              \
            .flags = FIPC_HELLO_ONESHOT,                                                           \
            .wait_ms = UINT32_MAX,                                                                 \
            .request_ring_bytes = 4096,                                                            \
            .reply_ring_bytes = 65536,                                                             \
            .id = UINT64_MAX - 1,                                                                  \
            .remaining_ns = 5,                                                                     \
            .name_bytes = (name_size),                                                             \
            .data_bytes = (data_size),                                                             \
            .n_places = 512,                                                                       \
        }                                                                                          \
    }
#define NOTHING(what)                                                                              \
    {                                                                                              \
        .type = (what), .nothing = {.reserved = 0 }                                                \
    }

static const struct sample samples[] = {
    {"hello", HELLO(0, 0), 56, 0, 0},
    {"hello", HELLO(1, 0), 56, 1, 0},
    {"hello", HELLO(0, 1), 56, 0, 1},
    {"hello", HELLO(255, 4096), 56, 255, 4096},
    {"welcome",
     {.type = FIPC_CONTROL_WELCOME, .welcome = {1, 2, 3, 4, 5, 6, 7, UINT64_MAX, 8, 0}},
     48,
     0,
     0},
    {"refused", {.type = FIPC_CONTROL_REFUSED, .refused = {FIPC_REASON_QUOTA, 500}}, 8, 0, 0},
    {"one-shot reply",
     {.type = FIPC_CONTROL_ONESHOT_REPLY, .oneshot_reply = {9, -ENOENT, 0}},
     16,
     0,
     0},
    {"one-shot reply",
     {.type = FIPC_CONTROL_ONESHOT_REPLY, .oneshot_reply = {9, 0, 32736}, .data = data_32736},
     16,
     0,
     32736},
    {"fds", {.type = FIPC_CONTROL_FDS, .announce = {77, 3, 0}}, 16, 0, 0},
    {"open", {.type = FIPC_CONTROL_OPEN, .open = {255, 0}, .name = name_255}, 8, 255, 0},
    {"open", {.type = FIPC_CONTROL_OPEN, .open = {0, 0}}, 8, 0, 0},
    {"opened", {.type = FIPC_CONTROL_OPENED, .opened = {FIPC_PATH_DIRECT, 0}}, 8, 0, 0},
    {"serve",
     {.type = FIPC_CONTROL_SERVE, .serve = {12, 4, UINT64_MAX, 0, 0}, .name = name_255},
     24,
     12,
     0},
    {"served", NOTHING(FIPC_CONTROL_SERVED), 8, 0, 0},
    {"wait", {.type = FIPC_CONTROL_WAIT, .wait = {3, 0}, .name = name_255}, 8, 3, 0},
    {"waited", NOTHING(FIPC_CONTROL_WAITED), 8, 0, 0},
    {"large", {.type = FIPC_CONTROL_LARGE, .large = {UINT64_C(1) << 40}}, 8, 0, 0},
    {"announce", {.type = FIPC_CONTROL_ANNOUNCE, .announce = {UINT64_MAX, 2, 0}}, 16, 0, 0},
    {"closed", {.type = FIPC_CONTROL_CLOSED, .closed = {FIPC_REASON_GONE, 0}}, 8, 0, 0},
    {"room", NOTHING(FIPC_CONTROL_ROOM), 8, 0, 0},
    {"goodbye", {.type = FIPC_CONTROL_GOODBYE, .goodbye = {FIPC_REASON_IDLE, 1}}, 8, 0, 0},
    {"resume",
     {.type = FIPC_CONTROL_RESUME, .resume = {1, 2, 3, 40}, .data = data_32736},
     16,
     0,
     40},
    {"resumed", NOTHING(FIPC_CONTROL_RESUMED), 8, 0, 0},
    {"pidfd", NOTHING(FIPC_CONTROL_PIDFD), 8, 0, 0},
};

static unsigned char packet[FIPC_PACKET_BYTES_MAX + 1];
static size_t packet_size;

static void encode_sample(const struct sample *sample)
{
    ck_assert_int_eq(fipc_control_encode(&sample->control, packet, sizeof(packet), &packet_size),
                     0);
}

static size_t size_of(const struct sample *sample)
{
    return sizeof(struct fipc_control_header) + sample->body_bytes + sample->name_bytes +
           sample->data_bytes;
}

/* Decodes from memory of exactly this size, so that a byte too far is seen. */
static int decode(const unsigned char *bytes, size_t size, struct fipc_control *ret_control)
{
    size_t rounded = (size + GUARD_BYTES) / GUARD_BYTES * GUARD_BYTES;
    unsigned char *memory = guarded_new(rounded), *end = memory + rounded - size;
    int r;

    memcpy(end, bytes, size);
    r = fipc_control_decode(end, size, ret_control);
    guarded_free(memory, rounded);
    return r;
}

static void expect_refused(size_t size, int error)
{
    union {
        struct fipc_control control;
        unsigned char bytes[sizeof(struct fipc_control)];
    } result;

    memset(&result, 0x5a, sizeof(result));
    EXPECT(decode(packet, size, &result.control) == error);
    for (size_t i = 0; i < sizeof(result); i++)
        EXPECT(result.bytes[i] == 0x5a);
}

static void set_header_size(size_t size)
{
    uint32_t field = (uint32_t)size;

    memcpy(packet + offsetof(struct fipc_control_header, size), &field, sizeof(field));
}

static void set_body_count(size_t at, uint32_t count)
{
    memcpy(packet + sizeof(struct fipc_control_header) + at, &count, sizeof(count));
}

/* ---- encoding ---- */

GROUP(encoding, .fixtures = {HOLDINGS_KEPT});

LOOP_TEST(packet_is_decoded_as_it_was_encoded, COUNT_OF(samples))
{
    const struct sample *sample = &samples[_i];
    struct fipc_control control;

    encode_sample(sample);
    ck_assert_uint_eq(packet_size, size_of(sample));
    ck_assert_int_eq(fipc_control_decode(packet, packet_size, &control), 0);

    ck_assert_int_eq(control.type, sample->control.type);
    ck_assert_mem_eq(&control.hello, &sample->control.hello, sample->body_bytes);
    ck_assert_ptr_eq(control.name,
                     packet + sizeof(struct fipc_control_header) + sample->body_bytes);
    ck_assert_ptr_eq(control.data, (const unsigned char *)control.name + sample->name_bytes);
    if (sample->name_bytes > 0)
        ck_assert_mem_eq(control.name, sample->control.name, sample->name_bytes);
    if (sample->data_bytes > 0)
        ck_assert_mem_eq(control.data, sample->control.data, sample->data_bytes);
}

TEST(every_type_has_a_sample)
{
    for (unsigned type = 0; type < 1000; type++) {
        const char *name = fipc_control_type_name(type);
        bool found = false;

        for (int i = 0; i < COUNT_OF(samples); i++)
            found = found || ((unsigned)samples[i].control.type == type &&
                              strcmp(samples[i].type_name, name) == 0);
        ck_assert_int_eq(found, strcmp(name, "unknown") != 0);
    }
}

TEST(wire_form_is_little_endian_and_without_padding)
{
    static const unsigned char expected[] = {
        'f',  'i',  'p',  'c',  2,    0,    1,    0,    77, 0, 0, 0, 0, 0, 0, 0, /* header */
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,                          /* features */
        1,    0,    0,    0,                                                     /* flags */
        0xff, 0xff, 0xff, 0xff,                                                  /* wait_ms */
        0,    0x10, 0,    0,                                                     /* request ring */
        0,    0,    1,    0,                                                     /* reply ring */
        0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,                          /* id */
        5,    0,    0,    0,    0,    0,    0,    0,                             /* remaining_ns */
        4,    0,    0,    0,                                                     /* name_bytes */
        1,    0,    0,    0,                                                     /* data_bytes */
        0,    2,    0,    0,                                                     /* n_places */
        0,    0,    0,    0,                                                     /* reserved */
        'n',  'a',  'm',  'e',  'd',
    };
    static const struct fipc_control control = HELLO(4, 1);

    ck_assert_int_eq(fipc_control_encode(&control, packet, sizeof(packet), &packet_size), 0);
    ck_assert_uint_eq(packet_size, sizeof(expected));
    ck_assert_mem_eq(packet, expected, sizeof(expected));
}

LOOP_TEST(packet_that_does_not_fit_is_not_begun, COUNT_OF(samples))
{
    const struct sample *sample = &samples[_i];
    unsigned char untouched[sizeof(packet)];
    size_t needed = size_of(sample), size = 7;

    memset(packet, 0x5a, sizeof(packet));
    memset(untouched, 0x5a, sizeof(untouched));
    for (size_t room = 0; room < needed; room++)
        EXPECT(fipc_control_encode(&sample->control, packet, room, &size) == -EMSGSIZE);
    ck_assert_uint_eq(size, 7);
    ck_assert_mem_eq(packet, untouched, sizeof(packet));

    ck_assert_int_eq(fipc_control_encode(&sample->control, packet, needed, &size), 0);
    ck_assert_uint_eq(size, needed);
    ck_assert_mem_eq(packet + needed, untouched, sizeof(packet) - needed);
}

LOOP_TEST(largest_packets_fit_into_the_largest_buffer, COUNT_OF(samples))
{
    ck_assert_uint_ge(FIPC_PACKET_BYTES_MAX, size_of(&samples[_i]));
}

/* ---- decoding ---- */

GROUP(decoding, .fixtures = {HOLDINGS_KEPT});

LOOP_TEST(every_truncation_is_refused, COUNT_OF(samples))
{
    const struct sample *sample = &samples[_i];
    size_t step = size_of(sample) > 1000 ? 61 : 1;

    encode_sample(sample);
    for (size_t size = 0; size < packet_size; size += step) {
        set_header_size(packet_size);
        expect_refused(size, -EBADMSG);
        set_header_size(size); /* the header agrees, the counts do not */
        expect_refused(size, -EBADMSG);
    }
    set_header_size(packet_size - 1);
    expect_refused(packet_size - 1, -EBADMSG);
}

LOOP_TEST(byte_too_many_is_refused, COUNT_OF(samples))
{
    encode_sample(&samples[_i]);
    packet[packet_size] = 0;

    expect_refused(packet_size + 1, -EBADMSG);
    set_header_size(packet_size + 1);
    expect_refused(packet_size + 1, -EBADMSG);
    expect_refused(packet_size, -EBADMSG);
}

LOOP_TEST(each_changed_bit_of_the_header_is_refused, COUNT_OF(samples))
{
    encode_sample(&samples[_i]);
    for (size_t bit = 0; bit < 8 * sizeof(struct fipc_control_header); bit++) {
        size_t at = bit / 8;
        bool of_version = at == offsetof(struct fipc_control_header, version) ||
                          at == offsetof(struct fipc_control_header, version) + 1;
        bool of_type = at == offsetof(struct fipc_control_header, type) ||
                       at == offsetof(struct fipc_control_header, type) + 1;

        if (of_type) /* another type may have the same size */
            continue;
        packet[at] ^= (unsigned char)(1 << bit % 8);
        expect_refused(packet_size, of_version ? -EPROTONOSUPPORT : -EBADMSG);
        packet[at] ^= (unsigned char)(1 << bit % 8);
    }
}

LOOP_TEST(unknown_type_is_refused, COUNT_OF(samples))
{
    encode_sample(&samples[_i]);
    for (uint32_t type = 0; type <= UINT16_MAX; type++) {
        uint16_t field = (uint16_t)type;
        struct fipc_control control;

        if (strcmp(fipc_control_type_name(type), "unknown") != 0)
            continue;
        memcpy(packet + offsetof(struct fipc_control_header, type), &field, sizeof(field));
        EXPECT(fipc_control_decode(packet, packet_size, &control) == -EBADMSG);
    }
}

TEST(another_version_is_told_apart_whatever_follows)
{
    struct fipc_control_header header = {FIPC_CONTROL_MAGIC, 3, 999, 12345, 6};
    struct fipc_control control;

    ck_assert_int_eq(fipc_control_decode(&header, sizeof(header), &control), -EPROTONOSUPPORT);
}

/* Where the counts are, and how much they may count. */
static const struct {
    size_t count_at;
    enum fipc_control_type type;
    uint32_t max;
} counts[] = {
    {offsetof(struct fipc_hello, name_bytes), FIPC_CONTROL_HELLO, 255},
    {offsetof(struct fipc_hello, data_bytes), FIPC_CONTROL_HELLO, 4096},
    {offsetof(struct fipc_named, name_bytes), FIPC_CONTROL_OPEN, 255},
    {offsetof(struct fipc_named, name_bytes), FIPC_CONTROL_WAIT, 255},
    {offsetof(struct fipc_serve, name_bytes), FIPC_CONTROL_SERVE, 255},
    {offsetof(struct fipc_oneshot_reply, data_bytes), FIPC_CONTROL_ONESHOT_REPLY, 32736},
    {offsetof(struct fipc_resume, data_bytes), FIPC_CONTROL_RESUME, 32736},
};

/* Makes a packet whose one count is @count, with as many bytes behind it as the buffer has. */
static void make_counted(int which, uint32_t count)
{
    struct fipc_control control = {.type = counts[which].type};

    ck_assert_int_eq(fipc_control_encode(&control, packet, sizeof(packet), &packet_size), 0);
    set_body_count(counts[which].count_at, count);
    packet_size += count;
    set_header_size(packet_size);
}

LOOP_TEST(count_goes_up_to_its_maximum_and_no_further, COUNT_OF(counts))
{
    struct fipc_control control;

    make_counted(_i, counts[_i].max);
    ck_assert_int_eq(decode(packet, packet_size, &control), 0);

    make_counted(_i, counts[_i].max + 1);
    ck_assert_uint_le(packet_size, sizeof(packet));
    expect_refused(packet_size, -EBADMSG);
}

static const uint32_t lies[] = {
    1, 2, 255, 256, 4096, INT32_MAX, UINT32_C(1) << 31, UINT32_MAX - 15, UINT32_MAX};

LOOP_TEST(count_of_bytes_that_are_not_there_is_refused, COUNT_OF(counts))
{
    for (int i = 0; i < COUNT_OF(lies); i++) {
        make_counted(_i, 0);
        set_body_count(counts[_i].count_at, lies[i]);
        expect_refused(packet_size, -EBADMSG);
        set_header_size(packet_size + lies[i]); /* in 32 bits it may be right */
        expect_refused(packet_size, -EBADMSG);
    }
}

TEST(counts_that_cancel_each_other_out_are_refused)
{
    struct fipc_control control = HELLO(10, 10);

    ck_assert_int_eq(fipc_control_encode(&control, packet, sizeof(packet), &packet_size), 0);
    set_body_count(offsetof(struct fipc_hello, name_bytes), UINT32_MAX);
    set_body_count(offsetof(struct fipc_hello, data_bytes), 21);
    expect_refused(packet_size, -EBADMSG);
    set_body_count(offsetof(struct fipc_hello, name_bytes), 21);
    set_body_count(offsetof(struct fipc_hello, data_bytes), UINT32_MAX);
    expect_refused(packet_size, -EBADMSG);
}

TEST(name_and_data_may_share_the_bytes_in_any_way)
{
    struct fipc_control hello = HELLO(10, 10), control;

    ck_assert_int_eq(fipc_control_encode(&hello, packet, sizeof(packet), &packet_size), 0);
    for (uint32_t name_bytes = 0; name_bytes <= 20; name_bytes++) {
        set_body_count(offsetof(struct fipc_hello, name_bytes), name_bytes);
        set_body_count(offsetof(struct fipc_hello, data_bytes), 20 - name_bytes);
        ck_assert_int_eq(fipc_control_decode(packet, packet_size, &control), 0);
        ck_assert_ptr_eq(control.data, (const unsigned char *)control.name + name_bytes);
    }
}

LOOP_TEST(random_bytes_never_crash_the_decoder, 10)
{
    uint64_t random = (uint64_t)_i;

    for (int round = 0; round < 500; round++) {
        struct fipc_control control;
        size_t size;

        encode_sample(&samples[random_below(&random, (uint64_t)COUNT_OF(samples))]);
        for (uint64_t n = random_below(&random, 4); n > 0; n--)
            packet[random_below(&random, 80)] = (unsigned char)random_next(&random);
        size = random_below(&random, 2) == 0 ? packet_size : random_below(&random, packet_size);
        if (decode(packet, size, &control) == 0)
            EXPECT(strcmp(fipc_control_type_name(control.type), "unknown") != 0);
    }
}

/* ---- names for people ---- */

GROUP(names, .fixtures = {HOLDINGS_KEPT});

TEST(every_reason_has_a_name_of_its_own)
{
    for (unsigned reason = 0; reason < FIPC_REASON_COUNT; reason++) {
        ck_assert_ptr_nonnull(fipc_reason_name(reason));
        ck_assert_str_ne(fipc_reason_name(reason), "unknown reason");
        for (unsigned other = 0; other < reason; other++)
            ck_assert_str_ne(fipc_reason_name(reason), fipc_reason_name(other));
    }
}

TEST(what_has_no_name_is_unknown)
{
    static const unsigned unknown_types[] = {0, 6, 15, 30, UINT16_MAX, UINT32_MAX};

    for (int i = 0; i < COUNT_OF(unknown_types); i++)
        ck_assert_str_eq(fipc_control_type_name(unknown_types[i]), "unknown");
    ck_assert_str_eq(fipc_reason_name(FIPC_REASON_COUNT), "unknown reason");
    ck_assert_str_eq(fipc_reason_name(UINT32_MAX), "unknown reason");
}

TEST(packet_in_a_ring_is_the_payload_of_one_record)
{
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL, .id = 77, .status = -2};
    const struct fipc_control sent = {
        .type = FIPC_CONTROL_OPEN, .open = {.name_bytes = 4}, .name = "name"};
    struct fipc_header taken;
    struct fipc_control control;
    const void *payload;
    struct ring_pair pair;

    ring_pair_init(&pair);
    ck_assert_int_eq(fipc_control_put(&pair.producer, &header, &sent), 0);
    ck_assert_int_eq(fipc_consumer_take(&pair.consumer, &taken, &payload), 0);
    ck_assert_int_eq(taken.kind, FIPC_KIND_CONTROL);
    ck_assert_uint_eq(taken.id, 77);
    ck_assert_int_eq(taken.status, -2);
    memcpy(packet, payload, fipc_payload_size(&taken));
    ck_assert_int_eq(fipc_control_decode(packet, fipc_payload_size(&taken), &control), 0);
    ck_assert_int_eq(control.type, FIPC_CONTROL_OPEN);
    ck_assert_mem_eq(control.name, "name", 4);
    ring_pair_deinit(&pair);
}
