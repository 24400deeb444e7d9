/* SPDX-License-Identifier: MIT */
#include "client/fipctl/bench/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int bench_server_start(const struct bench_place *place, void (*serve)(void *argument),
                       void *argument, pid_t *ret_pid)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (pid > 0) {
        *ret_pid = pid;
        return 0;
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
        sched_setaffinity(0, sizeof(place->server_cpus), &place->server_cpus) == 0)
        serve(argument);
    _exit(EXIT_FAILURE);
}

void bench_server_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
