/* SPDX-License-Identifier: MIT */
#include "tests/integration/slow_wakes.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct slow_wakes *wakes;
static long (*real_syscall)(long number, ...);

__attribute__((constructor)) static void open_wakes(void)
{
    const char *path = getenv(SLOW_WAKES_VARIABLE);
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *base;

    *(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
    if (fd < 0)
        return;
    base = mmap(NULL, sizeof(*wakes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (base == MAP_FAILED)
        abort();
    wakes = base;
}

static uint64_t cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void wake_slowly(void)
{
    uint64_t began_ns = cpu_ns();

    if (wakes == NULL)
        return;
    atomic_fetch_add(&wakes->made, 1);
    while (cpu_ns() - began_ns < atomic_load(&wakes->ns))
        ;
}

long syscall(long number, ...)
{
    long arguments[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_futex && (arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAKE)
        wake_slowly();
    return real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                        arguments[4], arguments[5]);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    wake_slowly();
    return sendto(fd, bytes, size, flags, NULL, 0);
}
