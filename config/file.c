/* SPDX-License-Identifier: MIT */
/* The author of a config file is trusted with its contents but makes mistakes: a path may lead to a
 * FIFO, a device or a folder. None of these may make the broker wait or read without end. */
#include "config/file.h"

#include "common/os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".json"

static void free_textp(char **text) { free(*text); }

/* Return: 0; -EINVAL with a reason; -errno */
static int open_regular(const char *path, int *ret_fd, const char **ret_why)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    struct stat status;

    /* O_NONBLOCK: opening a FIFO would wait for somebody to write to it. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode)) {
        *ret_why = S_ISDIR(status.st_mode) ? "it is a folder" : "it is not a regular file";
        return -EINVAL;
    }
    *ret_fd = fd_steal(&fd);
    return 0;
}

/* Does not rely on the size of fstat(2): the file may be growing, or lie in /proc. Return:
 * 0; -EFBIG; -errno */
static int read_all(int fd, char *buffer, size_t buffer_size, size_t *ret_size)
{
    size_t size = 0;

    while (size < buffer_size) {
        ssize_t n = read(fd, buffer + size, buffer_size - size);

        if (n == 0) {
            *ret_size = size;
            return 0;
        }
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            size += (size_t)n;
    }
    return -EFBIG;
}

int config_file_read(const char *path, char **ret_text, size_t *ret_size, const char **ret_why)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    FIPC_CLEANUP(free_textp) char *text = NULL;
    const char *why = NULL;
    int r;

    r = open_regular(path, &fd, &why);
    if (r == 0) {
        /* One byte more shows that a file is too long. */
        text = malloc(CONFIG_FILE_BYTES_MAX + 1);
        r = text == NULL ? -ENOMEM : read_all(fd, text, CONFIG_FILE_BYTES_MAX + 1, ret_size);
    }
    if (r == -EFBIG)
        why = "it is longer than 1 MiB";
    if (r < 0) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): its text is constant */
        *ret_why = why != NULL ? why : strerror(-r);
        return r;
    }
    *ret_text = text;
    text = NULL;
    return 0;
}

static int is_drop_in(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);

    return entry->d_name[0] != '.' && size > strlen(SUFFIX) &&
           strcmp(entry->d_name + size - strlen(SUFFIX), SUFFIX) == 0;
}

/* Not alphasort(3): the order must not depend on the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Return: DIR/NAME.d for DIR/NAME.json, for free(3); NULL: no memory */
static char *drop_in_folder(const char *path)
{
    size_t size = strlen(path);
    bool is_json = size > strlen(SUFFIX) && strcmp(path + size - strlen(SUFFIX), SUFFIX) == 0;
    size_t name_size = is_json ? size - strlen(SUFFIX) : size;
    char *folder = malloc(size + sizeof(".d"));

    if (folder == NULL)
        return NULL;
    (void)snprintf(folder, size + sizeof(".d"), "%.*s.d", (int)name_size, path);
    return folder;
}

static int add_paths(struct config_drop_ins *drop_ins, struct dirent **entries, size_t n_entries)
{
    size_t folder_size = strlen(drop_ins->folder);

    drop_ins->paths = calloc(n_entries, sizeof(drop_ins->paths[0]));
    if (drop_ins->paths == NULL)
        return -ENOMEM;
    for (; drop_ins->n_paths < n_entries; drop_ins->n_paths++) {
        const char *name = entries[drop_ins->n_paths]->d_name;
        size_t size = folder_size + 1 + strlen(name) + 1;
        char *path = malloc(size);

        if (path == NULL)
            return -ENOMEM;
        (void)snprintf(path, size, "%s/%s", drop_ins->folder, name);
        drop_ins->paths[drop_ins->n_paths] = path;
    }
    return 0;
}

int config_drop_ins_init(struct config_drop_ins *drop_ins, const char *path)
{
    struct dirent **entries;
    int n_entries, r = 0;

    *drop_ins = (struct config_drop_ins){0};
    drop_ins->folder = drop_in_folder(path);
    if (drop_ins->folder == NULL)
        return -ENOMEM;
    n_entries = scandir(drop_ins->folder, &entries, is_drop_in, compare_names);
    if (n_entries < 0)
        return errno == ENOENT ? 0 : -errno;
    if (n_entries > 0)
        r = add_paths(drop_ins, entries, (size_t)n_entries);
    for (int i = 0; i < n_entries; i++)
        free(entries[i]);
    free(entries);
    return r;
}

void config_drop_ins_deinit(struct config_drop_ins *drop_ins)
{
    for (size_t i = 0; i < drop_ins->n_paths; i++)
        free(drop_ins->paths[i]);
    free(drop_ins->paths);
    free(drop_ins->folder);
    *drop_ins = (struct config_drop_ins){0};
}
