/* SPDX-License-Identifier: MIT */
#ifndef FIPC_CONFIG_FILE_H
#define FIPC_CONFIG_FILE_H

/* The files that a config is made of, and their bytes. */
#include <stddef.h>

#define CONFIG_FILE_BYTES_MAX ((size_t)1 << 20)

/**
 * config_file_read() - read a whole file
 * @ret_text:  on success its bytes; free(3) them
 * @ret_size:  on success how many
 * @ret_why:   on any other error than the two named below: why, for people; never to be freed
 *
 * Return: 0; -ENOENT there is no such file; -ENOMEM; another error: see @ret_why
 */
int config_file_read(const char *path, char **ret_text, size_t *ret_size, const char **ret_why);

/* Paths in the order in which they are to be read. {0} is the empty state. */
struct config_drop_ins {
    char *folder;
    char **paths;
    size_t n_paths;
};

/**
 * config_drop_ins_init() - list the drop-ins of a config file
 * @path:     of the config file
 * @drop_ins: on success, and also on -ENOMEM and other errors: to be given to
 * config_drop_ins_deinit()
 *
 * Return: 0, also if there is no such folder; -ENOMEM; another error: .folder cannot be read
 */
int config_drop_ins_init(struct config_drop_ins *drop_ins, const char *path);
void config_drop_ins_deinit(struct config_drop_ins *drop_ins);

#endif
