/* SPDX-License-Identifier: MIT */
/* The few lines that own fds, and the clock. */
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <fcntl.h>

static int open_something(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    return fd;
}

GROUP(fds, .fixtures = {HOLDINGS_KEPT});

TEST(closing_gives_the_empty_state_and_keeps_errno)
{
    int fd = open_something();

    errno = ENOTTY;
    ck_assert_int_eq(fd_close(fd), -1);
    ck_assert_int_eq(errno, ENOTTY);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}

TEST(closing_the_empty_state_does_nothing)
{
    errno = ENOTTY;
    ck_assert_int_eq(fd_close(-1), -1);
    ck_assert_int_eq(errno, ENOTTY);
}

TEST(fd_zero_is_closed_too)
{
    int saved = dup(0);

    ck_assert_int_eq(fd_close(0), -1);
    ck_assert_int_eq(fcntl(0, F_GETFD), -1);
    ck_assert_int_eq(dup2(saved, 0), 0);
    (void)fd_close(saved);
}

TEST(fd_is_closed_at_the_end_of_its_scope)
{
    int seen;

    {
        FIPC_CLEANUP(fd_closep) int fd = open_something();

        seen = fd;
    }
    ck_assert_int_eq(fcntl(seen, F_GETFD), -1);
}

TEST(stolen_fd_stays_open)
{
    int stolen;

    {
        FIPC_CLEANUP(fd_closep) int fd = open_something();

        stolen = fd_steal(&fd);
        ck_assert_int_eq(fd, -1);
    }
    ck_assert_int_ge(fcntl(stolen, F_GETFD), 0);
    (void)fd_close(stolen);
}

GROUP(times, .fixtures = {HOLDINGS_KEPT});

TEST(now_is_the_monotonic_clock)
{
    struct timespec before, after;
    uint64_t now_ns;

    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &before), 0);
    now_ns = fipc_now_ns();
    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &after), 0);

    ck_assert_uint_ge(now_ns, (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec);
    ck_assert_uint_le(now_ns, (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec);
}
