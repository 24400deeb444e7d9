/* SPDX-License-Identifier: MIT */
/* Which files the broker reads, what it accepts in their place, and shortage of memory. */
#include "config/file.h"
#include "tests/suite.h"
#include "tests/unit/config/config_fixture.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- files ---- */

GROUP(files, .timeout = 30, .fixtures = {{config_setup, config_teardown}});

TEST(drop_ins_win_key_by_key_in_the_order_of_their_names)
{
    make_folder("a.d");
    write_json("a.json", "{'slots': {'count': 1, 'per_uid': 1}, 'control': {'group': 'g'}}");
    write_json("a.d/9.json", "{'slots': {'count': 9}, 'timeouts': {'drain_ms': 9}}");
    write_json("a.d/10.json", "{'slots': {'count': 10}, 'timeouts': {'idle_ms': 10}}");
    write_json("a.d/B.json", "{'dispatch': {'spin_us': 1}}");
    write_json("a.d/a.json", "{'dispatch': {'spin_us': 2}, 'control': {'group': null}}");

    ck_assert_int_eq(load(), 0);

    ck_assert_uint_eq(config->slots.count, 9);
    ck_assert_uint_eq(config->slots.per_uid, 1);
    ck_assert_uint_eq(config->timeouts.drain_ms, 9);
    ck_assert_uint_eq(config->timeouts.idle_ms, 10);
    ck_assert_uint_eq(config->dispatch.spin_us, 2);
    ck_assert_ptr_null(config->control.group);
}

TEST(other_names_are_no_drop_ins)
{
    static const char *const names[] = {".json",  ".b.json", "b.json~", "b.json.bak",
                                        "b.JSON", "json",    "README"};

    make_folder("a.d");
    write_json("a.json", "{}");
    for (size_t i = 0; i < N_OF(names); i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "a.d/%s", names[i]);
        write_json(name, "not JSON");
    }

    ck_assert_int_eq(load(), 0);
}

TEST(errors_of_all_files_are_reported)
{
    make_folder("a.d");
    make_folder("a.d/2.json");
    write_json("a.json", "{'slots': {'count': 0}}");
    write_json("a.d/1.json", "nonsense");
    ck_assert_int_eq(symlink("missing", path_of("a.d/3.json")), 0);
    write_json("a.d/4.json", "{\n'slots': {'count': 0, 'counts': 1}}");

    ck_assert_int_eq(load(), -EINVAL);

    ck_assert_str_eq(errors,
                     "F:1: slots.count: must be a whole number from 1 to 65536, not 0\n"
                     "D/a.d/1.json:1: not valid JSON: invalid token near 'nonsense'\n"
                     "D/a.d/2.json: cannot be read: it is a folder\n"
                     "D/a.d/3.json: cannot be read: No such file or directory\n"
                     "D/a.d/4.json:2: slots.count: must be a whole number from 1 to 65536, not 0\n"
                     "D/a.d/4.json:2: slots.counts: unknown key; did you mean "
                     "slots.count?\n");
}

TEST(drop_ins_of_a_name_without_json)
{
    make_folder("conf.d");
    write_json("conf", "{}");
    write_json("conf.d/1.json", "{'slots': {'count': 7}}");

    ck_assert_int_eq(load_path(path_of("conf")), 0);
    ck_assert_uint_eq(config->slots.count, 7);
}

TEST(folder_of_drop_ins_that_is_none_is_reported)
{
    write_json("a.json", "[]");
    write_json("a.d", "{}");

    ck_assert_int_eq(load(), -EINVAL);
    ck_assert_str_eq(errors, "F: a config must be an object, not a list\n"
                             "D/a.d: cannot be read: Not a directory\n");
}

TEST(given_file_must_exist)
{
    ck_assert_int_eq(load(), -EINVAL);
    ck_assert_str_eq(errors, "F: cannot be read: No such file or directory\n");
}

TEST(optional_file_may_be_missing)
{
    ck_assert_int_eq(load_optional(), 0);
    ck_assert_uint_eq(config->slots.count, 4096);

    write_json("a.json", "{'slots': {'count': 3}}");
    ck_assert_int_eq(load_optional(), 0);
    ck_assert_uint_eq(config->slots.count, 3);

    write_json("a.json", "{'slots': {'count': 0}}");
    ck_assert_int_eq(load_optional(), -EINVAL);
    ck_assert_str_eq(errors, "F:1: slots.count: must be a whole number from 1 to 65536, not 0\n");
}

TEST(fifo_does_not_make_us_wait)
{
    ck_assert_int_eq(mkfifo(main_path, 0600), 0);

    ck_assert_int_eq(load(), -EINVAL);
    ck_assert_str_eq(errors, "F: cannot be read: it is not a regular file\n");
}

TEST(device_and_socket_are_refused)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(load_path("/dev/zero"), -EINVAL);
    ck_assert_str_eq(errors, "/dev/zero: cannot be read: it is not a regular file\n");

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", main_path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(load(), -EINVAL);
    ck_assert_str_eq(errors, "F: cannot be read: No such device or address\n");
    ck_assert_int_eq(close(fd), 0);
}

TEST(unreadable_file_is_reported)
{
    write_json("a.json", "{}");
    ck_assert_int_eq(chmod(main_path, 0), 0);
    ck_assert_int_eq(chmod(path_of("."), 0755), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0); /* root may read everything */

    ck_assert_int_eq(load(), -EINVAL);
    ck_assert_str_eq(errors, "F: cannot be read: Permission denied\n");

    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}

TEST(file_may_have_1_mib_and_no_more)
{
    static char text[CONFIG_FILE_BYTES_MAX + 1];

    memset(text, ' ', sizeof(text));
    text[0] = '{';
    text[1] = '}';

    write_bytes("a.json", text, sizeof(text) - 1);
    ck_assert_int_eq(load(), 0);
    write_bytes("a.json", text, sizeof(text));
    ck_assert_int_eq(load(), -EINVAL);
    ck_assert_str_eq(errors, "F: cannot be read: it is longer than 1 MiB\n");
}

TEST(size_is_what_can_be_read)
{
    ck_assert_int_eq(load_path("/proc/self/status"), -EINVAL); /* fstat(2) says 0 */
    ck_assert_ptr_nonnull(strstr(errors, "/proc/self/status:1: not valid JSON: "));
}

/* ---- short of memory ---- */

TEST(every_failed_allocation_is_told)
{
    make_folder("a.d");
    write_json("a.json", "{'slots': {'ring_bytes_max': 4194304}, 'control': {'group': 'g'}}");
    write_json("a.d/1.json", "{'control': {'socket': '/a/longer/path/than/a/buffer/of/jansson'}}");

    for (fail_at = 0; load() < 0; fail_at++) {
        ck_assert(has_failed);
        ck_assert_uint_eq(n_errors, 0);
    }

    ck_assert(!has_failed);
    ck_assert_str_eq(config->control.socket, "/a/longer/path/than/a/buffer/of/jansson");
    printf("test_config_files: each of %d allocations was made to fail\n", fail_at);
}

/* Without a NUL behind it. */
static size_t put(char *at, const char *piece)
{
    size_t size = 0;

    for (; piece[size] != '\0'; size++)
        at[size] = piece[size];
    return size;
}

/* Enough of everything that the arena grows in many places, and one string of half the file. */
static void write_large(void)
{
    static char text[CONFIG_FILE_BYTES_MAX];
    size_t used;

    memset(text, 'x', sizeof(text));
    used = put(text, "{\"a\": [");
    while (used < sizeof(text) / 2)
        used += put(text + used, "{\"b\":[\"c\",1.5]},");
    (void)put(text + used, "\"");
    (void)put(text + sizeof(text) - 3, "\"]}");
    write_bytes("a.json", text, sizeof(text));
}

TEST(parser_runs_out_of_memory_anywhere)
{
    int tried = 0, r;

    write_large();
    for (fail_at = 0; (r = load()) == -ENOMEM; fail_at += 1 + fail_at / 8) {
        ck_assert(has_failed);
        tried++;
    }

    ck_assert(!has_failed);
    ck_assert_int_eq(r, -EINVAL);
    ck_assert_str_eq(errors, "F:1: a: unknown key; known here: control, slots, timeouts, "
                             "dispatch, limits, log\n");
    ck_assert_int_gt(tried, 20);
}

TEST(allocation_functions_of_jansson_are_put_back)
{
    json_malloc_t malloc_before, malloc_after;
    json_free_t free_before, free_after;

    json_get_alloc_funcs(&malloc_before, &free_before);
    ck_assert_int_eq(load_json("{}"), 0);
    ck_assert_int_eq(load_json("nonsense"), -EINVAL);
    write_json("a.json", "{}");
    for (fail_at = 0; load() < 0; fail_at++)
        continue;

    json_get_alloc_funcs(&malloc_after, &free_after);
    ck_assert(malloc_before == malloc_after);
    ck_assert(free_before == free_after);
}
