/* SPDX-License-Identifier: MIT */
/* fipc-config-docs: prints the documents that are generated from the table of config keys. Not
 * installed; a test compares its output with config/fipcd.schema.json, and the build puts it into
 * fipcd.json(5). */
#include "config/man.h"
#include "config/schema.h"
#include "daemon/config/keys.h"

#include <string.h>

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    int r;

    if (strcmp(what, "schema") == 0) {
        r = config_write_schema(&config_table, stdout);
    } else if (strcmp(what, "man") == 0) {
        r = config_write_man(&config_table, stdout);
    } else {
        (void)fprintf(stderr, "usage: fipc-config-docs schema | man\n");
        return 2;
    }
    return r < 0 ? 1 : 0;
}
