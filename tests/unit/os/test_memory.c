/* SPDX-License-Identifier: MIT */
/* Memory that two processes share: the promises to its maker, and the checks of its opener. */
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)
#define PAGE ((size_t)4096)
#define SIZE (3 * PAGE)

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

static void *made, *opened;
static int memory_fd = -1;

static void make_memory(void)
{
    made = opened = NULL;
    ck_assert_int_eq(fipc_memory_create(&made, &memory_fd, "fipc_test_7", SIZE), 0);
}

static void drop_memory(void)
{
    fipc_memory_close(opened, SIZE);
    fipc_memory_close(made, SIZE);
    made = opened = NULL;
    memory_fd = fd_close(memory_fd);
}

/* ---- making ---- */

GROUP(memory, .fixtures = {HOLDINGS_KEPT, {make_memory, drop_memory}});

TEST(memory_has_its_size_and_is_zero)
{
    static const unsigned char zeros[SIZE];
    struct stat status;

    ck_assert_int_eq(fstat(memory_fd, &status), 0);
    ck_assert_uint_eq((size_t)status.st_size, SIZE);
    ck_assert_mem_eq(made, zeros, SIZE);
}

TEST(memory_can_neither_shrink_nor_grow)
{
    ck_assert_int_eq(fcntl(memory_fd, F_GET_SEALS) & SEALS, SEALS);
    ck_assert(!fipc_memory_is_sealed(memory_fd));
    ck_assert_int_eq(ftruncate(memory_fd, (off_t)PAGE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(ftruncate(memory_fd, (off_t)SIZE * 2), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fcntl(memory_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    ck_assert_int_eq(errno, EBUSY); /* its maker has it mapped */
}

TEST(fd_is_closed_on_exec) { ck_assert_int_eq(fcntl(memory_fd, F_GETFD), FD_CLOEXEC); }

/* Whether a line of a process's maps names our memory. */
static bool maps_name_memory(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    bool found = false;

    while (fgets(line, sizeof(line), maps) != NULL)
        found = found || strstr(line, "/memfd:fipc_test_7") != NULL;
    (void)fclose(maps);
    return found;
}

TEST(maps_show_whose_the_memory_is)
{
    ck_assert(maps_name_memory());
    fipc_memory_close(made, SIZE);
    made = NULL;
    ck_assert(!maps_name_memory());
}

TEST(kernel_without_noexec_seal_will_do)
{
    drop_memory();
    unknown_memfd_flags = 0x8;
    make_memory();
    ck_assert_int_eq(fcntl(memory_fd, F_GET_SEALS) & SEALS, SEALS);
}

TEST(name_that_is_too_long_is_refused)
{
    char name[300];
    void *base;
    int fd;

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(fipc_memory_create(&base, &fd, name, SIZE), -EINVAL);
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
    void *base = &failing;
    int fd = -7;

    failing = create_failures[_i].call;
    failing_errno = create_failures[_i].error;
    ck_assert_int_eq(fipc_memory_create(&base, &fd, "failing", SIZE), -failing_errno);
    failing = CALL_NONE;

    ck_assert_int_eq(fd, -7);
    ck_assert_ptr_eq(base, &failing);
}

/* ---- opening ---- */

TEST(opener_sees_what_the_maker_wrote_and_the_other_way_round)
{
    ck_assert_int_eq(fipc_memory_open(&opened, memory_fd, SIZE), 0);
    memory_fd = fd_close(memory_fd); /* was only borrowed */

    ck_assert_ptr_ne(opened, made);
    pattern_fill(opened, SIZE / 2, 1);
    ck_assert(pattern_matches(made, SIZE / 2, 1));
    pattern_fill(made, SIZE, 2);
    ck_assert(pattern_matches(opened, SIZE, 2));
}

/* A process that touched a page of the hole would wait for the end of it. */
TEST(opened_memory_takes_no_holes_and_no_other_opener)
{
    void *again;

    ck_assert_int_eq(fipc_memory_open(&opened, memory_fd, SIZE), 0);
    ck_assert(fipc_memory_is_sealed(memory_fd));

    ck_assert_int_eq(
        fallocate(memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)SIZE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(madvise(opened, SIZE, MADV_REMOVE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fcntl(memory_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fipc_memory_open(&again, memory_fd, SIZE), -EBADMSG);
}

static const int few_seals[] = {
    0,
    SEALS,
    SEALS | F_SEAL_SEAL,
    SEALS | F_SEAL_FUTURE_WRITE,
    F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL,
    F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL,
};

static void expect_open_refused(int fd)
{
    void *base = &failing;

    ck_assert_int_eq(fipc_memory_open(&base, fd, SIZE), -EBADMSG);
    ck_assert_ptr_eq(base, &failing);
}

static int memfd_with(size_t size, int seals)
{
    int fd = memfd_create("fipc_test_bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

TEST(populated_memory_is_all_there_until_somebody_punches_a_hole)
{
    FIPC_CLEANUP(fd_closep) int pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    off_t last = (off_t)(SIZE - PAGE);

    ck_assert_int_ge(pagemap_fd, 0);
    ck_assert(!fipc_memory_is_populated(made, SIZE, pagemap_fd));
    ck_assert(fipc_memory_is_populated(made, SIZE, -1)); /* there is no telling */
    ck_assert_int_eq(fipc_memory_populate(made, SIZE), 0);
    ck_assert(fipc_memory_is_populated(made, SIZE, pagemap_fd));
    ck_assert_int_eq(
        fallocate(memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, last, (off_t)PAGE), 0);
    ck_assert(!fipc_memory_is_populated(made, SIZE, pagemap_fd));
}

LOOP_TEST(memory_with_few_seals_is_not_sealed, COUNT_OF(few_seals))
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(SIZE, few_seals[_i]);

    ck_assert(!fipc_memory_is_sealed(fd));
}

/* The last one could not be sealed any more. */
static const int lacking_seals[] = {0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE,
                                    SEALS | F_SEAL_SEAL};

LOOP_TEST(memory_that_lacks_a_seal_is_refused, COUNT_OF(lacking_seals))
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(SIZE, lacking_seals[_i]);

    expect_open_refused(fd);
}

static const size_t bad_sizes[] = {0, PAGE, SIZE - 1, SIZE + 1, 2 * PAGE, 4 * PAGE};

LOOP_TEST(memory_of_another_size_is_refused, COUNT_OF(bad_sizes))
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(bad_sizes[_i], SEALS);

    expect_open_refused(fd);
}

TEST(memory_of_others_is_opened)
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(SIZE, SEALS);

    ck_assert_int_eq(fipc_memory_open(&opened, fd, SIZE), 0);
}

TEST(memory_that_cannot_be_written_is_refused)
{
    FIPC_CLEANUP(fd_closep) int fd = memfd_with(SIZE, SEALS | F_SEAL_WRITE);

    expect_open_refused(fd);
}

TEST(fd_of_something_else_is_refused)
{
    int pipes[2];

    ck_assert_int_eq(pipe(pipes), 0);
    expect_open_refused(pipes[0]);
    expect_open_refused(-1);
    (void)fd_close(pipes[0]);
    (void)fd_close(pipes[1]);
}

static const enum call open_failures[] = {CALL_MMAP, CALL_MADVISE};

LOOP_TEST(failed_opening_says_why_and_leaves_nothing, COUNT_OF(open_failures))
{
    void *base = NULL;

    failing = open_failures[_i];
    failing_errno = ENOMEM;
    ck_assert_int_eq(fipc_memory_open(&base, memory_fd, SIZE), -ENOMEM);
    failing = CALL_NONE;
    ck_assert_ptr_null(base);
}

TEST(child_does_not_inherit_opened_memory)
{
    pid_t child;

    ck_assert_int_eq(fipc_memory_open(&opened, memory_fd, SIZE), 0);
    fipc_memory_close(made, SIZE);
    made = NULL;
    ck_assert(maps_name_memory());

    child = fork();
    if (child == 0)
        _exit(maps_name_memory() ? 1 : 0);
    ck_assert_int_eq(wait_for_exit(child), 0);
}

/* ---- hiding ---- */

/* Return: 0; the errno of opening the memory again, as a user that is not root */
static int reopen_as_stranger(void)
{
    char path[32];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", memory_fd);
    if (geteuid() == 0 && (setgid(60001) < 0 || setuid(60001) < 0))
        return 99;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? errno : 0;
}

static int reopen_in_child(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(reopen_as_stranger());
    return wait_for_exit(child);
}

TEST(hidden_memory_can_be_mapped_but_not_opened_again)
{
    struct stat status;

    ck_assert_int_eq(reopen_in_child(), 0);
    ck_assert_int_eq(fipc_memory_hide(memory_fd), 0);
    ck_assert_int_eq(fstat(memory_fd, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0);
    ck_assert_int_eq(reopen_in_child(), EACCES);
    ck_assert_int_eq(fipc_memory_open(&opened, memory_fd, SIZE), 0);
    ck_assert(fipc_memory_is_sealed(memory_fd));
    ck_assert_int_eq(fipc_memory_hide(-1), -EBADF);
}

/* ---- ending ---- */

TEST(maker_seals_for_good)
{
    fipc_memory_seal(memory_fd);
    ck_assert(fipc_memory_is_sealed(memory_fd));
    fipc_memory_seal(memory_fd);
    ck_assert(fipc_memory_is_sealed(memory_fd));
    expect_open_refused(memory_fd);
}

TEST(closing_nothing_is_allowed) { fipc_memory_close(NULL, SIZE); }
