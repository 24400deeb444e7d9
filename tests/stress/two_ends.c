/* SPDX-License-Identifier: MIT */
#include "tests/stress/two_ends.h"

#include "common/channel.h"
#include "common/clock.h"
#include "common/os/os.h"
#include "tests/stress/hooks.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define SLEEP_NS (100 * FIPC_NS_PER_MS)
#define LOOKS_MAX 3000
#define USUAL_LOOKS_MAX 200

/* Beside the region, in memory of the test: what an end has published and then looked whether to
 * ring for. */
struct progress {
    _Alignas(64) _Atomic uint64_t tail;
    _Atomic uint64_t head; /* only where half of the ring was free */
};

struct test_page {
    struct progress progress[2]; /* by enum fipc_side */
    _Atomic bool stop;
    struct outcome outcomes[2];
};

struct end {
    const struct traffic *traffic;
    struct test_page *page;
    struct fipc_channel channel;
    enum fipc_side side;
    int wake_fd; /* the lane, or an epoll set with the eventfd */
    uint64_t n_sent, n_taken;
    uint64_t random;
    uint64_t usual_looks; /* before news came, lately */
    uint64_t give_up_ns;
    struct outcome outcome;
};

/* ---- pauses ---- */

const char *stress_missing_fence;

static uint64_t pause_random;

static void spin_for(uint64_t n_turns)
{
    for (uint64_t i = 0; i < n_turns; i++)
        __asm__ __volatile__("" ::: "memory");
}

/* Mostly nothing, since a pause between a store and a load does what a missing fence should have
 * done; else up to some hundred nanoseconds; now and then the CPU for somebody else. */
void stress_pause(void)
{
    uint64_t random = random_next(&pause_random);

    if (random % 16 != 0)
        return;
    if (random / 16 % 1024 == 0)
        (void)sched_yield();
    else
        spin_for(random / 65536 % 512);
}

/* ---- records ---- */

/* What an end sends as its record number @number: both ends know it. */
static uint32_t size_of_record(const struct traffic *traffic, enum fipc_side sender,
                               uint64_t number)
{
    uint64_t random = number * 2 + sender;
    uint64_t limit = random_next(&random) % 16 == 0 ? traffic->payload_max : 128;

    if (limit > traffic->payload_max)
        limit = traffic->payload_max;
    return (uint32_t)(random_next(&random) % (limit + 1));
}

static uint64_t id_of_record(enum fipc_side sender, uint64_t number) { return number * 2 + sender; }

static bool wants_to_send(const struct end *end)
{
    if (end->n_sent == end->traffic->n_records)
        return false;
    if (!end->traffic->ping_pong)
        return true;
    return end->side == FIPC_SIDE_CLIENT ? end->n_sent == end->n_taken : end->n_sent < end->n_taken;
}

static uint32_t next_size(const struct end *end)
{
    return size_of_record(end->traffic, end->side, end->n_sent);
}

/* Return: whether it was sent. */
static bool send_next(struct end *end)
{
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST};
    struct fipc_loan loan;
    int r = fipc_producer_reserve(&end->channel.out, next_size(end), &loan);

    if (r < 0) {
        end->outcome.n_wrong += r != -EAGAIN;
        return false;
    }
    header.id = id_of_record(end->side, end->n_sent);
    pattern_fill(loan.payload, loan.size, header.id);
    fipc_producer_commit(&end->channel.out, &loan, &header);
    end->n_sent++;
    return true;
}

static void check_record(struct end *end, const struct fipc_header *header, const void *payload)
{
    enum fipc_side sender = end->side == FIPC_SIDE_CLIENT ? FIPC_SIDE_BROKER : FIPC_SIDE_CLIENT;
    uint64_t id = id_of_record(sender, end->n_taken);
    uint32_t size = size_of_record(end->traffic, sender, end->n_taken);

    if (header->kind == FIPC_KIND_SKIP)
        return;
    end->outcome.n_wrong += header->id != id || fipc_payload_size(header) != size ||
                            !pattern_matches(payload, size, id);
    end->n_taken++;
}

/* Return: enum fipc_news. */
static unsigned take_all(struct end *end)
{
    struct fipc_header header;
    const void *payload;
    unsigned news = FIPC_NEWS_NONE;
    int r;

    while ((r = fipc_consumer_take(&end->channel.in, &header, &payload)) == 0) {
        check_record(end, &header, payload);
        fipc_consumer_release(&end->channel.in);
        if (fipc_consumer_left_room(&end->channel.in))
            news |= FIPC_NEWS_ROOM;
    }
    end->outcome.n_wrong += r != -EAGAIN;
    return news;
}

static unsigned send_all(struct end *end)
{
    unsigned news = FIPC_NEWS_NONE;

    while (wants_to_send(end) && send_next(end))
        news = FIPC_NEWS_RECORDS;
    return news;
}

/* Rings for all that was published, then says on the test's page that it did. */
static void ring(struct end *end, unsigned news)
{
    struct progress *progress = &end->page->progress[end->side];

    end->outcome.n_wrong += fipc_channel_ring(&end->channel, news) != 0;
    atomic_store(&progress->tail, end->channel.out.tail);
    if (news & FIPC_NEWS_ROOM)
        atomic_store(&progress->head, end->channel.in.head);
}

/* ---- sleeping ---- */

static bool sees_news(struct end *end, bool waits_for_room)
{
    return fipc_consumer_has_news(&end->channel.in) ||
           (waits_for_room && fipc_producer_has_room(&end->channel.out, next_size(end)) != 0);
}

static bool still_armed(const struct end *end, uint32_t word)
{
    return atomic_load(&end->channel.own->word) == word;
}

/* The deadline passed: would anybody ever have rung? */
static void look_for_loss(struct end *end, uint32_t word, bool waits_for_room)
{
    const struct progress *peer = &end->page->progress[end->side == FIPC_SIDE_CLIENT];
    bool records = (int64_t)(atomic_load(&peer->tail) - end->channel.in.head) > 0;
    bool room = waits_for_room && fipc_producer_has_room(&end->channel.out, next_size(end)) != 0 &&
                atomic_load(&peer->head) == end->channel.out.head;

    if (!still_armed(end, word))
        return; /* claimed meanwhile: the bell is on its way */
    end->outcome.n_lost_records += records;
    end->outcome.n_lost_room += room && !records;
}

static void drain_lane(int lane_fd)
{
    char byte;

    while (recv(lane_fd, &byte, sizeof(byte), MSG_DONTWAIT) == 1)
        continue;
}

/* Return: whether it was rung there; false at the deadline. */
static bool sleep_on_fd(const struct end *end)
{
    struct pollfd lane = {.fd = end->wake_fd, .events = POLLIN};
    struct epoll_event event;
    int timeout_ms = (int)(SLEEP_NS / FIPC_NS_PER_MS);

    if (end->side == FIPC_SIDE_BROKER)
        return epoll_wait(end->wake_fd, &event, 1, timeout_ms) == 1;
    if (poll(&lane, 1, timeout_ms) != 1)
        return false;
    drain_lane(end->wake_fd);
    return true;
}

static void sleep_armed(struct end *end, uint32_t word, bool waits_for_room)
{
    uint64_t started_ns = fipc_now_ns(), slept_ns;
    bool rung = (word & ~FIPC_END_ROOM) == FIPC_END_ASLEEP_FD
                    ? sleep_on_fd(end)
                    : fipc_end_sleep(end->channel.own, word, started_ns + SLEEP_NS) == 0;

    end->outcome.n_sleeps++;
    end->outcome.n_waits_for_room += waits_for_room;
    slept_ns = fipc_now_ns() - started_ns;
    if (slept_ns > end->outcome.longest_sleep_ns)
        end->outcome.longest_sleep_ns = slept_ns;
    if (!rung) {
        end->outcome.n_deadlines++;
        look_for_loss(end, word, waits_for_room);
    }
}

static uint32_t choose_word(struct end *end)
{
    enum sleeping ways =
        end->side == FIPC_SIDE_CLIENT ? end->traffic->client : end->traffic->broker;

    if (ways == SLEEP_ON_EITHER)
        ways = random_next(&end->random) % 2 == 0 ? SLEEP_ON_FUTEX : SLEEP_ON_FD;
    return ways == SLEEP_ON_FUTEX ? FIPC_END_ASLEEP_FUTEX : FIPC_END_ASLEEP_FD;
}

/*
 * Two ends meet where one goes to sleep just when the other publishes. So an end looks about as
 * long as news usually takes while both are awake. Mostly it looks longer: if both slept all the
 * time, they would rarely meet, and a wake-up takes a hundred times as long as a record.
 */
static uint64_t choose_looks(struct end *end)
{
    if (random_below(&end->random, 4) != 0)
        return LOOKS_MAX;
    return random_below(&end->random, 2 * end->usual_looks + 2);
}

/* Return: whether news came. */
static bool look_for_a_while(struct end *end, bool waits_for_room)
{
    uint64_t limit = choose_looks(end);

    for (uint64_t n = 0; n < limit; n++) {
        if (!sees_news(end, waits_for_room))
            continue;
        if (n < USUAL_LOOKS_MAX)
            end->usual_looks = (7 * end->usual_looks + n) / 8;
        return true;
    }
    if (end->usual_looks < USUAL_LOOKS_MAX)
        end->usual_looks++;
    return false;
}

static void sleep_until_news(struct end *end)
{
    bool waits_for_room = wants_to_send(end);
    uint32_t word = choose_word(end) | (waits_for_room ? FIPC_END_ROOM : 0);

    if (look_for_a_while(end, waits_for_room))
        return;

    fipc_end_arm(end->channel.own, word);
    if (sees_news(end, waits_for_room))
        end->outcome.n_close_calls++;
    else
        sleep_armed(end, word, waits_for_room);
    end->outcome.n_rung += fipc_end_disarm(end->channel.own);
}

/* ---- both ends ---- */

static bool goes_on(const struct end *end)
{
    uint64_t n_records = end->traffic->n_records;

    if (end->n_sent == n_records && end->n_taken == n_records)
        return false;
    return !atomic_load_explicit(&end->page->stop, memory_order_relaxed);
}

static bool has_failed(struct end *end)
{
    if ((end->n_sent + end->n_taken) % 1024 == 0 || end->outcome.n_deadlines > 0)
        end->outcome.gave_up = fipc_now_ns() > end->give_up_ns;
    return end->outcome.gave_up || end->outcome.n_wrong > 0 || end->outcome.n_lost_records > 0 ||
           end->outcome.n_lost_room > 0;
}

static void run_end(struct end *end)
{
    pause_random = end->random = (uint64_t)getpid() * 2 + end->side;
    end->give_up_ns = fipc_now_ns() + end->traffic->give_up_after_ns;
    while (goes_on(end)) {
        uint64_t n_done = end->n_sent + end->n_taken;
        unsigned news = take_all(end);

        news |= send_all(end);
        ring(end, news);
        if (end->n_sent + end->n_taken == n_done)
            sleep_until_news(end);
        if (has_failed(end))
            atomic_store(&end->page->stop, true);
    }
    end->outcome.n_taken = end->n_taken;
    end->page->outcomes[end->side] = end->outcome;
}

static int epoll_over(int fd)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};

    ck_assert_int_eq(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
    return epoll_fd;
}

static struct outcome sum_of(const struct test_page *page)
{
    const struct outcome *a = &page->outcomes[0], *b = &page->outcomes[1];

    return (struct outcome){
        .n_lost_records = a->n_lost_records + b->n_lost_records,
        .n_lost_room = a->n_lost_room + b->n_lost_room,
        .n_wrong = a->n_wrong + b->n_wrong,
        .gave_up = a->gave_up || b->gave_up,
        .n_taken = a->n_taken + b->n_taken,
        .n_sleeps = a->n_sleeps + b->n_sleeps,
        .n_close_calls = a->n_close_calls + b->n_close_calls,
        .n_rung = a->n_rung + b->n_rung,
        .n_waits_for_room = a->n_waits_for_room + b->n_waits_for_room,
        .n_deadlines = a->n_deadlines + b->n_deadlines,
        .longest_sleep_ns =
            a->longest_sleep_ns > b->longest_sleep_ns ? a->longest_sleep_ns : b->longest_sleep_ns,
    };
}

struct outcome two_ends_run(const struct traffic *traffic)
{
    struct test_page *page =
        mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int region_fd, lane[2], bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int epoll_fd = epoll_over(bell_fd);
    struct end client = {.traffic = traffic, .page = page, .side = FIPC_SIDE_CLIENT};
    struct end broker = {.traffic = traffic, .page = page, .side = FIPC_SIDE_BROKER};
    struct fipc_region region, opened;
    struct outcome outcome;
    pid_t child;

    ck_assert_ptr_ne(page, MAP_FAILED);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane), 0);
    ck_assert_int_eq(fipc_region_create(&region, &region_fd, "stress", traffic->ring_bytes,
                                        traffic->ring_bytes, FIPC_PLACES_MIN),
                     0);
    atomic_store(&page->progress[FIPC_SIDE_CLIENT].tail,
                 fipc_region_request_start(traffic->ring_bytes));

    child = fork();
    if (child == 0) {
        if (fipc_region_open(&opened, region_fd, traffic->ring_bytes, traffic->ring_bytes,
                             FIPC_PLACES_MIN) < 0)
            _exit(1);
        client.wake_fd = lane[1];
        fipc_channel_init(&client.channel, FIPC_SIDE_CLIENT, &opened,
                          (struct fipc_bell){FIPC_BELL_EVENTFD, bell_fd});
        run_end(&client);
        _exit(0);
    }
    broker.wake_fd = epoll_fd;
    fipc_channel_init(&broker.channel, FIPC_SIDE_BROKER, &region,
                      (struct fipc_bell){FIPC_BELL_LANE, lane[0]});
    run_end(&broker);
    ck_assert_int_eq(wait_for_exit(child), 0);

    outcome = sum_of(page);
    fipc_channel_deinit(&broker.channel);
    (void)munmap(page, sizeof(*page));
    (void)fd_close(region_fd);
    (void)fd_close(epoll_fd);
    (void)fd_close(bell_fd);
    (void)fd_close(lane[0]);
    (void)fd_close(lane[1]);
    return outcome;
}

void two_ends_print(const struct traffic *traffic, const struct outcome *outcome)
{
    (void)printf("%s: %" PRIu64 " records, %" PRIu64 " sleeps (%" PRIu64 " for room too), %" PRIu64
                 " close calls, %" PRIu64 " rung; longest sleep %" PRIu64 " us, %" PRIu64
                 " deadlines; lost wake-ups: %" PRIu64 " for records, %" PRIu64
                 " for room; %" PRIu64 " wrong\n",
                 traffic->name, outcome->n_taken, outcome->n_sleeps, outcome->n_waits_for_room,
                 outcome->n_close_calls, outcome->n_rung,
                 outcome->longest_sleep_ns / FIPC_NS_PER_US, outcome->n_deadlines,
                 outcome->n_lost_records, outcome->n_lost_room, outcome->n_wrong);
    (void)fflush(stdout);
}
