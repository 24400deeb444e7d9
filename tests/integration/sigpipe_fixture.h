/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_SIGPIPE_FIXTURE_H
#define FIPC_TESTS_SIGPIPE_FIXTURE_H

/* Every packet that the library sends: none may raise SIGPIPE. */
#include "tests/integration/client_fixture.h"
#include "tests/integration/fake_broker.h"

#include <sys/socket.h>

static _Thread_local void (*before_send)(void);

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names it. Linux raises SIGPIPE for streams
 * only: the flag is what POSIX asks for. */
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    EXPECT((flags & MSG_NOSIGNAL) != 0);
    if (before_send != NULL)
        before_send();
    return __real_sendmsg(fd, message, flags);
}

/* NOLINTEND(bugprone-reserved-identifier) */

/* Calls that end at a deadline, by which they are waited for no longer and no shorter. */
#define SHORT_MS 60

#endif
