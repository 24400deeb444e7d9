/* SPDX-License-Identifier: MIT */

/*
 * The floor of everything that goes through sockets: a SOCK_SEQPACKET Unix socket to a server that
 * has nothing but an epoll loop and sends each packet back. In a relayed exchange it sends the
 * packet to a worker behind another such socket first. Its address is abstract: no folder holds it.
 */
#include "client/fipctl/bench/bench.h"
#include "client/fipctl/failure.h"
#include "common/os/os.h"

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
    int worker_fds[2]; /* the server's end, the worker's; -1: not relayed */
    pid_t server, worker;
    unsigned char reply[PACKET_BYTES_MAX];
};

/* ---- worker ---- */

static void work(void *argument)
{
    struct socket_state *state = argument;
    int fd = state->worker_fds[1];
    ssize_t size;

    (void)fd_close(state->listen_fd);
    (void)fd_close(state->worker_fds[0]);
    do
        size = recv(fd, state->reply, sizeof(state->reply), 0);
    while (size > 0 && send(fd, state->reply, (size_t)size, MSG_NOSIGNAL) == size);
}

/* ---- server ---- */

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        _exit(EXIT_FAILURE);
}

/* Return: the size of the worker's packet; -1 */
static ssize_t relay(int worker_fd, unsigned char *packet, size_t size)
{
    if (send(worker_fd, packet, size, MSG_NOSIGNAL) < 0)
        return -1;
    return recv(worker_fd, packet, PACKET_BYTES_MAX, 0);
}

static void serve_connection(struct socket_state *state, int fd)
{
    ssize_t size = recv(fd, state->reply, sizeof(state->reply), 0);

    if (size > 0 && state->worker_fds[0] >= 0)
        size = relay(state->worker_fds[0], state->reply, (size_t)size);
    if (size <= 0 || send(fd, state->reply, (size_t)size, MSG_NOSIGNAL) != size)
        (void)close(fd);
}

static void serve(void *argument)
{
    struct socket_state *state = argument;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    (void)fd_close(state->fd);
    (void)fd_close(state->worker_fds[1]);
    watch(epoll_fd, state->listen_fd);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;

            if (fd != state->listen_fd)
                serve_connection(state, fd);
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
    bench_server_stop(state->worker);
    (void)fd_close(state->listen_fd);
    (void)fd_close(state->fd);
    free(state);
}

static int socket_tell(const void *argument, int error)
{
    (void)argument;
    errno = -error;
    failure_print("bench: the bare Unix socket: %m; measure without --floors");
    return EXIT_CALL_FAILED;
}

static int start_servers(struct socket_state *state, const struct bench_exchange *exchange,
                         const struct bench_place *place)
{
    int r = socket_listen(state);

    if (r == 0 && exchange->relayed)
        r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, state->worker_fds) < 0 ? -errno
                                                                                         : 0;
    if (r == 0 && exchange->relayed)
        r = bench_server_start(place, work, state, &state->worker);
    if (r == 0)
        r = bench_server_start(place, serve, state, &state->server);
    for (int i = 0; i < 2; i++)
        state->worker_fds[i] = fd_close(state->worker_fds[i]);
    return r;
}

static int socket_start(const struct bench_exchange *exchange, const struct bench_place *place,
                        void **ret_state)
{
    struct socket_state *state = malloc(sizeof(*state));
    int r;

    if (state == NULL)
        return socket_tell(NULL, -ENOMEM);
    *state = (struct socket_state){.fd = -1, .once = exchange->once, .worker_fds = {-1, -1}};
    r = start_servers(state, exchange, place);
    if (r == 0 && !state->once)
        r = state->fd = socket_connect(state);
    if (r < 0) {
        socket_stop(state);
        return socket_tell(NULL, r);
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
