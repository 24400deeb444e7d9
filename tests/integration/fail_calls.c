/* SPDX-License-Identifier: MIT */
/*
 * Everything goes to the kernel, or to the heap of glibc, directly: looking up the function that a
 * wrapper hides takes memory, and so would call the wrapper.
 */
#include "tests/integration/fail_calls.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* asm-generic/socket.h of Linux 6.16 */
#endif

/* What the kernel would say. */
static const int errors[FAIL_KIND_COUNT] = {
    [FAIL_ACCEPT4] = EMFILE,
    [FAIL_EPOLL_CREATE1] = EMFILE,
    [FAIL_EPOLL_ADD] = ENOSPC,
    [FAIL_EVENTFD] = EMFILE,
    [FAIL_MEMFD_CREATE] = EMFILE,
    [FAIL_OPEN] = ENFILE,
    [FAIL_PIPE] = EMFILE,
    [FAIL_SCANDIR] = EMFILE,
    [FAIL_SOCKET] = EMFILE,

    [FAIL_MALLOC] = ENOMEM,
    [FAIL_CALLOC] = ENOMEM,
    [FAIL_REALLOC] = ENOMEM,
    [FAIL_MMAP] = ENOMEM,
    [FAIL_FTRUNCATE] = ENOMEM,
    [FAIL_SEALS] = ENOMEM,
    [FAIL_PTHREAD_CREATE] = EAGAIN,
    [FAIL_SEND] = ENOBUFS,
    [FAIL_SENDMSG_FDS] = ETOOMANYREFS,
    [FAIL_INOTIFY] = ENOSPC,
    [FAIL_PASSRIGHTS] = ENOPROTOOPT,
};

/* Return: what the test sees and says; NULL: there is no test. */
static struct fail_calls *calls(void)
{
    static struct fail_calls *mapped;
    const char *path = mapped == NULL ? getenv(FAIL_PATH_VARIABLE) : NULL;
    int saved_errno = errno;
    long fd, base;

    if (path == NULL)
        return mapped;
    fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        abort();
    base = syscall(SYS_mmap, NULL, sizeof(*mapped), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
    if (base < 0)
        abort();
    (void)syscall(SYS_close, fd);
    mapped = (struct fail_calls *)base;
    errno = saved_errno;
    return mapped;
}

/* Counts a call. Return: whether it is one of those that fail; errno is set then */
static bool fails(enum fail_kind kind)
{
    struct fail_calls *all = calls();
    uint64_t number;

    if (all == NULL)
        return false;
    number = atomic_fetch_add(&all->kinds[kind].made, 1) + 1;
    if (number < atomic_load(&all->kinds[kind].first) ||
        number > atomic_load(&all->kinds[kind].last))
        return false;
    atomic_fetch_add(&all->kinds[kind].failed, 1);
    errno = errors[kind];
    return true;
}

/* ---- fds ---- */

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return fails(FAIL_ACCEPT4) ? -1 : (int)syscall(SYS_accept4, fd, address, size, flags);
}

int epoll_create1(int flags)
{
    return fails(FAIL_EPOLL_CREATE1) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && fails(FAIL_EPOLL_ADD))
        return -1;
    return (int)syscall(SYS_epoll_ctl, set, operation, fd, event);
}

int eventfd(unsigned count, int flags)
{
    return fails(FAIL_EVENTFD) ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    return fails(FAIL_INOTIFY) ? -1 : (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

int memfd_create(const char *name, unsigned flags)
{
    return fails(FAIL_MEMFD_CREATE) ? -1 : (int)syscall(SYS_memfd_create, name, flags);
}

int pipe(int fds[2]) { return fails(FAIL_PIPE) ? -1 : (int)syscall(SYS_pipe2, fds, 0); }

int socket(int domain, int type, int protocol)
{
    return fails(FAIL_SOCKET) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

int open(const char *path, int flags, ...)
{
    unsigned mode = 0;
    va_list arguments;

    va_start(arguments, flags);
    if ((flags & (O_CREAT | O_TMPFILE)) != 0)
        mode = va_arg(arguments, unsigned);
    va_end(arguments);
    return fails(FAIL_OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int scandir(const char *path, struct dirent ***ret_entries, int (*wanted)(const struct dirent *),
            int (*compare)(const struct dirent **, const struct dirent **))
{
    int (*real)(const char *, struct dirent ***, int (*)(const struct dirent *),
                int (*)(const struct dirent **, const struct dirent **)) = NULL;

    if (fails(FAIL_SCANDIR))
        return -1;
    *(void **)&real = dlsym(RTLD_NEXT, "scandir");
    return real(path, ret_entries, wanted, compare);
}

int fcntl(int fd, int command, ...)
{
    va_list arguments;
    void *argument;

    va_start(arguments, command);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if (command == F_ADD_SEALS && fails(FAIL_SEALS))
        return -1;
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

/* ---- memory ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static void *count_block(void *block)
{
    struct fail_calls *all = calls();

    if (all != NULL && block != NULL)
        atomic_fetch_add(&all->blocks, 1);
    return block;
}

void *malloc(size_t size) { return fails(FAIL_MALLOC) ? NULL : count_block(__libc_malloc(size)); }

void *calloc(size_t count, size_t size)
{
    return fails(FAIL_CALLOC) ? NULL : count_block(__libc_calloc(count, size));
}

void free(void *block)
{
    struct fail_calls *all = calls();

    if (all != NULL && block != NULL)
        atomic_fetch_sub(&all->blocks, 1);
    __libc_free(block);
}

void *realloc(void *block, size_t size)
{
    if (block != NULL && size == 0) {
        free(block);
        return NULL;
    }
    if (fails(FAIL_REALLOC))
        return NULL;
    return block == NULL ? count_block(__libc_realloc(NULL, size)) : __libc_realloc(block, size);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fails(FAIL_MMAP))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

int ftruncate(int fd, off_t size)
{
    return fails(FAIL_FTRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;

    if (fails(FAIL_PTHREAD_CREATE))
        return errno;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, start, argument);
}

/* ---- sockets ---- */

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    return fails(FAIL_SEND) ? -1 : syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    const struct cmsghdr *part = CMSG_FIRSTHDR(message);

    if (part != NULL && part->cmsg_type == SCM_RIGHTS && fails(FAIL_SENDMSG_FDS))
        return -1;
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t size = syscall(SYS_recvmsg, fd, message, flags);
    struct fail_calls *all = calls();

    if (size < 0 || all == NULL)
        return size;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_type == SCM_RIGHTS)
            atomic_fetch_add(&all->fds_came, (part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    }
    return size;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    if (level == SOL_SOCKET && option == SO_PASSRIGHTS && fails(FAIL_PASSRIGHTS))
        return -1;
    return (int)syscall(SYS_setsockopt, fd, level, option, value, size);
}
