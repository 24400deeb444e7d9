/* SPDX-License-Identifier: MIT */
/*
 * fipctl, from its command line to what it prints. An input is text: the first line is the command
 * line, its words apart by one space each; the replies of the broker follow, an empty line between
 * two of them. "!N" is the error -N instead. The library is wrapped.
 */
#include "client/fipctl/command.h"
#include "client/fipctl/duration.h"
#include "client/fipctl/options.h"
#include "tests/fuzz/input.h"

#include <errno.h>
#include <fcntl.h>
#include <fipc/client.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 16

struct fipc_message {
    size_t size;
    char data[];
};

/* The rest of the replies. */
static struct input replies;

/* ---- the library ---- */

/* Up to a separator, which is taken too. Return: the size */
static size_t take_until(struct input *input, const char *separator, const char **ret_text)
{
    const char *text = (const char *)input->at;
    const char *end =
        input->left > 0 ? memmem(text, input->left, separator, strlen(separator)) : NULL;
    size_t taken, size = end != NULL ? (size_t)(end - text) : input->left;

    (void)input_bytes(input, end != NULL ? size + strlen(separator) : size, &taken);
    *ret_text = text;
    return size;
}

/* Return: never 0 */
static int reply_error(const char *text, size_t size)
{
    char number[8] = {0};
    int error;

    memcpy(number, text + 1, size - 1 < sizeof(number) ? size - 1 : sizeof(number) - 1);
    error = (int)(strtoul(number, NULL, 10) % 4096);
    return error != 0 ? -error : -ETIMEDOUT;
}

/* In a block of exactly its size. */
static int next_reply(fipc_message **ret_reply)
{
    const char *text;
    size_t size;

    if (replies.left == 0)
        return -ECONNRESET;
    size = take_until(&replies, "\n\n", &text);
    if (size > 0 && text[0] == '!')
        return reply_error(text, size);
    *ret_reply = malloc(sizeof(**ret_reply) + size);
    FUZZ_CHECK(*ret_reply != NULL);
    (*ret_reply)->size = size;
    if (size > 0)
        memcpy((*ret_reply)->data, text, size);
    return 0;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker names them */
int __wrap_fipc_connect(fipc_client **ret_client, const fipc_options *options);
void __wrap_fipc_unref(fipc_client *client);
int __wrap_fipc_call(fipc_client *client, const char *service, const void *data, size_t size,
                     unsigned flags, int timeout_ms, fipc_message **ret_reply);
int __wrap_fipc_call_once(const fipc_options *options, const char *service, const void *data,
                          size_t size, int timeout_ms, fipc_message **ret_reply);
int __wrap_fipc_wait(fipc_client *client, const char *service, int timeout_ms);
int __wrap_fipc_loan(fipc_client *client, const char *service, size_t size, fipc_message **ret);
const void *__wrap_fipc_data(const fipc_message *message);
size_t __wrap_fipc_size(const fipc_message *message);
void __wrap_fipc_free(fipc_message *message);

int __wrap_fipc_connect(fipc_client **ret_client, const fipc_options *options)
{
    FUZZ_CHECK(options->socket[0] != '\0');
    *ret_client = NULL;
    return 0;
}

void __wrap_fipc_unref(fipc_client *client) { FUZZ_CHECK(client == NULL); }

int __wrap_fipc_call(fipc_client *client, const char *service, const void *data, size_t size,
                     unsigned flags, int timeout_ms, fipc_message **ret_reply)
{
    (void)client;
    (void)flags;
    FUZZ_CHECK(service != NULL && (data != NULL || size == 0) && timeout_ms > 0);
    return next_reply(ret_reply);
}

int __wrap_fipc_call_once(const fipc_options *options, const char *service, const void *data,
                          size_t size, int timeout_ms, fipc_message **ret_reply)
{
    FUZZ_CHECK(options->socket[0] != '\0');
    return __wrap_fipc_call(NULL, service, data, size, 0, timeout_ms, ret_reply);
}

/* A reply means that somebody serves the name. */
int __wrap_fipc_wait(fipc_client *client, const char *service, int timeout_ms)
{
    fipc_message *reply = NULL;
    int r = __wrap_fipc_call(client, service, NULL, 0, 0, timeout_ms, &reply);

    if (r == 0)
        __wrap_fipc_free(reply);
    return r;
}

int __wrap_fipc_loan(fipc_client *client, const char *service, size_t size, fipc_message **ret)
{
    (void)client;
    (void)service;
    (void)ret;
    return size > 0 ? -EMSGSIZE : -EINVAL;
}

const void *__wrap_fipc_data(const fipc_message *message) { return message->data; }

size_t __wrap_fipc_size(const fipc_message *message) { return message->size; }

void __wrap_fipc_free(fipc_message *message) { free(message); }
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- a run ---- */

/* What it printed, in place of stdout and stderr. */
struct printed {
    FILE *stream;
    char *text;
    size_t size;
};

static FILE *printed_open(struct printed *printed)
{
    printed->stream = open_memstream(&printed->text, &printed->size);
    FUZZ_CHECK(printed->stream != NULL);
    return printed->stream;
}

/* A terminal obeys control characters. Return: lines */
static unsigned check_plain(const struct printed *printed)
{
    unsigned n_lines = 0;

    for (size_t i = 0; i < printed->size; i++) {
        FUZZ_CHECK((unsigned char)printed->text[i] >= ' ' || printed->text[i] == '\n');
        FUZZ_CHECK(printed->text[i] != '\x7f');
        n_lines += printed->text[i] == '\n';
    }
    return n_lines;
}

/* As in fipctl.c, without the commands that take long, run programs, or end the process. */
static int run(struct invocation *invocation, int argc, char **argv)
{
    int status;

    optind = 0; /* getopt_long(3) begins anew */
    status = options_parse(invocation, &fipctl_program, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    FUZZ_CHECK(invocation->n_arguments >= invocation->command->n_arguments_min);
    FUZZ_CHECK(invocation->n_arguments <= invocation->command->n_arguments_max);
    FUZZ_CHECK(invocation->socket_path[0] != '\0');
    if (invocation->command->run == bench_run || invocation->command->run == ping_run ||
        invocation->command->run == serve_run)
        return EXIT_SUCCESS;
    return invocation->command->run(invocation);
}

static void run_and_check(int argc, char **argv)
{
    struct printed out = {.text = NULL}, errors = {.text = NULL};
    FILE *saved_stdout = stdout, *saved_stderr = stderr;
    struct invocation invocation = {.command = NULL};
    bool is_plain;
    int status;

    stdout = printed_open(&out);
    stderr = printed_open(&errors);
    status = run(&invocation, argc, argv);
    stdout = saved_stdout;
    stderr = saved_stderr;
    (void)fclose(out.stream);
    (void)fclose(errors.stream);

    FUZZ_CHECK(status >= EXIT_SUCCESS && status <= EXIT_NO_BROKER);
    FUZZ_CHECK(check_plain(&errors) == (status == EXIT_SUCCESS ? 0 : 1));
    /* a reply is printed as it came */
    is_plain = invocation.command == NULL || invocation.command->run != call_run;
    if (is_plain && !invocation.settings.json)
        (void)check_plain(&out);
    free(out.text);
    free(errors.text);
}

/* In a block of exactly its size; not by strndup(3), which ASan wants a whole string for. */
static char *make_word(const char *text, size_t size)
{
    char *word = malloc(size + 1);

    FUZZ_CHECK(word != NULL);
    memcpy(word, text, size);
    word[size] = '\0';
    return word;
}

/* Return: how many */
static int split_words(struct input line, char *words[WORDS_MAX + 2])
{
    int n_words = 0;

    words[n_words++] = make_word("fipctl", strlen("fipctl"));
    while (line.left > 0 && n_words <= WORDS_MAX) {
        const char *word;
        size_t size = take_until(&line, " ", &word);

        words[n_words++] = make_word(word, size);
    }
    words[n_words] = NULL;
    return n_words;
}

static void check_duration(const struct input *input)
{
    struct input copy = *input;
    struct duration_text duration = duration_format(input_number(&copy, 8));

    FUZZ_CHECK(strlen(duration.text) < sizeof(duration.text) && strchr(duration.text, ' ') != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_set_up;
    struct input line = {data, 0};
    char *words[WORDS_MAX + 2], *owned[WORDS_MAX + 2];
    const char *text;
    int n_words;

    if (!is_set_up) { /* nothing comes from stdin, and no environment names a socket */
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        FUZZ_CHECK(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
        FUZZ_CHECK(unsetenv("FIPC_SOCKET") == 0 &&
                   setenv("XDG_RUNTIME_DIR", "/run/user/0", 1) == 0);
        is_set_up = true;
    }
    replies = (struct input){data, size};
    check_duration(&replies);
    line.left = take_until(&replies, "\n", &text);
    n_words = split_words(line, words);
    memcpy(owned, words, sizeof(words)); /* getopt_long(3) moves them about */
    run_and_check(n_words, words);
    for (int i = 0; i < n_words; i++)
        free(owned[i]);
    return 0;
}
