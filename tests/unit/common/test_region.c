/* SPDX-License-Identifier: MIT */
/* The geometry of a region, and its start; its memory is tested in tests/unit/os/test_memory.c. */
#include "common/region.h"

#include "common/channel.h"
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PAGE ((off_t)FIPC_REGION_PAGE)

/* ---- fixture ---- */

static struct fipc_region region, opened;
static int region_fd = -1;

static void make_region(uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    ck_assert_int_eq(fipc_region_create(&region, &region_fd, "fipc_test_7", request_ring_bytes,
                                        reply_ring_bytes, FIPC_PLACES_MIN),
                     0);
}

static void make_default_region(void)
{
    region = opened = FIPC_REGION_EMPTY;
    make_region(65536, 16384);
}

static void drop_region(void)
{
    fipc_region_deinit(&opened);
    fipc_region_deinit(&region);
    region_fd = fd_close(region_fd);
}

static const uint32_t good_bytes[] = {4096, 8192, 65536, UINT32_C(1) << 24, UINT32_C(1) << 30};
static const uint32_t bad_bytes[] = {
    0,          1,     32,       2048,       4095,       4097,       6144,
    65535,      65537, 3u << 20, 0x3fffffff, 0x40000001, 0x60000000, UINT32_C(1) << 31,
    UINT32_MAX,
};

/* ---- making ---- */

GROUP(region, .fixtures = {HOLDINGS_KEPT, {make_default_region, drop_region}});

LOOP_TEST(region_is_a_page_more_than_its_rings, COUNT_OF(good_bytes))
{
    for (size_t i = 0; i < sizeof(good_bytes) / sizeof(good_bytes[0]); i++) {
        struct stat status;

        drop_region();
        make_region(good_bytes[_i], good_bytes[i]);
        ck_assert_uint_eq(region.size, (size_t)PAGE + good_bytes[_i] + good_bytes[i]);
        ck_assert_uint_eq(fipc_region_size(good_bytes[_i], good_bytes[i], FIPC_PLACES_MIN),
                          region.size);
        ck_assert_int_eq(fstat(region_fd, &status), 0);
        ck_assert_uint_eq((size_t)status.st_size, region.size);
    }
}

LOOP_TEST(bad_ring_size_is_refused_and_nothing_is_touched, COUNT_OF(bad_bytes))
{
    struct fipc_region untouched = {.base = &untouched, .size = 7}, result = untouched;
    int fd = -7;

    ck_assert(!fipc_ring_bytes_valid(bad_bytes[_i]));
    ck_assert_int_eq(fipc_region_create(&result, &fd, "bad", bad_bytes[_i], 4096, FIPC_PLACES_MIN),
                     -EINVAL);
    ck_assert_int_eq(fipc_region_create(&result, &fd, "bad", 4096, bad_bytes[_i], FIPC_PLACES_MIN),
                     -EINVAL);
    ck_assert_int_eq(fipc_region_open(&result, region_fd, bad_bytes[_i], 16384, FIPC_PLACES_MIN),
                     -EINVAL);
    ck_assert_int_eq(fipc_region_open(&result, region_fd, 65536, bad_bytes[_i], FIPC_PLACES_MIN),
                     -EINVAL);

    ck_assert_int_eq(fd, -7);
    ck_assert_mem_eq(&result, &untouched, sizeof(result));
}

/* ---- layout ---- */

LOOP_TEST(parts_lie_in_order_aligned_and_inside, COUNT_OF(good_bytes))
{
    for (size_t i = 0; i < sizeof(good_bytes) / sizeof(good_bytes[0]); i++) {
        unsigned char *base, *request, *control, *reply;

        drop_region();
        make_region(good_bytes[_i], good_bytes[i]);
        base = region.base;
        request = fipc_region_request_ring(&region);
        control = (unsigned char *)fipc_region_control(&region);
        reply = fipc_region_reply_ring(&region);

        ck_assert_int_eq(request - base, 1280); /* the wire's */
        ck_assert_int_eq(control - request, good_bytes[_i]);
        ck_assert_int_eq((unsigned char *)fipc_region_place(&region, 0) - control, 512);
        ck_assert_int_eq(reply - control, 512 + 32 * 32);
        ck_assert_int_eq(base + region.size - (reply + good_bytes[i]), 1280);
        ck_assert_uint_eq((uintptr_t)control % 64, 0);
        ck_assert_uint_eq((uintptr_t)request % FIPC_RECORD_ALIGN, 0);
    }
}

LOOP_TEST(request_ring_starts_1280_bytes_before_its_end, COUNT_OF(good_bytes))
{
    uint64_t start = fipc_region_request_start(good_bytes[_i]);

    ck_assert_uint_eq(start, good_bytes[_i] - 1280);
    ck_assert_uint_eq(start % FIPC_RECORD_ALIGN, 0);
}

TEST(rings_are_empty_and_both_ends_awake)
{
    struct fipc_control_block *control = fipc_region_control(&region);
    uint64_t start = fipc_region_request_start(65536);

    ck_assert_uint_eq(atomic_load(&control->request.tail), start);
    ck_assert_uint_eq(atomic_load(&control->request.head), start);
    ck_assert_uint_eq(atomic_load(&control->reply.tail), 0);
    ck_assert_uint_eq(atomic_load(&control->reply.head), 0);
    ck_assert_uint_eq(atomic_load(&control->client.word), FIPC_END_AWAKE);
    ck_assert_uint_eq(atomic_load(&control->broker.word), FIPC_END_AWAKE);
    ck_assert(!fipc_end_is_closing(&control->client));
    ck_assert(!fipc_end_is_closing(&control->broker));
}

static uint64_t resident_bytes(void)
{
    struct stat status;

    ck_assert_int_eq(fstat(region_fd, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

/* Sends as much as stays in the page, in records of 64 bytes. */
static void send_within_page(struct fipc_producer *out, struct fipc_consumer *in)
{
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST};
    unsigned char payload[64] = {0};
    const void *taken;

    for (uint64_t sent = 0; sent + 96 <= 1280; sent += 96) {
        ck_assert_int_eq(fipc_producer_send(out, &header, payload, sizeof(payload)), 0);
        ck_assert_int_eq(fipc_consumer_take(in, &header, &taken), 0);
        fipc_consumer_release(in);
    }
}

LOOP_TEST(first_messages_each_way_touch_one_page, COUNT_OF(good_bytes))
{
    struct fipc_bell bell = {FIPC_BELL_LANE, -1};
    struct fipc_channel client, broker;

    drop_region();
    make_region(good_bytes[_i], good_bytes[_i]);
    ck_assert_int_eq(
        fipc_region_open(&opened, region_fd, good_bytes[_i], good_bytes[_i], FIPC_PLACES_MIN), 0);
    fipc_channel_init(&client, FIPC_SIDE_CLIENT, &opened, bell);
    fipc_channel_init(&broker, FIPC_SIDE_BROKER, &region, bell);

    send_within_page(&client.out, &broker.in);
    send_within_page(&broker.out, &client.in);
    fipc_end_arm(client.own, FIPC_END_ASLEEP_FD);
    fipc_end_close(broker.own);

    ck_assert_uint_eq(resident_bytes(), PAGE);
    fipc_channel_deinit(&client);
    fipc_channel_deinit(&broker);
}

static const struct {
    uint32_t n_places;
    size_t more_bytes;
} places[] = {{32, 0}, {33, 4096}, {64, 4096}, {160, 4096}, {161, 8192}, {1024, 32768}};

LOOP_TEST(places_beyond_32_lie_in_pages_of_their_own, COUNT_OF(places))
{
    uint32_t n_places = places[_i].n_places;
    unsigned char *end;

    drop_region();
    ck_assert_int_eq(fipc_region_create(&region, &region_fd, "places", 8192, 4096, n_places), 0);
    ck_assert_uint_eq(region.size, (size_t)PAGE + 8192 + 4096 + places[_i].more_bytes);
    ck_assert_uint_eq(fipc_region_size(8192, 4096, n_places), region.size);
    end = (unsigned char *)region.base + region.size;
    for (uint32_t n = 1; n < n_places; n++)
        if (n != 32)
            ck_assert_ptr_eq(fipc_region_place(&region, n), fipc_region_place(&region, n - 1) + 1);
    ck_assert_ptr_eq(fipc_region_place(&region, 31) + 1, fipc_region_reply_ring(&region));
    if (n_places > 32)
        ck_assert_ptr_eq(fipc_region_place(&region, 32), end - places[_i].more_bytes);
    ck_assert((unsigned char *)(fipc_region_place(&region, n_places - 1) + 1) <= end);
}

TEST(place_says_what_was_handed_over_and_that_it_was_taken_back)
{
    const struct fipc_region empty = FIPC_REGION_EMPTY;
    const struct fipc_place *place = fipc_region_place(&region, 31);

    fipc_region_hand_over(&region, 31, 5, 6, 7, 8);
    ck_assert_uint_eq(atomic_load(&place->id), 5);
    ck_assert(place->token == 6 && place->handle == 7 && place->pid == 8 && place->reserved == 0);
    ck_assert_uint_eq(atomic_load(&fipc_region_place(&region, 30)->id), 0);
    fipc_region_take_back(&region, 31);
    ck_assert_uint_eq(atomic_load(&place->id), 0);
    fipc_region_hand_over(&empty, 31, 5, 6, 7, 8); /* of a one-shot: nothing happens */
    fipc_region_take_back(&empty, 31);
}

TEST(bad_number_of_places_is_refused)
{
    int fd;

    ck_assert_int_eq(fipc_region_create(&opened, &fd, "bad", 4096, 4096, 31), -EINVAL);
    ck_assert_int_eq(fipc_region_create(&opened, &fd, "bad", 4096, 4096, 1025), -EINVAL);
    ck_assert_int_eq(fipc_region_open(&opened, region_fd, 65536, 16384, 0), -EINVAL);
    ck_assert_int_eq(fipc_region_open(&opened, region_fd, 65536, 16384, 33), -EBADMSG);
}

/* ---- opening ---- */

TEST(opener_sees_what_the_maker_wrote_and_the_other_way_round)
{
    ck_assert_int_eq(fipc_region_open(&opened, region_fd, 65536, 16384, FIPC_PLACES_MIN), 0);
    region_fd = fd_close(region_fd); /* was only borrowed */

    ck_assert_ptr_ne(opened.base, region.base);
    ck_assert_uint_eq(opened.size, region.size);
    pattern_fill(fipc_region_request_ring(&opened), 65536, 1);
    pattern_fill(fipc_region_reply_ring(&region), 16384, 2);
    ck_assert(pattern_matches(fipc_region_request_ring(&region), 65536, 1));
    ck_assert(pattern_matches(fipc_region_reply_ring(&opened), 16384, 2));
}

TEST(region_of_other_ring_sizes_is_refused)
{
    struct fipc_region untouched = {.base = &untouched, .size = 7}, result = untouched;

    ck_assert_int_eq(fipc_region_open(&result, region_fd, 65536, 8192, FIPC_PLACES_MIN), -EBADMSG);
    ck_assert_mem_eq(&result, &untouched, sizeof(result));
}

/* ---- ending ---- */

TEST(deinit_is_safe_twice)
{
    fipc_region_deinit(&region);
    ck_assert_ptr_null(region.base);
    fipc_region_deinit(&region);
}
