/* SPDX-License-Identifier: MIT */
/* A socket that appears is noticed, wherever its folders are by then. No time is measured: a pause
 * that is not ended lasts longer than the case may. */
#include "client/link/arrival.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "tests/suite.h"
#include "tests/unit/fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG_NS (fipc_now_ns() + 1000 * FIPC_NS_PER_S)

#define TOP_FORM "/tmp/fipc-arrival-XXXXXX"

static char top[] = TOP_FORM;
static char middle[128], folder[128], path[160], other[160];
static struct fipc_arrival arrival;

static void make_names(void)
{
    (void)snprintf(top, sizeof(top), "%s", TOP_FORM);
    ck_assert_ptr_nonnull(mkdtemp(top));
    (void)snprintf(middle, sizeof(middle), "%s/run", top);
    (void)snprintf(folder, sizeof(folder), "%s/run/fipc", top);
    (void)snprintf(path, sizeof(path), "%s/run/fipc/control.sock", top);
    (void)snprintf(other, sizeof(other), "%s/run/fipc/control.sock2", top);
    fipc_arrival_init(&arrival, path);
}

static void remove_all(void)
{
    fipc_arrival_deinit(&arrival);
    (void)unlink(path);
    (void)unlink(other);
    (void)rmdir(folder);
    (void)rmdir(middle);
    ck_assert_int_eq(rmdir(top), 0);
}

static void make_folders(void)
{
    ck_assert_int_eq(mkdir(middle, 0700), 0);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
}

static void make_file(const char *name)
{
    int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

GROUP(arrivals, .timeout = 30, .fixtures = {HOLDINGS_KEPT, {make_names, remove_all}});

static void *make_it(void *arg)
{
    (void)arg;
    make_file(path);
    return NULL;
}

TEST(a_socket_that_appears_ends_a_pause)
{
    pthread_t thread;

    make_folders();
    ck_assert(fipc_arrival_watch(&arrival));
    ck_assert_int_eq(pthread_create(&thread, NULL, make_it, NULL), 0);
    ck_assert(fipc_arrival_wait(&arrival, LONG_NS));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(!fipc_arrival_came(&arrival)); /* once */
}

TEST(folders_that_appear_are_followed_to_the_socket)
{
    ck_assert(fipc_arrival_watch(&arrival));
    ck_assert(!fipc_arrival_watch(&arrival)); /* the same */
    ck_assert_int_eq(mkdir(middle, 0700), 0);
    ck_assert(fipc_arrival_came(&arrival));
    ck_assert(fipc_arrival_watch(&arrival));
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert(fipc_arrival_came(&arrival));
    ck_assert(fipc_arrival_watch(&arrival));
    make_file(path);
    ck_assert(fipc_arrival_came(&arrival));
}

TEST(a_folder_that_goes_and_comes_back_is_followed)
{
    make_folders();
    ck_assert(fipc_arrival_watch(&arrival));
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert(fipc_arrival_came(&arrival));
    ck_assert(fipc_arrival_watch(&arrival)); /* its parent */
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert(fipc_arrival_came(&arrival));
    ck_assert(fipc_arrival_watch(&arrival));
    make_file(path);
    ck_assert(fipc_arrival_came(&arrival));
}

TEST(other_files_do_not_count)
{
    make_folders();
    ck_assert(fipc_arrival_watch(&arrival));
    make_file(other);
    ck_assert(!fipc_arrival_came(&arrival));
    ck_assert_int_eq(rename(other, path), 0);
    ck_assert(fipc_arrival_came(&arrival));
}

TEST(without_a_watch_a_pause_lasts_until_its_end)
{
    uint64_t end_ns = fipc_now_ns() + 10 * FIPC_NS_PER_MS;

    ck_assert(!fipc_arrival_wait(&arrival, end_ns));
    ck_assert_uint_ge(fipc_now_ns(), end_ns);
    fipc_arrival_init(&arrival, "relative/control.sock");
    ck_assert(!fipc_arrival_watch(&arrival));
    ck_assert(!fipc_arrival_wait(&arrival, 0));
}
