/* SPDX-License-Identifier: MIT */
#include "client/fipctl/child.h"

#include "common/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct pipe {
    int read_fd, write_fd;
};

static void pipe_deinit(struct pipe *pipe)
{
    fd_closep(&pipe->read_fd);
    fd_closep(&pipe->write_fd);
}

/* Return: 0; the error of pipe2(2) */
static int pipe_init(struct pipe *pipe)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *pipe = (struct pipe){.read_fd = fds[0], .write_fd = fds[1]};
    return 0;
}

/* No signal ignored or blocked, whatever this process does. These functions fail for bad arguments
 * only. */
static void set_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(attributes, &none);
    (void)posix_spawnattr_setsigdefault(attributes, &all);
    (void)posix_spawnattr_setpgroup(attributes, 0);
    (void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                   POSIX_SPAWN_SETPGROUP);
}

/* Return: 0; negative errno */
static int spawn(pid_t *ret_pid, char **command_line, int stdin_fd, int stdout_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);

    if (error != 0)
        return -error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        set_signals(&attributes);
        error = posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
        if (error == 0)
            error = posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
        if (error == 0)
            error = posix_spawnp(ret_pid, command_line[0], &actions, &attributes, command_line,
                                 environ);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return -error;
}

/* Return: 0; the error of pidfd_open(2) */
static int open_exit_fd(struct child *child)
{
    /* Until child_reap() the pid belongs to this program. */
    child->exit_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    return child->exit_fd < 0 ? -errno : 0;
}

int child_spawn(struct child *ret_child, char **command_line)
{
    FIPC_CLEANUP(pipe_deinit) struct pipe request = {-1, -1};
    FIPC_CLEANUP(pipe_deinit) struct pipe reply = {-1, -1};
    struct child child = {.exit_fd = -1, .stdin_fd = -1, .stdout_fd = -1};
    int r = pipe_init(&request);

    if (r == 0)
        r = pipe_init(&reply);
    if (r == 0 && (fcntl(request.write_fd, F_SETFL, O_NONBLOCK) < 0 ||
                   fcntl(reply.read_fd, F_SETFL, O_NONBLOCK) < 0))
        r = -errno;
    if (r == 0)
        r = spawn(&child.pid, command_line, request.read_fd, reply.write_fd);
    if (r < 0)
        return r;
    r = open_exit_fd(&child);
    if (r < 0) {
        child_kill(&child, SIGKILL);
        (void)child_reap(&child);
        return r;
    }
    child.stdin_fd = fd_steal(&request.write_fd);
    child.stdout_fd = fd_steal(&reply.read_fd);
    *ret_child = child;
    return 0;
}

void child_kill(const struct child *child, int signal) { (void)kill(-child->pid, signal); }

void child_close_stdin(struct child *child) { fd_closep(&child->stdin_fd); }

void child_close_stdout(struct child *child) { fd_closep(&child->stdout_fd); }

int child_reap(struct child *child)
{
    int status = 0;

    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    child->pid = 0;
    fd_closep(&child->exit_fd);
    child_close_stdin(child);
    child_close_stdout(child);
    return status;
}
