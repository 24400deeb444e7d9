/* SPDX-License-Identifier: MIT */
#include "daemon/base/user_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Relative paths are invalid, says the specification, and are to be ignored. */
static const char *folder_of(const char *variable)
{
    const char *folder = getenv(variable);

    return folder != NULL && folder[0] == '/' ? folder : NULL;
}

static int join(const char *folder, const char *rest, char **ret_path)
{
    if (folder == NULL)
        return -ENXIO;
    return asprintf(ret_path, "%s/%s", folder, rest) < 0 ? -ENOMEM : 0;
}

int user_socket_path(char **ret_path)
{
    return join(folder_of("XDG_RUNTIME_DIR"), "fipc/control.sock", ret_path);
}

int user_config_path(char **ret_path)
{
    const char *folder = folder_of("XDG_CONFIG_HOME");

    if (folder != NULL)
        return join(folder, "fipc/fipcd.json", ret_path);
    return join(folder_of("HOME"), ".config/fipc/fipcd.json", ret_path);
}
