/* SPDX-License-Identifier: MIT */
#include "tests/hostile/attack.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOUP_MS_MAX 60
#define REQUEST_BYTES 256

static const struct attack *const tables[] = {
    attacks_on_region, attacks_on_bells, attacks_on_lane,     attacks_by_calls,
    attacks_by_cost,   attacks_by_names, attacks_by_slow_work};

const struct attack *attack_number(unsigned number)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct attack *attack = tables[i]; attack->name != NULL; attack++) {
            if (number-- == 0)
                return attack;
        }
    }
    return NULL;
}

/* In a process of its own: some leave threads behind, one stops itself. */
static void run_apart(const struct attack *attack, struct attack_scene *scene)
{
    const struct timespec rest = {.tv_nsec = (long)(SOUP_MS_MAX * FIPC_NS_PER_MS)};
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        attack->run(scene);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
        return;
    (void)nanosleep(&rest, NULL);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

void attack_soup(struct attack_scene *scene)
{
    unsigned count = 0;

    while (attack_number(count) != NULL)
        count++;
    while (attack_goes_on(scene)) {
        struct attack_scene part = *scene;

        part.end_ns = fipc_now_ns() + (1 + attack_random(scene, SOUP_MS_MAX)) * FIPC_NS_PER_MS;
        if (part.end_ns > scene->end_ns)
            part.end_ns = scene->end_ns;
        part.random = attack_random(scene, UINT64_MAX);
        run_apart(attack_number((unsigned)attack_random(scene, count)), &part);
    }
}

bool attack_goes_on(const struct attack_scene *scene) { return fipc_now_ns() < scene->end_ns; }

uint64_t attack_random(struct attack_scene *scene, uint64_t limit)
{
    return random_below(&scene->random, limit);
}

void attack_request(struct raw_client *client, uint32_t echo)
{
    static const unsigned char data[REQUEST_BYTES];
    uint64_t id;

    (void)raw_send_request(client, echo, data, sizeof(data), &id);
    while (raw_try_receive_record(client) == 0)
        ;
}

bool attack_enter(struct attack_scene *scene, struct raw_client *client, uint32_t *ret_echo)
{
    static const struct timespec moment = {.tv_nsec = 1000000};

    raw_close(client);
    if (raw_open_session(client, scene->socket, FIPC_RING_BYTES_MIN, FIPC_RING_BYTES_MIN) == 0 &&
        raw_open_name(client, "fipc.echo", ret_echo) == 0)
        return true;
    (void)nanosleep(&moment, NULL);
    return false;
}

bool attack_is_thrown_out(const struct raw_client *client)
{
    struct pollfd lane = {.fd = client->lane_fd, .events = POLLRDHUP};

    return poll(&lane, 1, 0) != 0;
}

void attack_ring(const struct raw_client *client)
{
    const uint64_t one = 1;
    struct pollfd bell = {.fd = client->bell_fd, .events = POLLOUT};

    if (poll(&bell, 1, 0) == 1 && (bell.revents & POLLOUT) != 0)
        (void)!write(client->bell_fd, &one, sizeof(one));
}
