/* SPDX-License-Identifier: MIT */
/* The last reference destroys; references of requests in hand alone abandon. */
#include "client/link/handle.h"

#include "tests/unit/fixture.h"

#include <errno.h>

static struct fipc_handle handle;
static unsigned n_abandoned, n_destroyed;

static void abandoned(struct fipc_handle *of)
{
    ck_assert_int_eq(pthread_mutex_trylock(&of->lock), EBUSY); /* called under the lock */
    n_abandoned++;
}

static void destroy(struct fipc_handle *of)
{
    ck_assert_ptr_eq(of, &handle);
    n_destroyed++;
}

static void make_handle(void)
{
    n_abandoned = n_destroyed = 0;
    ck_assert_int_eq(fipc_handle_init(&handle, abandoned, destroy), 0);
}

static void drop_handle(void) { fipc_handle_deinit(&handle); }

GROUP(references, .fixtures = {{make_handle, drop_handle}});

TEST(the_last_reference_destroys_once)
{
    fipc_handle_ref(&handle);
    fipc_handle_unref(&handle);
    ck_assert_uint_eq(n_destroyed, 0);
    fipc_handle_unref(&handle);
    ck_assert_uint_eq(n_destroyed, 1);
    ck_assert_uint_eq(n_abandoned, 0);
}

static const struct {
    unsigned n_refs, n_idle; /* before one reference is given back */
    unsigned n_abandoned, n_destroyed;
} rows[] = {
    {1, 0, 0, 1}, {2, 0, 0, 0}, {2, 1, 1, 0}, {3, 1, 0, 0}, {3, 2, 1, 0}, {4, 2, 0, 0},
};

LOOP_TEST(only_idle_references_abandon, COUNT_OF(rows))
{
    handle.n_refs = rows[_i].n_refs;
    handle.n_idle_refs = rows[_i].n_idle;
    fipc_handle_unref(&handle);
    ck_assert_uint_eq(n_abandoned, rows[_i].n_abandoned);
    ck_assert_uint_eq(n_destroyed, rows[_i].n_destroyed);
}

static int use_in_child(bool is_locked)
{
    pid_t pid;

    if (is_locked)
        (void)pthread_mutex_lock(&handle.lock);
    pid = fork();
    if (pid == 0) {
        bool could = fipc_handle_lock_to_release(&handle);

        _exit(fipc_handle_check(&handle) == -ECHILD ? could : 9);
    }
    if (is_locked)
        (void)pthread_mutex_unlock(&handle.lock);
    return wait_for_exit(pid);
}

TEST(a_child_releases_unless_the_lock_was_held)
{
    ck_assert_int_eq(fipc_handle_check(&handle), 0);
    ck_assert_int_eq(use_in_child(false), true);
    ck_assert_int_eq(use_in_child(true), false);
}
