/* SPDX-License-Identifier: MIT */
#include "tests/bench/process_memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_kib(const char *line, const char *key, unsigned long *ret_kib)
{
    size_t length = strlen(key);

    if (strncmp(line, key, length) != 0)
        return false;
    *ret_kib = strtoul(line + length, NULL, 10);
    return true;
}

int process_memory_of(pid_t pid, struct process_memory *ret_memory)
{
    struct process_memory memory = {0};
    char path[64], line[256];
    FILE *status;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    status = fopen(path, "re");
    if (status == NULL)
        return -errno;
    while (fgets(line, sizeof(line), status) != NULL) {
        if (!read_kib(line, "VmRSS:", &memory.rss) &&
            !read_kib(line, "RssAnon:", &memory.anonymous))
            (void)read_kib(line, "RssShmem:", &memory.shared);
    }
    (void)fclose(status);
    if (memory.rss == 0)
        return -ENODATA;
    *ret_memory = memory;
    return 0;
}
