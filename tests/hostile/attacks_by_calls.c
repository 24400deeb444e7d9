/* SPDX-License-Identifier: MIT */
/* Records that are well-formed, and too many, too long, or never taken back. */
#include "tests/hostile/attack.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SESSIONS 16

static void empty_records(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    const struct fipc_header skip = {.kind = FIPC_KIND_SKIP};
    uint32_t echo;

    while (attack_goes_on(scene)) {
        if (!attack_enter(scene, &client, &echo))
            continue;
        while (attack_goes_on(scene) && !attack_is_thrown_out(&client)) {
            for (int i = 0; i < 200; i++)
                (void)raw_send_record(&client, &skip, NULL, 0);
        }
    }
    raw_close(&client);
}

/* Requests without end, replies never taken. */
static void replies_never_taken(struct attack_scene *scene)
{
    struct raw_client clients[SESSIONS];
    uint32_t echoes[SESSIONS];
    static const char data[1024];

    for (int i = 0; i < SESSIONS; i++)
        clients[i] = RAW_CLIENT_EMPTY;
    while (attack_goes_on(scene)) {
        uint64_t which = attack_random(scene, SESSIONS), id;

        if (clients[which].lane_fd < 0 || attack_is_thrown_out(&clients[which])) {
            (void)attack_enter(scene, &clients[which], &echoes[which]);
            continue;
        }
        (void)raw_send_request(&clients[which], echoes[which], data, sizeof(data), &id);
    }
    for (int i = 0; i < SESSIONS; i++)
        raw_close(&clients[i]);
}

/* As many open calls as a session may have, in several sessions, all with the same id. */
static void open_calls_with_one_id(struct attack_scene *scene)
{
    struct raw_client clients[SESSIONS];
    uint32_t delay = 0, echo;

    for (int i = 0; i < SESSIONS; i++)
        clients[i] = RAW_CLIENT_EMPTY;
    while (attack_goes_on(scene)) {
        for (int i = 0; i < SESSIONS && attack_goes_on(scene); i++) {
            struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .id = 7};

            if (!attack_enter(scene, &clients[i], &echo) ||
                raw_open_name(&clients[i], "fipc.delay", &delay) < 0)
                continue;
            header.target = (uint16_t)delay;
            while (raw_send_record(&clients[i], &header, "20", 2) == 0)
                ;
        }
    }
    for (int i = 0; i < SESSIONS; i++)
        raw_close(&clients[i]);
}

/* Calls are open, replies lie in the ring, and the process is stopped. */
static void stopped(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo = 0;
    uint64_t id;

    while (!attack_enter(scene, &client, &echo)) {
        if (!attack_goes_on(scene))
            return;
    }
    while (raw_send_request(&client, echo, "stop", 4, &id) == 0)
        ;
    (void)raise(SIGSTOP);
    raw_close(&client);
}

static void cancels_and_questions(struct attack_scene *scene)
{
    struct raw_client client = RAW_CLIENT_EMPTY;
    uint32_t echo, target;

    while (attack_goes_on(scene)) {
        struct fipc_header header = {.kind = FIPC_KIND_CANCEL};
        char name[300];

        if (!attack_enter(scene, &client, &echo))
            continue;
        memset(name, 'n', sizeof(name));
        name[attack_random(scene, FIPC_NAME_BYTES_MAX) + 1] = '\0';
        (void)raw_open_name(&client, name, &target);
        header.id = attack_random(scene, 10);
        (void)raw_send_record(&client, &header, NULL, 0);
        header.kind = FIPC_KIND_REPLY;
        (void)raw_send_record(&client, &header, "x", 1);
    }
    raw_close(&client);
}

/* Many sessions ask the most expensive question, as often as their rings take it.
 */
static void reports(struct attack_scene *scene)
{
    struct raw_client clients[SESSIONS];
    uint32_t stats[SESSIONS], echo;

    for (int i = 0; i < SESSIONS; i++)
        clients[i] = RAW_CLIENT_EMPTY;
    while (attack_goes_on(scene)) {
        for (int i = 0; i < SESSIONS; i++) {
            uint64_t id;

            if (clients[i].lane_fd < 0 && (!attack_enter(scene, &clients[i], &echo) ||
                                           raw_open_name(&clients[i], "fipc.stats", &stats[i]) < 0))
                continue;
            while (raw_try_receive_record(&clients[i]) == 0) {
            }
            while (raw_send_request(&clients[i], stats[i], "slots 0", 7, &id) == 0) {
            }
            if (attack_is_thrown_out(&clients[i]))
                raw_close(&clients[i]);
        }
    }
    for (int i = 0; i < SESSIONS; i++)
        raw_close(&clients[i]);
}

/* One request after the other inside the greeting, some longer than they may be. */
static void oneshot_storm(struct attack_scene *scene)
{
    static const char data[5000];

    while (attack_goes_on(scene)) {
        struct raw_client client = RAW_CLIENT_EMPTY;
        const char *const names[] = {"fipc.echo", "fipc.delay", "fipc.none", "", "fipc.stats"};

        (void)raw_call_once(&client, scene->socket, names[attack_random(scene, 5)], data,
                            attack_random(scene, 4200));
        raw_close(&client);
    }
}

const struct attack attacks_by_calls[] = {
    {.name = "empty records", .run = empty_records},
    {.name = "replies never taken", .run = replies_never_taken},
    {.name = "open calls with one id", .run = open_calls_with_one_id},
    {.name = "stopped", .run = stopped},
    {.name = "cancels and questions", .run = cancels_and_questions},
    {.name = "reports", .run = reports},
    {.name = "one-shot storm", .run = oneshot_storm},
    {0},
};
