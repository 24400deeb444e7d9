/* SPDX-License-Identifier: MIT */

/*
 * What a session costs in memory: starts a broker, opens sessions, makes one call on each, holds
 * them, and looks what the broker has grown by and how much of the shared regions is there.
 *
 * A page of a region that the broker touched is in its RSS too. The first sum counts it twice, and
 * is so an upper bound; the second counts it once.
 */
#include "tests/bench/process_memory.h"

#include <errno.h>
#include <fipc/client.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSIONS_MAX 100000
#define CALL_BYTES 64
#define TIMEOUT_MS 5000
#define FOLDER_BYTES 90 /* with the name of the socket it must fit into an address */
#define PATH_BYTES 108

struct broker {
    char folder[PATH_BYTES], socket[PATH_BYTES], config[PATH_BYTES];
    pid_t pid;
};

struct result {
    unsigned long sessions;
    struct process_memory broker, client; /* what they grew by */
    unsigned long region_blocks;
};

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "memory: %s: %m\n", what);
    exit(EXIT_FAILURE); /* NOLINT(concurrency-mt-unsafe): one thread */
}

/* @error: negative errno of the library */
static _Noreturn void die_of(const char *what, int error)
{
    (void)fprintf(stderr, "memory: %s: %s\n", what, fipc_strerror(error));
    exit(EXIT_FAILURE); /* NOLINT(concurrency-mt-unsafe): one thread */
}

/* ---- a broker of our own ---- */

static struct broker broker;

static void broker_stop(void)
{
    if (broker.pid > 0) {
        (void)kill(broker.pid, SIGTERM);
        (void)waitpid(broker.pid, NULL, 0);
    }
    (void)unlink(broker.config);
    (void)rmdir(broker.folder);
}

static _Noreturn void broker_exec(const char *fipcd, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent)
        (void)execl(fipcd, fipcd, "--log-level", "warning", "--config", broker.config, "--socket",
                    broker.socket, (char *)NULL);
    (void)fprintf(stderr, "memory: %s: %m\n", fipcd);
    _exit(EXIT_FAILURE);
}

/* With an empty config: the defaults are measured, whatever the config of this host. */
static void broker_start(const char *fipcd)
{
    pid_t parent = getpid();
    const char *parent_folder = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): one thread */
    FILE *config;
    int length;

    length = snprintf(broker.folder, sizeof(broker.folder), "%s/fipc-memory.XXXXXX",
                      parent_folder != NULL ? parent_folder : "/tmp");
    if (length < 0 || (size_t)length >= FOLDER_BYTES)
        die_of("TMPDIR", -ENAMETOOLONG);
    if (mkdtemp(broker.folder) == NULL)
        die(broker.folder);
    (void)snprintf(broker.socket, sizeof(broker.socket), "%.90s/control.sock", broker.folder);
    (void)snprintf(broker.config, sizeof(broker.config), "%.90s/fipcd.json", broker.folder);
    (void)atexit(broker_stop);
    config = fopen(broker.config, "we");
    if (config == NULL || fputs("{}\n", config) == EOF || fclose(config) != 0)
        die(broker.config);
    broker.pid = fork();
    if (broker.pid < 0)
        die("fork");
    if (broker.pid == 0)
        broker_exec(fipcd, parent);
}

/* ---- sessions ---- */

static const unsigned char payload[CALL_BYTES];

static fipc_options connect_options(void)
{
    return (fipc_options){
        .size = sizeof(fipc_options),
        .socket = broker.socket,
        .connect_timeout_ms = TIMEOUT_MS,
    };
}

/* Waits until the broker is there. Takes no session. */
static void first_call(void)
{
    const fipc_options options = connect_options();
    fipc_message *reply;
    int r = fipc_call_once(&options, "fipc.echo", payload, sizeof(payload), TIMEOUT_MS, &reply);

    if (r < 0)
        die_of("the first call", r);
    fipc_free(reply);
}

static fipc_client *session_open(void)
{
    const fipc_options options = connect_options();
    fipc_client *client;
    fipc_message *reply;
    int r;

    r = fipc_connect(&client, &options);
    if (r < 0)
        die_of("a session", r);
    r = fipc_call(client, "fipc.echo", payload, sizeof(payload), 0, TIMEOUT_MS, &reply);
    if (r < 0 || fipc_size(reply) != sizeof(payload))
        die_of("a call", r < 0 ? r : -EBADMSG);
    fipc_free(reply);
    return client;
}

static void allow_many_fds(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- memory ---- */

static struct process_memory memory_of(pid_t pid)
{
    struct process_memory memory;
    int r = process_memory_of(pid, &memory);

    if (r < 0)
        die_of("/proc/PID/status", r);
    return memory;
}

static struct process_memory memory_growth(const struct process_memory *before,
                                           const struct process_memory *after)
{
    return (struct process_memory){
        .rss = after->rss - before->rss,
        .anonymous = after->anonymous - before->anonymous,
        .shared = after->shared - before->shared,
    };
}

/* Pages of one mapping that are there, no matter who touched them. */
static unsigned long pages_there(void *base, size_t bytes, size_t page_bytes)
{
    size_t n_pages = bytes / page_bytes;
    unsigned char *there = malloc(n_pages);
    unsigned long n = 0;

    if (there == NULL || mincore(base, bytes, there) < 0)
        die("mincore");
    for (size_t i = 0; i < n_pages; i++)
        n += there[i] & 1;
    free(there);
    return n;
}

/* Of all memfds that this process has mapped: the regions of its sessions. Return: KiB */
static unsigned long region_blocks(void)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    unsigned long n_pages = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");

    if (maps == NULL)
        die("/proc/self/maps");
    while (fgets(line, sizeof(line), maps) != NULL) {
        char *end;
        uintptr_t from = strtoul(line, &end, 16);
        uintptr_t to = strtoul(end + 1, NULL, 16);

        if (strstr(line, "/memfd:") != NULL)
            /* NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel gives maps as numbers */
            n_pages += pages_there((void *)from, to - from, page_bytes);
    }
    (void)fclose(maps);
    return n_pages * page_bytes / 1024;
}

static void measure(unsigned long sessions, struct result *ret_result)
{
    struct process_memory broker_before, broker_after, client_before, client_after;
    fipc_client **clients = calloc(sessions, sizeof(fipc_client *));

    if (clients == NULL)
        die_of("sessions", -ENOMEM);
    first_call();
    broker_before = memory_of(broker.pid);
    client_before = memory_of(getpid());
    for (unsigned long i = 0; i < sessions; i++)
        clients[i] = session_open();
    broker_after = memory_of(broker.pid);
    client_after = memory_of(getpid());
    *ret_result = (struct result){
        .sessions = sessions,
        .broker = memory_growth(&broker_before, &broker_after),
        .client = memory_growth(&client_before, &client_after),
        .region_blocks = region_blocks(),
    };
    for (unsigned long i = 0; i < sessions; i++)
        fipc_unref(clients[i]);
    free(clients);
}

/* ---- the program ---- */

/* Of one session, in KiB. */
struct cost {
    double all, shared_once, client;
};

static struct cost cost_of(const struct result *result)
{
    const struct process_memory *grown = &result->broker;
    double sessions = (double)result->sessions;

    return (struct cost){
        .all = (double)(grown->rss + result->region_blocks) / sessions,
        .shared_once = (double)(grown->rss - grown->shared + result->region_blocks) / sessions,
        .client = (double)result->client.anonymous / sessions,
    };
}

static void print(const struct result *result)
{
    struct cost cost = cost_of(result);

    (void)printf("%lu sessions held, one call of %d bytes each\n"
                 "broker's RSS growth    %6lu KiB, %lu KiB of it pages of the regions\n"
                 "blocks of the regions  %6lu KiB\n"
                 "both, for a session    %6.2f KiB\n"
                 "shared pages once      %6.2f KiB\n"
                 "the client's own       %6.2f KiB a session\n",
                 result->sessions, CALL_BYTES, result->broker.rss, result->broker.shared,
                 result->region_blocks, cost.all, cost.shared_once, cost.client);
}

static void save(const struct result *result, const char *path)
{
    struct cost cost = cost_of(result);
    FILE *stream = fopen(path, "we");

    if (stream == NULL ||
        fprintf(stream,
                "{\"sessions\": %lu, \"call_bytes\": %d, \"broker_rss_kib\": %lu, "
                "\"broker_rss_shared_kib\": %lu, \"region_blocks_kib\": %lu, "
                "\"kib_per_session\": %.2f, \"kib_per_session_shared_once\": %.2f, "
                "\"client_kib_per_session\": %.2f}\n",
                result->sessions, CALL_BYTES, result->broker.rss, result->broker.shared,
                result->region_blocks, cost.all, cost.shared_once, cost.client) < 0 ||
        fclose(stream) != 0)
        die(path);
}

static _Noreturn void usage(int status)
{
    (void)fputs(
        "usage: memory [--save FILE] [--sessions N] FIPCD\n"
        "Starts the broker FIPCD and tells what a session costs in memory (default: of 1000).\n"
        "FILE gets the same as JSON.\n",
        status == EXIT_SUCCESS ? stdout : stderr);
    exit(status); /* NOLINT(concurrency-mt-unsafe): one thread */
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"save", required_argument, NULL, 'o'},
        {"sessions", required_argument, NULL, 's'},
        {0},
    };
    unsigned long sessions = 1000;
    struct result result;
    const char *path = NULL;
    int option;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h')
            usage(EXIT_SUCCESS);
        else if (option == 'o')
            path = optarg;
        else if (option == 's')
            sessions = strtoul(optarg, NULL, 10);
        else
            usage(2);
    }
    if (optind != argc - 1 || sessions == 0 || sessions > SESSIONS_MAX)
        usage(2);
    allow_many_fds();
    broker_start(argv[optind]);
    measure(sessions, &result);
    print(&result);
    if (path != NULL)
        save(&result, path);
    return EXIT_SUCCESS;
}
