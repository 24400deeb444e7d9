/* SPDX-License-Identifier: MIT */
/* Whose turn is next. */
#include "daemon/model/lines.h"

#include "daemon/model/account.h"
#include "tests/suite.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define ITEMS_MAX 64
#define ACCOUNTS 3

static struct lines lines;
static struct account accounts[ACCOUNTS];
static struct {
    char name;
    struct line_item item;
} things[ITEMS_MAX];
static int n_things;
static bool is_memory_short;

/* NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return is_memory_short ? NULL : __real_calloc(count, size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void set_up(void)
{
    lines_init(&lines);
    n_things = 0;
    is_memory_short = false;
}

static void tear_down(void)
{
    struct line_item *item;

    while ((item = lines_first(&lines)) != NULL)
        lines_remove(&lines, item);
    ck_assert_uint_eq(lines.n_items, 0);
    ck_assert_uint_eq(lines.n_lines, 0);
    ck_assert_ptr_null(lines.by_account);
}

GROUP(lines, .fixtures = {{set_up, tear_down}});

/* Small letters are of account 0, capitals of 1, digits of 2. */
static const struct account *account_of(char name)
{
    return &accounts[name >= 'a' ? 0 : name >= 'A' ? 1 : 2];
}

static struct line_item *put(char name)
{
    struct line_item *item = &things[n_things].item;

    things[n_things++].name = name;
    ck_assert_int_eq(lines_put(&lines, account_of(name), item), 0);
    return item;
}

static void put_all(const char *names)
{
    for (; *names != '\0'; names++)
        (void)put(*names);
}

static char name_of(struct line_item *item)
{
    return *(char *)((char *)item - offsetof(__typeof__(things[0]), item));
}

/* Return: the names of what is taken until nothing waits, turn by turn */
static const char *take_all(void)
{
    static char names[ITEMS_MAX + 1];
    struct line_item *item;
    int i = 0;

    while ((item = lines_first(&lines)) != NULL) {
        names[i++] = name_of(item);
        lines_remove(&lines, item);
        lines_end_turn(&lines, account_of(names[i - 1]));
    }
    names[i] = '\0';
    return names;
}

static const struct {
    const char *put, *taken;
} orders[] = {
    {"", ""},
    {"a", "a"},
    {"abc", "abc"},
    {"aA", "aA"},
    {"abcA", "aAbc"},
    {"abcdABC1", "aA1bBcCd"},
    {"Aa1Bb2Cc3", "Aa1Bb2Cc3"},
    {"abcdefgh1", "a1bcdefgh"},
};

LOOP_TEST(accounts_take_turns_and_each_is_served_in_the_order_of_coming, COUNT_OF(orders))
{
    put_all(orders[_i].put);
    ck_assert_uint_eq(lines.n_items, strlen(orders[_i].put));
    ck_assert_str_eq(take_all(), orders[_i].taken);
}

TEST(who_comes_while_others_take_turns_comes_after_one_of_each)
{
    put_all("abcdefAB");
    lines_remove(&lines, lines_first(&lines));
    lines_end_turn(&lines, &accounts[0]);
    (void)put('1'); /* A, b and it are next */

    ck_assert_str_eq(take_all(), "Ab1Bcdef");
}

TEST(account_whose_turn_ended_comes_behind_all_others)
{
    put_all("abAB12");
    lines_end_turn(&lines, &accounts[1]); /* not the first, which could not be served */
    ck_assert_str_eq(take_all(), "a1Ab2B");
    lines_end_turn(&lines, &accounts[1]); /* it has no line */
}

TEST(what_is_put_back_comes_before_all_others)
{
    put_all("abAB");
    things[n_things].name = '9';
    ck_assert_int_eq(lines_put_first(&lines, &accounts[2], &things[n_things++].item), 0);
    things[n_things].name = 'Z';
    ck_assert_int_eq(lines_put_first(&lines, &accounts[1], &things[n_things++].item), 0);

    ck_assert_str_eq(take_all(), "Z9aAbB");
}

TEST(what_leaves_from_the_middle_is_in_nobodys_way)
{
    struct line_item *middle;

    put_all("ab");
    middle = put('A');
    put_all("c1");
    lines_remove(&lines, middle);
    ck_assert_ptr_null(middle->line);

    ck_assert_uint_eq(lines.n_lines, 2);
    ck_assert_str_eq(take_all(), "a1bc");
}

TEST(walk_meets_each_item_once)
{
    char seen[8] = "";
    size_t n = 0;

    put_all("abA1B2");
    for (struct line_item *item = lines_first(&lines); item != NULL; item = lines_next(item))
        seen[n++] = name_of(item);
    ck_assert_str_eq(seen, "abAB12");
}

TEST(each_account_holds_its_own)
{
    put_all("abcA");
    ck_assert_uint_eq(lines_held(&lines, &accounts[0]), 3);
    ck_assert_uint_eq(lines_held(&lines, &accounts[1]), 1);
    ck_assert_uint_eq(lines_held(&lines, &accounts[2]), 0);
    ck_assert_uint_eq(lines.n_lines, 2);
}

TEST(first_of_an_account_needs_memory)
{
    struct line_item other = {.line = NULL};

    (void)put('a');
    is_memory_short = true;
    ck_assert_int_eq(lines_put(&lines, &accounts[1], &other), -ENOMEM);
    ck_assert_int_eq(lines_put_first(&lines, &accounts[1], &other), -ENOMEM);
    ck_assert_ptr_null(other.line);
    (void)put('b');
    ck_assert_uint_eq(lines.n_items, 2);
}
