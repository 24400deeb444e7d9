/* SPDX-License-Identifier: MIT */
#include "common/os/os.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>

bool fipc_is_single_threaded(void) { return __libc_single_threaded != 0; }
#else
bool fipc_is_single_threaded(void) { return false; }
#endif

unsigned fipc_cpus(void) { return (unsigned)get_nprocs(); }

void fipc_yield(void) { (void)sched_yield(); }

long fipc_involuntary_switches(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}
