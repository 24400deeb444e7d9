/* SPDX-License-Identifier: MIT */
/*
 * The library, on a broker that does what it likes. Both live in one thread: what the library waits
 * by is wrapped, and has the broker move instead. Time passes only where the library looks at the
 * clock or waits. An input is a row of the user's moves, each followed by what it needs, and in
 * between of the broker's, whenever the library waits. When it ends, the broker is gone.
 */
#include "common/clock.h"
#include "common/end.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/rogue_broker.h"
#include "tests/fuzz/user.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOVES_MAX 32
#define BROKER_MOVES_MAX 16
/* The time that passes at each wait when the broker is gone for good: longer timeouts end some
 * time, too. */
#define LONG_NS (UINT64_C(1) << 44)

static struct input *script; /* of this input */
static uint64_t now_ns;

/* The library waits, until @deadline_ns at most. */
static void wait_for_broker(uint64_t deadline_ns)
{
    for (int i = 0; i < BROKER_MOVES_MAX && script->left > 0; i++) {
        if (!rogue_broker_moves(script, input_byte(script) % BROKER_MOVE_COUNT))
            break;
    }
    if (script->left > 0)
        return;
    rogue_broker_die();
    if (deadline_ns > now_ns && deadline_ns != FIPC_NEVER)
        now_ns = deadline_ns;
    now_ns = fipc_deadline_after(now_ns, LONG_NS);
}

/* ---- what the library waits by ---- */

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names them */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *end,
                           struct timespec *ret_left);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_ppoll(struct pollfd *fds, nfds_t n_fds, const struct timespec *left,
                 const sigset_t *mask);
int __wrap_fipc_end_sleep(struct fipc_end *own, uint32_t word, uint64_t deadline_ns);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    (void)clock;
    now_ns += FIPC_NS_PER_US;
    ret_now->tv_sec = (time_t)(now_ns / FIPC_NS_PER_S);
    ret_now->tv_nsec = (long)(now_ns % FIPC_NS_PER_S);
    return 0;
}

int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *end,
                           struct timespec *ret_left)
{
    (void)clock;
    (void)flags;
    (void)ret_left;
    now_ns = (uint64_t)end->tv_sec * FIPC_NS_PER_S + (uint64_t)end->tv_nsec;
    return 0;
}

/* A broker that nobody may talk to ends every try. */
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    static const int errors[] = {0, 0, 0, ENOENT, ECONNREFUSED, EAGAIN, EINTR, EPROTOTYPE};
    int error = script->left > 0 ? errors[input_byte(script) % (sizeof(errors) / sizeof(errors[0]))]
                                 : EACCES;
    int lane_fd;

    (void)address;
    (void)size;
    if (error != 0) {
        errno = error;
        return -1;
    }
    lane_fd = rogue_broker_accept();
    FUZZ_CHECK(dup3(lane_fd, fd, O_CLOEXEC) == fd && close(lane_fd) == 0);
    return 0;
}

int __wrap_ppoll(struct pollfd *fds, nfds_t n_fds, const struct timespec *left,
                 const sigset_t *mask)
{
    uint64_t left_ns =
        left == NULL ? LONG_NS : (uint64_t)left->tv_sec * FIPC_NS_PER_S + (uint64_t)left->tv_nsec;
    int r;

    (void)mask;
    wait_for_broker(now_ns);
    r = poll(fds, n_fds, 0);
    if (r == 0)
        now_ns = fipc_deadline_after(now_ns, left_ns);
    if (r == 0 && left == NULL) {
        rogue_broker_die();
        r = poll(fds, n_fds, 0);
    }
    return r;
}

int __wrap_fipc_end_sleep(struct fipc_end *own, uint32_t word, uint64_t deadline_ns)
{
    wait_for_broker(deadline_ns);
    if (atomic_load(&own->word) != word)
        return 0;
    if (now_ns < deadline_ns)
        now_ns = deadline_ns;
    return -ETIMEDOUT;
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    int n_fds = fuzz_count_fds();

    script = &input;
    now_ns = FIPC_NS_PER_S;
    for (int i = 0; i < MOVES_MAX && input.left > 0; i++) {
        unsigned move = input_byte(&input) % (USER_MOVE_COUNT + BROKER_MOVE_COUNT);

        if (move < USER_MOVE_COUNT)
            user_moves(&input, (enum user_move)move);
        else
            (void)rogue_broker_moves(&input, move - USER_MOVE_COUNT);
    }
    input.left = 0;
    user_ends();
    rogue_broker_die();
    FUZZ_CHECK(fuzz_count_fds() == n_fds);
    return 0;
}
