/* SPDX-License-Identifier: MIT */
/* A paragraph for each key, by section. */
#include "config/man.h"

#include <errno.h>
#include <string.h>

/* Escapes the characters that scdoc takes for markup. */
static void write_plain(const char *text, FILE *out)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (strchr("*_\\", *c) != NULL)
            (void)fputc('\\', out);
        (void)fputc(*c, out);
    }
}

/* Of the objects of a list. */
static void write_member(const struct config_key *member, FILE *out)
{
    char text[CONFIG_TEXT_BYTES];

    (void)fputs("\n\t*", out);
    write_plain(member->name, out);
    (void)fputs("*: ", out);
    write_plain(member->help, out);
    (void)fputs(": ", out);
    write_plain(config_key_allowed(member, text), out);
    (void)fputs(".\n", out);
}

static void write_key(const struct config_key *key, FILE *out)
{
    char text[CONFIG_TEXT_BYTES];

    (void)fputc('*', out);
    write_plain(key->path, out);
    (void)fputs("*\n\t", out);
    write_plain(key->help, out);
    (void)fputs(".\n\n\tAllowed: ", out);
    write_plain(config_key_allowed(key, text), out);
    (void)fputs(". Default: ", out);
    write_plain(config_key_default(key, text), out);
    (void)fputs(".\n", out);
    for (size_t i = 0; i < key->n_members; i++)
        write_member(&key->members[i], out);
}

int config_write_man(const struct config_table *table, FILE *out)
{
    for (size_t i = 0; i < table->n_keys; i++) {
        if (i > 0)
            (void)fputc('\n', out);
        if (config_table_begins_section(table, i))
            (void)fprintf(out, "## %s\n\n", table->keys[i].section);
        write_key(&table->keys[i], out);
    }
    /* Checked once, here: a stream remembers that it failed. */
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
