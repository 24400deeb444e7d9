/* SPDX-License-Identifier: MIT */
/* One table of types feeds encoder and decoder, so that a size cannot be checked by two opinions.
 */
#include "common/control.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define NO_COUNT SIZE_MAX

struct control_form {
    const char *name;
    size_t body_bytes;
    size_t name_count_at; /* offset in the body of the 32-bit count of name bytes, or NO_COUNT */
    size_t data_count_at;
    size_t data_bytes_max;
};

#define PLAIN(text, body)                                                                          \
    {                                                                                              \
        .name = (text), .body_bytes = sizeof(struct body), .name_count_at = NO_COUNT,              \
        .data_count_at = NO_COUNT                                                                  \
    }
#define NAMED(text, body)                                                                          \
    {                                                                                              \
        .name = (text), .body_bytes = sizeof(struct body),                                         \
        .name_count_at = offsetof(struct body, name_bytes), .data_count_at = NO_COUNT              \
    }
#define WITH_DATA(text, body, max)                                                                 \
    {                                                                                              \
        .name = (text), .body_bytes = sizeof(struct body), .name_count_at = NO_COUNT,              \
        .data_count_at = offsetof(struct body, data_bytes), .data_bytes_max = (max)                \
    }

static const struct control_form forms[] = {
    [FIPC_CONTROL_HELLO] = {.name = "hello",
                            .body_bytes = sizeof(struct fipc_hello),
                            .name_count_at = offsetof(struct fipc_hello, name_bytes),
                            .data_count_at = offsetof(struct fipc_hello, data_bytes),
                            .data_bytes_max = FIPC_ONESHOT_DATA_BYTES_MAX},
    [FIPC_CONTROL_WELCOME] = PLAIN("welcome", fipc_welcome),
    [FIPC_CONTROL_REFUSED] = PLAIN("refused", fipc_farewell),
    [FIPC_CONTROL_ONESHOT_REPLY] =
        WITH_DATA("one-shot reply", fipc_oneshot_reply, FIPC_ONESHOT_REPLY_BYTES_MAX),
    [FIPC_CONTROL_FDS] = PLAIN("fds", fipc_announce),
    [FIPC_CONTROL_OPEN] = NAMED("open", fipc_named),
    [FIPC_CONTROL_OPENED] = PLAIN("opened", fipc_opened),
    [FIPC_CONTROL_SERVE] = NAMED("serve", fipc_serve),
    [FIPC_CONTROL_SERVED] = PLAIN("served", fipc_nothing),
    [FIPC_CONTROL_WAIT] = NAMED("wait", fipc_named),
    [FIPC_CONTROL_WAITED] = PLAIN("waited", fipc_nothing),
    [FIPC_CONTROL_LARGE] = PLAIN("large", fipc_large),
    [FIPC_CONTROL_ANNOUNCE] = PLAIN("announce", fipc_announce),
    [FIPC_CONTROL_CLOSED] = PLAIN("closed", fipc_closed),
    [FIPC_CONTROL_ROOM] = PLAIN("room", fipc_nothing),
    [FIPC_CONTROL_GOODBYE] = PLAIN("goodbye", fipc_farewell),
    [FIPC_CONTROL_RESUME] = WITH_DATA("resume", fipc_resume, FIPC_ONESHOT_REPLY_BYTES_MAX),
    [FIPC_CONTROL_RESUMED] = PLAIN("resumed", fipc_nothing),
    [FIPC_CONTROL_PIDFD] = PLAIN("pidfd", fipc_nothing),
};

static const struct control_form *form_of(unsigned type)
{
    if (type >= sizeof(forms) / sizeof(forms[0]) || forms[type].name == NULL)
        return NULL;
    return &forms[type];
}

static size_t counted_bytes(const void *body, size_t count_at)
{
    uint32_t count;

    if (count_at == NO_COUNT)
        return 0;
    memcpy(&count, (const unsigned char *)body + count_at, sizeof(count));
    return count;
}

void fipc_control_head(const struct fipc_control *control, struct fipc_control_head *ret_head)
{
    const struct control_form *form = form_of(control->type);
    struct fipc_control_header header;

    assert(form != NULL && sizeof(header) + form->body_bytes <= sizeof(ret_head->bytes));
    ret_head->size = sizeof(header) + form->body_bytes;
    ret_head->name_bytes = counted_bytes(&control->hello, form->name_count_at);
    ret_head->data_bytes = counted_bytes(&control->hello, form->data_count_at);
    header = (struct fipc_control_header){
        .magic = FIPC_CONTROL_MAGIC,
        .version = FIPC_CONTROL_VERSION,
        .type = (uint16_t)control->type,
        .size = (uint32_t)(ret_head->size + ret_head->name_bytes + ret_head->data_bytes),
    };
    memcpy(ret_head->bytes, &header, sizeof(header));
    memcpy(ret_head->bytes + sizeof(header), &control->hello, form->body_bytes);
}

int fipc_control_encode(const struct fipc_control *control, void *buffer, size_t buffer_size,
                        size_t *ret_size)
{
    struct fipc_control_head head;
    unsigned char *out = buffer;

    fipc_control_head(control, &head);
    if (head.size + head.name_bytes + head.data_bytes > buffer_size)
        return -EMSGSIZE;
    memcpy(out, head.bytes, head.size);
    out += head.size;
    if (head.name_bytes > 0)
        memcpy(out, control->name, head.name_bytes);
    out += head.name_bytes;
    if (head.data_bytes > 0)
        memcpy(out, control->data, head.data_bytes);
    *ret_size = head.size + head.name_bytes + head.data_bytes;
    return 0;
}

int fipc_control_put(struct fipc_producer *ring, const struct fipc_header *header,
                     const struct fipc_control *control)
{
    unsigned char packet[sizeof(struct fipc_control_header) + FIPC_CONTROL_RECORD_BYTES_MAX];
    size_t size;
    int r;

    r = fipc_control_encode(control, packet, sizeof(packet), &size);
    return r < 0 ? r : fipc_producer_send(ring, header, packet, size);
}

int fipc_control_decode(const void *packet, size_t size, struct fipc_control *ret_control)
{
    const unsigned char *in = packet;
    const struct control_form *form;
    struct fipc_control_header header;
    size_t name_bytes, data_bytes;

    if (size < sizeof(header))
        return -EBADMSG;
    memcpy(&header, in, sizeof(header));
    if (header.magic != FIPC_CONTROL_MAGIC)
        return -EBADMSG;
    if (header.version != FIPC_CONTROL_VERSION)
        return -EPROTONOSUPPORT;
    form = form_of(header.type);
    if (form == NULL || header.size != size || header.reserved != 0)
        return -EBADMSG;

    in += sizeof(header);
    size -= sizeof(header);
    if (size < form->body_bytes)
        return -EBADMSG;
    name_bytes = counted_bytes(in, form->name_count_at);
    data_bytes = counted_bytes(in, form->data_count_at);
    if (name_bytes > FIPC_NAME_BYTES_MAX || data_bytes > form->data_bytes_max ||
        size != form->body_bytes + name_bytes + data_bytes)
        return -EBADMSG;

    *ret_control = (struct fipc_control){.type = header.type};
    memcpy(&ret_control->hello, in, form->body_bytes);
    ret_control->name = in + form->body_bytes;
    ret_control->data = in + form->body_bytes + name_bytes;
    return 0;
}

unsigned fipc_control_version_of(const void *packet)
{
    struct fipc_control_header header;

    memcpy(&header, packet, sizeof(header));
    return header.version;
}

const char *fipc_control_type_name(unsigned type)
{
    const struct control_form *form = form_of(type);

    return form == NULL ? "unknown" : form->name;
}

const char *fipc_reason_name(unsigned reason)
{
    static const char *const names[FIPC_REASON_COUNT] = {
        [FIPC_REASON_NONE] = "served",
        [FIPC_REASON_MALFORMED] = "malformed packet",
        [FIPC_REASON_VERSION] = "another version of the protocol",
        [FIPC_REASON_UNEXPECTED] = "unexpected packet",
        [FIPC_REASON_FDS] = "fds sent to the broker",
        [FIPC_REASON_RING_BYTES] = "ring size not allowed",
        [FIPC_REASON_NO_SLOT] = "no slot is free",
        [FIPC_REASON_QUOTA] = "over the quota of this uid",
        [FIPC_REASON_SHORT] = "the broker is short of memory or fds",
        [FIPC_REASON_STOPPING] = "the broker is stopping",
        [FIPC_REASON_RESTARTING] = "the broker is restarting",
        [FIPC_REASON_CORRUPT_RING] = "corrupt ring",
        [FIPC_REASON_CORRUPT_END] = "corrupt end word",
        [FIPC_REASON_IDLE] = "idle for too long",
        [FIPC_REASON_NO_REQUEST] = "no request in time",
        [FIPC_REASON_NOT_DRAINED] = "replies not taken in time",
        [FIPC_REASON_GONE] = "the peer is gone",
        [FIPC_REASON_TOO_SLOW] = "too costly to serve",
        [FIPC_REASON_NOT_SEALED] = "region not sealed",
    };

    return reason < FIPC_REASON_COUNT ? names[reason] : "unknown reason";
}
