/* SPDX-License-Identifier: MIT */
#include "client/base/settings.h"

#include "client/base/wire.h"
#include "common/clock.h"
#include "common/region.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/fipc/control.sock"
#define DEFAULT_CONNECT_MS 5000
#define DEFAULT_SPIN_US 20

/* Copies options of any age: members that ours lack must be zero, members that theirs lack become
 * zero. */
static int options_read(fipc_options *ret_options, const fipc_options *options)
{
    const unsigned char *bytes = (const unsigned char *)options;
    size_t size = options->size;

    if (size < sizeof(options->size))
        return -EINVAL;
    for (size_t i = sizeof(*options); i < size; i++) {
        if (bytes[i] != 0)
            return -EINVAL;
    }
    memcpy(ret_options, options, size < sizeof(*options) ? size : sizeof(*options));
    return 0;
}

static bool ring_bytes_allowed(uint32_t bytes)
{
    return bytes == 0 || fipc_ring_bytes_valid(bytes);
}

/* Puts the working folder before a relative path: the session connects again later, and by then the
 * program may be in another one. Return: 0, @ret_folder ends with '/', or is empty; -ENAMETOOLONG;
 * -ECONNREFUSED the working folder is not there any more */
static int folder_of(const char *path, char *ret_folder, size_t size)
{
    size_t length;

    ret_folder[0] = '\0';
    if (path[0] == '/')
        return 0;
    if (getcwd(ret_folder, size - 1) == NULL)
        return errno == ERANGE ? -ENAMETOOLONG : -ECONNREFUSED;
    length = strlen(ret_folder);
    if (ret_folder[length - 1] != '/')
        memcpy(ret_folder + length, "/", sizeof("/"));
    return 0;
}

static int set_address(struct fipc_settings *settings, const char *path)
{
    struct sockaddr_un *address = &settings->address;
    char folder[sizeof(address->sun_path)];
    int length, r;

    if (path == NULL)
        path = secure_getenv("FIPC_SOCKET");
    if (path == NULL)
        path = DEFAULT_SOCKET;
    if (path[0] == '\0')
        return -EINVAL;
    r = folder_of(path, folder, sizeof(folder));
    if (r < 0)
        return r;
    address->sun_family = AF_UNIX;
    length = snprintf(address->sun_path, sizeof(address->sun_path), "%s%s", folder, path);
    return length < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

static uint64_t spin_ns(uint32_t spin_us)
{
    if (spin_us == UINT32_MAX)
        return 0;
    return (spin_us == 0 ? DEFAULT_SPIN_US : spin_us) * FIPC_NS_PER_US;
}

int fipc_settings_init(struct fipc_settings *ret_settings, const fipc_options *given)
{
    fipc_options options = {.size = 0};
    struct fipc_settings settings = {.address = {.sun_family = AF_UNIX}};
    int r;

    if (given != NULL) {
        r = options_read(&options, given);
        if (r < 0)
            return r;
    }
    if (options.flags != 0 || options.connect_timeout_ms < -1 ||
        !ring_bytes_allowed(options.request_ring_bytes) ||
        !ring_bytes_allowed(options.reply_ring_bytes))
        return -EINVAL;
    r = set_address(&settings, options.socket);
    if (r < 0)
        return r;
    settings.connect_ns = fipc_timeout_ns(
        options.connect_timeout_ms == 0 ? DEFAULT_CONNECT_MS : options.connect_timeout_ms);
    settings.spin_ns = spin_ns(options.spin_us);
    settings.request_ring_bytes = options.request_ring_bytes;
    settings.reply_ring_bytes = options.reply_ring_bytes;
    *ret_settings = settings;
    return 0;
}
