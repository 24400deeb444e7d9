/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_ATTACK_H
#define FIPC_TESTS_ATTACK_H

/*
 * What a client can do to a broker. Each attack is a function that does its worst until the time is
 * over, in a process of its own with a uid of its own, and gets no answer that it can rely on. A
 * new one is a function in attacks_*.c and a row in that file's table.
 */
#include "tests/integration/raw_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attack_scene {
    const char *socket;
    uint64_t end_ns; /* when it is over */
    uint64_t
        random; /* the state of attack_random(): a soup that found something can be had again */
};

struct attack {
    const char *name;
    void (*run)(struct attack_scene *scene);
    unsigned n_uids;   /* that make it at once; 0: one */
    unsigned ready_ms; /* it is prepared so long before others are watched */
};

/* Each table ends with an empty row. */
extern const struct attack attacks_on_region[], attacks_on_bells[], attacks_on_lane[],
    attacks_by_calls[], attacks_by_cost[], attacks_by_names[], attacks_by_slow_work[];

/* Over all tables. Return: NULL: there are no more */
const struct attack *attack_number(unsigned number);

/* Runs attacks one after the other at random, each for a moment, until the scene's end. */
void attack_soup(struct attack_scene *scene);

bool attack_goes_on(const struct attack_scene *scene);

/* Uniform below @limit, which is not 0. */
uint64_t attack_random(struct attack_scene *scene, uint64_t limit);

/* A session in the place of the client's last one, with fipc.echo opened. Waits a moment and
 * returns false when there is none to be had. */
bool attack_enter(struct attack_scene *scene, struct raw_client *client, uint32_t *ret_echo);

/* Sends a request if there is room, and takes what replies are there. */
void attack_request(struct raw_client *client, uint32_t echo);

/* Whether the broker has hung up. */
bool attack_is_thrown_out(const struct raw_client *client);

/* Rings the broker without waiting; the bell may be one that makes us wait. */
void attack_ring(const struct raw_client *client);

#endif
