/* SPDX-License-Identifier: MIT */
/* The main() of every test program. Its arguments choose: names of groups and of cases, or with a
 * hyphen before them of those that are left out. */
#include "tests/suite.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_SKIPPED 77 /* SKIP_RETURN_CODE in tests/CMakeLists.txt */

static struct test_group without_group = {.name = "cases"};
static struct test_group *groups = &without_group, *last_group = &without_group;
static struct test_case *cases, **cases_end = &cases;

void test_group_add(struct test_group *group)
{
    last_group->next = group;
    last_group = group;
}

void test_case_add(struct test_case *added)
{
    added->group = last_group;
    *cases_end = added;
    cases_end = &added->next;
}

static bool is_named(const struct test_case *one, const char *name)
{
    return strcmp(name, one->test.name) == 0 || strcmp(name, one->group->name) == 0;
}

static bool is_chosen(const struct test_case *one, char **names)
{
    bool chosen = *names == NULL || **names == '-';

    for (; *names != NULL; names++) {
        if (**names == '-' && is_named(one, *names + 1))
            return false;
        chosen = chosen || is_named(one, *names);
    }
    return chosen;
}

/* One line for each group that cannot run here. Return: whether it is skipped. */
static bool skips(const struct test_group *group)
{
    if (group->needs_root == NULL || geteuid() == 0)
        return false;
    printf("SKIP: only root can %s\n", group->needs_root);
    return true;
}

static TCase *tcase_of(const struct test_group *group, char **names, int *n_cases)
{
    TCase *tcase = tcase_create(group->name);

    if (group->timeout > 0)
        tcase_set_timeout(tcase, group->timeout);
    for (size_t i = 0; i < sizeof(group->fixtures) / sizeof(group->fixtures[0]); i++)
        if (group->fixtures[i].set_up != NULL || group->fixtures[i].tear_down != NULL)
            tcase_add_checked_fixture(tcase, group->fixtures[i].set_up,
                                      group->fixtures[i].tear_down);

    for (const struct test_case *one = cases; one != NULL; one = one->next)
        if (one->group == group && is_chosen(one, names)) {
            tcase_add_loop_test_raise_signal(tcase, &one->test, one->signal, one->begin, one->end);
            ++*n_cases;
        }
    return tcase;
}

static void list_cases(void)
{
    for (const struct test_case *one = cases; one != NULL; one = one->next)
        printf("%s %s %d\n", one->group->name, one->test.name, one->end - one->begin);
}

/* Return: the exit status of main(). Nothing to run is a failure, or a misspelt name would pass. */
static int run_cases(char **names)
{
    Suite *suite = suite_create(program_invocation_short_name);
    SRunner *runner = srunner_create(suite);
    int n_cases = 0, n_failed;
    bool has_skipped = false;

    for (const struct test_group *group = groups; group != NULL; group = group->next) {
        if (skips(group))
            has_skipped = true;
        else
            suite_add_tcase(suite, tcase_of(group, names, &n_cases));
    }
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);

    if (n_cases == 0)
        return has_skipped ? EXIT_SKIPPED : EXIT_FAILURE;
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list_cases();
        return EXIT_SUCCESS;
    }
    return run_cases(argv + 1);
}
