/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_FAIL_CALLS_H
#define FIPC_TESTS_FAIL_CALLS_H

/*
 * A library that is preloaded into a program, counts its calls by kind, and makes those fail that a
 * test chooses. Both map the file that $FIPC_FAIL_CALLS names, so that a test can look and choose
 * while the program runs.
 */
#include <stdatomic.h>
#include <stdint.h>

enum fail_kind {
    /* they make an fd, or use one up */
    FAIL_ACCEPT4,
    FAIL_EPOLL_CREATE1,
    FAIL_EPOLL_ADD,
    FAIL_EVENTFD,
    FAIL_MEMFD_CREATE,
    FAIL_OPEN,
    FAIL_PIPE,
    FAIL_SCANDIR,
    FAIL_SOCKET,
    /* they need memory */
    FAIL_MALLOC, /* what strdup(3), asprintf(3) and their like take is counted here too */
    FAIL_CALLOC,
    FAIL_REALLOC,
    FAIL_MMAP,
    FAIL_FTRUNCATE,
    FAIL_SEALS, /* fcntl F_ADD_SEALS */
    FAIL_PTHREAD_CREATE,
    FAIL_SEND,
    /* the kernel's other limits */
    FAIL_SENDMSG_FDS, /* with SCM_RIGHTS: too many fds are in flight */
    FAIL_INOTIFY,     /* inotify_add_watch: fs.inotify.max_user_watches */
    FAIL_PASSRIGHTS,  /* setsockopt SO_PASSRIGHTS: Linux before 6.16 does not know it */
    FAIL_KIND_COUNT,
};

#define FAIL_PATH_VARIABLE "FIPC_FAIL_CALLS"

struct fail_calls {
    struct {
        _Atomic uint64_t made;   /* calls so far, those that failed too */
        _Atomic uint64_t failed; /* by us */
        /* numbers of calls, the first one being 1: from here to there they fail; 0: none */
        _Atomic uint64_t first, last;
    } kinds[FAIL_KIND_COUNT];
    _Atomic int64_t blocks;    /* of the heap, that are not freed */
    _Atomic uint64_t fds_came; /* that came in messages */
};

#endif
