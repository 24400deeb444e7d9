/* SPDX-License-Identifier: MIT */
#include "tests/unit/config/config_fixture.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char main_path[64];
char errors[ERRORS_BYTES];
unsigned n_errors;
struct config *config;
int fail_at = -1;
bool has_failed;

static char folder[sizeof("/tmp/fipc-test-config-XXXXXX")];

/* ---- calls that can be made to fail, and the default path led elsewhere ---- */

static int calls_left = -1; /* until one fails; Check allocates too, so only inside config_load() */

static bool fails_now(void)
{
    if (calls_left < 0 || calls_left-- > 0)
        return false;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names them */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
char *__real_strdup(const char *text);
int __real_scandir(const char *path, struct dirent ***entries, int (*filter)(const struct dirent *),
                   int (*compare)(const struct dirent **, const struct dirent **));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_scandir(const char *path, struct dirent ***entries, int (*filter)(const struct dirent *),
                   int (*compare)(const struct dirent **, const struct dirent **));

void *__wrap_malloc(size_t size) { return fails_now() ? NULL : __real_malloc(size); }

void *__wrap_calloc(size_t n, size_t size) { return fails_now() ? NULL : __real_calloc(n, size); }

char *__wrap_strdup(const char *text) { return fails_now() ? NULL : __real_strdup(text); }

int __wrap_scandir(const char *path, struct dirent ***entries, int (*filter)(const struct dirent *),
                   int (*compare)(const struct dirent **, const struct dirent **))
{
    return fails_now() ? -1 : __real_scandir(path, entries, filter, compare);
}

/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- files and what becomes of them ---- */

const char *path_of(const char *name)
{
    static char path[1024];

    ck_assert_int_lt(snprintf(path, sizeof(path), "%s/%s", folder, name), (int)sizeof(path));
    return path;
}

void write_bytes(const char *name, const void *bytes, size_t size)
{
    FILE *file = fopen(path_of(name), "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

void write_json(const char *name, const char *text)
{
    size_t size = strlen(text);
    char *json = strdup(text);

    ck_assert_ptr_nonnull(json);
    for (char *at = json; *at != '\0'; at++) {
        if (*at == '\'')
            *at = '"';
    }
    write_bytes(name, json, size);
    free(json);
}

void make_folder(const char *name) { ck_assert_int_eq(mkdir(path_of(name), 0700), 0); }

static void collect(const char *line, void *userdata)
{
    size_t used = strlen(errors);

    n_errors += userdata == errors ? 1 : 0;
    while (*line != '\0' && used + 3 < sizeof(errors)) {
        if (strncmp(line, main_path, strlen(main_path)) == 0) {
            errors[used++] = 'F';
            line += strlen(main_path);
        } else if (strncmp(line, folder, strlen(folder)) == 0) {
            errors[used++] = 'D';
            line += strlen(folder);
        } else {
            errors[used++] = *line++;
        }
    }
    errors[used++] = '\n';
    errors[used] = '\0';
}

static int load_file(const char *path, bool must_exist)
{
    struct config *const untouched = (struct config *)errors;
    struct config *loaded = untouched;
    int r;

    errors[0] = '\0';
    n_errors = 0;
    has_failed = false;
    calls_left = fail_at;
    r = config_load(path, must_exist, &loaded, collect, errors);
    calls_left = -1;
    ck_assert_int_eq(r == -EINVAL, n_errors > 0);
    config = config_free(config);
    if (r == 0)
        config = loaded;
    else
        ck_assert_ptr_eq(loaded, untouched);
    return r;
}

int load_path(const char *path) { return load_file(path, true); }

int load_optional(void) { return load_file(main_path, false); }

int load(void) { return load_path(main_path); }

int load_json(const char *text)
{
    write_json("a.json", text);
    return load();
}

static void remove_all(const char *path)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", path, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

void config_setup(void)
{
    memcpy(folder, "/tmp/fipc-test-config-XXXXXX", sizeof(folder));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(main_path, sizeof(main_path), "%s/a.json", folder);
}

void config_teardown(void)
{
    config = config_free(config);
    remove_all(folder);
}
