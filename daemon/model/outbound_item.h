/* SPDX-License-Identifier: MIT */
#ifndef FIPC_DAEMON_MODEL_OUTBOUND_ITEM_H
#define FIPC_DAEMON_MODEL_OUTBOUND_ITEM_H

/* A record for a client that may have to wait for room in its ring: daemon/traffic/outbound.h. */
#include "common/control.h"
#include "common/message.h"

#include <sys/queue.h>

struct handler;

struct outbound_item {
    STAILQ_ENTRY(outbound_item) in_fifo; /* slot.outbound */
    struct fipc_header header;
    enum fipc_control_type control; /* of a control record without data: it has no body */
    struct handler *handler;        /* that this is the answer of, and a part of; NULL: none */
    void *data;                     /* the payload, while it waits; NULL: none; owned */
};

STAILQ_HEAD(outbound_fifo, outbound_item);

#endif
