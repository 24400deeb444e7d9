/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_FUZZ_ROGUE_BROKER_H
#define FIPC_TESTS_FUZZ_ROGUE_BROKER_H

/* A broker of one client, that does what the input says: what an honest one does, or anything. */
#include "tests/fuzz/input.h"
#include "tests/fuzz/rogue.h"

/* Each move names the bytes that follow it in the input. */
enum broker_move {
    BROKER_WAITS,    /* the library goes on */
    BROKER_WELCOMES, /* form, rings, handler_ms */
    BROKER_REFUSES,  /* reason, retry_ms */
    BROKER_REPLIES,  /* status, bytes: to a one-shot */
    BROKER_ANSWERS,  /* status, bytes: to the last record that it took */
    BROKER_OBEYS,    /* takes and answers all, as it should */
    BROKER_DELIVERS, /* target, groups, bytes: a request to the name with this target; 0: the last
                        one that was served */
    BROKER_CANCELS,  /* number: of a delivery, counted from the last one */
    BROKER_HAS_ROOM, /* target */
    BROKER_SAYS_GOODBYE, /* reason, retry_ms */
    BROKER_ROGUE,        /* and on: enum rogue_step */
    BROKER_MOVE_COUNT = BROKER_ROGUE + ROGUE_STEP_COUNT,
};

/* Return: whether the broker has more to do before the library goes on */
bool rogue_broker_moves(struct input *input, unsigned move);

/* Return: the client's end of a new lane, for the caller to close */
int rogue_broker_accept(void);

/* Gives up all that it has, and knows. */
void rogue_broker_die(void);

#endif
