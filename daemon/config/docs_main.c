/* SPDX-License-Identifier: MIT */
/* fipc-config-docs: prints what is generated from the table of config keys. Not installed; a test
 * compares its output with config/fipcd.schema.json and the README, and the build puts it into
 * fipcd.json(5). */
#include "config/man.h"
#include "daemon/config/config.h"

#include <string.h>

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    int r;

    if (strcmp(what, "schema") == 0) {
        r = config_write_schema(stdout);
    } else if (strcmp(what, "markdown") == 0) {
        r = config_write_markdown(stdout);
    } else if (strcmp(what, "man") == 0) {
        r = config_write_man(stdout);
    } else {
        (void)fprintf(stderr, "usage: fipc-config-docs schema | markdown | man\n");
        return 2;
    }
    return r < 0 ? 1 : 0;
}
