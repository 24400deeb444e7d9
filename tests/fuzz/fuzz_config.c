/* SPDX-License-Identifier: MIT */
/* An input is a config file. A wrong one gives lines for people; a right one gives a config, every
 * value of which is in its bounds. */
#include "daemon/config/config.h"
#include "daemon/config/load.h"
#include "tests/fuzz/input.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_line(const char *line, void *userdata)
{
    unsigned *n_lines = userdata;

    (*n_lines)++;
    FUZZ_CHECK(line[0] != '\0');
    for (const char *c = line; *c != '\0'; c++)
        FUZZ_CHECK((unsigned char)*c >= ' ' && *c != '\x7f');
}

static void check_config(const struct config *config)
{
    FUZZ_CHECK(config->control.socket[0] == '/' && strlen(config->control.socket) < 108);
    FUZZ_CHECK(config->control.backlog >= 1 && config->control.backlog <= 65535);
    FUZZ_CHECK(config->control.mode <= 0777);
    FUZZ_CHECK(config->control.group == NULL || config->control.group[0] != '\0');
    FUZZ_CHECK(config->slots.count >= 1 && config->slots.count <= 65536);
    FUZZ_CHECK(config->slots.request_ring_bytes <= config->slots.ring_bytes_max);
    FUZZ_CHECK(config->slots.reply_ring_bytes <= config->slots.ring_bytes_max);
    FUZZ_CHECK(config->timeouts.handler_ms >= 1 && config->dispatch.messages_per_turn >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int n_fds = fuzz_count_fds(), fd = memfd_create("config", MFD_CLOEXEC), r;
    struct config *config = NULL;
    unsigned n_lines = 0;
    char path[64];

    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    r = config_load(path, true, &config, check_line, &n_lines);
    (void)close(fd);
    FUZZ_CHECK((r == 0 && n_lines == 0) || (r == -EINVAL && n_lines > 0));
    if (r == 0)
        check_config(config);
    config_free(config);
    FUZZ_CHECK(fuzz_count_fds() == n_fds);
    return 0;
}
