/* SPDX-License-Identifier: MIT */
/*
 * Whoever makes a region trusts nobody who maps it: sealed before it leaves our hands, so that no
 * peer can truncate it under us (SIGBUS). Whoever opens one checks the seals and the size, and
 * takes its geometry from the greeting, never from the memory.
 *
 * Whoever touches a page that is not in his page table sleeps in the kernel while another owner
 * punches a hole there, or has the page written out or moved; and who does that, but has to wait
 * for a CPU, takes seconds over it. So a maker that trusts its opener with less has all pages in
 * its page table before it hands the region out: the kernel leaves pages of two owners alone, but
 * for holes. Against these are the last seals, which have to wait for the opener's mapping, since
 * they refuse new ones: who finds them there, and all pages still in place, can touch the memory.
 */
#include "common/region.h"

#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

#define SEALS_OF_MAKER (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_OF_OPENER (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) /* the first forbids holes too */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Of /proc/PID/pagemap: proc_pid_pagemap(5). */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_ENTRIES 64u

/* What lies before the request ring, so that the control block ends up in the middle of a page. */
#define EDGE_BYTES ((FIPC_REGION_PAGE - sizeof(struct fipc_control_block)) / 2)

static int sealable_memfd(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd < 0 ? -errno : fd;
}

static bool has_seals(int fd, int wanted)
{
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & wanted) == wanted;
}

static int region_map(struct fipc_region *ret_region, int fd, uint32_t request_ring_bytes,
                      uint32_t reply_ring_bytes)
{
    size_t size = fipc_region_size(request_ring_bytes, reply_ring_bytes);
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED)
        return errno == EPERM ? -EBADMSG : -errno; /* sealed by somebody else */
    *ret_region = (struct fipc_region){
        .base = base,
        .size = size,
        .request_ring_bytes = request_ring_bytes,
        .reply_ring_bytes = reply_ring_bytes,
    };
    return 0;
}

static void region_start(const struct fipc_region *region)
{
    struct fipc_control_block *control = fipc_region_control(region);

    fipc_ring_positions_init(&control->request,
                             fipc_region_request_start(region->request_ring_bytes));
    fipc_ring_positions_init(&control->reply, 0);
    fipc_end_init(&control->client);
    fipc_end_init(&control->broker);
}

int fipc_region_create(struct fipc_region *ret_region, int *ret_fd, const char *name,
                       uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    int r;

    if (!fipc_ring_bytes_valid(request_ring_bytes) || !fipc_ring_bytes_valid(reply_ring_bytes))
        return -EINVAL;

    fd = sealable_memfd(name);
    if (fd < 0)
        return fd_steal(&fd);
    if (ftruncate(fd, (off_t)fipc_region_size(request_ring_bytes, reply_ring_bytes)) < 0)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, SEALS_OF_MAKER) < 0)
        return -errno;
    r = region_map(ret_region, fd, request_ring_bytes, reply_ring_bytes);
    if (r < 0)
        return r;
    region_start(ret_region);
    *ret_fd = fd_steal(&fd);
    return 0;
}

int fipc_region_open(struct fipc_region *ret_region, int fd, uint32_t request_ring_bytes,
                     uint32_t reply_ring_bytes)
{
    struct fipc_region region = FIPC_REGION_EMPTY;
    struct stat status;
    int r;

    if (!fipc_ring_bytes_valid(request_ring_bytes) || !fipc_ring_bytes_valid(reply_ring_bytes))
        return -EINVAL;

    if (!has_seals(fd, SEALS_OF_MAKER))
        return -EBADMSG;
    if (fstat(fd, &status) < 0)
        return -errno;
    if ((uint64_t)status.st_size != fipc_region_size(request_ring_bytes, reply_ring_bytes))
        return -EBADMSG;

    r = region_map(&region, fd, request_ring_bytes, reply_ring_bytes);
    if (r < 0)
        return r;
    if (madvise(region.base, region.size, MADV_DONTFORK) < 0 ||
        fcntl(fd, F_ADD_SEALS, SEALS_OF_OPENER) < 0) {
        r = errno == EPERM ? -EBADMSG : -errno;
        fipc_region_deinit(&region);
        return r;
    }
    *ret_region = region;
    return 0;
}

void fipc_region_seal(int fd)
{
    (void)fcntl(fd, F_ADD_SEALS, SEALS_OF_OPENER); /* EPERM: somebody has added F_SEAL_SEAL */
}

int fipc_region_populate(const struct fipc_region *region)
{
    return madvise(region->base, region->size, MADV_POPULATE_WRITE) < 0 ? -errno : 0;
}

bool fipc_region_is_populated(const struct fipc_region *region, int pagemap_fd)
{
    uint64_t entries[PAGEMAP_ENTRIES];
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t n_left = (region->size + page_bytes - 1) / page_bytes;
    off_t offset = (off_t)((uintptr_t)region->base / page_bytes * sizeof(entries[0]));

    while (pagemap_fd >= 0 && n_left > 0) {
        size_t n = n_left < PAGEMAP_ENTRIES ? n_left : PAGEMAP_ENTRIES;

        if (pread(pagemap_fd, entries, n * sizeof(entries[0]), offset) !=
            (ssize_t)(n * sizeof(entries[0])))
            return false;
        for (size_t i = 0; i < n; i++) {
            if ((entries[i] & PAGEMAP_PRESENT) == 0)
                return false;
        }
        n_left -= n;
        offset += (off_t)(n * sizeof(entries[0]));
    }
    return true;
}

bool fipc_region_is_sealed(int fd) { return has_seals(fd, SEALS_OF_MAKER | SEALS_OF_OPENER); }

void fipc_region_deinit(struct fipc_region *region)
{
    if (region->base != NULL)
        (void)munmap(region->base, region->size);
    *region = FIPC_REGION_EMPTY;
}

bool fipc_ring_bytes_valid(uint32_t bytes)
{
    return bytes >= FIPC_RING_BYTES_MIN && bytes <= FIPC_RING_BYTES_MAX &&
           (bytes & (bytes - 1)) == 0;
}

size_t fipc_region_size(uint32_t request_ring_bytes, uint32_t reply_ring_bytes)
{
    return FIPC_REGION_PAGE + (size_t)request_ring_bytes + reply_ring_bytes;
}

unsigned char *fipc_region_request_ring(const struct fipc_region *region)
{
    return (unsigned char *)region->base + EDGE_BYTES;
}

struct fipc_control_block *fipc_region_control(const struct fipc_region *region)
{
    unsigned char *control = fipc_region_request_ring(region) + region->request_ring_bytes;

    return (struct fipc_control_block *)(void *)control;
}

unsigned char *fipc_region_reply_ring(const struct fipc_region *region)
{
    return (unsigned char *)(fipc_region_control(region) + 1);
}

uint64_t fipc_region_request_start(uint32_t request_ring_bytes)
{
    return request_ring_bytes - EDGE_BYTES;
}
