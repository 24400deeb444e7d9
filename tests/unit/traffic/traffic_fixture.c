/* SPDX-License-Identifier: MIT */
#include "tests/unit/traffic/traffic_fixture.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "daemon/model/room_wish.h"
#include "daemon/traffic/builtin.h"
#include "daemon/traffic/intake.h"
#include "daemon/traffic/leaving.h"
#include "daemon/traffic/relay.h"
#include "daemon/traffic/reply.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define SLOTS 16
#define HANDLERS 4096
/* Of the records of client_fill(): no other record has this id. */
#define FILLER_ID UINT64_C(0xf111e4)

struct core core;
uint64_t test_now_ns;

static struct deadline_heap deadlines;
static struct config config;

uint64_t test_ring_ns;

static uint64_t test_clock(void) { return test_now_ns; }

/* Two looks are as far apart as a ring takes. */
static uint64_t test_cpu_clock(void)
{
    static uint64_t cpu_ns;

    return cpu_ns += test_ring_ns;
}

static unsigned serve(void *owner, uint32_t member, uint64_t end_ns)
{
    return intake_serve(owner, &core.slots.slots[member], end_ns);
}

static bool has_work(void *owner, uint32_t member)
{
    return intake_has_work(owner, &core.slots.slots[member]);
}

static struct fipc_end *end(void *owner, uint32_t member, uint32_t *ret_asleep)
{
    (void)owner;
    *ret_asleep = FIPC_END_ASLEEP_FD;
    return core.slots.slots[member].channel.own;
}

static const struct fipc_hot_set_ops hot_ops = {serve, has_work, end};

void core_set_up(void)
{
    test_now_ns = 1000 * FIPC_NS_PER_S;
    test_ring_ns = 0;
    config = (struct config){
        .slots = {.count = SLOTS,
                  .per_uid = SLOTS,
                  .request_ring_bytes = TEST_RING_BYTES,
                  .reply_ring_bytes = TEST_RING_BYTES,
                  .ring_bytes_max = TEST_RING_BYTES},
        .timeouts = {.doorbell_ms = 5000, .idle_ms = 30000, .handler_ms = 30000},
        .dispatch = {.messages_per_turn = 64},
    };
    core = (struct core){
        .config = &config,
        .uid = TEST_UID,
        .accounts = {.own_uid = TEST_UID},
        .deadlines = &deadlines,
        .clock = test_clock,
        .cpu_clock = test_cpu_clock,
        .now_ns = test_now_ns,
        .turn_end_ns = FIPC_NEVER,
        .share_end_ns = FIPC_NEVER,
        .meter = {.cpu_clock = test_clock},
    };
    deadline_heap_init(&deadlines);
    ck_assert_int_eq(slot_table_init(&core.slots, SLOTS, SLOTS), 0);
    ck_assert_int_eq(handler_table_init(&core.handlers, HANDLERS), 0);
    ck_assert_int_eq(service_table_init(&core.services, builtins, builtin_count), 0);
    ck_assert_int_eq(delivery_table_init(&core.deliveries), 0);
    ck_assert_int_eq(fipc_hot_set_init(&core.hot, SLOTS, &hot_ops, &core), 0);
    toll_init(&core.toll, 0, 0);
    core.quota = quota_of(&config, SLOTS, HANDLERS, core.services.places.capacity);
}

void core_tear_down(void)
{
    ck_assert_uint_eq(slot_n_taken(&core.slots), 0);
    ck_assert_uint_eq(core.handlers.n_live, 0);
    ck_assert_uint_eq(core.handlers.n_started, core.handlers.n_ended[HANDLER_REPLIED] +
                                                   core.handlers.n_ended[HANDLER_ERROR] +
                                                   core.handlers.n_ended[HANDLER_DROPPED]);
    account_table_deinit(&core.accounts);
    fipc_hot_set_deinit(&core.hot);
    delivery_table_deinit(&core.deliveries);
    service_table_deinit(&core.services);
    handler_table_deinit(&core.handlers);
    slot_table_deinit(&core.slots);
}

void test_advance(uint64_t ns)
{
    struct deadline *deadline;

    test_now_ns += ns;
    (void)core_look_at_clock(&core);
    while ((deadline = deadline_take(&deadlines, core.now_ns)) != NULL)
        deadline->over(&core, deadline);
}

/* ---- clients ---- */

/* Return: the client's end of the lane */
static int take_slot(struct test_client *client, uid_t uid)
{
    struct fipc_identity peer = {.uid = uid, .gid = uid + 1, .pid = (int32_t)uid + 2};
    int lane[2];

    *client = (struct test_client){.lane_fd = -1};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
    client->slot = slot_take(&core.slots, lane[0], &peer, core.now_ns);
    ck_assert_ptr_nonnull(client->slot);
    client->slot->account = account_open(&core.accounts, uid);
    client->slot->account->n_slots++;
    client->lane_fd = lane[1];
    return lane[1];
}

void client_open(struct test_client *client, uid_t uid)
{
    int fd, lane_fd = take_slot(client, uid);
    struct fipc_region region, same;
    struct slot *slot = client->slot;

    ck_assert_int_eq(
        fipc_region_create(&region, &fd, "test", TEST_RING_BYTES, TEST_RING_BYTES, FIPC_PLACES_MIN),
        0);
    ck_assert_int_eq(fipc_region_open(&same, fd, TEST_RING_BYTES, TEST_RING_BYTES, FIPC_PLACES_MIN),
                     0);
    (void)fd_close(fd);
    fipc_channel_init(&slot->channel, FIPC_SIDE_BROKER, &region,
                      (struct fipc_bell){.kind = FIPC_BELL_LANE, .fd = slot->lane_fd});
    fipc_channel_init(&client->channel, FIPC_SIDE_CLIENT, &same,
                      (struct fipc_bell){.kind = FIPC_BELL_LANE, .fd = lane_fd});
    slot->rings.n_places = FIPC_PLACES_MIN;
    slot_set_state(&core.slots, slot, SLOT_WELCOMED);
    slot_set_state(&core.slots, slot, SLOT_OPEN);
}

void client_open_oneshot(struct test_client *client, uid_t uid)
{
    (void)take_slot(client, uid);
    slot_set_state(&core.slots, client->slot, SLOT_ONESHOT);
}

void client_close(struct test_client *client)
{
    struct slot *slot = client->slot;

    if (slot == NULL)
        return;
    if (slot->is_ending)
        STAILQ_REMOVE(&core.slots.ending, slot, slot, in_ending);
    slot_set_state(&core.slots, slot, SLOT_CLOSING);
    room_wish_forget_all(slot);
    while (!reply_drop_some(&core, slot))
        ;
    while (!leaving_go_on(&core, slot))
        ;
    deadline_clear(core.deadlines, &slot->deadline);
    fipc_hot_set_remove(&core.hot, slot->index);
    fipc_channel_deinit(&slot->channel);
    slot->lane_fd = fd_close(slot->lane_fd);
    slot->account->n_slots--;
    account_release_if_unused(&core.accounts, slot->account, core.now_ns);
    slot_free(&core.slots, slot);
    fipc_channel_deinit(&client->channel);
    client->lane_fd = fd_close(client->lane_fd);
    client->slot = NULL;
}

void client_send(struct test_client *client, const struct fipc_header *header, const void *payload,
                 size_t size)
{
    ck_assert_int_eq(fipc_producer_send(&client->channel.out, header, payload, size), 0);
}

uint64_t client_request(struct test_client *client, uint32_t target, unsigned flags,
                        const void *payload, size_t size)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_REQUEST,
        .flags = (uint16_t)flags,
        .target = target,
        .id = ++client->last_id,
    };

    client_send(client, &header, payload, size);
    return header.id;
}

struct handler *client_call(struct test_client *client, struct service *service, unsigned flags,
                            const char *text)
{
    struct handler *handler = reply_begin(&core, client->slot, ++client->last_id, 0);

    ck_assert_ptr_nonnull(handler);
    handler->flags = (uint16_t)flags;
    handler->place = (uint16_t)(client->last_id % FIPC_PLACES_MIN);
    relay_route(&core, handler, service, text, strlen(text));
    return handler;
}

struct service *client_serve(struct test_client *client, const char *name, uint32_t concurrency)
{
    const struct fipc_serve serve = {
        .name_bytes = (uint32_t)strlen(name), .concurrency = concurrency, .handle = TEST_HANDLE};
    struct service *service;

    ck_assert_int_eq(relay_serve(&core, client->slot, name, &serve, &service), 0);
    relay_served(&core, service);
    return service;
}

struct service *client_wish_for(struct test_client *client, const char *name)
{
    struct service *service;

    ck_assert_int_eq(relay_open(&core, client->slot, name, strlen(name), &service), 0);
    return service;
}

void client_answer(struct test_client *client, uint32_t number, uint64_t id, int status,
                   const char *text)
{
    const struct fipc_header header = {
        .kind = FIPC_KIND_REPLY, .target = number, .status = status, .id = id};

    relay_reply(&core, client->slot, &header, text, strlen(text));
}

bool client_take(struct test_client *client)
{
    const void *payload;
    int r;

    do {
        r = fipc_consumer_take(&client->channel.in, &client->header, &payload);
        if (r == -EAGAIN)
            return false;
        ck_assert_int_eq(r, 0);
        client->size = fipc_payload_size(&client->header);
        if (client->header.kind != FIPC_KIND_SKIP)
            memcpy(client->payload, payload, client->size);
        fipc_consumer_release(&client->channel.in);
    } while (client->header.kind == FIPC_KIND_SKIP);
    return true;
}

void client_expect_reply(struct test_client *client, uint64_t id, int status)
{
    ck_assert(client_take(client));
    ck_assert_int_eq(client->header.kind, FIPC_KIND_REPLY);
    ck_assert_uint_eq(client->header.id, id);
    ck_assert_int_eq(client->header.status, status);
}

void client_expect_control(struct test_client *client, enum fipc_control_type type, uint32_t target)
{
    struct fipc_control control;

    ck_assert(client_take(client));
    ck_assert_int_eq(client->header.kind, FIPC_KIND_CONTROL);
    ck_assert_uint_eq(client->header.target, target);
    ck_assert_int_eq(fipc_control_decode(client->payload, client->size, &control), 0);
    ck_assert_int_eq(control.type, type);
}

uint32_t client_expect_request(struct test_client *client, const char *text)
{
    struct fipc_delivery *delivery = &client->delivery;
    size_t before;

    ck_assert(client_take(client));
    ck_assert_int_eq(client->header.kind, FIPC_KIND_REQUEST);
    ck_assert_uint_ge(client->size, sizeof(*delivery));
    memcpy(delivery, client->payload, sizeof(*delivery));
    before = sizeof(*delivery) + delivery->n_groups * sizeof(uint32_t);
    ck_assert_uint_eq(client->size, before + strlen(text));
    ck_assert_mem_eq(client->payload + before, text, strlen(text));
    return delivery->number;
}

void client_fill(struct test_client *client)
{
    static const unsigned char bytes[512];
    const struct fipc_header filler = {.kind = FIPC_KIND_REPLY, .id = FILLER_ID};

    for (size_t size = sizeof(bytes);; size = 0) {
        while (fipc_producer_send(&client->slot->channel.out, &filler, bytes, size) == 0)
            ;
        if (size == 0)
            break;
    }
}

void client_drain(struct test_client *client)
{
    const void *payload;

    while (fipc_consumer_take(&client->channel.in, &client->header, &payload) == 0) {
        if (client->header.kind != FIPC_KIND_SKIP && client->header.id != FILLER_ID)
            break; /* not released: it is taken again */
        fipc_consumer_release(&client->channel.in);
    }
}
