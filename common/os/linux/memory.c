/* SPDX-License-Identifier: MIT */
/*
 * The maker of shared memory trusts no process that maps it: it seals the memory before handing it
 * out, so that no peer can truncate it under us (SIGBUS). The opener checks the seals and the size.
 *
 * A process that touches a page outside its page table sleeps in the kernel while another owner
 * punches a hole there, or has the page written out or moved. An owner that has to wait for a CPU
 * meanwhile takes seconds over it. So a maker that does not trust its opener has all pages in its
 * page table before it hands the memory out: the kernel leaves pages of two owners alone, but for
 * holes. The last seals forbid holes, and also new mappings: therefore the opener adds them, after
 * its own. Once the maker finds these seals, and all pages still in place, it can touch the memory.
 */
#include "common/os/os.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

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

static int memory_map(void **ret_base, int fd, size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED)
        return errno == EPERM ? -EBADMSG : -errno; /* sealed by another process */
    *ret_base = base;
    return 0;
}

int fipc_memory_create(void **ret_base, int *ret_fd, const char *name, size_t size)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    int r;

    fd = sealable_memfd(name);
    if (fd < 0)
        return fd_steal(&fd);
    if (ftruncate(fd, (off_t)size) < 0)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, SEALS_OF_MAKER) < 0)
        return -errno;
    r = memory_map(ret_base, fd, size);
    if (r < 0)
        return r;
    *ret_fd = fd_steal(&fd);
    return 0;
}

int fipc_memory_open(void **ret_base, int fd, size_t size)
{
    struct stat status;
    void *base = NULL;
    int r;

    if (!has_seals(fd, SEALS_OF_MAKER))
        return -EBADMSG;
    if (fstat(fd, &status) < 0)
        return -errno;
    if ((uint64_t)status.st_size != size)
        return -EBADMSG;

    r = memory_map(&base, fd, size);
    if (r < 0)
        return r;
    if (madvise(base, size, MADV_DONTFORK) < 0 || fcntl(fd, F_ADD_SEALS, SEALS_OF_OPENER) < 0) {
        r = errno == EPERM ? -EBADMSG : -errno;
        fipc_memory_close(base, size);
        return r;
    }
    *ret_base = base;
    return 0;
}

int fipc_memory_hide(int fd) { return fchmod(fd, 0) < 0 ? -errno : 0; }

void fipc_memory_seal(int fd)
{
    (void)fcntl(fd, F_ADD_SEALS, SEALS_OF_OPENER); /* EPERM: the opener has added F_SEAL_SEAL */
}

int fipc_memory_populate(void *base, size_t size)
{
    return madvise(base, size, MADV_POPULATE_WRITE) < 0 ? -errno : 0;
}

bool fipc_memory_is_populated(const void *base, size_t size, int pagemap_fd)
{
    uint64_t entries[PAGEMAP_ENTRIES];
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t n_left = (size + page_bytes - 1) / page_bytes;
    off_t offset = (off_t)((uintptr_t)base / page_bytes * sizeof(entries[0]));

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

bool fipc_memory_is_sealed(int fd) { return has_seals(fd, SEALS_OF_MAKER | SEALS_OF_OPENER); }

void fipc_memory_close(void *base, size_t size)
{
    if (base != NULL)
        (void)munmap(base, size);
}
