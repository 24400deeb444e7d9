/* SPDX-License-Identifier: MIT */
#include "common/os/os.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

unsigned fipc_cpus(void) { return (unsigned)get_nprocs(); }

void fipc_yield(void) { (void)sched_yield(); }

long fipc_involuntary_switches(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}
