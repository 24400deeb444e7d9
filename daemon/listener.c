/* SPDX-License-Identifier: MIT */
/*
 * The lock file beside the socket tells whether the socket's owner is alive: the kernel drops the
 * lock with the process. Whoever holds it may replace a stale socket; whoever does not leaves
 * everything as it is.
 */
#include "daemon/listener.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/lane.h"
#include "daemon/broker.h"
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* asm-generic/socket.h of Linux 6.16 */
#endif

#define ACCEPTS_PER_TURN 32
#define PAUSE_MIN_S 0.05
#define PAUSE_MAX_S 1.0

/* What stays free when accepting pauses, for what is open for a moment only: a region, a config
 * file. */
#define FDS_RESERVED 16
/* More than all slots and the waiting room need. */
#define FDS_MAX (1 << 20)
#define FDS_LOOKED_AT 1024
/* Of a client: its lane, and the bell that it has or may get. */
#define FDS_PER_CLIENT 2

/* ---- accepting ---- */

/* A listener that stays readable without being able to accept would spin: it rests, longer each
 * time. */
static void listener_pause(struct broker *broker, const char *why)
{
    struct listener *listener = &broker->listener;

    if (!listener->is_short)
        log_event(
            LOG_WARNING, LOG_EVENT_SHORT, NULL,
            "accepting pauses: %s; new clients wait. Raise LimitNOFILE=, or lower slots.count",
            why);
    listener->is_short = true;
    listener->pause_s = listener->pause_s == 0 ? PAUSE_MIN_S : listener->pause_s * 2;
    if (listener->pause_s > PAUSE_MAX_S)
        listener->pause_s = PAUSE_MAX_S;
    ev_io_stop(broker->loop.ev, &listener->ready);
    ev_timer_stop(broker->loop.ev, &listener->retry);
    ev_timer_set(&listener->retry, listener->pause_s, 0);
    ev_timer_start(broker->loop.ev, &listener->retry);
}

/* How many fds are free, and will be when all clients have what they may have. */
static int64_t fds_left(struct broker *broker)
{
    const struct listener *listener = &broker->listener;
    int64_t n_clients = (int64_t)slot_n_taken(&broker->slots) + broker->admission.n_waiting;

    return listener->fds_limit - listener->fds_own - FDS_PER_CLIENT * n_clients -
           (int64_t)closer_n_open(&broker->closer);
}

bool listener_has_room_for_packet(struct broker *broker)
{
    return broker->listener.refuses_fds || fds_left(broker) >= FIPC_LANE_FDS_MAX;
}

static void listener_ready(struct ev_loop *ev, ev_io *watcher, int revents)
{
    struct broker *broker = ev_userdata(ev);

    (void)revents;
    broker->loop.now_ns = fipc_now_ns();
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd;

        if (fds_left(broker) < broker->listener.fds_reserved + FDS_PER_CLIENT) {
            if (i == 0) /* else nobody may be waiting any more */
                listener_pause(broker, "few file descriptors are left");
            return;
        }
        fd = accept4(watcher->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            broker->listener.pause_s = 0;
            admission_admit(broker, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            listener_pause(broker, strerror(errno));
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            broker->listener.is_short = false;
            return; /* EAGAIN: all are accepted */
        }
    }
}

static void listener_retry(struct ev_loop *ev, ev_timer *timer, int revents)
{
    struct broker *broker = ev_userdata(ev);

    (void)timer;
    (void)revents;
    ev_io_start(ev, &broker->listener.ready);
}

/* As many fds as the system lets us have, since each client takes two. Return: how many we use. */
static int raise_fds_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > FDS_MAX)
        return FDS_MAX;
    return (int)limit.rlim_cur;
}

/* ---- the file ---- */

/* Takes the lock beside the socket. Return: the fd that holds it; -EADDRINUSE another broker has it
 */
static int lock_take(const char *socket_path)
{
    char path[PATH_MAX];
    struct stat ours, named;
    int fd, error;

    (void)snprintf(path, sizeof(path), "%s.lock", socket_path);
    for (;;) {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            error = errno;
            (void)fd_close(fd);
            return error == EWOULDBLOCK ? -EADDRINUSE : -error;
        }
        /* its former holder may have removed the file between our open and our lock */
        if (fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
            ours.st_dev == named.st_dev)
            return fd;
        (void)fd_close(fd);
    }
}

static void lock_drop(struct listener *listener)
{
    char path[PATH_MAX];

    if (listener->lock_fd < 0)
        return;
    (void)snprintf(path, sizeof(path), "%s.lock", listener->path);
    (void)unlink(path);
    listener->lock_fd = fd_close(listener->lock_fd);
}

/* Removes a socket that nobody listens on. Return: 0; -EADDRINUSE somebody does; -EEXIST it is not
 * a socket */
static int remove_stale(const struct sockaddr_un *address)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    struct stat status;

    if (lstat(address->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
        errno != ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(address->sun_path) < 0 ? -errno : 0;
}

static int set_access(const struct config *config, const char *path)
{
    if (config->control.group != NULL) {
        const struct group *group;

        errno = 0;
        group = getgrnam(config->control.group);
        if (group == NULL)
            return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -errno : -ESRCH;
        if (chown(path, (uid_t)-1, group->gr_gid) < 0)
            return -errno;
    }
    return chmod(path, config->control.mode) < 0 ? -errno : 0;
}

/* Has the kernel refuse fds that are sent to us, on accepted sockets too. Return: whether it does,
 * since Linux 6.16. */
static bool refuse_fds(int fd)
{
    const int no = 0;

    return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) == 0;
}

/* Until listen(2) nobody can connect, so that mode and group are in force from the first connection
 * on. */
static int bind_socket(const struct config *config, struct listener *listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int r;

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", listener->path);
    r = remove_stale(&address);
    if (r < 0)
        return r;
    listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0 ||
        bind(listener->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    r = set_access(config, listener->path);
    if (r < 0)
        (void)unlink(listener->path);
    return r;
}

/* The folder of the socket, one level: /run/fipc after a boot. */
static int make_folder(const char *socket_path)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s", socket_path);
    return mkdir(dirname(path), 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static void log_open_error(const struct config *config, const char *path, int error)
{
    switch (error) {
    case -EADDRINUSE:
        log_event(LOG_ERR, LOG_EVENT_LIFECYCLE, NULL,
                  "%s: another broker serves this socket; stop it, or use --socket", path);
        break;
    case -EEXIST:
        log_event(LOG_ERR, LOG_EVENT_LIFECYCLE, NULL,
                  "%s: is there already and is no socket; move it away", path);
        break;
    case -ESRCH:
        log_event(LOG_ERR, LOG_EVENT_LIFECYCLE, NULL,
                  "%s: there is no group '%s'; create it, or change control.group", path,
                  config->control.group);
        break;
    default:
        log_event(
            LOG_ERR, LOG_EVENT_LIFECYCLE, NULL,
            "%s: cannot listen: %s; check that the folder exists and is writable for this user",
            path, strerror(-error));
    }
}

static int listener_open_path(const struct config *config, struct listener *listener)
{
    int r;

    if (strlen(config->control.socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return -ENAMETOOLONG;
    listener->path = strdup(config->control.socket);
    if (listener->path == NULL)
        return -ENOMEM;
    r = make_folder(listener->path);
    if (r < 0)
        return r;
    listener->lock_fd = lock_take(listener->path);
    if (listener->lock_fd < 0)
        return listener->lock_fd;
    return bind_socket(config, listener);
}

/* Those that somebody left open for us count too. */
static int count_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* With one client. */
static int fds_to_start(const struct listener *listener)
{
    return listener->fds_own + listener->fds_reserved + FDS_PER_CLIENT;
}

/* Return: 0; -ERANGE there are not enough for a single client */
static int share_out_fds(struct listener *listener)
{
    listener->fds_limit = raise_fds_limit();
    /* where fds can reach us there must be room for all that one packet can carry */
    listener->fds_reserved = FDS_RESERVED + (listener->refuses_fds ? 0 : FIPC_LANE_FDS_MAX);
    listener->fds_own = count_fds();
    return fds_to_start(listener) > listener->fds_limit ? -ERANGE : 0;
}

static void log_start_error(const struct listener *listener, int error)
{
    if (error == -ERANGE)
        log_event(LOG_ERR, LOG_EVENT_LIFECYCLE, NULL,
                  "no client could be served with %d fds; raise LimitNOFILE= to %d at least",
                  listener->fds_limit, fds_to_start(listener));
    else
        log_event(LOG_ERR, LOG_EVENT_LIFECYCLE, NULL, "cannot start: %s", strerror(-error));
}

/* Listens, after all that can fail: who connects then is served. */
static int listener_start(struct broker *broker)
{
    struct listener *listener = &broker->listener;
    int r;

    listener->refuses_fds = refuse_fds(listener->fd);
    r = share_out_fds(listener);
    if (r == 0)
        r = closer_init(&broker->closer, !listener->refuses_fds, (size_t)listener->fds_limit);
    if (r == 0 && listen(listener->fd, (int)broker->config->control.backlog) < 0)
        r = -errno;
    if (r < 0) {
        log_start_error(listener, r);
        return r;
    }
    ev_init(&listener->retry, listener_retry);
    ev_io_init(&listener->ready, listener_ready, listener->fd, EV_READ);
    ev_io_start(broker->loop.ev, &listener->ready);
    return 0;
}

int listener_open(struct broker *broker)
{
    struct listener *listener = &broker->listener;
    int r;

    *listener = (struct listener){.fd = -1, .lock_fd = -1};
    r = listener_open_path(broker->config, listener);
    if (r < 0) {
        log_open_error(broker->config, broker->config->control.socket, r);
        listener->fd = fd_close(listener->fd);
        lock_drop(listener);
        free(listener->path);
        listener->path = NULL;
        return r;
    }
    return listener_start(broker);
}

void listener_close(struct broker *broker)
{
    struct listener *listener = &broker->listener;

    if (listener->path == NULL)
        return;
    ev_io_stop(broker->loop.ev, &listener->ready);
    ev_timer_stop(broker->loop.ev, &listener->retry);
    (void)unlink(listener->path);
    listener->fd = fd_close(listener->fd);
    lock_drop(listener);
    free(listener->path);
    listener->path = NULL;
}
