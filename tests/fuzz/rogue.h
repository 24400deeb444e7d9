/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_FUZZ_ROGUE_H
#define FIPC_TESTS_FUZZ_ROGUE_H

/* The end of a channel and of a lane that the input plays: it writes what it likes wherever it can.
 * And what it never can: the positions that the other end keeps stay in their bounds. */
#include "common/channel.h"
#include "common/control.h"
#include "tests/fuzz/input.h"

/* Each step names the bytes that follow it in the input. */
enum rogue_step {
    ROGUE_PACKET,  /* type, n_fds, bytes: on the lane, with a right header */
    ROGUE_BYTES,   /* n_fds, bytes: on the lane as they are */
    ROGUE_RECORD,  /* header, bytes: in the ring that it fills; id 0, target 255: of the last record
                      it  took */
    ROGUE_CONTROL, /* type, id, bytes: the same, a control packet with a right header */
    ROGUE_POKE,    /* offset, bytes: anywhere in the region */
    ROGUE_WORD,    /* which, how, value: one of the shared words */
    ROGUE_BELL,    /* value: rings, in its own way */
    ROGUE_TAKE,    /* all records that are there */
    ROGUE_PUNCH,   /* page, pages: a hole in the region; without pages: the region made empty */
    ROGUE_HANG_UP,
    ROGUE_LIE, /* size: what the record that it sent last says of its own */
    ROGUE_STEP_COUNT,
};

struct rogue {
    int lane_fd; /* -1: none; likewise the next two */
    int region_fd;
    int bell_fd;
    struct fipc_channel channel; /* channel.region.base is NULL before WELCOME */
    struct fipc_header taken;    /* of the last record that it took */
    unsigned taken_type;         /* enum fipc_control_type, where that is a control record */
    struct fipc_header *sent;    /* the last record that it sent, in the region; NULL: none */
};

#define ROGUE_EMPTY ((struct rogue){.lane_fd = -1, .region_fd = -1, .bell_fd = -1})

/* Does one step, or nothing if it needs a lane or a region that is not there. */
void rogue_step(struct rogue *rogue, enum rogue_step step, struct input *input);

/* Takes a record. Return: whether there was one */
bool rogue_take(struct rogue *rogue);

/* Gives up all that it has; safe when that is nothing. */
void rogue_hang_up(struct rogue *rogue);

/* Return: the other end of a new lane, for the caller to close */
int rogue_connect(struct rogue *rogue);

#endif
