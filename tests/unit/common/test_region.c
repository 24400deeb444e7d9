/* SPDX-License-Identifier: MIT */
/* The shared memory of a channel: what it promises to who makes it, and what it asks of who opens
 * it. */
#include "common/region.h"

#include "common/channel.h"
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)
#define PAGE ((off_t)FIPC_REGION_PAGE)

/* ---- failures of the kernel, linked with --wrap ---- */

enum call {
    CALL_NONE,
    CALL_MEMFD_CREATE,
    CALL_FTRUNCATE,
    CALL_FCNTL,
    CALL_MMAP,
    CALL_MADVISE,
    N_CALLS
};

static enum call failing;
static int failing_errno;
static unsigned unknown_memfd_flags; /* of an older kernel */

static bool fails(enum call call)
{
    if (call != failing)
        return false;
    errno = failing_errno;
    return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_madvise(void *address, size_t size, int advice);
int __wrap_madvise(void *address, size_t size, int advice);

int __wrap_memfd_create(const char *name, unsigned flags)
{
    if (flags & unknown_memfd_flags) {
        errno = EINVAL;
        return -1;
    }
    return fails(CALL_MEMFD_CREATE) ? -1 : __real_memfd_create(name, flags);
}

int __wrap_ftruncate(int fd, off_t size)
{
    return fails(CALL_FTRUNCATE) ? -1 : __real_ftruncate(fd, size);
}

int __wrap_fcntl(int fd, int command, ...)
{
    va_list arguments;
    int argument;

    va_start(arguments, command);
    argument = va_arg(arguments, int);
    va_end(arguments);
    return fails(CALL_FCNTL) ? -1 : __real_fcntl(fd, command, argument);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fails(CALL_MMAP))
        return MAP_FAILED;
    return __real_mmap(address, size, protection, flags, fd, offset);
}

int __wrap_madvise(void *address, size_t size, int advice)
{
    return fails(CALL_MADVISE) ? -1 : __real_madvise(address, size, advice);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- fixture ---- */

static struct fipc_region region, opened;
static int region_fd = -1;

static void make_region(uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    ck_assert_int_eq(fipc_region_create(&region, &region_fd, "fipc_test_7", request_ring_bytes,
                                        reply_ring_bytes),
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
        ck_assert_uint_eq(fipc_region_size(good_bytes[_i], good_bytes[i]), region.size);
        ck_assert_int_eq(fstat(region_fd, &status), 0);
        ck_assert_uint_eq((size_t)status.st_size, region.size);
    }
}

TEST(region_can_neither_shrink_nor_grow)
{
    ck_assert_int_eq(fcntl(region_fd, F_GET_SEALS) & SEALS, SEALS);
    ck_assert(!fipc_memory_is_sealed(region_fd));
    ck_assert_int_eq(ftruncate(region_fd, PAGE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(ftruncate(region_fd, (off_t)region.size * 2), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fcntl(region_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    ck_assert_int_eq(errno, EBUSY); /* its maker has it mapped */
}

TEST(region_fd_is_closed_on_exec) { ck_assert_int_eq(fcntl(region_fd, F_GETFD), FD_CLOEXEC); }

/* Whether a line of a process's maps names our region. */
static bool maps_name_region(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    bool found = false;

    while (fgets(line, sizeof(line), maps) != NULL)
        found = found || strstr(line, "/memfd:fipc_test_7") != NULL;
    (void)fclose(maps);
    return found;
}

TEST(maps_show_whose_the_region_is)
{
    ck_assert(maps_name_region());
    fipc_region_deinit(&region);
    ck_assert(!maps_name_region());
}

TEST(kernel_without_noexec_seal_will_do)
{
    drop_region();
    unknown_memfd_flags = 0x8;
    make_region(4096, 4096);
    ck_assert_int_eq(fcntl(region_fd, F_GET_SEALS) & SEALS, SEALS);
}

LOOP_TEST(bad_ring_size_is_refused_and_nothing_is_touched, COUNT_OF(bad_bytes))
{
    struct fipc_region untouched = {.base = &untouched, .size = 7}, result = untouched;
    int fd = -7;

    ck_assert(!fipc_ring_bytes_valid(bad_bytes[_i]));
    ck_assert_int_eq(fipc_region_create(&result, &fd, "bad", bad_bytes[_i], 4096), -EINVAL);
    ck_assert_int_eq(fipc_region_create(&result, &fd, "bad", 4096, bad_bytes[_i]), -EINVAL);
    ck_assert_int_eq(fipc_region_open(&result, region_fd, bad_bytes[_i], 16384), -EINVAL);
    ck_assert_int_eq(fipc_region_open(&result, region_fd, 65536, bad_bytes[_i]), -EINVAL);

    ck_assert_int_eq(fd, -7);
    ck_assert_mem_eq(&result, &untouched, sizeof(result));
}

TEST(name_that_is_too_long_is_refused)
{
    struct fipc_region result;
    char name[300];
    int fd;

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(fipc_region_create(&result, &fd, name, 4096, 4096), -EINVAL);
}

static const struct {
    enum call call;
    int error;
} create_failures[] = {
    {CALL_MEMFD_CREATE, EMFILE},
    {CALL_FTRUNCATE, EFBIG},
    {CALL_FCNTL, EPERM},
    {CALL_MMAP, ENOMEM},
};

LOOP_TEST(failed_making_says_why_and_leaves_nothing, COUNT_OF(create_failures))
{
    struct fipc_region untouched = {.base = &untouched, .size = 7}, result = untouched;
    int fd = -7;

    failing = create_failures[_i].call;
    failing_errno = create_failures[_i].error;
    ck_assert_int_eq(fipc_region_create(&result, &fd, "failing", 4096, 4096), -failing_errno);
    failing = CALL_NONE;

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

        ck_assert_int_eq(request - base, 1792); /* the wire's */
        ck_assert_int_eq(control - request, good_bytes[_i]);
        ck_assert_int_eq(reply - control, 512);
        ck_assert_int_eq(base + region.size - (reply + good_bytes[i]), 1792);
        ck_assert_uint_eq((uintptr_t)control % 64, 0);
        ck_assert_uint_eq((uintptr_t)request % FIPC_RECORD_ALIGN, 0);
    }
}

LOOP_TEST(request_ring_starts_1792_bytes_before_its_end, COUNT_OF(good_bytes))
{
    uint64_t start = fipc_region_request_start(good_bytes[_i]);

    ck_assert_uint_eq(start, good_bytes[_i] - 1792);
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

    for (uint64_t sent = 0; sent + 96 <= 1792; sent += 96) {
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
    ck_assert_int_eq(fipc_region_open(&opened, region_fd, good_bytes[_i], good_bytes[_i]), 0);
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

/* ---- opening ---- */

TEST(who_opens_sees_what_the_maker_wrote_and_the_other_way_round)
{
    ck_assert_int_eq(fipc_region_open(&opened, region_fd, 65536, 16384), 0);
    region_fd = fd_close(region_fd); /* was only borrowed */

    ck_assert_ptr_ne(opened.base, region.base);
    ck_assert_uint_eq(opened.size, region.size);
    pattern_fill(fipc_region_request_ring(&opened), 65536, 1);
    pattern_fill(fipc_region_reply_ring(&region), 16384, 2);
    ck_assert(pattern_matches(fipc_region_request_ring(&region), 65536, 1));
    ck_assert(pattern_matches(fipc_region_reply_ring(&opened), 16384, 2));
}

/* Whoever touched a page of the hole would wait for the end of it. */
TEST(opened_region_takes_no_holes_and_no_other_opener)
{
    struct fipc_region again;

    ck_assert_int_eq(fipc_region_open(&opened, region_fd, 65536, 16384), 0);
    ck_assert(fipc_memory_is_sealed(region_fd));

    ck_assert_int_eq(
        fallocate(region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)opened.size),
        -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(madvise(opened.base, opened.size, MADV_REMOVE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fcntl(region_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fipc_region_open(&again, region_fd, 65536, 16384), -EBADMSG);
}

static const int few_seals[] = {
    0,
    SEALS,
    SEALS | F_SEAL_SEAL,
    SEALS | F_SEAL_FUTURE_WRITE,
    F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL,
    F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL,
};

static void expect_open_refused(int fd, uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    struct fipc_region untouched = {.base = &untouched, .size = 7}, result = untouched;

    ck_assert_int_eq(fipc_region_open(&result, fd, request_ring_bytes, reply_ring_bytes), -EBADMSG);
    ck_assert_mem_eq(&result, &untouched, sizeof(result));
}

static int memfd_with(off_t size, int seals)
{
    int fd = memfd_create("fipc_test_bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, size), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

TEST(populated_region_is_all_there_until_somebody_punches_a_hole)
{
    FIPC_CLEANUP(fd_closep) int pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    off_t last = (off_t)region.size - PAGE;

    ck_assert_int_ge(pagemap_fd, 0);
    ck_assert(!fipc_memory_is_populated(region.base, region.size, pagemap_fd));
    ck_assert(fipc_memory_is_populated(region.base, region.size, -1)); /* nobody can tell */
    ck_assert_int_eq(fipc_memory_populate(region.base, region.size), 0);
    ck_assert(fipc_memory_is_populated(region.base, region.size, pagemap_fd));
    ck_assert_int_eq(fallocate(region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, last, PAGE),
                     0);
    ck_assert(!fipc_memory_is_populated(region.base, region.size, pagemap_fd));
}

LOOP_TEST(region_with_few_seals_is_not_sealed, COUNT_OF(few_seals))
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(3 * PAGE, few_seals[_i]);

    ck_assert(!fipc_memory_is_sealed(fd));
}

/* The last one could not be sealed any more. */
static const int lacking_seals[] = {0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE,
                                    SEALS | F_SEAL_SEAL};

LOOP_TEST(region_that_lacks_a_seal_is_refused, COUNT_OF(lacking_seals))
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(3 * PAGE, lacking_seals[_i]);

    expect_open_refused(fd, 4096, 4096);
}

static const off_t bad_sizes[] = {0, PAGE, 3 * PAGE - 1, 3 * PAGE + 1, 2 * PAGE, 4 * PAGE};

LOOP_TEST(region_of_another_size_is_refused, COUNT_OF(bad_sizes))
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(bad_sizes[_i], SEALS);

    expect_open_refused(fd, 4096, 4096);
}

TEST(region_of_others_is_opened)
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(3 * PAGE, SEALS);

    ck_assert_int_eq(fipc_region_open(&opened, fd, 4096, 4096), 0);
}

TEST(region_that_cannot_be_written_is_refused)
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(3 * PAGE, SEALS | F_SEAL_WRITE);

    expect_open_refused(fd, 4096, 4096);
}

TEST(what_is_no_memfd_is_refused)
{
    int pipes[2];

    ck_assert_int_eq(pipe(pipes), 0);
    expect_open_refused(pipes[0], 4096, 4096);
    expect_open_refused(-1, 4096, 4096);
    (void)fd_close(pipes[0]);
    (void)fd_close(pipes[1]);
}

static const enum call open_failures[] = {CALL_MMAP, CALL_MADVISE};

LOOP_TEST(failed_opening_says_why_and_leaves_nothing, COUNT_OF(open_failures))
{
    struct fipc_region result = FIPC_REGION_EMPTY;

    failing = open_failures[_i];
    failing_errno = ENOMEM;
    ck_assert_int_eq(fipc_region_open(&result, region_fd, 65536, 16384), -ENOMEM);
    failing = CALL_NONE;
    ck_assert_ptr_null(result.base);
}

TEST(child_does_not_inherit_an_opened_region)
{
    pid_t child;

    ck_assert_int_eq(fipc_region_open(&opened, region_fd, 65536, 16384), 0);
    fipc_region_deinit(&region);
    ck_assert(maps_name_region());

    child = fork();
    if (child == 0)
        _exit(maps_name_region() ? 1 : 0);
    ck_assert_int_eq(wait_for_exit(child), 0);
}

/* ---- ending ---- */

TEST(deinit_is_safe_twice)
{
    fipc_region_deinit(&region);
    ck_assert_ptr_null(region.base);
    fipc_region_deinit(&region);
}
