/* SPDX-License-Identifier: MIT */

/*
 * The floor of everything that goes through sockets: a SOCK_SEQPACKET Unix socket against a server
 * that has nothing but an epoll loop and sends each packet back. Its address is abstract, so that
 * nothing of it is in any folder.
 */
#include "client/fipctl/bench.h"
#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"
#include "common/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BACKLOG 128
#define EVENTS 16
#define PACKET_BYTES_MAX 65536

struct socket_state {
    struct sockaddr_un address;
    socklen_t address_bytes;
    int listen_fd;
    int fd; /* -1: a connection for each call */
    bool once;
    pid_t server;
    unsigned char reply[PACKET_BYTES_MAX];
};

/* ---- server ---- */

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        _exit(EXIT_FAILURE);
}

static void serve_connection(int fd, unsigned char *packet)
{
    ssize_t size = recv(fd, packet, PACKET_BYTES_MAX, 0);

    if (size <= 0 || send(fd, packet, (size_t)size, MSG_NOSIGNAL) != size)
        (void)close(fd);
}

static void serve(void *argument)
{
    struct socket_state *state = argument;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    (void)fd_close(state->fd);
    watch(epoll_fd, state->listen_fd);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;

            if (fd != state->listen_fd)
                serve_connection(fd, state->reply);
            else if ((fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
                watch(epoll_fd, fd);
        }
    }
}

/* ---- client ---- */

static int seqpacket(void) { return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0); }

static int socket_listen(struct socket_state *state)
{
    struct sockaddr *address = (struct sockaddr *)&state->address;

    state->address.sun_family = AF_UNIX;
    state->address_bytes = sizeof(state->address);
    state->listen_fd = seqpacket();
    if (state->listen_fd < 0 ||
        bind(state->listen_fd, address, sizeof(sa_family_t)) < 0 || /* the kernel finds a name */
        listen(state->listen_fd, BACKLOG) < 0 ||
        getsockname(state->listen_fd, address, &state->address_bytes) < 0)
        return -errno;
    return 0;
}

/* Return: the fd; a negative errno */
static int socket_connect(const struct socket_state *state)
{
    FIPC_CLEANUP(fd_closep) int fd = seqpacket();

    if (fd < 0 || connect(fd, (const struct sockaddr *)&state->address, state->address_bytes) < 0)
        return -errno;
    return fd_steal(&fd);
}

static void socket_stop(void *argument)
{
    struct socket_state *state = argument;

    bench_server_stop(state->server);
    (void)fd_close(state->listen_fd);
    (void)fd_close(state->fd);
    free(state);
}

static void socket_tell(const void *argument, int error)
{
    (void)argument;
    errno = -error;
    failure_print("bench: the bare Unix socket: %m; measure without --floors");
}

static int socket_start(const struct bench_exchange *exchange, const struct bench_place *place,
                        void **ret_state)
{
    struct socket_state *state = malloc(sizeof(*state));
    int r;

    if (state == NULL) {
        socket_tell(NULL, -ENOMEM);
        return EXIT_CALL_FAILED;
    }
    *state = (struct socket_state){.fd = -1, .once = exchange->once};
    r = socket_listen(state);
    if (r == 0)
        r = bench_server_start(place, serve, state, &state->server);
    if (r == 0 && !state->once)
        r = state->fd = socket_connect(state);
    if (r < 0) {
        socket_tell(state, r);
        socket_stop(state);
        return EXIT_CALL_FAILED;
    }
    *ret_state = state;
    return EXIT_SUCCESS;
}

static int call(struct socket_state *state, int fd, const void *data, size_t bytes,
                struct bench_reply *ret_reply)
{
    ssize_t size;

    if (send(fd, data, bytes, MSG_NOSIGNAL) < 0)
        return -errno;
    size = recv(fd, state->reply, sizeof(state->reply), 0);
    if (size < 0)
        return -errno;
    *ret_reply = (struct bench_reply){state->reply, (size_t)size};
    return 0;
}

static int socket_exchange(void *argument, const void *data, size_t bytes,
                           struct bench_reply *ret_reply)
{
    struct socket_state *state = argument;
    int fd, r;

    if (!state->once)
        return call(state, state->fd, data, bytes, ret_reply);
    fd = socket_connect(state);
    if (fd < 0)
        return fd;
    r = call(state, fd, data, bytes, ret_reply);
    (void)fd_close(fd);
    return r;
}

const struct bench_contender bench_socket = {
    .name = "socket",
    .help = "a bare Unix socket (SOCK_SEQPACKET) and a minimal epoll server",
    .start = socket_start,
    .exchange = socket_exchange,
    .tell = socket_tell,
    .stop = socket_stop,
};
