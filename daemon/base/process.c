/* SPDX-License-Identifier: MIT */
#include "daemon/base/process.h"

#include "common/clock.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

bool process_sees_all_uids(void)
{
    FILE *file = fopen("/proc/self/uid_map", "re");
    unsigned inside, outside, count;
    bool is_whole;

    if (file == NULL)
        return true;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers, or nothing yet */
    is_whole = fscanf(file, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
               outside == 0 && count == UINT32_MAX;
    (void)fclose(file);
    return is_whole;
}

uint64_t process_cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* The specification calls relative paths invalid, and has them ignored. */
static const char *folder_of(const char *variable)
{
    const char *folder = getenv(variable);

    return folder != NULL && folder[0] == '/' ? folder : NULL;
}

static int join(const char *folder, const char *rest, char **ret_path)
{
    if (folder == NULL)
        return -ENXIO;
    return asprintf(ret_path, "%s/%s", folder, rest) < 0 ? -ENOMEM : 0;
}

int process_user_socket(char **ret_path)
{
    return join(folder_of("XDG_RUNTIME_DIR"), "fipc/control.sock", ret_path);
}

int process_user_config(char **ret_path)
{
    const char *folder = folder_of("XDG_CONFIG_HOME");

    if (folder != NULL)
        return join(folder, "fipc/fipcd.json", ret_path);
    return join(folder_of("HOME"), ".config/fipc/fipcd.json", ret_path);
}
