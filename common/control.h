/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_CONTROL_H
#define FIPC_COMMON_CONTROL_H

/*
 * The control protocol: small packets of one fixed header, a fixed body per type, and the name or
 * data that the body counts. The greeting goes over the lane, one packet a message; everything
 * after it travels as the payload of ring records of kind FIPC_KIND_CONTROL, whose header's id
 * pairs an answer with its question and whose status and target carry the answer.
 *
 *      0       4         6      8       12         16
 *      +-------+---------+------+-------+----------+----------------+------+------+
 *      | magic | version | type | size  | reserved | body, by type  | name | data |
 *      +-------+---------+------+-------+----------+----------------+------+------+
 *
 *      client                                   broker
 *        | -- HELLO ----------------- lane -----> |    may arrive before accept(2)
 *        | <- WELCOME + region, eventfd - lane -- |    or REFUSED, or ONESHOT_REPLY
 *        | -- eventfd, once region is sealed ---> |    before that nothing in the region counts
 *        | -- OPEN, SERVE, WAIT, ... ring ------> |
 *        | <- OPENED, SERVED, ... --- ring ------ |
 *        | <- GOODBYE --------------- ring ------ |    then the lane hangs up
 *
 * Integers are little-endian, which is the byte order of every host that fipc is built for. `size`
 * counts the whole packet; `reserved` is zero. An unknown type, a size that is not exactly what
 * type and counts say, or another version is refused with a reason.
 */
#include "common/name.h"

#include "common/ring.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define FIPC_CONTROL_MAGIC UINT32_C(0x63706966) /* "fipc" */
#define FIPC_CONTROL_VERSION 2

#define FIPC_ONESHOT_DATA_BYTES_MAX 4096u /* of a request inside HELLO */
#define FIPC_ONESHOT_REPLY_BYTES_MAX                                                               \
    32736u /* of a reply inside ONESHOT_REPLY: as much as a default ring carries */

/* The largest packet that a broker takes: HELLO with a one-shot request. The largest for a client:
 * ONESHOT_REPLY. */
#define FIPC_PACKET_BYTES_MAX 33024u

enum fipc_control_type {
    /* lane */
    FIPC_CONTROL_HELLO = 1,
    FIPC_CONTROL_WELCOME = 2,
    FIPC_CONTROL_REFUSED = 3,
    FIPC_CONTROL_ONESHOT_REPLY = 4,
    /* lane, announced by a ring record */
    FIPC_CONTROL_FDS = 5,
    /* ring */
    FIPC_CONTROL_OPEN = 16,
    FIPC_CONTROL_OPENED = 17,
    FIPC_CONTROL_SERVE = 18,
    FIPC_CONTROL_SERVED = 19,
    FIPC_CONTROL_WAIT = 20,
    FIPC_CONTROL_WAITED = 21,
    FIPC_CONTROL_LARGE = 22,
    FIPC_CONTROL_ANNOUNCE = 23,
    FIPC_CONTROL_CLOSED = 24,
    FIPC_CONTROL_ROOM = 25,
    FIPC_CONTROL_GOODBYE = 26,
    FIPC_CONTROL_RESUME = 27,
    FIPC_CONTROL_RESUMED = 28,
    FIPC_CONTROL_PIDFD = 29,
};

/* Why a client was refused, or a slot closed. */
enum fipc_reason {
    FIPC_REASON_NONE = 0,
    FIPC_REASON_MALFORMED = 1,   /* an invalid packet or control record */
    FIPC_REASON_VERSION = 2,     /* another version of the protocol */
    FIPC_REASON_UNEXPECTED = 3,  /* a packet that has no place here */
    FIPC_REASON_FDS = 4,         /* fds sent to the broker */
    FIPC_REASON_RING_BYTES = 5,  /* ring sizes that are not allowed */
    FIPC_REASON_NO_SLOT = 6,     /* all slots are taken */
    FIPC_REASON_QUOTA = 7,       /* this uid has all the slots that it may have */
    FIPC_REASON_SHORT = 8,       /* the broker is short of memory or fds */
    FIPC_REASON_STOPPING = 9,    /* the broker stops */
    FIPC_REASON_RESTARTING = 10, /* the broker stops, and another one follows */
    FIPC_REASON_CORRUPT_RING = 11,
    FIPC_REASON_CORRUPT_END = 12, /* an undefined end word */
    FIPC_REASON_IDLE = 13,        /* idle for too long */
    FIPC_REASON_NO_REQUEST = 14,  /* no greeting, or no first request, in time */
    FIPC_REASON_NOT_DRAINED = 15, /* replies not taken in time */
    FIPC_REASON_GONE = 16,        /* the peer hung up */
    FIPC_REASON_TOO_SLOW = 17,    /* system calls for this peer cost too much time */
    FIPC_REASON_NOT_SEALED = 18,  /* the bell was rung before the region was sealed */
    FIPC_REASON_COUNT,
};

struct fipc_control_header {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint32_t size;
    uint32_t reserved;
};

enum fipc_hello_flag {
    FIPC_HELLO_ONESHOT =
        1 << 0, /* the request is in this packet; the reply comes back on the lane */
    FIPC_HELLO_RESUME = 1 << 1, /* a RESUME record follows as the first one in the ring */
};

struct fipc_hello {
    uint64_t features; /* what the client can do */
    uint32_t flags;
    uint32_t wait_ms; /* how long the client is ready to wait for a slot; UINT32_MAX: no limit */
    uint32_t request_ring_bytes; /* 0: the broker's default; likewise the next */
    uint32_t reply_ring_bytes;
    uint64_t id; /* one-shot: as in struct fipc_header; likewise the next */
    uint64_t remaining_ns;
    uint32_t name_bytes; /* one-shot: the service's name, then the payload, follow the body */
    uint32_t data_bytes;
    uint32_t n_places; /* session: that it would like, see common/region.h; 0: the default */
    uint32_t reserved; /* zero: else the client is refused */
};

/* Carries two fds: region, eventfd that wakes the broker. */
struct fipc_welcome {
    uint64_t features; /* what both can do */
    uint32_t slot;
    uint32_t generation;
    uint32_t request_ring_bytes;
    uint32_t reply_ring_bytes;
    uint32_t handler_ms; /* a call's longest life */
    uint32_t idle_ms;    /* a session without calls is closed after this; 0: never */
    uint64_t large_bytes_max;
    uint32_t calls_max; /* of a session at once, waits included; the broker takes no more */
    uint32_t n_places;  /* of requests at once: each has a number below it, see common/region.h */
};

/* The body of REFUSED and GOODBYE. */
struct fipc_farewell {
    uint32_t reason;   /* enum fipc_reason */
    uint32_t retry_ms; /* try again after this; 0: trying again does not help */
};

struct fipc_oneshot_reply {
    uint64_t id;
    int32_t status;
    uint32_t data_bytes;
};

enum fipc_path {
    FIPC_PATH_RELAY = 0,
    FIPC_PATH_DIRECT = 1, /* an ANNOUNCE with the channel's fds follows */
};

/* The body of OPEN and WAIT: the service's name follows. OPEN is answered at once, WAIT when
 * somebody serves the name, or after the remaining time in the record's header. */
struct fipc_named {
    uint32_t name_bytes;
    uint32_t reserved;
};

struct fipc_opened {
    uint32_t path; /* enum fipc_path */
    uint32_t reserved;
};

struct fipc_serve {
    uint32_t name_bytes;  /* the service's name follows */
    uint32_t concurrency; /* messages that this worker takes at once; 0: one */
    uint64_t handle;      /* of this client, random; the same for all its names and connections */
    uint32_t flags;       /* none yet: any is answered by -EOPNOTSUPP, */
    uint32_t reserved;    /* and so is this if it is not zero */
};

#define FIPC_CONCURRENCY_MAX 4096u /* more is taken for this */

/* To the broker: make a memfd of this size. From the broker: it was made, and an ANNOUNCE follows.
 */
struct fipc_large {
    uint64_t bytes;
};

/* A packet of type FDS with the same id was sent on the lane before this record. The record's
 * header has the id of the question and a status: on an error there are no fds, and no packet. */
struct fipc_announce {
    uint64_t id;
    uint32_t n_fds;
    uint32_t reserved;
};

/* The name of a target is not served any more: the record's target says which. */
struct fipc_closed {
    uint32_t reason; /* enum fipc_reason */
    uint32_t reserved;
};

/* The arrays follow the body: names as {uint32_t bytes, bytes}, calls as {id, target name index},
 * requests as ids. */
struct fipc_resume {
    uint32_t n_names;
    uint32_t n_calls;
    uint32_t n_requests;
    uint32_t data_bytes;
};

/* The record's header says all. SERVED and WAITED: the target. ROOM: a service that had no room has
 * some again. PIDFD asks for the pidfd of the caller whose request has the target as its delivery
 * number; an ANNOUNCE answers it. RESUMED. */
struct fipc_nothing {
    uint64_t reserved;
};

static_assert(sizeof(struct fipc_control_header) == 16, "the wire's control header is 16 bytes");
static_assert(sizeof(struct fipc_hello) == 56, "the wire's HELLO is 56 bytes");
static_assert(sizeof(struct fipc_welcome) == 48, "the wire's WELCOME is 48 bytes");
static_assert(sizeof(struct fipc_farewell) == 8 && sizeof(struct fipc_oneshot_reply) == 16 &&
                  sizeof(struct fipc_named) == 8 && sizeof(struct fipc_opened) == 8 &&
                  sizeof(struct fipc_serve) == 24 && sizeof(struct fipc_large) == 8 &&
                  sizeof(struct fipc_announce) == 16 && sizeof(struct fipc_closed) == 8 &&
                  sizeof(struct fipc_resume) == 16 && sizeof(struct fipc_nothing) == 8,
              "the wire's bodies have no padding");

/* The largest body of a packet that is a record in a ring, with its name. */
#define FIPC_CONTROL_RECORD_BYTES_MAX (sizeof(struct fipc_serve) + FIPC_NAME_BYTES_MAX)

/* The largest body of a packet. */
#define FIPC_CONTROL_BODY_BYTES_MAX sizeof(struct fipc_hello)

static_assert(sizeof(struct fipc_welcome) <= FIPC_CONTROL_BODY_BYTES_MAX, "nor is WELCOME larger");

/* A packet outside its wire form: to be encoded, or decoded. */
struct fipc_control {
    enum fipc_control_type type;
    union {
        struct fipc_hello hello;
        struct fipc_welcome welcome;
        struct fipc_farewell refused, goodbye;
        struct fipc_oneshot_reply oneshot_reply;
        struct fipc_named open, wait;
        struct fipc_opened opened;
        struct fipc_serve serve;
        struct fipc_large large;
        struct fipc_announce announce;
        struct fipc_closed closed;
        struct fipc_resume resume;
        struct fipc_nothing nothing;
    };
    const void
        *name; /* name_bytes of the body; borrowed: when decoded, from the packet; likewise data */
    const void *data;
};

/* The first part of a packet in its wire form; its name and its data follow. */
struct fipc_control_head {
    unsigned char bytes[sizeof(struct fipc_control_header) + FIPC_CONTROL_BODY_BYTES_MAX];
    size_t size;
    size_t name_bytes;
    size_t data_bytes;
};

void fipc_control_head(const struct fipc_control *control, struct fipc_control_head *ret_head);

/**
 * fipc_control_encode() - write a packet in its wire form
 * @control:   all of it; its counts say how many bytes of name and data follow
 * @ret_size:  bytes written
 *
 * Return: 0; -EMSGSIZE if the packet does not fit into @buffer_size
 */
int fipc_control_encode(const struct fipc_control *control, void *buffer, size_t buffer_size,
                        size_t *ret_size);

/**
 * fipc_control_put() - write a packet into a ring, as the payload of one record
 * @header:  of the record; its size is set here
 *
 * Return: 0; -EAGAIN no room now; -EMSGSIZE can never fit; -EBADMSG the ring is corrupt
 */
int fipc_control_put(struct fipc_producer *ring, const struct fipc_header *header,
                     const struct fipc_control *control);

/**
 * fipc_control_decode() - check and read a packet
 * @packet:  in private memory: bytes in a ring are copied out first
 *
 * Checks the form alone: magic, version, type, the exact size, the bounds of name and data. The
 * caller judges whether the packet is allowed here and now.
 *
 * Return: 0; -EPROTONOSUPPORT if it has another version; -EBADMSG if it is not a packet
 */
int fipc_control_decode(const void *packet, size_t size, struct fipc_control *ret_control);

/* The version of a packet that fipc_control_decode() refuses with -EPROTONOSUPPORT. */
unsigned fipc_control_version_of(const void *packet);

/* For people: "hello"; "a corrupt ring". Never NULL. */
const char *fipc_control_type_name(unsigned type);
const char *fipc_reason_name(unsigned reason);

#endif
