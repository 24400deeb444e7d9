/* SPDX-License-Identifier: MIT */
/* Datagrams to systemd, with readers that read, don't read, are gone, and come back. */
#include "daemon/base/systemd_sender.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOW_NS (1000 * FIPC_NS_PER_S)
#define NOTIFY_KEPT_MAX 16
#define NOTIFY_PAUSE_NS (50 * FIPC_NS_PER_MS)
#define JOURNAL_KEPT_MAX 64

/* ---- the readers ---- */

static char folder[] = "/tmp/fipc-test-sender-XXXXXX";
static char manager_path[64], journal_path[64];
static int manager_fd, journal_fd;

static int open_reader(const char *path, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(address.sun_path, path, size);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                     0);
    return fd;
}

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(manager_path, sizeof(manager_path), "%s/notify", folder);
    (void)snprintf(journal_path, sizeof(journal_path), "%s/journal", folder);
    manager_fd = open_reader(manager_path, strlen(manager_path));
    journal_fd = open_reader(journal_path, strlen(journal_path));
    systemd_sender_init(manager_path, journal_path);
}

static void teardown(void)
{
    (void)close(manager_fd);
    (void)close(journal_fd);
    (void)unlink(manager_path);
    (void)unlink(journal_path);
    (void)rmdir(folder);
    memcpy(folder, "/tmp/fipc-test-sender-XXXXXX", sizeof(folder));
}

/* Return: the next text; "" if there is none. */
static const char *read_from(int fd)
{
    static char text[2 * SYSTEMD_TEXT_BYTES_MAX];
    ssize_t size = recv(fd, text, sizeof(text) - 1, 0);

    text[size > 0 ? size : 0] = '\0';
    return text;
}

/* As read_from(), after the kept texts were tried again: a queue may hold ten only. */
static const char *read_again_from(int fd)
{
    const char *text = read_from(fd);

    if (text[0] != '\0')
        return text;
    systemd_sender_retry(systemd_sender_due_ns());
    return read_from(fd);
}

/* How a reader can be away. */
enum trouble {
    QUEUE_IS_FULL,  /* EAGAIN */
    READER_IS_GONE, /* ECONNREFUSED */
    SOCKET_IS_GONE, /* ENOENT */
    TROUBLE_COUNT,
};

static void fill(int fd)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    while (sendto(sender, "", 0, 0, (struct sockaddr *)&address, size) == 0)
        continue;
    ck_assert_int_eq(errno, EAGAIN);
    (void)close(sender);
}

static void begin_trouble(int trouble, int *fd, const char *path)
{
    if (trouble == QUEUE_IS_FULL)
        fill(*fd);
    else
        (void)close(*fd);
    if (trouble == SOCKET_IS_GONE)
        ck_assert_int_eq(unlink(path), 0);
}

static void end_trouble(int trouble, int *fd, const char *path)
{
    char byte;

    if (trouble == READER_IS_GONE)
        ck_assert_int_eq(unlink(path), 0);
    if (trouble != QUEUE_IS_FULL)
        *fd = open_reader(path, strlen(path));
    while (recv(*fd, &byte, 1, 0) == 0)
        continue;
}

static int notify(const char *text)
{
    return systemd_sender_notify(text, SYSTEMD_MUST_ARRIVE, NOW_NS);
}

static int journal(const char *entry)
{
    return systemd_sender_journal(entry, strlen(entry), SYSTEMD_MUST_ARRIVE, NOW_NS);
}

/* ---- addresses ---- */

#define BYTES_100                                                                                  \
    "1234567890123456789012345678901234567890123456789012345678901234567890"                       \
    "123456789012345678901234567890"

static const struct {
    const char *address;
    bool is_one;
} addresses[] = {
    {NULL, false},
    {"", false},
    {"/", false},
    {"@", false},
    {"notify", false},
    {"vsock:2:1", false},
    {"/x", true},
    {"@x", true},
    {"/" BYTES_100 "123456", true},
    {"/" BYTES_100 "1234567", false}, /* no room for its end */
    {"@" BYTES_100 "123456", true},
    {"@" BYTES_100 "1234567", false},
};

GROUP(systemd_sender, .timeout = 20, .fixtures = {{setup, teardown}});

LOOP_TEST(service_manager_is_there_if_its_address_can_be, COUNT_OF(addresses))
{
    systemd_sender_init(addresses[_i].address, journal_path);
    ck_assert_int_eq(systemd_sender_has_manager(), addresses[_i].is_one);
    if (addresses[_i].is_one)
        return;
    ck_assert_int_eq(notify("READY=1"), 0);
    ck_assert_uint_eq(systemd_sender_due_ns(), FIPC_NEVER);
}

TEST(at_sign_begins_an_abstract_name)
{
    char name[64];
    int fd;

    (void)snprintf(name, sizeof(name), "@fipc-test-%d", getpid());
    systemd_sender_init(name, journal_path);
    name[0] = '\0';
    fd = open_reader(name, 1 + strlen(name + 1));
    ck_assert_int_eq(notify("READY=1"), 0);
    ck_assert_str_eq(read_from(fd), "READY=1");
    (void)close(fd);
}

/* ---- what arrives ---- */

TEST(each_reader_gets_its_own)
{
    ck_assert_int_eq(notify("READY=1"), 0);
    ck_assert_int_eq(journal("MESSAGE=x\n"), 0);
    ck_assert_str_eq(read_from(manager_fd), "READY=1");
    ck_assert_str_eq(read_from(manager_fd), "");
    ck_assert_str_eq(read_from(journal_fd), "MESSAGE=x\n");
    ck_assert_str_eq(read_from(journal_fd), "");
    ck_assert_uint_eq(systemd_sender_due_ns(), FIPC_NEVER);
}

TEST(largest_entry_arrives_whole)
{
    static char entry[SYSTEMD_TEXT_BYTES_MAX];

    memset(entry, 'x', sizeof(entry));
    ck_assert_int_eq(systemd_sender_journal(entry, sizeof(entry), SYSTEMD_MAY_BE_LOST, NOW_NS), 0);
    ck_assert_uint_eq(strlen(read_from(journal_fd)), sizeof(entry));
}

/* ---- readers that are away ---- */

LOOP_TEST(what_must_arrive_does_so_in_order, TROUBLE_COUNT)
{
    begin_trouble(_i, &manager_fd, manager_path);
    ck_assert_int_eq(notify("READY=1"), 0);
    ck_assert_int_eq(notify("RELOADING=1"), 0);
    end_trouble(_i, &manager_fd, manager_path);
    ck_assert_int_eq(notify("READY=1\nSTATUS=x"), 0); /* overtakes nothing */

    ck_assert_str_eq(read_from(manager_fd), "READY=1");
    ck_assert_str_eq(read_from(manager_fd), "RELOADING=1");
    ck_assert_str_eq(read_from(manager_fd), "READY=1\nSTATUS=x");
    ck_assert_str_eq(read_from(manager_fd), "");
    ck_assert_uint_eq(systemd_sender_due_ns(), FIPC_NEVER);
}

LOOP_TEST(what_may_be_lost_is_and_its_sender_knows, TROUBLE_COUNT)
{
    begin_trouble(_i, &manager_fd, manager_path);
    ck_assert_int_eq(systemd_sender_notify("STATUS=x", SYSTEMD_MAY_BE_LOST, NOW_NS), -EAGAIN);
    ck_assert_uint_eq(systemd_sender_due_ns(), FIPC_NEVER);
    end_trouble(_i, &manager_fd, manager_path);
    systemd_sender_retry(NOW_NS + FIPC_NS_PER_S);
    ck_assert_str_eq(read_from(manager_fd), "");
}

LOOP_TEST(manager_is_tried_each_50_ms, TROUBLE_COUNT)
{
    uint64_t due_ns = NOW_NS + NOTIFY_PAUSE_NS;

    begin_trouble(_i, &manager_fd, manager_path);
    ck_assert_int_eq(notify("READY=1"), 0);
    for (int i = 0; i < 10; i++, due_ns += NOTIFY_PAUSE_NS) {
        ck_assert_uint_eq(systemd_sender_due_ns(), due_ns);
        systemd_sender_retry(due_ns);
    }
    end_trouble(_i, &manager_fd, manager_path);
    systemd_sender_retry(due_ns - 1); /* not due yet */
    ck_assert_str_eq(read_from(manager_fd), "");
    systemd_sender_retry(due_ns);
    ck_assert_str_eq(read_from(manager_fd), "READY=1");
    ck_assert_uint_eq(systemd_sender_due_ns(), FIPC_NEVER);
}

LOOP_TEST(journal_is_tried_each_second, TROUBLE_COUNT)
{
    begin_trouble(_i, &journal_fd, journal_path);
    ck_assert_int_eq(journal("MESSAGE=1\n"), 0);
    ck_assert_uint_eq(systemd_sender_due_ns(), NOW_NS + FIPC_NS_PER_S);
    systemd_sender_retry(NOW_NS + FIPC_NS_PER_S);
    ck_assert_uint_eq(systemd_sender_due_ns(), NOW_NS + 2 * FIPC_NS_PER_S);
    end_trouble(_i, &journal_fd, journal_path);
    systemd_sender_retry(NOW_NS + 2 * FIPC_NS_PER_S);
    ck_assert_str_eq(read_from(journal_fd), "MESSAGE=1\n");
    ck_assert_uint_eq(systemd_sender_due_ns(), FIPC_NEVER);
}

TEST(reader_that_is_due_first_decides)
{
    begin_trouble(READER_IS_GONE, &journal_fd, journal_path);
    begin_trouble(READER_IS_GONE, &manager_fd, manager_path);
    ck_assert_int_eq(journal("MESSAGE=1\n"), 0);
    ck_assert_uint_eq(systemd_sender_due_ns(), NOW_NS + FIPC_NS_PER_S);
    ck_assert_int_eq(notify("READY=1"), 0);
    ck_assert_uint_eq(systemd_sender_due_ns(), NOW_NS + NOTIFY_PAUSE_NS);
    end_trouble(READER_IS_GONE, &journal_fd, journal_path);
    end_trouble(READER_IS_GONE, &manager_fd, manager_path);
    systemd_sender_retry(NOW_NS + NOTIFY_PAUSE_NS); /* the journal is not due */
    ck_assert_str_eq(read_from(manager_fd), "READY=1");
    ck_assert_str_eq(read_from(journal_fd), "");
    ck_assert_uint_eq(systemd_sender_due_ns(), NOW_NS + FIPC_NS_PER_S);
}

TEST(journal_that_does_not_read_keeps_nothing_from_the_manager)
{
    static char entry[SYSTEMD_TEXT_BYTES_MAX];

    memset(entry, 'x', sizeof(entry));
    while (systemd_sender_journal(entry, sizeof(entry), SYSTEMD_MAY_BE_LOST, NOW_NS) == 0)
        continue;
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(systemd_sender_notify("WATCHDOG=1", SYSTEMD_MAY_BE_LOST, NOW_NS), 0);
        ck_assert_str_eq(read_from(manager_fd), "WATCHDOG=1");
    }
}

LOOP_TEST(journal_keeps_the_first_64, TROUBLE_COUNT)
{
    char entry[32];

    begin_trouble(_i, &journal_fd, journal_path);
    for (int i = 0; i < JOURNAL_KEPT_MAX + 2; i++) {
        (void)snprintf(entry, sizeof(entry), "MESSAGE=%d\n", i);
        ck_assert_int_eq(journal(entry), i < JOURNAL_KEPT_MAX ? 0 : -EAGAIN);
    }
    end_trouble(_i, &journal_fd, journal_path);
    for (int i = 0; i < JOURNAL_KEPT_MAX; i++) {
        (void)snprintf(entry, sizeof(entry), "MESSAGE=%d\n", i);
        ck_assert_str_eq(read_again_from(journal_fd), entry);
    }
    ck_assert_str_eq(read_again_from(journal_fd), "");
    ck_assert_int_eq(journal("MESSAGE=last\n"), 0);
    ck_assert_str_eq(read_from(journal_fd), "MESSAGE=last\n");
}

LOOP_TEST(manager_gets_the_last_16, TROUBLE_COUNT)
{
    char text[32];

    begin_trouble(_i, &manager_fd, manager_path);
    for (int i = 0; i < NOTIFY_KEPT_MAX + 2; i++) {
        (void)snprintf(text, sizeof(text), "READY=%d", i);
        ck_assert_int_eq(notify(text), 0);
    }
    end_trouble(_i, &manager_fd, manager_path);
    for (int i = 2; i < NOTIFY_KEPT_MAX + 2; i++) {
        (void)snprintf(text, sizeof(text), "READY=%d", i);
        ck_assert_str_eq(read_again_from(manager_fd), text);
    }
    ck_assert_str_eq(read_again_from(manager_fd), "");
}

TEST(what_can_never_be_sent_is_in_nobodys_way)
{
    ck_assert_int_eq(unlink(manager_path), 0);
    ck_assert_int_eq(notify("READY=1"), 0); /* kept */
    ck_assert_int_eq(symlink(manager_path, manager_path), 0);
    ck_assert_int_eq(notify("RELOADING=1"), -ELOOP);
    ck_assert_uint_eq(systemd_sender_due_ns(), FIPC_NEVER);
}

TEST(new_readers_get_nothing_old)
{
    begin_trouble(SOCKET_IS_GONE, &manager_fd, manager_path);
    ck_assert_int_eq(notify("READY=1"), 0);
    end_trouble(SOCKET_IS_GONE, &manager_fd, manager_path);
    systemd_sender_init(manager_path, journal_path);
    ck_assert_uint_eq(systemd_sender_due_ns(), FIPC_NEVER);
    systemd_sender_retry(NOW_NS + FIPC_NS_PER_S);
    ck_assert_str_eq(read_from(manager_fd), "");
}

/* ---- the end ---- */

TEST(end_waits_for_a_reader_and_no_longer_than_a_second)
{
    uint64_t began_ns = fipc_now_ns();

    systemd_sender_finish();
    ck_assert_uint_lt(fipc_now_ns() - began_ns, FIPC_NS_PER_S / 2); /* nothing is kept */

    begin_trouble(QUEUE_IS_FULL, &manager_fd, manager_path);
    ck_assert_int_eq(notify("STOPPING=1"), 0);
    began_ns = fipc_now_ns();
    systemd_sender_finish();
    ck_assert_uint_ge(fipc_now_ns() - began_ns, FIPC_NS_PER_S);
    ck_assert_uint_lt(fipc_now_ns() - began_ns, 10 * FIPC_NS_PER_S);

    end_trouble(QUEUE_IS_FULL, &manager_fd, manager_path);
    systemd_sender_finish();
    ck_assert_str_eq(read_from(manager_fd), "STOPPING=1");
}
