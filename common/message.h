/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_MESSAGE_H
#define FIPC_COMMON_MESSAGE_H

/*
 * The header of every record in a ring, 32 bytes, little-endian. A message is this
 * header and its payload; a control record carries a control packet (common/control.h) as its
 * payload.
 *
 *      0        4      6       8        12       16               24               32
 *      +--------+------+-------+--------+--------+----------------+----------------+
 *      |  size  | kind | flags | target | status |       id       |  remaining_ns  |  payload ...
 *      +--------+------+-------+--------+--------+----------------+----------------+
 *
 *      caller                      broker                          worker
 *        | -- REQUEST ------------->  |                               |
 *        |                            | -- REQUEST, fipc_delivery --> |
 *        | -- CANCEL, if it likes --> | -- CANCEL, if it is due ----> |
 *        |                            | <------------------- REPLY -- |
 *        | <--------------- REPLY --  |                               |
 *
 * A worker's reply, and a cancel to it, have the number of the delivery as target.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "fipc runs on little-endian CPUs only: its packets and records are in the host's byte order"
#endif

enum fipc_kind {
    FIPC_KIND_CORRUPT = 0, /* what a hole punched into the region reads as: never written */
    FIPC_KIND_SKIP = 1,    /* no message: room that its producer could not use */
    FIPC_KIND_REQUEST = 2,
    FIPC_KIND_REPLY = 3,
    FIPC_KIND_CANCEL = 4, /* the caller no longer waits for the request with this id */
    FIPC_KIND_CONTROL = 5,
};

/* Flags of a request. The broker answers one with a flag that it does not know with -EOPNOTSUPP. */
enum fipc_request_flag {
    FIPC_REQUEST_NO_REPLY = 1 << 0,     /* a post: the caller waits for no reply */
    FIPC_REQUEST_IDEMPOTENT = 1 << 1,   /* may be delivered again after a crash */
    FIPC_REQUEST_WAIT_SERVICE = 1 << 2, /* wait until a worker serves the name */
    FIPC_REQUEST_NO_WAIT = 1 << 3, /* -EAGAIN where there is no room, and no ROOM record later */
    FIPC_REQUEST_LARGE = 1 << 4,   /* the payload is in a memfd that was announced before */
};

/* Flags of a reply. */
enum fipc_reply_flag {
    FIPC_REPLY_CAPPED =
        1 << 0, /* the caller asked for more time than handler_ms, and got handler_ms */
    FIPC_REPLY_LARGE = 1 << 1, /* as FIPC_REQUEST_LARGE */
    /* An error of the broker: no worker has seen the request. Among them -ESTALE means that the
     * target is undefined by now (open the name again), and -EAGAIN that the service's queue is
     * full (a control record ROOM follows). */
    FIPC_REPLY_NOT_DELIVERED = 1 << 2,
};

/* Stands before the payload of a request to a worker: the caller, as the kernel identified it.
 * n_groups group ids follow, then the caller's payload. */
struct fipc_delivery {
    uint32_t number; /* goes back as the target of the reply */
    uint32_t uid;
    uint32_t gid;
    int32_t pid;
    uint32_t n_groups;
    uint32_t name_bytes; /* zero: the name of the target was called; the library takes no other */
    uint64_t token;      /* of this hand-over, random; also in the caller's place */
};

/* A status is 0 or a negative errno: MAX_ERRNO of the kernel. */
#define FIPC_ERROR_MAX 4095

struct fipc_header {
    uint32_t size;   /* of header and payload, in bytes */
    uint16_t kind;   /* enum fipc_kind */
    uint16_t flags;  /* by kind */
    uint32_t target; /* request: number that OPENED, SERVED gave to the name; reply of a worker, and
                        cancel to it: number of the delivery */
    int32_t status;  /* reply: 0 or a negative errno; request: its place, see common/region.h */
    uint64_t id;     /* made by the caller's library, unguessable: the right to have the reply */
    uint64_t remaining_ns; /* request: time left to answer; 0: the broker's longest */
};

static_assert(sizeof(struct fipc_delivery) == 32, "the wire's delivery has no padding");
static_assert(sizeof(struct fipc_header) == 32, "the wire's header is 32 bytes");
static_assert(offsetof(struct fipc_header, kind) == 4 && offsetof(struct fipc_header, flags) == 6 &&
                  offsetof(struct fipc_header, target) == 8 &&
                  offsetof(struct fipc_header, status) == 12 &&
                  offsetof(struct fipc_header, id) == 16 &&
                  offsetof(struct fipc_header, remaining_ns) == 24,
              "the wire's header has no padding");

#endif
