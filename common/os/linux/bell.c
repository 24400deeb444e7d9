/* SPDX-License-Identifier: MIT */
#include "common/os/os.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

int fipc_bell_ring(const struct fipc_bell *bell)
{
    static const uint64_t one = 1;
    ssize_t r;

    if (bell->kind == FIPC_BELL_EVENTFD)
        return eventfd_write(bell->fd, one) < 0 && errno != EAGAIN ? -errno : 0;

    r = send(bell->fd, &one, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (r >= 0 || errno == EAGAIN)
        return 0;
    return errno == ECONNRESET ? -EPIPE : -errno;
}
