/* SPDX-License-Identifier: MIT */
#ifndef FIPC_FIPCTL_OUTPUT_H
#define FIPC_FIPCTL_OUTPUT_H

/*
 * Standard output. All that is printed goes through here, since the first error must not be lost: a
 * full disk is told at the end, a pipe that nobody reads any more ends fipctl quietly.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Gives stdin, stdout and stderr that were closed a number nobody else can get. Before all else. */
void output_init(void);

/* Each line leaves at once: for somebody who watches. */
void output_by_line(void);

/* Return: characters printed, 0 after an error */
int output_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

void output_bytes(const void *data, size_t size);

/* One line, one document. @document: consumed; NULL, no memory, is an error of the output too. */
void output_json(json_t *document);

/* Whether there is no point in printing more. */
bool output_failed(void);

/**
 * output_finish() - close stdout and say what went wrong with it
 * @status:  the exit status if nothing did
 *
 * Return: the exit status
 */
int output_finish(int status);

#endif
