/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_FAILURE_H
#define FIPC_FIPCTL_FAILURE_H

/* Error lines: one for each failure, on stderr, "fipctl: what: why; remedy". */
struct invocation;

/* Control characters come out as '?': whatever it quotes, it stays one line and does not touch the
 * terminal. */
void failure_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What is wrong with the command line; points to the help. Return: EXIT_USAGE */
int failure_of_usage(const struct invocation *invocation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Why a service did not answer, or what it answered; @error: negative errno. Whether the broker
 * failed instead is looked at before: broker_tell_error(). Return: the exit status to end with */
int failure_of_call(const struct invocation *invocation, const char *service, int error);

/* Nobody served a name within --timeout. Return: the exit status to end with */
int failure_of_wait(const struct invocation *invocation, const char *name);

/* Why there is no connection; @error: negative errno. Return: the exit status to end with */
int failure_of_connect(const struct invocation *invocation, int error);

/* The broker said something that only another program, or another version, can have meant. Return:
 * the exit status to end with */
int failure_of_reply(const struct invocation *invocation, const char *service, const char *why);

#endif
