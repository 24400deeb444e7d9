/* SPDX-License-Identifier: MIT */
/* The library as a plugin: loaded, used and unloaded again and again. This program is not linked
 * with it. */
#include "tests/suite.h"

#include <dlfcn.h>
#include <errno.h>
#include <fipc/client.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 200

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* Return: the bytes of address space that this process has, but for the heap and what maps a file
 */
static long anonymous_bytes(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    long sum = 0;

    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long begin, end;
        int path_at = 0;

        ck_assert_int_ge(sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &begin, &end, &path_at), 2);
        if (path_at == 0 || line[path_at] == '\0' || line[path_at] == '\n')
            sum += (long)(end - begin);
    }
    (void)fclose(maps);
    return sum;
}

/* There is no broker, but a handle is made, and freed again. */
static void load_and_unload(void)
{
    const fipc_options options = {
        .size = sizeof(options), .socket = "/nowhere/control.sock", .connect_timeout_ms = 1};
    int (*connect)(fipc_client **, const fipc_options *);
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    fipc_client *client = NULL;
    void *symbol;

    ck_assert_msg(library != NULL, "%s", LIBRARY);
    symbol = dlsym(library, "fipc_connect");
    ck_assert_ptr_nonnull(symbol);
    memcpy(&connect, &symbol, sizeof(connect));
    ck_assert_int_eq(connect(&client, &options), -ECONNREFUSED);
    ck_assert_int_eq(dlclose(library), 0);
    ck_assert_ptr_null(dlopen(LIBRARY, RTLD_NOW | RTLD_NOLOAD)); /* it is gone */
}

GROUP(loading, .timeout = 60);

TEST(library_leaves_no_memory_when_it_is_unloaded)
{
    long before;

    for (int i = 0; i < 20; i++) /* what libc keeps, it keeps by then */
        load_and_unload();
    before = anonymous_bytes();
    for (int i = 0; i < ROUNDS; i++)
        load_and_unload();
#ifdef SANITIZED
    (void)before;
    (void)printf("SKIP: a sanitizer keeps memory of its own for each load\n");
    return;
#endif
    ck_assert_int_lt(anonymous_bytes() - before, ROUNDS * 4096 / 10);
}
