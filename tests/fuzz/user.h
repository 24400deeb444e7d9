/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_FUZZ_USER_H
#define FIPC_TESTS_FUZZ_USER_H

/* A program that uses the library as the input says, in one thread. What the library tells it is
 * checked against what the headers promise. */
#include "tests/fuzz/input.h"

/* Each move names the bytes that follow it in the input. */
enum user_move {
    USER_CONNECTS,   /* rings: as powers of two; timeout */
    USER_CALLS,      /* service, size, flags, timeout */
    USER_CALLS_ONCE, /* service, size, timeout, and what it needs to connect */
    USER_TAKES_LOAN, /* service, size */
    USER_SENDS_LOAN, /* flags, timeout */
    USER_FREES_LOAN,
    USER_UNREFS,
    USER_SUBMITS,    /* service, size, flags, timeout */
    USER_CANCELS,    /* call: counted from the last one */
    USER_DISPATCHES, /* timeout */
    USER_WAITS,      /* service, timeout */
    USER_SERVES,     /* service, concurrency */
    USER_ANSWERS,    /* request, status, size */
    USER_LOOKS_AT,   /* request: its caller, whether it was cancelled */
    USER_ASKS_PIDFD, /* request */
    USER_POLLS,
    USER_MOVE_COUNT,
};

void user_moves(struct input *input, enum user_move move);

/* Answers what it has not answered, and lets go of all. */
void user_ends(void);

#endif
