/* SPDX-License-Identifier: MIT */
#include "client/fipctl/child.h"

#include "common/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
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

/* No signal ignored or blocked, whatever this process does. */
static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* In the child: becomes the command. The kernel kills it when fipctl ends; one that ended before we
 * asked for that is not our parent any more. Return: the error of what failed */
static int become(char **command_line, pid_t parent, int stdin_fd, int stdout_fd)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return errno;
    if (getppid() != parent)
        return ECHILD;
    if (setpgid(0, 0) < 0 || dup2(stdin_fd, STDIN_FILENO) < 0 || dup2(stdout_fd, STDOUT_FILENO) < 0)
        return errno;
    reset_signals();
    (void)execvp(command_line[0], command_line);
    return errno;
}

/* Waits until the child has become the command: then its end of the pipe closes. Return: 0; the
 * error that it tells */
static int hear_error(struct pipe *news)
{
    int error = 0;
    ssize_t n;

    fd_closep(&news->write_fd);
    do
        n = read(news->read_fd, &error, sizeof(error));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(error) ? -error : 0;
}

/* Not posix_spawn(3), which cannot tie the command to our life. Return: 0; negative errno */
static int spawn(pid_t *ret_pid, char **command_line, int stdin_fd, int stdout_fd)
{
    FIPC_CLEANUP(pipe_deinit) struct pipe news = {-1, -1};
    pid_t parent = getpid(), pid;
    int r = pipe_init(&news);

    if (r < 0)
        return r;
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        int error = become(command_line, parent, stdin_fd, stdout_fd);

        (void)!write(news.write_fd, &error, sizeof(error));
        _exit(127);
    }
    r = hear_error(&news);
    if (r < 0)
        (void)waitpid(pid, NULL, 0);
    else
        *ret_pid = pid;
    return r;
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
