/* SPDX-License-Identifier: MIT */
/* Lines of subuid(5), right and wrong, and entries of the config before them. */
#include "daemon/config/owners_load.h"

#include "daemon/base/log.h"
#include "daemon/config/config.h"
#include "tests/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static struct config config;
static struct owners owners;

static void set_up(void)
{
    int fd;

    (void)snprintf(path, sizeof(path), "/tmp/fipc-subuid-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    log_set_level(LOG_ERR);
    config = (struct config){.control = {.mode = 0}};
    owners = (struct owners){.n_ranges = 0};
}

static void tear_down(void)
{
    owners_deinit(&owners);
    (void)unlink(path);
}

GROUP(load, .fixtures = {{set_up, tear_down}});

static void load(const char *text)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(owners_load(&owners, &config, path), 0);
}

static uid_t owner_of(uid_t uid)
{
    const struct owner_range *range = owners_find(&owners, uid);

    return range != NULL ? range->owner : uid;
}

static const struct {
    const char *text;
    struct {
        uid_t uid, owner;
    } wanted[4]; /* until one with uid 0 */
} files[] = {
    {"", {{1, 1}, {100000, 100000}}},
    {"1000:100000:65536\n", {{99999, 99999}, {100000, 1000}, {165535, 1000}, {165536, 165536}}},
    {"1000:100000:65536", {{100000, 1000}, {165535, 1000}}}, /* without a last newline */
    {"1000:100000:65536\r\n", {{100000, 1000}, {165535, 1000}}},
    {"root:100000:65536\n", {{100000, 0}, {165535, 0}}},
    {"1000:100000:10\n1001:100000:20\n", {{100000, 1000}, {100009, 1000}, {100010, 1001}}},
    {"1000:100000:10\n1000:200000:10\n", {{100000, 1000}, {200009, 1000}, {100010, 100010}}},
    /* a user that nobody knows is one user all the same */
    {"no-such-user-here:100000:10\n", {{100000, 100000}, {100009, 100000}, {100010, 100010}}},
    {"4294967295:100000:10\n", {{100000, 100000}, {100009, 100000}}},
    {"99999999999999999999:100000:10\n", {{100000, 100000}, {100009, 100000}}},
    /* counts */
    {"1000:100000:0\n", {{100000, 100000}}},
    {"1000:100000:1\n", {{100000, 1000}, {100001, 100001}}},
    {"1000:100000:4294967296\n", {{99999, 99999}, {100000, 1000}, {4294967295, 1000}}},
    {"1000:100000:99999999999999999999999\n", {{100000, 1000}, {4294967295, 1000}}},
    {"1000:4294967294:10\n", {{4294967293, 4294967293}, {4294967294, 1000}, {4294967295, 1000}}},
    /* wrong lines are left out, those around them are not */
    {"# a comment\n1000:100000:10\n", {{100000, 1000}}},
    {"\n\n1000:100000:10\n", {{100000, 1000}}},
    {"1000\n1000:200000\n:300000:10\n1000:100000:10\n",
     {{100000, 1000}, {200000, 200000}, {300000, 300000}}},
    {"1000:100000:10:\n1000:200000:10x\n1000:x:10\n1000::10\n1000:300000:\n",
     {{100000, 100000}, {200000, 200000}, {300000, 300000}}},
    {"1000:-5:10\n1000:100000:-1\n1000: 200000:10\n1000:+300000:10\n",
     {{4294967291, 4294967291}, {100000, 100000}, {200000, 200000}, {300000, 300000}}},
    {"1000:4294967295:10\n1000:4294967396:10\n1000:99999999999999999999:10\n",
     {{4294967295, 4294967295}, {100, 100}}},
};

LOOP_TEST(file_names_these_owners, COUNT_OF(files))
{
    load(files[_i].text);
    for (int i = 0; i < COUNT_OF(files[_i].wanted) && files[_i].wanted[i].uid != 0; i++)
        ck_assert_uint_eq(owner_of(files[_i].wanted[i].uid), files[_i].wanted[i].owner);
}

TEST(long_line_is_one_line)
{
    char *text = malloc(1 << 20);

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', (1 << 20) - 1);
    (void)snprintf(text + (1 << 20) - 64, 64, "\n1000:100000:10\n");
    load(text);
    ck_assert_uint_eq(owner_of(100000), 1000);
    free(text);
}

TEST(entries_of_the_config_come_first)
{
    char name[] = "2000", unknown[] = "no-such-user-here";
    struct config_owner entries[] = {
        {.first = 100000, .count = 10, .owner = name},
        {.first = 100005, .count = 10, .owner = unknown},
    };

    config.limits.owners = (struct config_list){.items = entries, .n_items = COUNT_OF(entries)};
    load("1000:100000:20\n");
    ck_assert_uint_eq(owner_of(100000), 2000);
    ck_assert_uint_eq(owner_of(100009), 2000);
    ck_assert_uint_eq(owner_of(100010), 100005);
    ck_assert_uint_eq(owner_of(100014), 100005);
    ck_assert_uint_eq(owner_of(100015), 1000);
    ck_assert_uint_eq(owner_of(100019), 1000);
}

TEST(file_that_is_not_there_or_cannot_be_read_names_nobody)
{
    ck_assert_int_eq(owners_load(&owners, &config, "/nonexistent/subuid"), 0);
    ck_assert_int_eq(owners_load(&owners, &config, "/proc/self/mem"), 0);
    ck_assert_int_eq(owners_load(&owners, &config, "/tmp"), 0);
    ck_assert_uint_eq(owners.n_ranges, 0);
}
