/* SPDX-License-Identifier: MIT */
/*
 * The epoch lies in a page that the kernel hands to a child of fork(2) filled with zeros
 * (MADV_WIPEONFORK), beside a counter in ordinary memory that the child inherits. So the epoch of a
 * child differs from those of all its ancestors. The page is one of our own variables', so that it
 * goes with the library when that is unloaded, and not before: threads may call us until then.
 */
#include "client/base/process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES_MAX ((size_t)65536) /* of all CPUs that fipc runs on */

/* A whole page is in it, and nothing else is in that page. The kernel has it as anonymous memory,
 * as all variables without an initial value. */
static unsigned char room[2 * PAGE_BYTES_MAX];
static _Atomic uint64_t *wiped; /* the page; NULL: not made yet, or the kernel does not wipe it */
static _Atomic uint64_t newest;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_page(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = room + (size - (uintptr_t)room % size) % size;

    if (size <= PAGE_BYTES_MAX && madvise(page, size, MADV_WIPEONFORK) == 0)
        wiped = page;
}

uint64_t fipc_process_epoch(void)
{
    uint64_t epoch, next;

    (void)pthread_once(&once, make_page);
    if (wiped == NULL)
        return FIPC_PROCESS_NONE;
    /* relaxed, here and below: the epoch is a number that nothing else hangs on */
    epoch = atomic_load_explicit(wiped, memory_order_relaxed);
    if (epoch != FIPC_PROCESS_NONE)
        return epoch;
    next = atomic_fetch_add_explicit(&newest, 1, memory_order_relaxed) + 1;
    /* of threads that come here at once, one decides */
    return atomic_compare_exchange_strong_explicit(wiped, &epoch, next, memory_order_relaxed,
                                                   memory_order_relaxed)
               ? next
               : epoch;
}

bool fipc_process_made(uint64_t epoch)
{
    return wiped != NULL && atomic_load_explicit(wiped, memory_order_relaxed) == epoch;
}
