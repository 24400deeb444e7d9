/* SPDX-License-Identifier: MIT */
/*
 * A socket is never connected: after journald made its sockets anew, a connected one would fail for
 * ever. Each reader has a socket of its own: unread datagrams fill its send buffer, and the other
 * reader must still hear from us.
 */
#include "daemon/base/systemd_sender.h"

#include "common/clock.h"
#include "common/os/os.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOTIFY_KEPT_MAX 16
#define NOTIFY_PAUSE_NS (50 * FIPC_NS_PER_MS)
#define JOURNAL_KEPT_MAX 64
#define JOURNAL_PAUSE_NS FIPC_NS_PER_S
#define LAST_TEXTS_NS FIPC_NS_PER_S

/* A text that waits for its reader. */
struct kept {
    STAILQ_ENTRY(kept) link; /* reader.kept */
    size_t size;
    char text[];
};

struct reader {
    int fd; /* -1: no socket could be had yet */
    struct sockaddr_un address;
    socklen_t address_size; /* 0: there is no such reader */
    STAILQ_HEAD(, kept) kept;
    unsigned n_kept;
    uint64_t due_ns; /* FIPC_NEVER: nothing is kept */
    const unsigned n_kept_max;
    const bool gives_up_oldest; /* to keep a new one; else it refuses that */
    const uint64_t pause_ns;
};

static struct reader manager = {
    .fd = -1,
    .kept = STAILQ_HEAD_INITIALIZER(manager.kept),
    .due_ns = FIPC_NEVER,
    .n_kept_max = NOTIFY_KEPT_MAX,
    .gives_up_oldest = true,
    .pause_ns = NOTIFY_PAUSE_NS,
};
static struct reader journal = {
    .fd = -1,
    .kept = STAILQ_HEAD_INITIALIZER(journal.kept),
    .due_ns = FIPC_NEVER,
    .n_kept_max = JOURNAL_KEPT_MAX,
    .pause_ns = JOURNAL_PAUSE_NS,
};

/* ---- keeping ---- */

static void give_up_first(struct reader *reader)
{
    struct kept *kept = STAILQ_FIRST(&reader->kept);

    STAILQ_REMOVE_HEAD(&reader->kept, link);
    reader->n_kept--;
    free(kept);
}

/* Return: 0; -EAGAIN too many are kept, or no memory */
static int keep(struct reader *reader, const char *text, size_t size)
{
    struct kept *kept = NULL;

    if (reader->n_kept < reader->n_kept_max || reader->gives_up_oldest)
        kept = malloc(sizeof(*kept) + size);
    if (kept == NULL)
        return -EAGAIN;
    if (reader->n_kept == reader->n_kept_max)
        give_up_first(reader);
    kept->size = size;
    memcpy(kept->text, text, size);
    STAILQ_INSERT_TAIL(&reader->kept, kept, link);
    reader->n_kept++;
    return 0;
}

/* ---- sending ---- */

static int open_socket(struct reader *reader)
{
    if (reader->fd < 0)
        reader->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return reader->fd < 0 ? -errno : 0;
}

/* Return: 0; -EAGAIN the reader cannot take it now; another negative errno: it never will */
static int send_text(struct reader *reader, const char *text, size_t size)
{
    int r = open_socket(reader);

    if (r < 0)
        return r;
    if (sendto(reader->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL,
               (const struct sockaddr *)&reader->address, reader->address_size) >= 0)
        return 0;
    switch (errno) {
    case EAGAIN:       /* it does not read */
    case ECONNREFUSED: /* it is gone, its socket is not */
    case ENOENT:       /* it is about to start */
    case ENOBUFS:
    case ENOMEM:
        return -EAGAIN;
    default:
        return -errno;
    }
}

/* Oldest first. Return: 0 nothing is kept any more; -EAGAIN */
static int send_kept(struct reader *reader)
{
    struct kept *kept;

    while ((kept = STAILQ_FIRST(&reader->kept)) != NULL) {
        if (send_text(reader, kept->text, kept->size) == -EAGAIN)
            return -EAGAIN;
        give_up_first(reader); /* it was sent, or never will be */
    }
    reader->due_ns = FIPC_NEVER;
    return 0;
}

static int post(struct reader *reader, const char *text, size_t size, enum systemd_need need,
                uint64_t now_ns)
{
    int r = send_kept(reader);

    assert(size <= SYSTEMD_TEXT_BYTES_MAX);
    if (r == 0)
        r = send_text(reader, text, size);
    if (r == -EAGAIN && need == SYSTEMD_MUST_ARRIVE)
        r = keep(reader, text, size);
    if (reader->n_kept > 0 && reader->due_ns == FIPC_NEVER)
        reader->due_ns = now_ns + reader->pause_ns;
    return r;
}

int systemd_sender_notify(const char *text, enum systemd_need need, uint64_t now_ns)
{
    return systemd_sender_has_manager() ? post(&manager, text, strlen(text), need, now_ns) : 0;
}

int systemd_sender_journal(const char *entry, size_t size, enum systemd_need need, uint64_t now_ns)
{
    return post(&journal, entry, size, need, now_ns);
}

/* ---- later ---- */

uint64_t systemd_sender_due_ns(void)
{
    return manager.due_ns < journal.due_ns ? manager.due_ns : journal.due_ns;
}

static void retry(struct reader *reader, uint64_t now_ns)
{
    if (now_ns >= reader->due_ns && send_kept(reader) < 0)
        reader->due_ns = now_ns + reader->pause_ns;
}

void systemd_sender_retry(uint64_t now_ns)
{
    retry(&manager, now_ns);
    retry(&journal, now_ns);
}

void systemd_sender_finish(void)
{
    static const struct timespec pause = {.tv_nsec = NOTIFY_PAUSE_NS};
    uint64_t end_ns = fipc_now_ns() + LAST_TEXTS_NS;

    while ((send_kept(&manager) | send_kept(&journal)) != 0 && fipc_now_ns() < end_ns)
        (void)nanosleep(&pause, NULL);
}

/* ---- the readers ---- */

/* @path: NULL, or one that cannot be: there is no such reader */
static void set_address(struct reader *reader, const char *path)
{
    size_t size = path != NULL ? strlen(path) : 0;

    while (reader->n_kept > 0)
        give_up_first(reader);
    reader->due_ns = FIPC_NEVER;
    reader->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    reader->address_size = 0;
    if (size < 2 || (path[0] != '/' && path[0] != '@') || size >= sizeof(reader->address.sun_path))
        return;
    memcpy(reader->address.sun_path, path, size);
    if (path[0] == '@') /* an abstract name: its first byte is 0, and it ends where it ends */
        reader->address.sun_path[0] = '\0';
    reader->address_size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] == '/' ? 1 : 0));
    (void)open_socket(reader); /* early: fds may run out later */
}

void systemd_sender_init(const char *notify_socket, const char *journal_socket)
{
    set_address(&manager, notify_socket);
    set_address(&journal, journal_socket);
}

bool systemd_sender_has_manager(void) { return manager.address_size > 0; }
