/* SPDX-License-Identifier: MIT */
/* The keys in the language of scdoc(5). */
#include "config/man.h"
#include "tests/suite.h"
#include "tests/unit/config/small_table.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static char *text;
static size_t size;

static void write_document(void)
{
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(config_write_man(&small_table, out), 0);
    ck_assert_int_eq(fclose(out), 0);
}

static void free_document(void) { free(text); }

GROUP(man, .fixtures = {{write_document, free_document}});

TEST(each_key_has_a_paragraph_below_its_section)
{
    ck_assert_str_eq(
        text,
        "## one\n\n"
        "*one.number*\n\tA number.\n\n\tAllowed: a whole number from 1 to 9. Default: 5.\n\n"
        "*one.power\\_bytes*\n\tA power.\n\n\tAllowed: a power of two from 2 to 16 bytes, at most "
        "one.power\\_max. Default: 4.\n\n"
        "*one.power\\_max*\n\tIts limit.\n\n\tAllowed: a power of two from 2 to 16. Default: 8.\n"
        "\n## other\n\n"
        "*other.mode*\n\tA mode.\n\n\tAllowed: an octal mode from \"0000\" to \"0770\". Default: "
        "\"0640\".\n\n"
        "*other.path*\n\tA path.\n\n\tAllowed: an absolute path of at most 6 bytes. Default: "
        "\"/x\".\n\n"
        "*other.name*\n\tA name.\n\n\tAllowed: a name of 2 to 4 bytes, or null. Default: null.\n\n"
        "*other.choice*\n\tA choice.\n\n\tAllowed: one of \"low\", \"high\". Default: \"high\".\n\n"
        "*other.list*\n\tA list.\n\n\tAllowed: a list of objects with number, user. Default: [].\n"
        "\n\t*number*: A number: a whole number from 1 to 9.\n"
        "\n\t*user*: A user: a user's name of 1 to 4 bytes, or a uid.\n");
}

TEST(full_disk_is_an_error)
{
    FILE *out = fopen("/dev/full", "we");

    ck_assert_int_eq(config_write_man(&small_table, out), -EIO);
    (void)fclose(out);
}
