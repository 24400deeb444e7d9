/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/notice.h"

#include "common/control.h"
#include "daemon/model/core.h"

#include <errno.h>
#include <stdlib.h>

struct notice {
    STAILQ_ENTRY(notice) link; /* slot.notices */
    struct fipc_header header;
};

/* Return: 0; -EAGAIN no room now; -EBADMSG */
static int put(struct slot *slot, const struct fipc_header *header)
{
    const struct fipc_control room = {.type = FIPC_CONTROL_ROOM};
    unsigned char packet[sizeof(struct fipc_control_header) + sizeof(struct fipc_nothing)];
    size_t size = 0;
    int r = 0;

    if (header->kind == FIPC_KIND_CONTROL)
        r = fipc_control_encode(&room, packet, sizeof(packet), &size);
    if (r == 0)
        r = fipc_producer_send(&slot->channel.out, header, packet, size);
    if (r == 0)
        slot->news |= FIPC_NEWS_RECORDS;
    return r;
}

/* Without memory for it a notice is lost: who waits for it has a deadline. */
static void notice_give(struct core *core, struct slot *slot, const struct fipc_header *header)
{
    struct notice *notice;

    core_heat(core, slot);
    if (STAILQ_EMPTY(&slot->notices) && put(slot, header) == 0)
        return;
    notice = malloc(sizeof(*notice));
    if (notice == NULL)
        return;
    notice->header = *header;
    STAILQ_INSERT_TAIL(&slot->notices, notice, link);
}

void notice_room(struct core *core, struct slot *slot, uint32_t target)
{
    const struct fipc_header header = {.kind = FIPC_KIND_CONTROL, .target = target};

    notice_give(core, slot, &header);
}

void notice_cancel(struct core *core, struct slot *slot, uint32_t number, uint64_t id)
{
    const struct fipc_header header = {.kind = FIPC_KIND_CANCEL, .target = number, .id = id};

    notice_give(core, slot, &header);
}

static void forget_first(struct slot *slot)
{
    struct notice *notice = STAILQ_FIRST(&slot->notices);

    STAILQ_REMOVE_HEAD(&slot->notices, link);
    free(notice);
}

int notice_send_waiting(struct slot *slot)
{
    int sent = 0;

    while (!STAILQ_EMPTY(&slot->notices)) {
        int r = put(slot, &STAILQ_FIRST(&slot->notices)->header);

        if (r < 0)
            return r == -EAGAIN ? sent : r;
        forget_first(slot);
        sent++;
    }
    return sent;
}

void notice_drop_all(struct slot *slot)
{
    while (!STAILQ_EMPTY(&slot->notices))
        forget_first(slot);
}
