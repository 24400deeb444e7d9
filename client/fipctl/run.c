/* SPDX-License-Identifier: MIT */

/*
 * The reply is everything that came out of stdout until the command exited, and counts only if it
 * exited with 0. The end of stdout says nothing: a command may close it early, and a job that it
 * leaves in the background may hold it for ever.
 *
 * Stopping a run closes its pipes; the run ends with the command. Only then fipctl answers the
 * request, so that the broker sends no other request for which there is no room.
 */
#include "client/fipctl/run.h"

#include "client/fipctl/failure.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_NS FIPC_NS_PER_S /* from SIGTERM to SIGKILL */

#define TO(state) (UINT32_C(1) << (state))
static const uint32_t next_states[] = {
    [RUN_WAITING] = TO(RUN_WORKING) | TO(RUN_ENDED),
    [RUN_WORKING] = TO(RUN_STOPPING) | TO(RUN_ENDED),
    [RUN_STOPPING] = TO(RUN_KILLED) | TO(RUN_ENDED),
    [RUN_KILLED] = TO(RUN_ENDED),
    [RUN_ENDED] = 0,
};
static_assert(sizeof(next_states) / sizeof(next_states[0]) == N_RUN_STATES, "each has a row");

static void set_state(struct run *run, enum run_state state)
{
    assert((next_states[run->state] & TO(state)) != 0);
    run->state = state;
}

struct run *run_new(const struct job *job, fipc_request *request)
{
    struct run *run = malloc(sizeof(*run));

    if (run != NULL)
        *run = (struct run){
            .job = job,
            .request = request,
            .state = RUN_WAITING,
            .child = {.exit_fd = -1, .stdin_fd = -1, .stdout_fd = -1},
        };
    return run;
}

void run_free(struct run *run)
{
    assert(!run_is_alive(run));
    payload_deinit(&run->reply);
    free(run);
}

bool run_is_alive(const struct run *run) { return run->child.pid != 0; }

bool run_is_cancelled(const struct run *run)
{
    return run->request != NULL && fipc_request_is_cancelled(run->request) != 0;
}

/* It is unknown whether the answer arrives, and nothing could be done about it. */
static void answer_error(struct run *run, int error)
{
    (void)fipc_reply_error(run->request, error);
    run->request = NULL;
}

/* For an error line. */
static struct failure_word command_of(const struct run *run)
{
    const char *command = run->job->command_line[0];

    return failure_word(command, strlen(command));
}

static void answer_too_large(struct run *run)
{
    failure_print("serve: %s: the reply of %s is larger than a message may be (%zu bytes); let it "
                  "write less, or raise slots.request_ring_bytes",
                  run->job->service, command_of(run).text, run->job->reply_max);
    answer_error(run, EMSGSIZE);
}

/* Always EIO: ENOENT for a command that does not exist, for one, would mean that no worker serves
 * the name. */
static void answer_failed(struct run *run, int status)
{
    const char *how = WIFSIGNALED(status) ? "was killed by signal" : "exited with status";
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);

    failure_print("serve: %s: %s %s %d; its caller was told of an I/O error (EIO)",
                  run->job->service, command_of(run).text, how, number);
    answer_error(run, EIO);
}

static void answer_reply(struct run *run)
{
    if (fipc_reply(run->request, run->reply.bytes, run->reply.size) == -EMSGSIZE)
        answer_too_large(run);
    else
        run->request = NULL;
}

/* Nothing more will come of it. */
static void end(struct run *run)
{
    int status = child_reap(&run->child);

    if (run->error == EMSGSIZE)
        answer_too_large(run);
    else if (run->error != 0)
        answer_error(run, run->error);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
        answer_failed(run, status);
    else
        answer_reply(run);
    set_state(run, RUN_ENDED);
}

void run_start(struct run *run)
{
    int r = child_spawn(&run->child, run->job->command_line);

    if (r == 0) {
        set_state(run, RUN_WORKING);
        return;
    }
    errno = -r;
    failure_print("serve: %s: cannot run %s: %m; its caller was told of an I/O error (EIO)",
                  run->job->service, command_of(run).text);
    answer_error(run, EIO);
    set_state(run, RUN_ENDED);
}

nfds_t run_watch(const struct run *run, struct pollfd *ret_polled)
{
    const struct child *child = &run->child;
    nfds_t n = 0;

    if (child->stdin_fd >= 0)
        ret_polled[n++] = (struct pollfd){.fd = child->stdin_fd, .events = POLLOUT};
    if (child->stdout_fd >= 0)
        ret_polled[n++] = (struct pollfd){.fd = child->stdout_fd, .events = POLLIN};
    if (child->exit_fd >= 0)
        ret_polled[n++] = (struct pollfd){.fd = child->exit_fd, .events = POLLIN};
    return n;
}

/* A command that reads no more of the request (EPIPE) may well know its reply. */
static void write_request(struct run *run)
{
    const char *data = fipc_request_data(run->request);
    size_t size = fipc_request_size(run->request);
    ssize_t n = write(run->child.stdin_fd, data + run->n_written, size - run->n_written);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    run->n_written += n > 0 ? (size_t)n : 0;
    if (n < 0 || run->n_written == size)
        child_close_stdin(&run->child);
}

static void read_reply(struct run *run)
{
    ssize_t n = payload_read(&run->reply, run->child.stdout_fd);

    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n < 0)
        run_stop(run, (int)-n, fipc_now_ns());
    else if (run->reply.size > run->job->reply_max)
        run_stop(run, EMSGSIZE, fipc_now_ns());
    else if (n == 0)
        child_close_stdout(&run->child);
}

/* Takes what lies in the pipe, and no more: a job in the background may write without end. */
static void read_rest(struct run *run)
{
    size_t end = run->reply.size;
    int n_bytes = 0;

    if (run->child.stdout_fd >= 0 && ioctl(run->child.stdout_fd, FIONREAD, &n_bytes) == 0)
        end += (size_t)n_bytes;
    while (run->child.stdout_fd >= 0 && run->reply.size < end)
        read_reply(run);
}

void run_go_on(struct run *run, int fd)
{
    if (fd == run->child.stdin_fd) {
        write_request(run);
    } else if (fd == run->child.stdout_fd) {
        read_reply(run);
    } else if (fd == run->child.exit_fd) {
        read_rest(run);
        end(run);
    }
}

void run_stop(struct run *run, int error, uint64_t now_ns)
{
    if (run->state == RUN_WAITING) {
        answer_error(run, error);
        set_state(run, RUN_ENDED);
    }
    if (run->state != RUN_WORKING)
        return;
    set_state(run, RUN_STOPPING);
    run->error = error;
    run->kill_at_ns = now_ns + GRACE_NS;
    child_kill(&run->child, SIGTERM);
    child_close_stdin(&run->child);
    child_close_stdout(&run->child);
}

uint64_t run_check_time(struct run *run, uint64_t now_ns)
{
    if (run->state != RUN_STOPPING)
        return FIPC_NEVER;
    if (now_ns < run->kill_at_ns)
        return run->kill_at_ns;
    set_state(run, RUN_KILLED);
    child_kill(&run->child, SIGKILL);
    return FIPC_NEVER;
}
