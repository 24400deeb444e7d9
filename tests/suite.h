/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_SUITE_H
#define FIPC_TESTS_SUITE_H

/* A test program is a row of cases. Each case registers itself where it is written; the main() in
 * tests/suite.c runs them in this order:
 *
 *     GROUP(sizes, .timeout = 30, .fixtures = {{set_up, tear_down}});
 *
 *     TEST(empty_record_arrives)
 *     {
 *         ck_assert_int_eq(send_and_take(0), 0);
 *     }
 *
 *     LOOP_TEST(record_of_each_size_arrives, COUNT_OF(sizes))
 *     {
 *         ck_assert_int_eq(send_and_take(sizes[_i]), sizes[_i]);
 *     }
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>

/* For loops of very many steps: ck_assert() makes a system call also where it holds. */
#define REQUIRE(expression_)                                                                       \
    do {                                                                                           \
        if (!(expression_))                                                                        \
            ck_abort_msg("'%s' does not hold", #expression_);                                      \
    } while (0)

/* An int, as the end of a loop test. */
#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

struct test_fixture {
    void (*set_up)(void);
    void (*tear_down)(void);
};

/* What the cases after it in the file have in common. */
struct test_group {
    const char *name;
    double timeout;                  /* in seconds; 0: Check's own, which is 4 */
    struct test_fixture fixtures[3]; /* set up in this order around a case, torn down in reverse */
    const char *needs_root;          /* what only root can do: others skip the group */

    struct test_group *next;
};

struct test_case {
    TTest test;
    int begin, end; /* it runs with each _i from begin to end - 1 */
    int signal;     /* that has to end it; 0: none */

    const struct test_group *group;
    struct test_case *next;
};

/* For the macros below. */
void test_group_add(struct test_group *group);
void test_case_add(struct test_case *added);

/* GROUP(name, .timeout = ..., .fixtures = ...): begins a group, whose name can be given to the
 * program as an argument. Cases before the first group have neither a timeout nor a fixture. */
#define GROUP(name_, ...)                                                                          \
    static struct test_group name_##_group;                                                        \
    __attribute__((constructor)) static void name_##_group_add(void)                               \
    {                                                                                              \
        test_group_add(&name_##_group);                                                            \
    }                                                                                              \
    static struct test_group name_##_group = {.name = #name_, __VA_ARGS__}

#define TEST(name_) REGISTERED_TEST(name_, 0, 1, 0)
#define LOOP_TEST(name_, n_) REGISTERED_TEST(name_, 0, n_, 0)
#define RANGE_TEST(name_, begin_, end_) REGISTERED_TEST(name_, begin_, end_, 0)

/* Each run has to fail an assertion of the code, of a build that has them. */
#define ABORT_TEST(name_, n_) REGISTERED_TEST(name_, 0, n_, SIGABRT)

#define REGISTERED_TEST(name_, begin_, end_, signal_)                                              \
    static void name_(int _i);                                                                     \
    __attribute__((constructor)) static void name_##_add(void)                                     \
    {                                                                                              \
        static struct test_case self = {.test = {#name_, name_, __FILE__, __LINE__}};              \
                                                                                                   \
        self.begin = (int)(begin_);                                                                \
        self.end = (int)(end_);                                                                    \
        self.signal = (signal_);                                                                   \
        test_case_add(&self);                                                                      \
    }                                                                                              \
    static void name_(int _i CK_ATTRIBUTE_UNUSED)

#endif
