/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_SLOT_H
#define FIPC_DAEMON_MODEL_SLOT_H

/*
 * A slot is a numbered seat in the broker, taken by one client. Slots live in one flat array that
 * never moves; they are referred to by index and generation, so that an event for a former taker is
 * harmless.
 */
#include "common/channel.h"
#include "common/control.h"
#include "daemon/base/deadline.h"
#include "daemon/base/table.h"
#include "daemon/model/handler.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct account;
struct room_wish;
struct worker;

#define SLOT_NONE UINT32_MAX

/* Requests and waits of one slot that may be open at the same time. */
#define SLOT_CALLS_MAX 1024

enum slot_state {
    SLOT_FREE,
    SLOT_GREETING, /* accepted; HELLO has not come yet */
    SLOT_WELCOMED, /* it has a channel, which the broker leaves alone until the client has sealed it
                    */
    SLOT_OPEN,     /* a session */
    SLOT_ONESHOT,  /* its single request is being answered on the lane */
    SLOT_CLOSING,
    SLOT_STATE_COUNT,
};

/* The steps of the end of a slot: daemon/life/slot_close.h. */
enum slot_last {
    SLOT_LAST_REPLIES, /* a worker's that are in its ring */
    SLOT_LAST_CALLS,   /* its handlers end */
    SLOT_LAST_NAMES,   /* it serves them no more */
    SLOT_LAST_WORD,
    SLOT_LAST_FDS, /* and all that is not a list of many things */
};

struct slot {
    uint32_t index;
    uint32_t generation; /* counts the takers of all slots: no other one has the same */
    enum slot_state state;
    struct fipc_identity peer;
    struct account *account;     /* of the peer's uid; this slot is counted there */
    bool is_ending;              /* the turn closes it soon; nothing more is taken from it */
    enum fipc_reason end_reason; /* valid while it is ending; likewise the next two */
    enum slot_last last;
    uint32_t n_last_records;      /* that were taken as last replies */
    STAILQ_ENTRY(slot) in_ending; /* slot_table.ending */
    struct deadline deadline;     /* when to look whether it has lived long enough */
    uint64_t taken_ns;
    uint64_t active_ns;  /* when the last record was taken, or call ended; 0: none yet */
    uint64_t blocked_ns; /* since when answers wait for room without any progress; 0: they don't */
    uint64_t bell_after_ns; /* a bell that is due is not rung before: see daemon/model/toll.h */
    TAILQ_ENTRY(slot) welcome_due; /* greeting.due */
    bool is_welcome_due;
    bool is_filling;     /* the region of a stranger is not yet wholly in our page table */
    size_t filled_bytes; /* of it, from its beginning on, that are */
    bool is_put_off;     /* its lane is not watched, before bell_after_ns: its account is in debt */
    struct {
        uint32_t request_bytes, reply_bytes;
        uint32_t n_places;
    } rings; /* as HELLO asked for; with the places of requests */
    int lane_fd;
    int bell_fd;      /* the eventfd that the client rings; -1 without a channel */
    int region_fd;    /* in SLOT_WELCOMED, to see whether it is sealed; else -1 */
    uint32_t holding; /* of the region of a stranger; else HOLDING_NONE */
    struct fipc_channel channel;
    unsigned news;                 /* enum fipc_news: published for the client, not rung yet */
    bool is_bell_due;              /* its sleep was claimed, and it was not rung yet */
    uint64_t calls;                /* requests taken */
    struct handler_list live;      /* its handlers, but for those whose answer waits for room */
    struct outbound_fifo outbound; /* records that wait for room in its ring */
    TAILQ_HEAD(, worker) workers;  /* the names that it serves */
    uint32_t *groups;              /* of the peer: asked for when a worker needs them; owned */
    uint32_t n_groups;
    uint32_t n_workers;
    TAILQ_HEAD(, room_wish) room_wishes; /* for the services that had no room */
    uint32_t n_room_wishes;
    uint32_t n_queued;     /* of its handlers: in the queues of services */
    uint32_t n_copies;     /* of its handlers: with a copy of their request */
    uint32_t wanted_bytes; /* requests to its names wait for that much room in its ring; 0: none */
    bool has_groups;
    bool is_held; /* the next record in its ring asks for something, and could not be taken */
    uint32_t n_handlers[HANDLER_STATE_COUNT];
};

STAILQ_HEAD(ending_list, slot);

struct slot_table {
    struct table places;
    struct slot *slots; /* the elements of places */
    uint32_t limit;     /* how many may be taken at once; the config can change it at any time */
    uint32_t n_by_state[SLOT_STATE_COUNT];
    uint32_t n_held;           /* former slots whose memory is not gone: daemon/model/holding.h */
    struct ending_list ending; /* slots that the turn has to close */
    uint64_t n_taken_ever;
    uint64_t n_refused[FIPC_REASON_COUNT];
    uint64_t n_closed[FIPC_REASON_COUNT];
};

/* Return: 0; -ENOMEM. Only the pages of slots that were taken once are resident. */
int slot_table_init(struct slot_table *table, uint32_t capacity, uint32_t limit);
void slot_table_deinit(struct slot_table *table);

uint32_t slot_n_taken(const struct slot_table *table);

/* Those that are taken, and former ones that count as if they were. */
uint32_t slot_n_counted(const struct slot_table *table);

/* Takes a free slot for a new peer, in SLOT_GREETING, with a generation of its own. Return: the
 * slot; NULL if as many are taken as the limit allows */
struct slot *slot_take(struct slot_table *table, int lane_fd, const struct fipc_identity *peer,
                       uint64_t now_ns);

/**
 * slot_end() - have a slot closed by the turn
 * @reason:  for the client, the counters and the log; the first one counts
 *
 * May be called from anywhere, on any depth: the slot, its handlers and its workers stay as they
 * are until the turn closes it. Nothing more is taken from it, and its workers are given nothing.
 */
void slot_end(struct slot_table *table, struct slot *slot, enum fipc_reason reason);

/* Takes the next slot that is to be closed out of its list. Return: the slot; NULL if there is none
 */
struct slot *slot_take_ending(struct slot_table *table);

/* Gives a slot in SLOT_CLOSING back: its fds, channel and handlers are gone already. */
void slot_free(struct slot_table *table, struct slot *slot);

/* The slot whose message a live handler is for. */
struct slot *slot_of_caller(struct slot_table *table, const struct handler *handler);

/* The slot that was taken with this generation, or NULL if it has ended since. */
struct slot *slot_find(struct slot_table *table, uint32_t index, uint32_t generation);

/* The one setter of the state; asserts that the table of states allows the move. */
void slot_set_state(struct slot_table *table, struct slot *slot, enum slot_state state);

const char *slot_state_name(enum slot_state state);

/* The kind of its taker: "greeting" until that is known, then "session" or "oneshot". */
const char *slot_kind_name(const struct slot *slot);

/* All handlers of a slot. */
uint32_t slot_n_live(const struct slot *slot);

#endif
