/* SPDX-License-Identifier: MIT */
/*
 * LeakSanitizer leaves the process of a test alone that is about the broker: what such a test
 * allocates ends with its process, and looking for it takes longer than the test. The broker that
 * it starts is looked at.
 */

/* The sanitizer's own hook. */
int __lsan_is_turned_off(void); // NOLINT(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
int __lsan_is_turned_off(void)  // NOLINT(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
{
    return 1;
}
