/* SPDX-License-Identifier: MIT */
/* Bytes of a file, and the files beside it. Paths that are no regular file: test_load_files.c. */
#include "config/file.h"
#include "tests/suite.h"
#include "tests/unit/config/config_fixture.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

GROUP(file, .fixtures = {{config_setup, config_teardown}});

static const struct {
    size_t size;
    int r;
} sizes[] = {
    {0, 0},
    {1, 0},
    {4096, 0},
    {CONFIG_FILE_BYTES_MAX - 1, 0},
    {CONFIG_FILE_BYTES_MAX, 0},
    {CONFIG_FILE_BYTES_MAX + 1, -EFBIG},
    {2 * CONFIG_FILE_BYTES_MAX, -EFBIG},
};

LOOP_TEST(file_of_this_size_is_read_whole, COUNT_OF(sizes))
{
    static char bytes[2 * CONFIG_FILE_BYTES_MAX];
    const char *why = NULL;
    char *text = NULL;
    size_t size = 7;

    for (size_t i = 0; i < sizes[_i].size; i++)
        bytes[i] = (char)i;
    write_bytes("a", bytes, sizes[_i].size);
    ck_assert_int_eq(config_file_read(path_of("a"), &text, &size, &why), sizes[_i].r);
    if (sizes[_i].r < 0) {
        ck_assert_str_eq(why, "it is longer than 1 MiB");
        ck_assert_ptr_null(text);
        return;
    }
    ck_assert_uint_eq(size, sizes[_i].size);
    ck_assert_mem_eq(text, bytes, size);
    free(text);
}

static const struct {
    const char *path;
    int r;
    const char *why;
} wrong[] = {
    {"/tmp/fipc/no/such/file", -ENOENT, NULL},
    {"", -ENOENT, NULL},
    {"/tmp", -EINVAL, "it is a folder"},
    {"/dev/zero", -EINVAL, "it is not a regular file"},
    {"/dev/null/x", -ENOTDIR, "Not a directory"},
};

LOOP_TEST(path_that_cannot_be_read_gives_a_reason, COUNT_OF(wrong))
{
    const char *why = NULL;
    char *text = NULL;
    size_t size = 7;

    ck_assert_int_eq(config_file_read(wrong[_i].path, &text, &size, &why), wrong[_i].r);
    if (wrong[_i].why != NULL)
        ck_assert_str_eq(why, wrong[_i].why);
    ck_assert_ptr_null(text);
    ck_assert_uint_eq(size, 7);
}

/* ---- drop-ins ---- */

static const struct {
    const char *name, *folder;
} folders[] = {
    {"a.json", "a.d"},           {"a", "a.d"},         {"a.conf", "a.conf.d"},
    {"a.json.json", "a.json.d"}, {".json", ".json.d"},
};

LOOP_TEST(folder_is_named_for_the_file, COUNT_OF(folders))
{
    struct config_drop_ins drop_ins;

    ck_assert_int_eq(config_drop_ins_init(&drop_ins, folders[_i].name), 0);
    ck_assert_str_eq(drop_ins.folder, folders[_i].folder);
    ck_assert_uint_eq(drop_ins.n_paths, 0); /* there is no such folder */
    config_drop_ins_deinit(&drop_ins);
    config_drop_ins_deinit(&drop_ins); /* safe twice */
}

TEST(files_are_listed_in_the_order_of_their_bytes)
{
    static const char *const names[] = {"b.json",       "a.json",  "B.json", "10.json", "9.json",
                                        ".hidden.json", "c.json~", "json",   ".json"};
    static const char *const listed[] = {"10.json", "9.json", "B.json", "a.json", "b.json"};
    struct config_drop_ins drop_ins;
    char name[64];

    make_folder("a.d");
    for (int i = 0; i < COUNT_OF(names); i++) {
        (void)snprintf(name, sizeof(name), "a.d/%s", names[i]);
        write_bytes(name, "", 0);
    }
    ck_assert_int_eq(config_drop_ins_init(&drop_ins, path_of("a.json")), 0);
    ck_assert_uint_eq(drop_ins.n_paths, COUNT_OF(listed));
    for (int i = 0; i < COUNT_OF(listed); i++)
        ck_assert_str_eq(strrchr(drop_ins.paths[i], '/') + 1, listed[i]);
    config_drop_ins_deinit(&drop_ins);
}

TEST(folder_that_is_a_file_is_an_error_that_names_it)
{
    struct config_drop_ins drop_ins;

    write_bytes("a.d", "", 0);
    ck_assert_int_eq(config_drop_ins_init(&drop_ins, path_of("a.json")), -ENOTDIR);
    ck_assert_str_eq(strrchr(drop_ins.folder, '/'), "/a.d");
    config_drop_ins_deinit(&drop_ins);
}
