/* SPDX-License-Identifier: MIT */
/* Names of services: unserved ones, invalid ones, and ones that this uid may not serve. */
#include "tests/hostile/attack.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 12

/* Sends a control record with a name that few have seen. Return: as raw_send_record() */
static int send_named(struct attack_scene *scene, struct raw_client *client,
                      enum fipc_control_type type, uint64_t remaining_ns)
{
    struct fipc_control control = {.type = type};
    struct fipc_header header = {
        .kind = FIPC_KIND_CONTROL,
        .id = attack_random(scene, UINT64_MAX),
        .remaining_ns = remaining_ns,
    };
    unsigned char packet[128];
    char name[NAME_BYTES + 1];
    size_t size;

    (void)snprintf(name, sizeof(name), "n%llx",
                   (unsigned long long)attack_random(scene, UINT64_C(1) << 40));
    control.open.name_bytes = (uint32_t)strlen(name); /* the first field of each of them */
    control.name = name;
    if (fipc_control_encode(&control, packet, sizeof(packet), &size) < 0)
        return -1;
    return raw_send_record(client, &header, packet, size);
}

/* As many names as a uid may have, each for a moment. */
static void waits_for_many_names(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        if (!attack_enter(scene, &client, &echo))
            continue;
        while (attack_goes_on(scene) && !attack_is_thrown_out(&client)) {
            uint64_t ms = 1 + attack_random(scene, 30);

            (void)send_named(scene, &client, FIPC_CONTROL_WAIT, ms * FIPC_NS_PER_MS);
            (void)raw_try_receive_record(&client);
        }
    }
    raw_close(&client);
}

/* Waits for ever, and dies with all of it. */
static void dies_while_it_waits(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        if (!attack_enter(scene, &client, &echo))
            continue;
        while (send_named(scene, &client, FIPC_CONTROL_WAIT, 0) == 0)
            continue;
    }
    raw_close(&client);
}

static void serves_what_it_may_not(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo;

    while (attack_goes_on(scene)) {
        if (!attack_enter(scene, &client, &echo))
            continue;
        while (attack_goes_on(scene) && !attack_is_thrown_out(&client)) {
            (void)send_named(scene, &client, FIPC_CONTROL_SERVE, 0);
            (void)send_named(scene, &client, FIPC_CONTROL_OPEN, 0);
            (void)send_named(scene, &client, FIPC_CONTROL_PIDFD, 0);
            while (raw_try_receive_record(&client) == 0)
                continue;
        }
    }
    raw_close(&client);
}

const struct attack attacks_by_names[] = {
    {.name = "waits for many names", .run = waits_for_many_names},
    {.name = "dies while it waits", .run = dies_while_it_waits},
    {.name = "serves what it may not", .run = serves_what_it_may_not},
    {0},
};
