/* SPDX-License-Identifier: MIT */
#include "daemon/life/listener.h"

#include "common/clock.h"
#include "common/lane.h"
#include "daemon/base/log.h"
#include "daemon/base/poller.h"
#include "daemon/life/admission.h"
#include "daemon/life/closer.h"
#include "daemon/model/core.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* asm-generic/socket.h of Linux 6.16 */
#endif

/* Of a turn. */
#define ACCEPT_NS (50 * FIPC_NS_PER_US)
#define PAUSE_NS_MIN (50 * FIPC_NS_PER_MS)
#define PAUSE_NS_MAX FIPC_NS_PER_S

/* The fds that stay free when accepting pauses, for files that are open for a moment only: a
 * region, a config file. */
#define FDS_RESERVED 16
/* More than all slots and the waiting room need. */
#define FDS_MAX (1 << 20)
#define FDS_LOOKED_AT 1024
/* Of a client: its lane, and the bell that it has or may get. */
#define FDS_PER_CLIENT 2
#define FDS_PER_WELCOME 1 /* besides, until the client has its own and has sealed the region */

/* ---- accepting ---- */

static void listen_again(struct listener *listener);
static void listener_goes_on(void *context, struct deadline *deadline);

static void listener_retry(void *context, struct deadline *deadline)
{
    (void)context;
    listen_again(DEADLINE_OWNER(deadline, struct listener, retry));
}

/* A listener that stays readable without being able to accept would spin: it rests, longer each
 * time. */
static void listener_pause(struct listener *listener, const char *why)
{
    struct core *core = listener->core;

    if (!listener->is_short)
        log_event(
            LOG_WARNING, LOG_EVENT_SHORT, NULL,
            "accepting pauses: %s; new clients wait. Raise LimitNOFILE=, or lower slots.count",
            why);
    listener->is_short = true;
    listener->pause_ns = listener->pause_ns == 0 ? PAUSE_NS_MIN : listener->pause_ns * 2;
    if (listener->pause_ns > PAUSE_NS_MAX)
        listener->pause_ns = PAUSE_NS_MAX;
    poller_pause_listening(core->poller);
    core_set_own_deadline(core, &listener->retry, core->now_ns + listener->pause_ns,
                          listener_retry);
}

/* How many fds are free, and will be when all clients have what they may have. */
static int64_t fds_left(struct listener *listener)
{
    struct core *core = listener->core;
    int64_t n_clients = (int64_t)slot_n_counted(&core->slots) + core->n_waiting;
    int64_t n_coming = core->n_waiting + core->slots.n_by_state[SLOT_GREETING] +
                       core->slots.n_by_state[SLOT_WELCOMED];

    return listener->fds_limit - listener->fds_own - FDS_PER_CLIENT * n_clients -
           FDS_PER_WELCOME * n_coming -
           (int64_t)closer_collect(listener->closer, &core->accounts, core->now_ns);
}

static void listener_ready(void *userdata)
{
    struct listener *listener = userdata;

    struct core *core = listener->core;

    core_begin_share(core, ACCEPT_NS);
    for (int i = 0; i == 0 || core_has_time(core); i++) {
        int fd;

        if (fds_left(listener) < FDS_RESERVED + FDS_PER_CLIENT + FDS_PER_WELCOME) {
            if (i == 0) /* else nobody may be waiting any more */
                listener_pause(listener, "few file descriptors are left");
            return;
        }
        fd = accept4(listener->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            listener->pause_ns = 0;
            admission_admit(listener->admission, fd);
            /* the next one may come for a slot whose client has hung up since */
            if (slot_n_counted(&core->slots) >= core->slots.limit)
                break;
            if (!STAILQ_EMPTY(&core->slots.ending))
                break; /* of a one-shot that is answered: the next one may have its slot */
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            listener_pause(listener, strerror(errno));
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            listener->is_short = false;
            return; /* EAGAIN: all are accepted */
        }
    }
    if (listener->is_short) /* until nobody waits: to know it */
        core_set_own_deadline(core, &listener->retry, core->now_ns, listener_goes_on);
}

static void listener_goes_on(void *context, struct deadline *deadline)
{
    (void)context;
    listener_ready(DEADLINE_OWNER(deadline, struct listener, retry));
}

static void listen_again(struct listener *listener)
{
    poller_listen(listener->core->poller, listener->socket.fd, listener_ready, listener);
}

/* ---- starting ---- */

/* Has the kernel refuse fds that are sent to us, since Linux 6.16, on sockets that connect from now
 * on. Return: whether it does. */
static bool refuse_fds(int fd)
{
    const int no = 0;

    return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) == 0;
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
    return listener->fds_own + FDS_RESERVED + FDS_PER_CLIENT + FDS_PER_WELCOME;
}

/* Return: 0; -ERANGE there are not enough for a single client */
static int share_out_fds(struct listener *listener)
{
    listener->fds_limit = raise_fds_limit();
    listener->fds_own = count_fds();
    return fds_to_start(listener) > listener->fds_limit ? -ERANGE : 0;
}

static void log_start_error(const struct listener *listener, int error)
{
    if (error == -ERANGE)
        log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL,
                  "no client could be served with %d fds; raise LimitNOFILE= to %d at least",
                  listener->fds_limit, fds_to_start(listener));
    else
        log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL, "cannot start: %s", strerror(-error));
}

/* Listens, after all that can fail: a client that connects then is served. */
static int listener_start(struct listener *listener)
{
    struct core *core = listener->core;
    /* a client that connected to systemd's socket before may have sent some already */
    bool refuses_fds = refuse_fds(listener->socket.fd) && !listener->socket.is_inherited;
    int r = share_out_fds(listener);

    if (r == 0)
        r = closer_init(listener->closer, core->poller, !refuses_fds, (size_t)listener->fds_limit);
    if (r == 0)
        r = control_socket_listen(&listener->socket, core->config->control.backlog);
    if (r < 0) {
        log_start_error(listener, r);
        return r;
    }
    control_socket_compare(&listener->socket, core->config);
    listen_again(listener);
    return 0;
}

int listener_open(struct listener *listener, struct core *core, struct admission *admission,
                  struct closer *closer)
{
    int r;

    *listener = (struct listener){
        .core = core, .admission = admission, .closer = closer, .socket = CONTROL_SOCKET_EMPTY};
    r = control_socket_open(core->config, &listener->socket);
    return r < 0 ? r : listener_start(listener);
}

void listener_close(struct listener *listener)
{
    if (listener->socket.fd < 0)
        return;
    poller_pause_listening(listener->core->poller);
    deadline_clear(listener->core->deadlines, &listener->retry);
    control_socket_close(&listener->socket);
}
