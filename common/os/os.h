/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_OS_OS_H
#define FIPC_COMMON_OS_OS_H

/*
 * Every question of common/ to the operating system, and the only header of common/ that knows one.
 * Each folder beside it holds these verbs for one system: linux/. The inline verbs are in that
 * folder's inline.h: fipc_now_ns(), and the owners of fds (FIPC_CLEANUP(), fd_close(), fd_closep(),
 * fd_steal()).
 *
 * The verbs know bytes and sizes, and nothing of the modules above them: no records, no channels.
 * No verb blocks unless it says so. Threads: any, unless it says otherwise.
 */
#include "common/os/linux/inline.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- memory that two processes share ---- */

/**
 * fipc_memory_create() - make, size, seal and map memory for another process to open
 * @ret_base:  the mapping, zeroed; unmap it with fipc_memory_close()
 * @ret_fd:    the memory, for the other process; returned to the caller
 * @name:      shown in /proc/PID/maps as "memfd:<name>"
 *
 * The memory can neither shrink nor grow from here on (F_SEAL_SHRINK, F_SEAL_GROW). Its opener can
 * still punch holes, and a process that touches a hole waits: leave the memory alone until
 * fipc_memory_is_sealed(). Call fipc_memory_hide() before the fd is handed out.
 *
 * Return: 0; the errno of memfd_create(2), ftruncate(2), fcntl(2), mmap(2)
 */
int fipc_memory_create(void **ret_base, int *ret_fd, const char *name, size_t size);

/**
 * fipc_memory_open() - map memory that another process made
 * @fd:    the memory; borrowed, may be closed afterwards
 * @size:  that its maker promised
 *
 * Compares seals and size with the promise before it maps the memory, and seals it for good
 * afterwards (F_SEAL_FUTURE_WRITE, F_SEAL_SEAL): no process can open it again, or punch holes. A
 * child of fork(2) does not inherit the mapping.
 *
 * Return: 0; -EBADMSG if it is not memory of that size with its maker's seals alone; the errno of
 * mmap(2)
 */
int fipc_memory_open(void **ret_base, int fd, size_t size);

/* Takes all permissions off memory (mode 0): a process that is handed the fd can map it, but no
 * user can open the file again, or have its pages written out. Its maker itself can open it only
 * before. Return: 0; the errno of fchmod(2) */
int fipc_memory_hide(int fd);

/* Makes all pages resident, and our own. Return: 0; the errno of madvise(2) */
int fipc_memory_populate(void *base, size_t size);

/**
 * fipc_memory_is_populated() - whether all pages are ours as fipc_memory_populate() left them
 * @pagemap_fd:  /proc/self/pagemap; -1 if there is none: the answer is true then
 *
 * False after a process has punched a hole. Does not look into the memory.
 */
bool fipc_memory_is_populated(const void *base, size_t size, int pagemap_fd);

/* Seals memory as fipc_memory_open() does, for a maker that has no more use for it. Blocks while
 * another process punches a hole. */
void fipc_memory_seal(int fd);

/* Whether the other process has opened the memory, so that no process can punch holes into it any
 * more. Does not look into it. */
bool fipc_memory_is_sealed(int fd);

/* Unmaps. NULL is allowed. */
void fipc_memory_close(void *base, size_t size);

/* ---- a word to sleep on ---- */

/* Which threads may sleep on a word: those of this process, or of every process that maps it. */
enum fipc_futex_scope {
    FIPC_FUTEX_PRIVATE,
    FIPC_FUTEX_SHARED,
};

/**
 * fipc_futex_wait() - sleep while a word holds a value
 * @word:         the word; for FIPC_FUTEX_SHARED a read-only mapping is enough
 * @expected:     sleep only while *@word is this
 * @deadline_ns:  on the clock of fipc_now_ns(); UINT64_MAX for none
 *
 * Blocks. A return of 0 is a hint, not news: the word changed, another thread woke this one, or a
 * signal came. Look again.
 *
 * Return: 0; -ETIMEDOUT if the deadline passed; -EFAULT, -EINVAL if the address is bad
 */
int fipc_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
                    enum fipc_futex_scope scope);

/* Wakes @count sleepers of a word at most; INT_MAX: all. */
void fipc_futex_wake(_Atomic uint32_t *word, int count, enum fipc_futex_scope scope);

/* ---- bell: wakes a peer that sleeps on its fds ---- */

enum fipc_bell_kind {
    FIPC_BELL_EVENTFD, /* toward trust only: its holder can make our write(2) block for ever */
    FIPC_BELL_LANE,
};

/* Borrows its fd: the owner of the channel closes it. */
struct fipc_bell {
    enum fipc_bell_kind kind;
    int fd;
};

/**
 * fipc_bell_ring() - wake a peer that sleeps on its fds
 *
 * Return: 0 if it rings, or rang already; -EPIPE if the peer is gone; any other error if the caller
 * should try again later
 */
int fipc_bell_ring(const struct fipc_bell *bell);

/* ---- lane: whole packets in and out, fds counted exactly ---- */

/* The most fds that one packet can carry: SCM_MAX_FD of the kernel, unix(7). */
#define FIPC_LANE_FDS_MAX 253
/* The most that fipc_lane_send_parts() sends. */
#define FIPC_LANE_SEND_FDS_MAX 4
#define FIPC_LANE_PARTS_MAX 3

struct fipc_lane_fds {
    int fds[FIPC_LANE_FDS_MAX];
    size_t count;
};

/* Bytes of a packet; borrowed. */
struct fipc_part {
    const void *bytes;
    size_t size;
};

/**
 * fipc_lane_send_parts() - send one packet, made of some parts
 * @fds:  borrowed; @n_fds of them go with the packet
 *
 * Return: 0; -EAGAIN if the peer does not read; -EPIPE if it is gone; -ETOOMANYREFS if too many fds
 * are in flight; -ENOMEM; -EMSGSIZE if the packet is larger than the lane takes
 */
int fipc_lane_send_parts(int lane_fd, const struct fipc_part *parts, size_t n_parts, const int *fds,
                         size_t n_fds);

/* Likewise, of one part. */
static inline int fipc_lane_send_packet(int lane_fd, const void *packet, size_t size,
                                        const int *fds, size_t n_fds)
{
    return fipc_lane_send_parts(lane_fd, &(const struct fipc_part){packet, size}, 1, fds, n_fds);
}

/**
 * fipc_lane_receive() - receive one packet
 * @ret_size:  bytes of it
 * @ret_fds:   every fd that came, also on failure: returned to the caller, who closes them
 *
 * There is room for every fd that can come, so that the kernel closes none in our name.
 *
 * Return: 0; -EAGAIN if no packet is there; -EPIPE if the peer hung up; -EMSGSIZE if the packet was
 * larger than @buffer_size; -EBADMSG if fds were lost on the way; else the errno of recvmsg(2)
 */
int fipc_lane_receive(int lane_fd, void *buffer, size_t buffer_size, size_t *ret_size,
                      struct fipc_lane_fds *ret_fds);

/**
 * fipc_lane_receive_plain() - receive one packet that must come without fds
 *
 * Leaves a packet with fds where it is: a process that takes a foreign fd has to close it, and its
 * sender decides how long that takes.
 *
 * Return: as fipc_lane_receive(), and -EPERM if the packet brings fds; it stays unread
 */
int fipc_lane_receive_plain(int lane_fd, void *buffer, size_t buffer_size, size_t *ret_size);

/* Closes all of them. */
void fipc_lane_fds_close(struct fipc_lane_fds *fds);

/* Whether the peer has read all that was sent. */
bool fipc_lane_is_read(int lane_fd);

/* Whether the peer hung up; its last packets may still be there. */
bool fipc_lane_is_hung_up(int lane_fd);

/**
 * fipc_lane_sleep() - sleep until the peer sends or hangs up
 * @wake_fd:      or until this fd is readable; -1: there is none
 * @deadline_ns:  on the clock of fipc_now_ns(); UINT64_MAX for none
 *
 * Blocks. A return of 0 is a hint, as of fipc_futex_wait(). No third party can make it slow to wake
 * the sleeper.
 *
 * Return: 0; -ETIMEDOUT; -EPIPE if the peer hung up; its last packets may still be there
 */
int fipc_lane_sleep(int lane_fd, int wake_fd, uint64_t deadline_ns);

/**
 * fipc_lane_finish() - take no more packets, and look whether closing the lane can block
 *
 * Closing can block only while a packet with fds lies unread in the lane.
 *
 * Return: whether no packet lies unread in the lane
 */
bool fipc_lane_finish(int lane_fd);

/* ---- peer: the process at the other end of a lane, as it was when it connected ---- */

struct fipc_identity {
    uint32_t uid;
    uint32_t gid;
    int32_t pid;
};

/* Return: 0; the errno of getsockopt(2) */
int fipc_peer_identity(int lane_fd, struct fipc_identity *ret_identity);

/**
 * fipc_peer_groups() - find the supplementary groups of a peer
 * @ret_groups:  for the caller to free(); NULL where there are none
 *
 * They never change: they are the groups that the peer had when it connected.
 *
 * Return: 0; -ENOMEM; the errno of getsockopt(2)
 */
int fipc_peer_groups(int lane_fd, uint32_t **ret_groups, uint32_t *ret_count);

/* Return: a pidfd of the peer, for the caller to close; -EOPNOTSUPP if the kernel has none; the
 * errno of getsockopt(2) */
int fipc_peer_hold(int lane_fd);

/* ---- threads and CPUs ---- */

/* Whether this process has no other thread, for sure. */
bool fipc_is_single_threaded(void);

/* CPUs that the machine uses. */
unsigned fipc_cpus(void);

/* Gives the CPU to another thread that waits for it, if there is one. */
void fipc_yield(void);

/* How often the kernel took the CPU from this thread. */
long fipc_involuntary_switches(void);

#endif
