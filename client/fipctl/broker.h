/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_BROKER_H
#define FIPC_FIPCTL_BROKER_H

/* Talking to the broker as the command line wants it. What fails prints its error line here, unless
 * it is said otherwise. */
#include <fipc/client.h>
#include <jansson.h>
#include <stddef.h>

struct invocation;

/**
 * broker_connect() - open a session
 * @ret_client:  returned to the caller, for fipc_unref()
 *
 * Return: EXIT_SUCCESS; or the exit status to end with
 */
int broker_connect(const struct invocation *invocation, fipc_client **ret_client);

/* Likewise, within so many milliseconds and without a word. Return: as fipc_connect() */
int broker_try_connect(const struct invocation *invocation, int timeout_ms,
                       fipc_client **ret_client);

/**
 * broker_call_once() - one call, without a session where the library can do it so
 * @data:       borrowed
 * @ret_reply:  returned to the caller, for fipc_free()
 *
 * Return: EXIT_SUCCESS; or the exit status to end with
 */
int broker_call_once(const struct invocation *invocation, const char *service, const void *data,
                     size_t size, fipc_message **ret_reply);

/* Waits until somebody serves a name, as long as --timeout says. Return: EXIT_SUCCESS; or the exit
 * status to end with */
int broker_wait_served(const struct invocation *invocation, fipc_client *client, const char *name);

/**
 * broker_call_served() - one call, once somebody serves the name
 *
 * All else: as broker_call_once().
 */
int broker_call_served(const struct invocation *invocation, const char *service, const void *data,
                       size_t size, fipc_message **ret_reply);

/**
 * broker_ask() - call a service of the broker itself that answers with a JSON object
 * @client:      NULL: without a session
 * @question:    text
 * @ret_answer:  returned to the caller, for json_decref()
 *
 * Return: EXIT_SUCCESS; or the exit status to end with
 */
int broker_ask(const struct invocation *invocation, fipc_client *client, const char *service,
               const char *question, json_t **ret_answer);

/* Return: how many milliseconds are left of --timeout, at least one */
int broker_remaining_ms(const struct invocation *invocation);

/* Return: the size of the largest message that a session carries to @service, at most @size; 0 if
 * that cannot be found out */
size_t broker_find_limit(fipc_client *client, const char *service, size_t size);

/* Prints why a call to @service failed, or that no broker could be asked for it; @error: negative
 * errno. Return: the exit status to end with */
int broker_tell_error(const struct invocation *invocation, const char *service, int error);

/* What a call with @size bytes returned, @r: says what went wrong, if anything did. Return: the
 * exit status to end with */
int broker_tell_call(const struct invocation *invocation, const char *service, size_t size, int r);

#endif
