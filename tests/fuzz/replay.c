/* SPDX-License-Identifier: MIT */
/* The main() of a target where libFuzzer is not: runs each file of the folders that are named once.
 * Options of libFuzzer are let by, so that both are started alike. */
#include "tests/fuzz/input.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX ((size_t)1 << 20)

/* In a block of exactly its size: one byte too far is seen. */
static void replay_file(const char *folder, const char *name)
{
    static uint8_t buffer[INPUT_BYTES_MAX];
    char path[4096];
    FILE *file;
    size_t size;
    uint8_t *data;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "re");
    FUZZ_CHECK(file != NULL);
    size = fread(buffer, 1, sizeof(buffer), file);
    (void)fclose(file);

    (void)fprintf(stderr, "%s\n", path);
    data = malloc(size > 0 ? size : 1);
    FUZZ_CHECK(data != NULL);
    memcpy(data, buffer, size);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
}

/* Return: how many there were */
static int replay_folder(const char *folder)
{
    struct dirent **entries;
    int n_entries = scandir(folder, &entries, NULL, alphasort), n_files = 0;

    FUZZ_CHECK(n_entries >= 0);
    for (int i = 0; i < n_entries; i++) {
        if (entries[i]->d_name[0] != '.') {
            replay_file(folder, entries[i]->d_name);
            n_files++;
        }
        free(entries[i]);
    }
    free(entries);
    return n_files;
}

int main(int argc, char **argv)
{
    int n_files = 0;

    for (int i = 1; i < argc; i++)
        n_files += argv[i][0] == '-' ? 0 : replay_folder(argv[i]);
    return n_files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
