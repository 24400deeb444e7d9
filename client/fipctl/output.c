/* SPDX-License-Identifier: MIT */

/*
 * A pipe without a reader usually ends fipctl by SIGPIPE, as it ends the tools of coreutils: fipctl
 * prints no line, and the shell sees 141. If the parent ignores that signal, the write fails with
 * EPIPE instead: fipctl prints no line either, and exits with 1.
 */
#include "client/fipctl/output.h"

#include "client/fipctl/failure.h"
#include "client/fipctl/invocation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int first_error; /* errno of the first write that failed */

static void remember_error(void)
{
    if (first_error == 0)
        first_error = errno != 0 ? errno : EIO;
}

void output_init(void)
{
    /* The wrong way round, so that using it is an error. A socket at number 1 would get what we
     * print. */
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", modes[fd]) < 0)
            _exit(EXIT_CALL_FAILED);
    }
}

void output_by_line(void) { (void)setvbuf(stdout, NULL, _IOLBF, 0); }

int output_print(const char *format, ...)
{
    va_list values;
    int n;

    va_start(values, format);
    n = vfprintf(stdout, format, values);
    va_end(values);
    if (n < 0)
        remember_error();
    return n < 0 ? 0 : n;
}

void output_bytes(const void *data, size_t size)
{
    if (size > 0 && fwrite(data, 1, size, stdout) != size)
        remember_error();
}

void output_json(json_t *document)
{
    char *text = document == NULL ? NULL : json_dumps(document, 0);

    json_decref(document);
    if (text != NULL) {
        output_print("%s\n", text);
        free(text);
        return;
    }
    errno = ENOMEM;
    remember_error();
}

bool output_failed(void) { return first_error != 0; }

int output_finish(int status)
{
    if (fclose(stdout) != 0)
        remember_error();
    if (first_error == 0)
        return status;
    errno = first_error;
    if (errno != EPIPE)
        failure_print("cannot write to standard output: %m; look where it goes to");
    return status != EXIT_SUCCESS ? status : EXIT_CALL_FAILED;
}
