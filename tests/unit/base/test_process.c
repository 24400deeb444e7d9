/* SPDX-License-Identifier: MIT */
/* The map of uids, in the kernel's words, and the files of a user's own broker. */
#include "daemon/base/process.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the map of uids ---- */

static const char *uid_map; /* stands in for the kernel's */

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names it */
FILE *__wrap_fopen(const char *path, const char *mode);

FILE *__wrap_fopen(const char *path, const char *mode)
{
    (void)mode;
    ck_assert_str_eq(path, "/proc/self/uid_map");
    return uid_map != NULL ? fmemopen((void *)uid_map, strlen(uid_map), "r") : NULL;
}

/* NOLINTEND(bugprone-reserved-identifier) */

static const struct {
    const char *map;
    bool is_whole;
} maps[] = {
    {NULL, true}, /* it cannot be read */
    {"         0          0 4294967295\n", true},
    {"         0          0 4294967294\n", false},
    {"         0          1 4294967295\n", false},
    {"         1          0 4294967295\n", false},
    {"         0       1000          1\n", false},
    {"      1000       1000          1\n", false},
    {"         0     100000      65536\n", false},
    {"         0       1000          1\n         1     100000      65536\n", false},
    {"\n", false}, /* a namespace that has no map yet */
};

LOOP_TEST(all_uids_are_seen_if_each_stands_for_itself, COUNT_OF(maps))
{
    uid_map = maps[_i].map;
    ck_assert_int_eq(process_sees_all_uids(), maps[_i].is_whole);
}

/* ---- the files of a user ---- */

static void set(const char *name, const char *value)
{
    ck_assert_int_eq(value != NULL ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void check_path(int r, char *path, const char *expected)
{
    ck_assert_int_eq(r, expected != NULL ? 0 : -ENXIO);
    if (r < 0)
        return;
    ck_assert_str_eq(path, expected);
    free(path);
}

static const struct {
    const char *xdg_runtime_dir;
    const char *path; /* NULL: there is none */
} sockets[] = {
    {NULL, NULL},
    {"", NULL},
    {"run", NULL}, /* a relative path is ignored */
    {"/", "//fipc/control.sock"},
    {"/run/user/1000", "/run/user/1000/fipc/control.sock"},
};

LOOP_TEST(socket_is_in_the_runtime_folder, COUNT_OF(sockets))
{
    char *path = NULL;
    int r;

    set("XDG_RUNTIME_DIR", sockets[_i].xdg_runtime_dir);
    r = process_user_socket(&path);
    check_path(r, path, sockets[_i].path);
}

static const struct {
    const char *xdg_config_home, *home;
    const char *path; /* NULL: there is none */
} configs[] = {
    {NULL, NULL, NULL},
    {"", "", NULL},
    {"config", "home", NULL},
    {"config", "/home/a", "/home/a/.config/fipc/fipcd.json"},
    {NULL, "/home/a", "/home/a/.config/fipc/fipcd.json"},
    {"", "/home/a", "/home/a/.config/fipc/fipcd.json"},
    {"/config", "/home/a", "/config/fipc/fipcd.json"},
    {"/config", NULL, "/config/fipc/fipcd.json"},
};

LOOP_TEST(config_is_in_the_config_folder_or_at_home, COUNT_OF(configs))
{
    char *path = NULL;
    int r;

    set("XDG_CONFIG_HOME", configs[_i].xdg_config_home);
    set("HOME", configs[_i].home);
    r = process_user_config(&path);
    check_path(r, path, configs[_i].path);
}
