/* SPDX-License-Identifier: MIT */
#include "daemon/base/systemd_sender.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#define SD_JOURNAL_SUPPRESS_LOCATION /* a line of log.c would say nothing */
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#define TEXTS_MAX 64
#define FIELDS_MAX 16
#define LAST_TEXTS_S 1

/* One for each reader: while journald hangs the service manager still hears from us, and the other
 * way round. */
struct outbox {
    pthread_mutex_t lock;
    pthread_cond_t posted;
    pthread_cond_t sent;
    void (*send)(char *text);
    char texts[TEXTS_MAX][OUTBOX_TEXT_BYTES_MAX];
    size_t first;
    size_t count; /* the one that is being sent included */
    bool has_thread;
};

static void send_to_journal(char *text)
{
    struct iovec fields[FIELDS_MAX];
    int count = 0;
    char *rest = text;

    for (char *line; count < FIELDS_MAX && (line = strsep(&rest, "\n")) != NULL;)
        fields[count++] = (struct iovec){.iov_base = line, .iov_len = strlen(line)};
    (void)sd_journal_sendv(fields, count);
}

static void send_to_manager(char *text) { (void)sd_notify(false, text); }

static struct outbox outboxes[] = {
    [OUTBOX_SERVICE_MANAGER] = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                .posted = PTHREAD_COND_INITIALIZER,
                                .sent = PTHREAD_COND_INITIALIZER,
                                .send = send_to_manager},
    [OUTBOX_JOURNAL] = {.lock = PTHREAD_MUTEX_INITIALIZER,
                        .posted = PTHREAD_COND_INITIALIZER,
                        .sent = PTHREAD_COND_INITIALIZER,
                        .send = send_to_journal},
};

static void *outbox_run(void *argument)
{
    struct outbox *outbox = argument;

    (void)pthread_mutex_lock(&outbox->lock);
    for (;;) {
        while (outbox->count == 0)
            (void)pthread_cond_wait(&outbox->posted, &outbox->lock);
        (void)pthread_mutex_unlock(&outbox->lock);
        outbox->send(outbox->texts[outbox->first]);
        (void)pthread_mutex_lock(&outbox->lock);
        outbox->first = (outbox->first + 1) % TEXTS_MAX;
        outbox->count--;
        (void)pthread_cond_signal(&outbox->sent);
    }
    return NULL;
}

static void wait_until_sent(struct outbox *outbox, const struct timespec *limit)
{
    int r = 0;

    (void)pthread_mutex_lock(&outbox->lock);
    while (outbox->count > 0 && r == 0)
        r = pthread_cond_timedwait(&outbox->sent, &outbox->lock, limit);
    (void)pthread_mutex_unlock(&outbox->lock);
}

static void wait_at_exit(void)
{
    struct timespec limit;

    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += LAST_TEXTS_S;
    wait_until_sent(&outboxes[OUTBOX_SERVICE_MANAGER], &limit);
    wait_until_sent(&outboxes[OUTBOX_JOURNAL], &limit);
}

/* It ends with the process. Signals are the loop's. */
static int start_thread(struct outbox *outbox)
{
    static bool waits_at_exit;
    sigset_t all, before;
    pthread_t thread;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread, NULL, outbox_run, outbox);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return -r;
    (void)pthread_detach(thread);
    outbox->has_thread = true;
    if (!waits_at_exit)
        waits_at_exit = atexit(wait_at_exit) == 0;
    return 0;
}

int outbox_post(enum outbox_to to, const char *text)
{
    struct outbox *outbox = &outboxes[to];
    size_t size = strlen(text) + 1;
    int r = 0;

    assert(size <= OUTBOX_TEXT_BYTES_MAX);
    if (!outbox->has_thread) {
        r = start_thread(outbox);
        if (r < 0)
            return r;
    }
    (void)pthread_mutex_lock(&outbox->lock);
    if (outbox->count == TEXTS_MAX) {
        r = -EAGAIN;
    } else {
        memcpy(outbox->texts[(outbox->first + outbox->count) % TEXTS_MAX], text, size);
        outbox->count++;
        (void)pthread_cond_signal(&outbox->posted);
    }
    (void)pthread_mutex_unlock(&outbox->lock);
    return r;
}
