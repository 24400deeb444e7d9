/* SPDX-License-Identifier: MIT */
#ifndef FIPC_SERVICE_H
#define FIPC_SERVICE_H

/*
 * Serving names: a client that answers the calls of others.
 *
 *      static void greet(fipc_request *request, void *userdata)
 *      {
 *          (void)userdata;
 *          fipc_reply(request, "hello", 5);
 *      }
 *
 *      int r = fipc_serve(client, "com.example.greeter", 1, greet, NULL);
 *
 *      while (r >= 0)
 *          r = fipc_dispatch(client, -1);
 *
 * Several clients may serve one name; each request goes to the least busy of them. When the broker
 * is lost, the library connects again by itself and serves on. Errors are as in <fipc/client.h>.
 */
#include <fipc/client.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One request, to be answered once by fipc_reply() or fipc_reply_error(). The answer frees it: do
 * not use a request after its answer. */
typedef struct fipc_request fipc_request;

/* The caller, as the kernel knows it: the credentials with which it connected. */
typedef struct fipc_peer {
    size_t size; /* sizeof(fipc_peer) of the library */
    uid_t uid;
    gid_t gid;
    pid_t pid; /* the process may have ended since: see fipc_peer_pidfd() */
    size_t n_groups;
    const gid_t *groups; /* all supplementary groups */
} fipc_peer;

/**
 * Serves one request. Run by fipc_dispatch(), without any lock held: it may answer now, or keep the
 * request and answer later, from any thread; it may make calls of its own.
 *
 * Begin calls that may lead back to this client, directly or through other services, by
 * fipc_submit(), and answer from their callbacks: this always works. A call that blocks here keeps
 * its thread from dispatching, and times out if no other thread takes the request that comes back.
 * So one of three conditions must hold. More threads dispatch than functions of this type may run
 * at once, all names of the client together. Or another client serves the called name, and its
 * threads wait for no call of this kind. Or this function submits the call and runs
 * fipc_dispatch(), which may serve other requests too, until the callback has run. An unanswered
 * request counts for the concurrency of its name: a name whose requests lead back to it needs more
 * than one.
 * @request:   owned; an answer releases it
 * @userdata:  as given to fipc_serve()
 */
typedef void fipc_request_fn(fipc_request *request, void *userdata);

/* Its older name. */
typedef fipc_request_fn fipc_handler_fn;

/**
 * fipc_serve() - answer the calls to a name from now on
 * @concurrency:  the requests that this client takes before it answers one, at most 4096; 0: one
 * @fn:           run by fipc_dispatch() for each request
 *
 * Blocks until the broker agrees, at most the connect timeout; the library treats a broker that has
 * not answered by then as lost, and all open calls with it. The client serves the name until its
 * end. Threads: any.
 *
 * Return: 0; -EINVAL also if @concurrency is above 4096; -EEXIST if this client serves the name
 * already; -EACCES if this user may not serve it, or the name is the broker's own; -EDQUOT if this
 * user serves too many names; -ECONNREFUSED if no broker answers in time; and the errors of
 * fipc_connect()
 */
FIPC_PUBLIC int fipc_serve(fipc_client *client, const char *name, unsigned concurrency,
                           fipc_request_fn *fn, void *userdata);

/* The bytes of a request, aligned to 16, never changing; borrowed until its answer. NULL for a NULL
 * request. */
FIPC_PUBLIC const void *fipc_request_data(const fipc_request *request);

/* The size of a request in bytes. NULL: 0. */
FIPC_PUBLIC size_t fipc_request_size(const fipc_request *request);

/* The caller; borrowed until the answer to the request. NULL for a NULL request. */
FIPC_PUBLIC const fipc_peer *fipc_peer_of(const fipc_request *request);

/**
 * fipc_peer_pidfd() - get a pidfd of the process that connected
 *
 * Asks the broker: blocks until it answers, at most a second. Unlike a pid, a pidfd never comes to
 * mean another process. Threads: any.
 *
 * Return: an fd of the caller's own, to be closed by close(2); -ESRCH if the calling process is
 * gone, or has given up; -EOPNOTSUPP if the kernel has no pidfds of peers (before Linux 6.5);
 * -EAGAIN or -ETIMEDOUT if the second is over; -ECONNRESET if the broker was lost
 */
FIPC_PUBLIC int fipc_peer_pidfd(const fipc_request *request);

/* Whether nobody waits for the answer any more: the caller is gone, has given up, or its time is
 * over. Answer the request all the same. The library learns of it in fipc_dispatch(). Threads: any.
 */
FIPC_PUBLIC int fipc_request_is_cancelled(const fipc_request *request);

/**
 * fipc_reply() - answer a request
 * @request:  consumed, in every case but -EMSGSIZE and -EINVAL
 * @data:     borrowed; NULL is allowed where @size is 0
 *
 * Waits for room in the ring while the broker is slow, at most for the broker's longest: then the
 * library treats the broker as lost. Threads: any.
 *
 * Return: 0 if the answer is on its way; -EMSGSIZE if it is larger than half of this client's
 * request ring: answer with less; -ECONNRESET if the broker was lost meanwhile: nobody gets the
 * answer; -ECHILD
 */
FIPC_PUBLIC int fipc_reply(fipc_request *request, const void *data, size_t size);

/* Answers with an error, 1 to 4095 or its negative: the caller's fipc_call() returns it. Otherwise
 * as fipc_reply(). */
FIPC_PUBLIC int fipc_reply_error(fipc_request *request, int error);

#ifdef __cplusplus
}
#endif

#endif
