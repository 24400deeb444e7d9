/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_BROKER_H
#define FIPC_FIPCTL_BROKER_H

/* Talks to the broker as the command line says. A function that fails has printed its error line,
 * unless its comment says otherwise. */
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

/* Likewise, within @timeout_ms; prints nothing. Return: as fipc_connect() */
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

/* Waits until a worker serves a name, at most as long as --timeout says. Return: EXIT_SUCCESS; or
 * the exit status to end with */
int broker_wait_served(const struct invocation *invocation, fipc_client *client, const char *name);

/**
 * broker_call_served() - one call, once a worker serves the name
 *
 * Otherwise as broker_call_once().
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

/* Return: the milliseconds that are left of --timeout, at least one */
int broker_remaining_ms(const struct invocation *invocation);

/* Return: the size of the largest message that a session carries to @service, at most @size; 0 if
 * it cannot be found */
size_t broker_find_limit(fipc_client *client, const char *service, size_t size);

/* Prints why a call to @service failed, or that no broker could be asked for it; @error: negative
 * errno. Return: the exit status to end with */
int broker_tell_error(const struct invocation *invocation, const char *service, int error);

/* Prints why a call with @size bytes failed; @r: what it returned, 0 prints nothing. Return: the
 * exit status to end with */
int broker_tell_call(const struct invocation *invocation, const char *service, size_t size, int r);

#endif
