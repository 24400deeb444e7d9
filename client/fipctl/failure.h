/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_FAILURE_H
#define FIPC_FIPCTL_FAILURE_H

/* Error lines: one for each failure, on stderr, "fipctl: what: why; remedy". Each function prints
 * one, and knows nothing of the broker but the error. */
#include <stddef.h>

struct invocation;

/* Prints control characters as '?': so the text stays one line, and cannot control the terminal. */
void failure_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A word that a user gave, for an error line. */
struct failure_word {
    char text[128];
};

/* Shortens a long word. @size: its bytes. Return: all of it, or its beginning and "..." */
struct failure_word failure_word(const char *word, size_t size);

/* A mistake in the command line; the line points to the help. Return: EXIT_USAGE */
int failure_of_usage(const struct invocation *invocation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A call to a service failed; @error: negative errno. broker_tell_error() finds out first whether
 * the broker is gone. Return: the exit status to end with */
int failure_of_call(const struct invocation *invocation, const char *service, int error);

/* No worker served a name within --timeout. Return: the exit status to end with */
int failure_of_wait(const struct invocation *invocation, const char *name);

/* There is no connection; @error: negative errno. Return: the exit status to end with */
int failure_of_connect(const struct invocation *invocation, int error);

/* The broker's answer makes no sense: it is another program, or another version. Return: the exit
 * status to end with */
int failure_of_reply(const struct invocation *invocation, const char *service, const char *why);

#endif
