/* SPDX-License-Identifier: MIT */
/* The example on a broker that is lost before it has agreed to anything. */
#include "tests/integration/fake_broker.h"
#include "tests/suite.h"

#include <check.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONGEST_S 20 /* the library waits 5 s for a broker */

static pid_t start_store(const char *socket)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        const char *path = getenv("KV_STORE");

        (void)setenv("FIPC_SOCKET", socket, 1);
        (void)alarm(LONGEST_S);
        if (path != NULL)
            (void)execl(path, path, (char *)NULL);
        _exit(EXIT_SUCCESS);
    }
    return pid;
}

GROUP(store, .timeout = 2 * LONGEST_S);

TEST(store_that_is_not_served_ends)
{
    struct fake_broker fake;
    int status;
    pid_t pid;

    fake_init(&fake, 1);
    pid = start_store(fake.address.sun_path);
    fake_accept(&fake);
    fake_welcome(&fake);
    ck_assert(fake_receive(&fake));
    fake_deinit(&fake);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), EXIT_FAILURE);
}
