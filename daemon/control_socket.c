/* SPDX-License-Identifier: MIT */
/*
 * The lock file beside a socket of our own tells whether the socket's owner is alive: the kernel
 * drops the lock with the process. Whoever holds it may replace a stale socket; whoever does not
 * leaves everything as it is. systemd's socket needs none: it has one owner, systemd.
 */
#include "daemon/control_socket.h"

#include "common/fd.h"
#include "daemon/backlog.h"
#include "daemon/config_table.h"
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

/* ---- a socket of our own ---- */

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

static void lock_drop(struct control_socket *control)
{
    char path[PATH_MAX];

    if (control->lock_fd < 0)
        return;
    (void)snprintf(path, sizeof(path), "%s.lock", control->path);
    (void)unlink(path);
    control->lock_fd = fd_close(control->lock_fd);
}

/* Closes, and leaves the socket's file as it is. */
static void control_socket_drop(struct control_socket *control)
{
    control->fd = fd_close(control->fd);
    lock_drop(control);
    free(control->path);
    control->path = NULL;
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

/* Until listen(2) nobody can connect, so that mode and group are in force from the first connection
 * on. */
static int bind_socket(const struct config *config, struct control_socket *control)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int r;

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", control->path);
    r = remove_stale(&address);
    if (r < 0)
        return r;
    control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->fd < 0 ||
        bind(control->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    r = set_access(config, control->path);
    if (r < 0)
        (void)unlink(control->path);
    return r;
}

/* The folder of the socket, one level. */
static int make_folder(const char *socket_path)
{
    char path[PATH_MAX];

    const char *folder;

    (void)snprintf(path, sizeof(path), "%s", socket_path);
    folder = dirname(path);
    if (mkdir(folder, 0755) < 0)
        return errno == EEXIST ? 0 : -errno;
    log_event(LOG_INFO, LOG_EVENT_STARTED, NULL, "%s: made this folder for the socket", folder);
    return 0;
}

static void log_own_error(const struct config *config, int error)
{
    const char *path = config->control.socket;

    switch (error) {
    case -EADDRINUSE:
        log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL,
                  "%s: another broker serves this socket; stop it, or use --socket", path);
        break;
    case -EEXIST:
        log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL,
                  "%s: is there already and is no socket; move it away", path);
        break;
    case -ESRCH:
        log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL,
                  "%s: there is no group '%s'; create it, or change control.group", path,
                  config->control.group);
        break;
    default:
        log_event(
            LOG_ERR, LOG_EVENT_START_FAILED, NULL,
            "%s: cannot listen: %s; check that the folder exists and is writable for this user",
            path, strerror(-error));
    }
}

static int make_own(const struct config *config, struct control_socket *control)
{
    int r;

    if (strlen(config->control.socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return -ENAMETOOLONG;
    control->path = strdup(config->control.socket);
    if (control->path == NULL)
        return -ENOMEM;
    r = make_folder(control->path);
    if (r < 0)
        return r;
    control->lock_fd = lock_take(control->path);
    if (control->lock_fd < 0)
        return control->lock_fd;
    return bind_socket(config, control);
}

/* ---- systemd's socket ---- */

/* Return: its fd; -ENOENT systemd gave none; -EINVAL it gave something else */
static int take_from_systemd(void)
{
    int count = sd_listen_fds(true);
    int fd = SD_LISTEN_FDS_START;

    if (count <= 0)
        return count < 0 ? count : -ENOENT;
    if (count > 1 || sd_is_socket_unix(fd, SOCK_SEQPACKET, true, NULL, 0) <= 0)
        return -EINVAL;
    return fd;
}

/* Return: its path, for the caller to free; NULL: no memory, or it has none */
static char *path_of_socket(int fd)
{
    struct sockaddr_un address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
        size <= offsetof(struct sockaddr_un, sun_path) || address.sun_path[0] == '\0')
        return NULL;
    return strndup(address.sun_path, size - offsetof(struct sockaddr_un, sun_path));
}

static int inherit(struct control_socket *control, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    control->path = path_of_socket(fd);
    if (control->path == NULL)
        return -EDESTADDRREQ;
    control->fd = fd;
    control->is_inherited = true;
    return 0;
}

/* Says so if the config names the key. */
static void warn_of_difference(const struct config *config, const char *key, const char *fact,
                               const char *directive)
{
    if ((config->given & config_key_bit(key)) != 0)
        log_event(LOG_WARNING, LOG_EVENT_CONFIG, NULL,
                  "%s is not in force: the socket comes from systemd, which made it with %s; "
                  "change %s= of fipcd.socket instead",
                  key, fact, directive);
}

static void compare_access(const struct control_socket *control, const struct config *config)
{
    const struct group *group = NULL;
    struct stat status;
    char fact[64];

    if (stat(control->path, &status) < 0)
        return;
    if ((status.st_mode & 07777) != config->control.mode) {
        (void)snprintf(fact, sizeof(fact), "mode %04o", status.st_mode & 07777);
        warn_of_difference(config, "control.mode", fact, "SocketMode");
    }
    if (config->control.group != NULL)
        group = getgrnam(config->control.group);
    if (group == NULL || group->gr_gid != status.st_gid) {
        (void)snprintf(fact, sizeof(fact), "group %u", status.st_gid);
        warn_of_difference(config, "control.group", fact, "SocketGroup");
    }
}

void control_socket_compare(const struct control_socket *control, const struct config *config)
{
    char fact[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 16];

    if (!control->is_inherited)
        return;
    if (strcmp(control->path, config->control.socket) != 0) {
        (void)snprintf(fact, sizeof(fact), "path %s", control->path);
        warn_of_difference(config, "control.socket", fact, "ListenSequentialPacket");
    }
    if (control->backlog >= 0 && (uint32_t)control->backlog != config->control.backlog) {
        (void)snprintf(fact, sizeof(fact), "backlog %d", control->backlog);
        warn_of_difference(config, "control.backlog", fact, "Backlog");
    }
    compare_access(control, config);
}

static void log_inherit_error(int error)
{
    log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL,
              "cannot use what systemd handed over: %s; it must be one listening socket with "
              "ListenSequentialPacket=PATH, as in fipcd.socket",
              strerror(-error));
}

/* ---- either ---- */

int control_socket_open(const struct config *config, struct control_socket *ret_control)
{
    int fd = take_from_systemd();
    int r;

    *ret_control = CONTROL_SOCKET_EMPTY;
    if (fd == -ENOENT) {
        r = make_own(config, ret_control);
        if (r < 0)
            log_own_error(config, r);
    } else {
        r = fd < 0 ? fd : inherit(ret_control, fd);
        if (r < 0)
            log_inherit_error(r);
    }
    if (r < 0)
        control_socket_drop(ret_control);
    return r;
}

int control_socket_listen(struct control_socket *control, uint32_t backlog)
{
    if (!control->is_inherited && listen(control->fd, (int)backlog) < 0)
        return -errno;
    control->backlog = backlog_granted(control->fd);
    return 0;
}

void control_socket_close(struct control_socket *control)
{
    if (control->fd >= 0 && !control->is_inherited)
        (void)unlink(control->path);
    control_socket_drop(control);
}
