/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_OS_OS_H
#define FIPC_COMMON_OS_OS_H

/*
 * Everything that common/ asks the operating system, and the only header of common/ that knows one.
 * Each folder beside it holds these verbs for one system: linux/. What has to be inline is in that
 * folder's inline.h: fipc_now_ns(), and the owners of fds (FIPC_CLEANUP(), fd_close(), fd_closep(),
 * fd_steal()).
 *
 * The verbs know nothing of the modules above them: bytes and sizes, no records, packets or
 * channels. None of them blocks unless it says so. Threads: any, unless it says otherwise.
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
 * The memory can neither shrink nor grow from here on (F_SEAL_SHRINK, F_SEAL_GROW). Holes can still
 * be punched into it, and make whoever touches them wait: leave it alone until
 * fipc_memory_is_sealed().
 *
 * Return: 0; the errno of memfd_create(2), ftruncate(2), fcntl(2), mmap(2)
 */
int fipc_memory_create(void **ret_base, int *ret_fd, const char *name, size_t size);

/**
 * fipc_memory_open() - map memory that another process made
 * @fd:    the memory; borrowed, may be closed afterwards
 * @size:  that its maker promised
 *
 * Both seals and size are compared with what was promised before the memory is mapped, and it is
 * sealed for good afterwards (F_SEAL_FUTURE_WRITE, F_SEAL_SEAL): it cannot be opened again, and
 * nobody can punch holes. A child of fork(2) does not inherit the mapping.
 *
 * Return: 0; -EBADMSG not memory of that size and with its maker's seals alone; the errno of
 * mmap(2)
 */
int fipc_memory_open(void **ret_base, int fd, size_t size);

/* Makes all pages resident, and our own. Return: 0; the errno of madvise(2) */
int fipc_memory_populate(void *base, size_t size);

/**
 * fipc_memory_is_populated() - whether all pages are ours as fipc_memory_populate() left them
 * @pagemap_fd:  /proc/self/pagemap; -1: there is none, and nobody can tell
 *
 * Not after somebody has punched a hole. Does not look into the memory.
 */
bool fipc_memory_is_populated(const void *base, size_t size, int pagemap_fd);

/* Seals memory as fipc_memory_open() does, for its maker, who has no more use for it. Blocks until
 * nobody punches holes into it. */
void fipc_memory_seal(int fd);

/* Whether the other process has opened the memory, and nobody can punch holes into it any more.
 * Does not look into it. */
bool fipc_memory_is_sealed(int fd);

/* Unmaps. NULL is allowed. */
void fipc_memory_close(void *base, size_t size);

/* ---- a word to sleep on ---- */

/* Who may sleep on a word: only threads of this process, or every process that maps its memory. */
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
 * A return of 0 is a hint, not news: the word changed, somebody woke us, or a signal came. Look
 * again.
 *
 * Return: 0; -ETIMEDOUT the deadline passed; -EFAULT, -EINVAL a bad address
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
 * Return: 0 it rings, or rang already; -EPIPE the peer is gone; any other error: try again later
 */
int fipc_bell_ring(const struct fipc_bell *bell);

/* ---- lane: whole packets in and out, fds counted exactly ---- */

/* The most fds that one packet can carry: SCM_MAX_FD of the kernel, unix(7). */
#define FIPC_LANE_FDS_MAX 253
/* The most that fipc_lane_send_packet() sends. */
#define FIPC_LANE_SEND_FDS_MAX 4

struct fipc_lane_fds {
    int fds[FIPC_LANE_FDS_MAX];
    size_t count;
};

/**
 * fipc_lane_send_packet() - send one packet
 * @fds:  borrowed; @n_fds of them go with the packet
 *
 * Return: 0; -EAGAIN the peer does not read; -EPIPE it is gone; -ETOOMANYREFS too many fds in
 * flight; -ENOMEM; -EMSGSIZE larger than the lane takes
 */
int fipc_lane_send_packet(int lane_fd, const void *packet, size_t size, const int *fds,
                          size_t n_fds);

/**
 * fipc_lane_receive() - receive one packet
 * @ret_size:  bytes of it
 * @ret_fds:   every fd that came, also on failure: returned to the caller, who closes them
 *
 * There is room for every fd that can come, so that the kernel closes none in our name.
 *
 * Return: 0; -EAGAIN nothing there; -EPIPE the peer hung up; -EMSGSIZE the packet was larger than
 * @buffer_size; -EBADMSG fds were lost on the way; else the errno of recvmsg(2)
 */
int fipc_lane_receive(int lane_fd, void *buffer, size_t buffer_size, size_t *ret_size,
                      struct fipc_lane_fds *ret_fds);

/**
 * fipc_lane_receive_plain() - receive one packet that must come without fds
 *
 * One with fds is left where it is: whoever takes a foreign fd has to close it, which can take as
 * long as its sender likes.
 *
 * Return: as fipc_lane_receive(), but: -EPERM it brings fds, and stays unread
 */
int fipc_lane_receive_plain(int lane_fd, void *buffer, size_t buffer_size, size_t *ret_size);

/* Closes all of them. */
void fipc_lane_fds_close(struct fipc_lane_fds *fds);

/* Whether the peer has read all that was sent. */
bool fipc_lane_is_read(int lane_fd);

/* Whether the peer hung up; what it sent before may still be there. */
bool fipc_lane_is_hung_up(int lane_fd);

/**
 * fipc_lane_finish() - take no more packets, and look whether closing the lane can block
 *
 * It can only while a packet with fds lies unread in it.
 *
 * Return: whether nothing lies unread in it
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
 * They never change: they are those with which it connected, whenever they are asked for.
 *
 * Return: 0; -ENOMEM; the errno of getsockopt(2)
 */
int fipc_peer_groups(int lane_fd, uint32_t **ret_groups, uint32_t *ret_count);

/* Return: a pidfd of the peer, for the caller to close; -EOPNOTSUPP the kernel has none; the errno
 * of getsockopt(2) */
int fipc_peer_hold(int lane_fd);

/* ---- CPUs ---- */

/* CPUs that the machine uses. */
unsigned fipc_cpus(void);

/* Gives the CPU to another thread that waits for it, if there is one. */
void fipc_yield(void);

/* How often this thread was made to give up its CPU. */
long fipc_involuntary_switches(void);

#endif
