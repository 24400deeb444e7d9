/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_OUTPUT_H
#define FIPC_FIPCTL_OUTPUT_H

/*
 * Standard output. Every module prints through these functions, which keep the first error: fipctl
 * reports a full disk at its end, and ends quietly if no process reads its pipe any more.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Opens stdin, stdout and stderr where they were closed, so that no other fd gets their numbers.
 * Call it first. */
void output_init(void);

/* From now on each line leaves at once, for a person that watches. */
void output_by_line(void);

/* Return: characters printed, 0 after an error */
int output_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

void output_bytes(const void *data, size_t size);

/* Prints a document on one line. @document: consumed; NULL means that there was no memory, which
 * counts as an error of the output. */
void output_json(json_t *document);

/* Whether printing failed: more output is pointless. */
bool output_failed(void);

/**
 * output_finish() - close stdout and print its first error
 * @status:  the exit status if there was no error
 *
 * Return: the exit status
 */
int output_finish(int status);

#endif
