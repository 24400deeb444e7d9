/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_SUITE_H
#define FIPC_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs and consumes the suite. Return: the exit status of main(). */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int n_failed;

    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
