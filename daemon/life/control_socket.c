/* SPDX-License-Identifier: MIT */
/*
 * The lock file beside a socket of our own tells whether the socket's owner is alive: the kernel
 * drops the lock with the process. A broker that holds it may replace a stale socket; one that does
 * not leaves everything as it is. systemd's socket needs none: it has one owner, systemd.
 */
#include "daemon/life/control_socket.h"

#include "common/os/os.h"
#include "daemon/base/log.h"
#include "daemon/config/keys.h"

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

/* Tells what went wrong and what helps. Return: @error */
static int failed(const char *path, int error, const char *remedy)
{
    log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL, "%s: %s; %s", path, strerror(-error), remedy);
    return error;
}

static int is_served(const char *path)
{
    log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL,
              "%s: another broker serves this socket; stop it, or use --socket", path);
    return -EADDRINUSE;
}

static bool is_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_ino == other->st_ino && one->st_dev == other->st_dev;
}

/* Whether the lock is the one that its name leads to: somebody may have removed it. */
static bool lock_is_named(int lock_fd, const char *lock_path)
{
    struct stat ours, named;

    return fstat(lock_fd, &ours) == 0 && stat(lock_path, &named) == 0 &&
           is_same_file(&ours, &named);
}

static void lock_path_of(const char *socket_path, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s.lock", socket_path);
}

/* Takes the lock beside the socket. Return: the fd that holds it; errors were logged */
static int lock_take(const char *socket_path)
{
    char path[PATH_MAX];

    lock_path_of(socket_path, path);
    for (;;) {
        FIPC_CLEANUP(fd_closep)
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
            return errno == EWOULDBLOCK
                       ? is_served(socket_path)
                       : failed(path, -errno,
                                "move it away, make its folder writable, or use --socket");
        /* its former holder may have removed the file between our open and our lock */
        if (lock_is_named(fd, path))
            return fd_steal(&fd);
    }
}

static void lock_drop(struct control_socket *control)
{
    char path[PATH_MAX];

    if (control->lock_fd < 0)
        return;
    lock_path_of(control->path, path);
    if (lock_is_named(control->lock_fd, path))
        (void)unlink(path);
    (void)fd_close(control->lock_fd);
}

/* Another broker may have taken the place of a socket that somebody removed. */
static void remove_own(const struct control_socket *control)
{
    struct stat named;

    if (lstat(control->path, &named) == 0 && is_same_file(&named, &control->bound))
        (void)unlink(control->path);
}

/* Closes, and leaves the socket's file as it is. */
static void control_socket_drop(struct control_socket *control)
{
    (void)fd_close(control->fd);
    lock_drop(control);
    free(control->path);
    *control = CONTROL_SOCKET_EMPTY;
}

/* Removes a socket that nobody listens on. */
static int remove_stale(const struct sockaddr_un *address)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    struct stat status;

    if (lstat(address->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : failed(address->sun_path, -errno, "look into its folder");
    if (!S_ISSOCK(status.st_mode))
        return failed(address->sun_path, -EEXIST, "it is no socket: move it away");
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return failed(address->sun_path, -errno, "no socket can be made");
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
        errno != ECONNREFUSED)
        return is_served(address->sun_path);
    if (unlink(address->sun_path) < 0)
        return failed(address->sun_path, -errno, "remove this socket, which nobody listens on");
    return 0;
}

static int set_group(const char *path, const char *name)
{
    const struct group *group;
    int error;

    errno = 0;
    group = getgrnam(name);
    if (group != NULL && chown(path, (uid_t)-1, group->gr_gid) == 0)
        return 0;
    error = errno;
    if (group == NULL && error != ENOMEM && error != EMFILE && error != ENFILE) {
        log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL,
                  "%s: there is no group '%s'; create it, or change control.group", path, name);
        return -ESRCH;
    }
    log_event(LOG_ERR, LOG_EVENT_START_FAILED, NULL,
              "%s: cannot be given to the group '%s': %s; join it, or change control.group", path,
              name, strerror(error));
    return -error;
}

static int set_access(const struct config *config, const char *path)
{
    int r = 0;

    if (config->control.group != NULL)
        r = set_group(path, config->control.group);
    if (r == 0 && chmod(path, config->control.mode) < 0)
        r = failed(path, -errno, "its mode cannot be set: use another folder");
    return r;
}

/* Until listen(2) nobody can connect, so that mode and group are in force from the first connection
 * on. A client that tries before is refused, and tries again: without the permission it would give
 * up. */
static int bind_socket(const struct config *config, const struct sockaddr_un *address,
                       struct control_socket *control)
{
    mode_t usual;
    int r;

    control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    usual = umask(0);
    r = control->fd < 0 ? -1
                        : bind(control->fd, (const struct sockaddr *)address, sizeof(*address));
    (void)umask(usual);
    if (r < 0 || lstat(control->path, &control->bound) < 0)
        return failed(control->path, -errno, "make its folder writable, or use --socket");
    r = set_access(config, control->path);
    if (r < 0)
        remove_own(control);
    return r;
}

/* The folder of the socket, one level. */
static int make_folder(struct control_socket *control)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s", control->path);
    control->has_made_folder = mkdir(dirname(path), 0755) == 0;
    return control->has_made_folder || errno == EEXIST
               ? 0
               : failed(control->path, -errno, "make its folder, or use --socket");
}

/* Errors are logged. */
static int make_own(const struct config *config, struct control_socket *control)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int r;

    if (strlen(config->control.socket) >= sizeof(address.sun_path))
        return failed(config->control.socket, -ENAMETOOLONG,
                      "the path of a socket has at most 107 bytes");
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", config->control.socket);
    control->path = strdup(config->control.socket);
    if (control->path == NULL)
        return failed(config->control.socket, -ENOMEM, "free some memory");
    r = make_folder(control);
    if (r < 0)
        return r;
    r = lock_take(control->path);
    if (r < 0)
        return r;
    control->lock_fd = r;
    r = remove_stale(&address);
    return r < 0 ? r : bind_socket(config, &address, control);
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
    if ((config->given & config_key_bit("control.backlog")) != 0)
        log_event(LOG_WARNING, LOG_EVENT_CONFIG, NULL,
                  "control.backlog is not in force for connections that wait to be accepted: the "
                  "socket comes from systemd; change Backlog= of fipcd.socket instead");
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
    return 0;
}

void control_socket_close(struct control_socket *control)
{
    if (control->fd >= 0 && !control->is_inherited)
        remove_own(control);
    control_socket_drop(control);
}
