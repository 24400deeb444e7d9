/* SPDX-License-Identifier: MIT */
#include "client/link/greeting.h"

#include "client/base/error.h"
#include "client/link/arrival.h"
#include "common/clock.h"
#include "common/os/os.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>

/* Beside 0 and errors: this try came to nothing, the next one may. */
#define CONNECT_AGAIN 1
#define PAUSE_MIN_NS (2 * FIPC_NS_PER_MS)
/* The longest pause is about a second, or, where the broker asked to be tried again, that much and
 * some milliseconds. */
#define DOUBLINGS_MAX 9
#define DOUBLINGS_ASKED 5
/* It is not worth the while to watch the folder for less. */
#define WATCH_MIN_NS (50 * FIPC_NS_PER_MS)
/* The longest pause between two tries that a broker may ask for. */
#define RETRY_MAX_MS 1000
/* The time left to a broker without a free slot to refuse, with a reason. */
#define REFUSAL_NS (200 * FIPC_NS_PER_MS)

static bool is_oneshot(const struct fipc_greeting *greeting)
{
    return (greeting->hello.hello.flags & FIPC_HELLO_ONESHOT) != 0;
}

static uint64_t remaining_ns(uint64_t deadline_ns, uint64_t now_ns)
{
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

/* ---- one try ---- */

/* Has connect(2) wait for room in the backlog no longer than until the deadline. */
static void limit_connect(int fd, uint64_t deadline_ns)
{
    struct timeval limit = {.tv_sec = 0}; /* no limit */

    if (deadline_ns != FIPC_NEVER) {
        uint64_t left_ns = remaining_ns(deadline_ns, fipc_now_ns());

        limit.tv_sec = (time_t)(left_ns / FIPC_NS_PER_S);
        limit.tv_usec = (suseconds_t)(left_ns % FIPC_NS_PER_S / FIPC_NS_PER_US);
        if (limit.tv_sec == 0 && limit.tv_usec == 0)
            limit.tv_usec = 1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/* Return: 0; CONNECT_AGAIN nobody listens there now; -ECONNREFUSED the backlog was full until the
 * deadline; else the errno of socket(2), connect(2) */
static int lane_connect(struct fipc_greeting *greeting)
{
    FIPC_CLEANUP(fd_closep) int fd = -1;
    int r;

    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    do {
        limit_connect(fd, greeting->connect_deadline_ns);
        r = connect(fd, (const struct sockaddr *)greeting->address, sizeof(*greeting->address));
        /* signals may come faster than the shortest wait of the kernel ends */
    } while (r < 0 && errno == EINTR && fipc_now_ns() < greeting->connect_deadline_ns);
    if (r < 0) {
        switch (errno) {
        case ENOENT:
        case ENOTDIR:
        case ECONNREFUSED:
            return CONNECT_AGAIN;
        case EAGAIN:
        case EINTR:
            return -ECONNREFUSED;
        case EPROTOTYPE: /* a socket, but not a broker's */
            return -EPROTO;
        default:
            return -errno;
        }
    }
    greeting->lane_fd = fd_steal(&fd);
    return 0;
}

/* How long the broker may have us wait for a slot. */
static uint32_t wait_ms(uint64_t deadline_ns, uint64_t now_ns)
{
    uint64_t left_ns = remaining_ns(deadline_ns, now_ns);

    if (deadline_ns == FIPC_NEVER || left_ns / FIPC_NS_PER_MS >= UINT32_MAX)
        return UINT32_MAX;
    left_ns -= left_ns / 2 < REFUSAL_NS ? left_ns / 2 : REFUSAL_NS;
    return (uint32_t)(left_ns / FIPC_NS_PER_MS);
}

static int lane_say_hello(struct fipc_greeting *greeting)
{
    struct fipc_hello *hello = &greeting->hello.hello;
    uint64_t now_ns = fipc_now_ns();
    int r;

    hello->wait_ms = wait_ms(greeting->connect_deadline_ns, now_ns);
    if (is_oneshot(greeting) && greeting->deadline_ns != FIPC_NEVER)
        hello->remaining_ns = remaining_ns(greeting->deadline_ns, now_ns) | 1; /* 0: the longest */
    r = fipc_lane_send(greeting->lane_fd, &greeting->hello, NULL, 0);
    /* a broker that stops: it did not take this */
    return r == -EPIPE || r == -EAGAIN ? CONNECT_AGAIN : r;
}

/* Return: 0 something is there; -ETIMEDOUT */
static int lane_wait(int lane_fd, uint64_t deadline_ns)
{
    struct pollfd lane = {.fd = lane_fd, .events = POLLIN};
    int r;

    do {
        uint64_t left_ns = remaining_ns(deadline_ns, fipc_now_ns());
        struct timespec left = {
            .tv_sec = (time_t)(left_ns / FIPC_NS_PER_S),
            .tv_nsec = (long)(left_ns % FIPC_NS_PER_S),
        };

        r = ppoll(&lane, 1, deadline_ns == FIPC_NEVER ? NULL : &left, NULL);
    } while (r < 0); /* EINTR, or ENOMEM for a moment */
    return r == 0 ? -ETIMEDOUT : 0;
}

/* Return: 0; -EPIPE the broker hung up; -EMFILE; -EPROTO; -EPROTONOSUPPORT */
static int lane_hear(struct fipc_greeting *greeting)
{
    size_t size;
    int r;

    r = fipc_lane_receive(greeting->lane_fd, greeting->packet, greeting->packet_size, &size,
                          &greeting->fds);
    switch (r) {
    case 0:
        break;
    case -EAGAIN:
    case -EPIPE:
        return -EPIPE;
    case -EBADMSG: /* fds were lost: there was room for all, so that it was our table of fds */
        return -EMFILE;
    case -EMSGSIZE:
        return -EPROTO;
    default:
        return r;
    }
    r = fipc_control_decode(greeting->packet, size, &greeting->answer);
    if (r == -EPROTONOSUPPORT)
        return fipc_error_of_version(fipc_control_version_of(greeting->packet));
    return r < 0 ? -EPROTO : 0;
}

/* ---- the meaning of an answer ---- */

static int error_of_reason(uint32_t reason)
{
    switch (reason) {
    case FIPC_REASON_QUOTA:
        return -EDQUOT;
    case FIPC_REASON_RING_BYTES:
        return -EINVAL;
    case FIPC_REASON_VERSION:
        return fipc_error_of_version(FIPC_CONTROL_VERSION);
    case FIPC_REASON_NO_SLOT:
    case FIPC_REASON_SHORT:
        return -EAGAIN;
    case FIPC_REASON_STOPPING:
    case FIPC_REASON_RESTARTING:
    case FIPC_REASON_NO_REQUEST: /* the welcome was not taken in time */
        return -ECONNREFUSED;
    default:
        return -EPROTO;
    }
}

/* Return: 0 if the broker agrees; else why not: for now, where @ret_retry_ms is not 0 */
static int judge_answer(const struct fipc_greeting *greeting, uint32_t *ret_retry_ms)
{
    const struct fipc_farewell *refused = &greeting->answer.refused;

    switch (greeting->answer.type) {
    case FIPC_CONTROL_WELCOME:
        return !is_oneshot(greeting) && greeting->fds.count == 2 ? 0 : -EPROTO;
    case FIPC_CONTROL_ONESHOT_REPLY:
        return is_oneshot(greeting) && greeting->fds.count == 0 ? 0 : -EPROTO;
    case FIPC_CONTROL_REFUSED:
        *ret_retry_ms = refused->retry_ms < RETRY_MAX_MS ? refused->retry_ms : RETRY_MAX_MS;
        return error_of_reason(refused->reason);
    default:
        return -EPROTO;
    }
}

/* ---- the channel of a session ---- */

/* Which of the fds is which is a matter of order; that the first one is a region is checked. The
 * bell says that the region is sealed: now the broker may look into it.
 * Return: 0; -EBADMSG if the region is not as promised; -EPROTO; -ENOMEM, -EMFILE */
static int open_channel(struct fipc_greeting *greeting)
{
    const struct fipc_welcome *welcome = &greeting->answer.welcome;
    struct fipc_bell bell = {.kind = FIPC_BELL_EVENTFD, .fd = greeting->fds.fds[1]};
    struct fipc_region region;
    int r;

    if (welcome->calls_max == 0)
        return -EPROTO;
    r = fipc_region_open(&region, greeting->fds.fds[0], welcome->request_ring_bytes,
                         welcome->reply_ring_bytes, welcome->n_places);
    if (r < 0)
        return r == -EINVAL ? -EPROTO : r;
    if (fipc_bell_ring(&bell) < 0) {
        fipc_region_deinit(&region);
        return -EPROTO;
    }
    fipc_channel_init(&greeting->channel, FIPC_SIDE_CLIENT, &region, bell);
    return 0;
}

/* A broker that stops, or had to wait for too long, takes the region back: it says so before.
 * Return: why it did, for now; -EPROTO it did not */
static int hear_why_not(struct fipc_greeting *greeting, uint32_t *ret_retry_ms)
{
    int r;

    fipc_lane_fds_close(&greeting->fds);
    if (lane_hear(greeting) < 0 || greeting->answer.type != FIPC_CONTROL_REFUSED)
        return -EPROTO;
    r = judge_answer(greeting, ret_retry_ms);
    return *ret_retry_ms > 0 ? r : CONNECT_AGAIN;
}

static int take_welcome(struct fipc_greeting *greeting, uint32_t *ret_retry_ms)
{
    int r = open_channel(greeting);

    return r == -EBADMSG ? hear_why_not(greeting, ret_retry_ms) : r;
}

/* ---- trying once, and again ---- */

/* Return: 0 something came; -ETIMEDOUT; -ECONNREFUSED no WELCOME in time, or a broker that hangs
 * and does not know of the call */
static int lane_wait_answer(const struct fipc_greeting *greeting)
{
    int r = lane_wait(greeting->lane_fd, greeting->connect_deadline_ns);

    if (r < 0 && (!is_oneshot(greeting) || !fipc_lane_is_read(greeting->lane_fd)))
        return -ECONNREFUSED;
    return r < 0 ? lane_wait(greeting->lane_fd, greeting->deadline_ns) : 0;
}

/* Whether the broker closed the lane without reading our packet: the kernel says so, once. */
static bool lane_was_unread(int lane_fd)
{
    int error = 0;
    socklen_t size = sizeof(error);

    return getsockopt(lane_fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNRESET;
}

/* Return: 0; CONNECT_AGAIN; an error, which is for now if @ret_retry_ms is not 0 */
static int greet_once(struct fipc_greeting *greeting, uint32_t *ret_retry_ms)
{
    bool was_unread;
    int r;

    r = lane_connect(greeting);
    if (r != 0)
        return r;
    r = lane_say_hello(greeting);
    if (r != 0)
        return r;
    r = lane_wait_answer(greeting);
    if (r < 0)
        return r;
    was_unread = lane_was_unread(greeting->lane_fd);
    r = lane_hear(greeting);
    if (r == -EPIPE)
        return is_oneshot(greeting) && !was_unread ? -ECONNRESET : CONNECT_AGAIN;
    if (r == 0)
        r = judge_answer(greeting, ret_retry_ms);
    return r == 0 && !is_oneshot(greeting) ? take_welcome(greeting, ret_retry_ms) : r;
}

/* Clients that lost one broker must not all come back to the next in the same moment. */
static uint64_t pause_ns(unsigned tries, uint32_t retry_ms)
{
    unsigned doublings = retry_ms > 0 ? DOUBLINGS_ASKED : DOUBLINGS_MAX;
    uint64_t longest_ns = PAUSE_MIN_NS << (tries < doublings ? tries : doublings);
    uint32_t random;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = (uint32_t)fipc_now_ns(); /* no two clients wake up in the same nanosecond */
    return retry_ms * FIPC_NS_PER_MS + longest_ns / 2 + random % (longest_ns / 2 + 1);
}

/* Return: whether it is time for another try, the last one at the deadline */
static bool pause_until_retry(struct fipc_arrival *arrival, uint64_t deadline_ns, unsigned *tries,
                              uint32_t retry_ms)
{
    uint64_t now_ns = fipc_now_ns();
    uint64_t end_ns = fipc_deadline_after(now_ns, pause_ns(*tries, retry_ms));

    if (now_ns >= deadline_ns)
        return false;
    /* the socket may have appeared before it was watched; a broker that asks for a pause is there
     */
    if (retry_ms == 0 && deadline_ns - now_ns > WATCH_MIN_NS && fipc_arrival_watch(arrival))
        return true;
    if (fipc_arrival_wait(arrival, end_ns < deadline_ns ? end_ns : deadline_ns))
        *tries = 0; /* it listens in a moment */
    return true;
}

static int greet_until(struct fipc_greeting *greeting, struct fipc_arrival *arrival)
{
    int reason = -ECONNREFUSED; /* the last that a broker gave, for the deadline */

    for (unsigned tries = 1;; tries++) {
        uint32_t retry_ms = 0;
        int r = greet_once(greeting, &retry_ms);

        if (retry_ms > 0)
            reason = r;
        else if (r != CONNECT_AGAIN)
            return r == -ECONNREFUSED ? reason : r;
        fipc_greeting_end(greeting);
        if (!pause_until_retry(arrival, greeting->connect_deadline_ns, &tries, retry_ms))
            return reason;
    }
}

int fipc_greet(struct fipc_greeting *greeting)
{
    struct fipc_arrival arrival;
    int r;

    greeting->lane_fd = -1;
    greeting->fds.count = 0;
    greeting->channel.region = FIPC_REGION_EMPTY;
    fipc_arrival_init(&arrival, greeting->address->sun_path);
    r = greet_until(greeting, &arrival);
    fipc_arrival_deinit(&arrival);
    return r;
}

void fipc_greeting_end(struct fipc_greeting *greeting)
{
    fipc_channel_deinit(&greeting->channel);
    fipc_lane_fds_close(&greeting->fds);
    greeting->lane_fd = fd_close(greeting->lane_fd);
}
