/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CLIENT_H
#define FIPC_CLIENT_H

/*
 * Calling services through the fipc broker.
 *
 *      fipc_client *client;
 *      fipc_message *reply;
 *      int r = fipc_connect(&client, NULL);
 *
 *      if (r == 0)
 *          r = fipc_call(client, "fipc.echo", "hello", 5, 0, 1000, &reply);
 *
 * Every function that returns int returns 0 or a negative errno. An error leaves all results as
 * they were. Besides what each function names:
 *
 *      -EINVAL  an argument that is not allowed: NULL, an unknown flag, an invalid name
 *      -ENOMEM  no memory; other shortages of this process, such as -EMFILE, come as they are
 *      -ECHILD  a child of fork(2) uses a handle or loan of its parent; a child connects anew.
 *               It may release inherited ones (fipc_unref, fipc_free), exit or exec: the parent
 *               notices nothing.
 *
 * A handle may be shared by threads. The library never prints, aborts, exits, installs a signal
 * handler, or raises SIGPIPE.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FIPC_PUBLIC __attribute__((visibility("default")))

/* The longest name of a service, in bytes. A name has elements of ASCII letters, digits, '-' and
 * '_', separated by single dots, such as com.example.clock; case counts. Those that begin with
 * "fipc." are the broker's own. */
#define FIPC_NAME_MAX 255

/* Flags of a call. */
#define FIPC_WAIT_SERVICE (1u << 0) /* wait until a worker serves the name */
#define FIPC_NO_WAIT (1u << 1) /* -EAGAIN instead of waiting for room, but wait for the service */
/* The broker may deliver the request again if its worker is lost: to three workers in all, for this
 * request may have ended them. */
#define FIPC_IDEMPOTENT (1u << 2)

/* A session with the broker. When the broker is lost, the next call connects again by itself. */
typedef struct fipc_client fipc_client;

/* A reply, or a loan: a request that is not sent yet. */
typedef struct fipc_message fipc_message;

typedef struct fipc_options {
    size_t size;                 /* sizeof(fipc_options) */
    const char *socket;          /* NULL: $FIPC_SOCKET, else /run/fipc/control.sock; a relative path
                                    starts where the program is now, for the whole session */
    int connect_timeout_ms;      /* 0: 5000; -1: no limit */
    uint32_t request_ring_bytes; /* a power of two, at least 4096; 0: the broker's default */
    uint32_t reply_ring_bytes;   /* likewise; both below 2 MiB but for root and the broker's user */
    uint32_t spin_us; /* the longest look for a reply before sleeping; 0: the default, UINT32_MAX:
                         none */
    uint32_t flags;   /* 0: none is defined yet */
} fipc_options;

/**
 * fipc_connect() - open a session with the broker
 * @client:   on success: the session; returned to the caller, for fipc_unref()
 * @options:  NULL: defaults; borrowed
 *
 * Blocks until connected, at most connect_timeout_ms: it waits while the broker starts or has many
 * other clients to welcome first. Threads: any.
 *
 * Return: 0; -ECONNREFUSED if no broker answers in time; -EACCES if this user may not use the
 * socket; -EAGAIN if the broker is alive, but no slot got free in time; -EDQUOT if this user is
 * over the broker's quota; -EINVAL also if a ring size is not allowed; -ENAMETOOLONG if the
 * socket's path, made absolute, has more than 107 bytes; -EPROTONOSUPPORT if the broker speaks
 * another version of the protocol; -EPROTO if the peer is not a broker
 */
FIPC_PUBLIC int fipc_connect(fipc_client **client, const fipc_options *options);

/* Takes another reference, to be given back by fipc_unref(). Return: @client. NULL is allowed.
 * Threads: any. */
FIPC_PUBLIC fipc_client *fipc_ref(fipc_client *client);

/* Gives a reference back; the last one closes the session. NULL is allowed. Replies stay valid; an
 * open loan keeps the session. Unanswered requests do not keep it open: their callers get
 * -ECONNRESET. Release each with fipc_reply() or fipc_reply_error() all the same. Never blocks.
 * Threads: any, but none may still use this reference.
 */
FIPC_PUBLIC void fipc_unref(fipc_client *client);

/**
 * fipc_call() - send a request and wait for its reply
 * @service:     name of the service, zero-terminated
 * @data:        the request; borrowed; NULL is allowed where @size is 0
 * @size:        bytes; at most a little less than half the request ring
 * @flags:       0, or some of FIPC_WAIT_SERVICE, FIPC_NO_WAIT, FIPC_IDEMPOTENT
 * @timeout_ms:  > 0: milliseconds; 0: no time, see below; -1: the broker's longest, which is also
 *               the most
 * @reply:       on success: the reply; returned to the caller, for fipc_free(); NULL: not wanted
 *
 * Blocks until the reply comes, at most @timeout_ms, and connects again meanwhile if necessary.
 * Learns within 100 ms that the broker died. With a @timeout_ms of 0 it never blocks. It ends with
 * -ETIMEDOUT, or -ECONNREFUSED without a connection, unless the reply happens to be there at once;
 * the request may or may not be carried out. To send a request without waiting for its reply, use
 * fipc_submit(). Threads: any.
 *
 * Return: 0; the service's own error; -ENOENT no worker serves the name; -EACCES not allowed;
 * -ETIMEDOUT no reply in time; -EAGAIN no room now, or this user has too many open calls; -EMSGSIZE
 * request or reply too large, where a request to a served name goes through the reply ring of its
 * worker, with 32 bytes more and 4 for each group of the caller; -ENOBUFS the broker dropped the
 * reply, because too many replies wait for this user's clients; -ECONNREFUSED no broker in time;
 * -ECONNRESET the broker or the worker was lost, and it is unknown whether the request was carried
 * out; -EPROTO the broker or the service sent nonsense; and the errors of fipc_connect()
 */
FIPC_PUBLIC int fipc_call(fipc_client *client, const char *service, const void *data, size_t size,
                          unsigned flags, int timeout_ms, fipc_message **reply);

/**
 * fipc_call_once() - connect, call, and be gone
 * @options:     as for fipc_connect()
 * @timeout_ms:  as for fipc_call(), for connecting and calling together; the broker must take the
 *               request within the connect timeout. 0 ends with -ECONNREFUSED or -ETIMEDOUT, and
 *               the request may or may not be carried out
 *
 * Cheaper than a session for a single call: up to 4096 bytes travel with the greeting. It always
 * finds room in the queue of a busy service. The other arguments are those of fipc_call().
 * Threads: any.
 *
 * Return: as fipc_connect() and fipc_call()
 */
FIPC_PUBLIC int fipc_call_once(const fipc_options *options, const char *service, const void *data,
                               size_t size, int timeout_ms, fipc_message **reply);

/**
 * fipc_wait() - wait until a worker serves a name
 * @timeout_ms:  > 0: milliseconds; -1: the broker's longest, which is also the most; 0: no time,
 *               which as a rule ends with -ETIMEDOUT, or -ECONNREFUSED without a connection, even
 *               if a worker serves the name
 *
 * One question to the broker: no worker can be missed between looking and waiting. To look only,
 * wait as long as the broker may take to answer. Threads: any.
 *
 * Return: 0 a worker serves it; -ETIMEDOUT no worker in time; -EACCES not allowed; else as
 * fipc_call()
 */
FIPC_PUBLIC int fipc_wait(fipc_client *client, const char *service, int timeout_ms);

/* ---- calls that do not block ---- */

/**
 * Gets the end of a call. Run by fipc_dispatch(), without any lock held: it may call everything
 * here, fipc_unref() of its own client too.
 * @error:     as fipc_call() returns; -ECANCELED after fipc_cancel()
 * @reply:     NULL on an error; borrowed, valid until the callback returns
 * @userdata:  as given to fipc_submit()
 */
typedef void fipc_reply_fn(int error, const fipc_message *reply, void *userdata);

/**
 * fipc_submit() - begin a call; a callback gets its end
 * @fn:        run exactly once if 0 was returned, by a later fipc_dispatch()
 * @userdata:  for @fn; never looked at
 * @call_id:   on success: for fipc_cancel(); NULL: not wanted
 *
 * Never blocks: a request that cannot be sent yet waits in memory, and fipc_dispatch() sends it, in
 * the order of submission for each service. With FIPC_NO_WAIT it fails if there is no room, in the
 * ring, the service, or among the calls that may be open: at once, or by @fn if the library had to
 * open the name first. The request is copied. The timeout counts from here; 0 is -EINVAL. The other
 * arguments are those of fipc_call(). Threads: any.
 *
 * Return: 0; -EAGAIN no room now; -EMSGSIZE. @fn gets all other errors
 */
FIPC_PUBLIC int fipc_submit(fipc_client *client, const char *service, const void *data, size_t size,
                            unsigned flags, int timeout_ms, fipc_reply_fn *fn, void *userdata,
                            uint64_t *call_id);

/**
 * fipc_cancel() - end a submitted call
 *
 * fipc_dispatch() runs its callback with -ECANCELED; its worker is notified. Threads: any.
 *
 * Return: 0; -ENOENT it has ended before, or there is no such call
 */
FIPC_PUBLIC int fipc_cancel(fipc_client *client, uint64_t call_id);

/**
 * fipc_fd() - get an fd to wait on in a poll loop
 *
 * It is readable, level-triggered, while fipc_dispatch() has work to do. Only to be polled,
 * never read; borrowed, the same for the whole life of the client. Threads: any.
 *
 * Return: the fd, at least 0; the errno of epoll_create1(2) and its like
 */
FIPC_PUBLIC int fipc_fd(fipc_client *client);

/**
 * fipc_dispatch() - run the callbacks of calls that ended, and the handlers of requests that came
 * @timeout_ms:  how long to wait for the first one: > 0 milliseconds, 0: don't wait, -1: no limit
 *
 * Runs at most those that were due when it began to run them. A client that serves a name, or has
 * submitted calls, connects again by itself in here when the broker is lost, as often as necessary.
 * Several threads may dispatch at once: one of them gets each callback and each request.
 *
 * Return: the number of callbacks and handlers that it ran, 0: none in time; -ECONNREFUSED no
 * broker could be reached in time, and no call or request is open; once for each name, the reason
 * why the broker does not let this client serve it any more: fipc_serve() can serve it again
 */
FIPC_PUBLIC int fipc_dispatch(fipc_client *client, int timeout_ms);

/**
 * fipc_loan() - get room for a request, to be filled in place
 * @service:  name of the service, zero-terminated; resolved when the request is sent
 * @size:     of the request, in bytes, as for fipc_call()
 * @request:  on success: the loan; returned to the caller, for fipc_send() or fipc_free()
 *
 * The room is in the ring if possible, so that nothing is copied. Send or free it soon: requests of
 * other threads may have to wait for its space, and so do requests of this thread that are larger
 * than a third of the rest of the ring. Never blocks. Threads: any; a loan belongs to one thread at
 * a time.
 *
 * Return: 0; -EMSGSIZE if it is too large
 */
FIPC_PUBLIC int fipc_loan(fipc_client *client, const char *service, size_t size,
                          fipc_message **request);

/**
 * fipc_send() - send a loan and wait for the reply
 * @request:  from fipc_loan(); consumed, in every case
 *
 * The other arguments, and all else: as for fipc_call().
 */
FIPC_PUBLIC int fipc_send(fipc_message *request, unsigned flags, int timeout_ms,
                          fipc_message **reply);

/* The bytes of a message, aligned to 16; never changing for a reply; borrowed until the message is
 * freed or sent. NULL for a NULL message, and for a loan that a child of fork(2) inherited. */
FIPC_PUBLIC const void *fipc_data(const fipc_message *message);

/* The size of a message in bytes. NULL: 0. */
FIPC_PUBLIC size_t fipc_size(const fipc_message *message);

/* Where to write the request of a loan: fipc_data(), writable. NULL also for a reply. */
FIPC_PUBLIC void *fipc_loan_data(fipc_message *message);

/* Frees a reply, or a loan without sending it. NULL is allowed. Threads: any. */
FIPC_PUBLIC void fipc_free(fipc_message *message);

/* The meaning of an error in words, without a full stop. @error: as returned, or its positive
 * value. Never NULL; valid for ever, but for -EPROTONOSUPPORT, whose text names the broker's
 * version of the protocol and the library's: until this thread calls fipc_strerror() again.
 * Threads: any. */
FIPC_PUBLIC const char *fipc_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif
