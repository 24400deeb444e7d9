/* SPDX-License-Identifier: MIT */
/* The memory of a session counts to its user until it is gone, wherever its client keeps it: in an
 * fd, in a mapping, or in a WELCOME that it never reads. */
#include "tests/integration/broker.h"
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PER_UID 5
#define TRIES 20
#define STRANGER 60001
#define OTHER 60002
#define RING_BYTES 4096u
#define WAIT_MS 50

static struct test_broker broker;
static struct test_witness witness;

/* What a client keeps of its sessions. */
static struct kept {
    int region_fd; /* -1: nothing; likewise the lane */
    int lane_fd;
    void *mapping; /* NULL: nothing */
} kept[TRIES];

static long long number(const char *path) { return test_witness_number(&witness, path); }

static void start(void)
{
    for (int i = 0; i < TRIES; i++)
        kept[i] = (struct kept){.region_fd = -1, .lane_fd = -1};
    test_broker_init(&broker);
    test_broker_start_with(&broker, "{\"slots\": {\"count\": 20, \"per_uid\": 5},"
                                    " \"control\": {\"mode\": \"0666\"},"
                                    " \"timeouts\": {\"handler_ms\": 1000}}");
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    test_witness_open(&witness, &broker);
}

static void let_go(struct kept *what)
{
    what->region_fd = fd_close(what->region_fd);
    what->lane_fd = fd_close(what->lane_fd);
    if (what->mapping != NULL)
        (void)munmap(what->mapping, RING_BYTES);
    what->mapping = NULL;
}

static void let_all_go(void)
{
    for (int i = 0; i < TRIES; i++)
        let_go(&kept[i]);
}

static void stop(void)
{
    let_all_go();
    test_witness_close(&witness);
    test_broker_deinit(&broker);
}

/* Return: as raw_open_session() */
static int open_as(uid_t uid, struct raw_client *client)
{
    static const struct fipc_hello hello = {
        .request_ring_bytes = RING_BYTES, .reply_ring_bytes = RING_BYTES, .wait_ms = WAIT_MS};
    int r;

    *client = RAW_CLIENT_EMPTY;
    ck_assert_int_eq(seteuid(uid), 0);
    r = raw_connect(client, broker.socket);
    ck_assert_int_eq(seteuid(getuid()), 0);
    if (r == 0)
        r = raw_send_hello(client, &hello);
    return r < 0 ? r : raw_receive_welcome(client);
}

/* ---- ways to keep memory ---- */

/* Return: 0; an error if there is no session to be had */
static int keep_fd(struct kept *what)
{
    struct raw_client client;
    int r = open_as(STRANGER, &client);

    if (r == 0)
        what->region_fd = fd_steal(&client.region_fd);
    raw_close(&client);
    return r;
}

static int keep_mapping(struct kept *what)
{
    struct raw_client client;
    int r = open_as(STRANGER, &client);

    if (r == 0) {
        what->mapping = mmap(NULL, RING_BYTES, PROT_READ, MAP_SHARED, client.region_fd, 0);
        ck_assert_ptr_ne(what->mapping, MAP_FAILED);
    }
    raw_close(&client);
    return r;
}

/* Says that it sends no more, which ends its slot, and leaves WELCOME unread. */
static int keep_unread(struct kept *what)
{
    static const struct fipc_hello hello = {
        .request_ring_bytes = RING_BYTES, .reply_ring_bytes = RING_BYTES, .wait_ms = WAIT_MS};
    long long before = number("slots.held");
    struct raw_client client = RAW_CLIENT_EMPTY;

    ck_assert_int_eq(seteuid(STRANGER), 0);
    ck_assert_int_eq(raw_connect(&client, broker.socket), 0);
    ck_assert_int_eq(seteuid(getuid()), 0);
    ck_assert_int_eq(raw_send_hello(&client, &hello), 0);
    TEST_WAIT_FOR(number("slots.greeting") == 0 && number("slots.waiting") == 0);
    ck_assert_int_eq(shutdown(client.lane_fd, SHUT_WR), 0);
    TEST_WAIT_FOR(number("slots.taken") == 1);
    what->lane_fd = fd_steal(&client.lane_fd);
    raw_close(&client);
    return number("slots.held") > before ? 0 : -EDQUOT;
}

static int (*const ways[])(struct kept *what) = {keep_fd, keep_mapping, keep_unread};

GROUP(held, .timeout = 60, .fixtures = {{start, stop}}, .needs_root = "be two users");

LOOP_TEST(memory_that_is_kept_counts_as_a_session, COUNT_OF(ways))
{
    struct raw_client client;
    int n_had = 0;

    for (int i = 0; i < TRIES && ways[_i](&kept[i]) == 0; i++)
        n_had++;
    ck_assert_int_eq(n_had, PER_UID);
    ck_assert_int_eq(number("slots.held"), PER_UID);
    ck_assert_int_eq(number("slots.taken"), 1); /* the witness's */
    ck_assert_int_lt(ways[_i](&kept[TRIES - 1]), 0);

    ck_assert_int_eq(open_as(OTHER, &client), 0); /* another user is served */
    raw_close(&client);
    TEST_WAIT_FOR(number("slots.held") == PER_UID);
    test_witness_check(&witness);

    let_go(&kept[0]);
    TEST_WAIT_FOR(number("slots.held") == PER_UID - 1);
    ck_assert_int_eq(ways[_i](&kept[0]), 0);
    let_all_go();
    TEST_WAIT_FOR(number("slots.held") == 0);
    ck_assert_int_eq(open_as(STRANGER, &client), 0);
    raw_close(&client);
}

/* Longer than anything else lasts here. */
TEST(memory_that_is_kept_counts_as_long_as_it_is)
{
    uint64_t until_ns;

    ck_assert_int_eq(keep_fd(&kept[0]), 0);
    until_ns = fipc_now_ns() + 1200 * FIPC_NS_PER_MS;
    TEST_WAIT_FOR(fipc_now_ns() > until_ns); /* handler_ms is over */
    ck_assert_int_eq(number("slots.held"), 1);
}

TEST(honest_stranger_leaves_nothing)
{
    int fds = test_broker_count_fds(&broker), regions = test_broker_count_regions(&broker);

    for (int i = 0; i < 10 * PER_UID; i++) {
        struct raw_client client;

        ck_assert_int_eq(open_as(STRANGER, &client), 0);
        raw_close(&client);
    }
    TEST_WAIT_FOR(number("slots.held") == 0);
    TEST_WAIT_FOR(test_broker_count_fds(&broker) == fds);
    ck_assert_int_eq(test_broker_count_regions(&broker), regions);
}

/* ---- who may open it ---- */

static int reopen(int fd)
{
    char path[32];
    int again;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_RDWR | O_CLOEXEC);
    if (again < 0)
        return -errno;
    (void)close(again);
    return 0;
}

LOOP_TEST(no_user_can_open_a_region_again, 2)
{
    struct raw_client client;
    struct stat status;

    ck_assert_int_eq(open_as(_i == 0 ? STRANGER : getuid(), &client), 0);
    ck_assert_int_eq(fstat(client.region_fd, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0);
    ck_assert_int_eq(seteuid(STRANGER), 0);
    ck_assert_int_eq(reopen(client.region_fd), -EACCES);
    ck_assert_int_eq(seteuid(getuid()), 0);
    raw_close(&client);
}
