/* SPDX-License-Identifier: MIT */
/*
 * Each pair of fences in common/end.c, looked at alone: two threads store and then look, at the
 * same moment, over and over. At least one of the two must see the other; if neither does, a
 * wake-up is lost, or a record that nobody will take counts as delivered. And with either fence of
 * a pair taken away that happens, so that the test would see it.
 */
#include "common/clock.h"
#include "common/end.h"
#include "common/os/os.h"
#include "tests/stress/hooks.h"
#include "tests/unit/common/ring_pair.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>

#define FENCED_NS (1 * FIPC_NS_PER_S)
#define UNFENCED_NS_MAX (60 * FIPC_NS_PER_S) /* it ends at the first miss */

const char *stress_missing_fence;

/* No pauses here: they would give the stores time to become visible. */
void stress_pause(void) {}

static struct ring_pair ring;
static struct fipc_end end;

/* ---- what the two do at the same moment ---- */

struct pair {
    const char *name;
    void (*prepare)(void);  /* alone */
    bool (*announce)(void); /* Return: whether it saw the other; likewise the next */
    bool (*look)(void);
    bool (*goes_wrong)(bool announcer_saw, bool looker_saw);
};

static void empty_ring(void)
{
    struct fipc_header header;
    const void *payload;

    while (fipc_consumer_take(&ring.consumer, &header, &payload) == 0)
        fipc_consumer_release(&ring.consumer);
    fipc_end_init(&end);
}

/* Full; and the consumer has taken one half, which it will release. */
static void fill_ring(void)
{
    static const unsigned char half[PAYLOAD_MAX];
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST};
    const void *payload;

    empty_ring();
    while (fipc_producer_send(&ring.producer, &header, half, sizeof(half)) == 0)
        continue;
    (void)fipc_consumer_take(&ring.consumer, &header, &payload);
}

static bool publish_and_look_at_the_word(void)
{
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST};

    (void)fipc_producer_send(&ring.producer, &header, NULL, 0);
    return fipc_end_rouse(&end, FIPC_NEWS_RECORDS) != 0;
}

static bool arm_and_look_at_the_ring(void)
{
    fipc_end_arm(&end, FIPC_END_ASLEEP_FUTEX);
    return fipc_consumer_has_news(&ring.consumer);
}

static bool make_room_and_look_at_the_word(void)
{
    fipc_consumer_release(&ring.consumer);
    return fipc_end_rouse(&end, FIPC_NEWS_ROOM) != 0;
}

static bool arm_and_look_at_the_room(void)
{
    fipc_end_arm(&end, FIPC_END_ASLEEP_FD | FIPC_END_ROOM);
    return fipc_producer_has_room(&ring.producer, PAYLOAD_MAX) != 0;
}

static bool publish_and_look_whether_closing(void)
{
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST};

    (void)fipc_producer_send(&ring.producer, &header, NULL, 0);
    (void)fipc_end_rouse(&end, FIPC_NEWS_RECORDS);
    return fipc_end_is_closing(&end);
}

static bool close_and_look_at_the_ring(void)
{
    fipc_end_close(&end);
    return fipc_consumer_has_news(&ring.consumer);
}

static bool neither(bool announcer_saw, bool looker_saw) { return !announcer_saw && !looker_saw; }

static const struct pair pairs[] = {
    {"records", empty_ring, publish_and_look_at_the_word, arm_and_look_at_the_ring, neither},
    {"room", fill_ring, make_room_and_look_at_the_word, arm_and_look_at_the_room, neither},
    {"closing", empty_ring, publish_and_look_whether_closing, close_and_look_at_the_ring, neither},
};

/* Of one sleeper: a publisher that finds it asleep rings it, and it knows whether it was rung. */

static void fall_asleep(void) { fipc_end_arm(&end, FIPC_END_ASLEEP_FUTEX); }

static bool rouse(void) { return fipc_end_rouse(&end, FIPC_NEWS_RECORDS) != 0; }

static bool disarm(void) { return fipc_end_disarm(&end); }

static bool not_exactly_one(bool announcer_saw, bool looker_saw)
{
    return announcer_saw == looker_saw;
}

static bool not_the_same(bool announcer_saw, bool looker_saw)
{
    return announcer_saw != looker_saw;
}

static const struct pair claims[] = {
    {"two ringers", fall_asleep, rouse, rouse, not_exactly_one},
    {"ringer and sleeper", fall_asleep, rouse, disarm, not_the_same},
};

/* ---- at the same moment ---- */

#define N_THREADS 2
#define DAWDLE_TURNS 256
#define DELAYING_STORES 16
#define COLD_BYTES (32 << 20)
#define YIELD_AFTER (1 << 20) /* by then the other surely waits for this CPU */

static struct {
    _Alignas(64) _Atomic uint64_t arrived;
    bool saw;
} sides[N_THREADS];
static _Alignas(64) _Atomic bool stop;
static const struct pair *pair;
volatile unsigned char cold[N_THREADS][COLD_BYTES]; /* in no cache */

/* Both sides call it with 1, 2, 3, ... */
static void meet(int side, uint64_t number)
{
    atomic_store(&sides[side].arrived, number);
    for (uint64_t n = 1; atomic_load(&sides[1 - side].arrived) < number; n++)
        if (n % YIELD_AFTER == 0)
            (void)sched_yield();
}

static void dawdle(uint64_t *random)
{
    for (uint64_t n = random_below(random, DAWDLE_TURNS); n > 0; n--)
        __asm__ __volatile__("" ::: "memory");
}

/* Stores become visible one after the other: behind some that miss the cache, the next one takes so
 * long that a missing fence is felt wherever the two threads run. Not each time: a side that is
 * behind a pile of its own comes late. */
static void delay_stores(int side, uint64_t *random)
{
    bool this_time = random_below(random, 2) == 0;

    for (uint64_t n = random_below(random, DELAYING_STORES); this_time && n > 0; n--)
        cold[side][random_below(random, COLD_BYTES)] = 1;
}

/* A store to a cache line that the other CPU has too takes a while: that is when a missing fence is
 * felt. */
static void share_lines(void)
{
    (void)atomic_load_explicit(&end.word, memory_order_relaxed);
    (void)atomic_load_explicit(&end.closing, memory_order_relaxed);
}

static void *announce_each_round(void *argument)
{
    uint64_t random = 1;

    for (uint64_t number = 1; !atomic_load(&stop); number += 3) {
        share_lines();
        meet(1, number);
        dawdle(&random);
        delay_stores(1, &random);
        sides[1].saw = pair->announce();
        meet(1, number + 1);
        meet(1, number + 2);
    }
    return argument;
}

struct result {
    uint64_t n_rounds, n_wrong, n_met;
};

static struct result run_rounds(uint64_t until_ns)
{
    struct result result = {0};
    uint64_t random = 2;
    bool stopping = false;

    pair->prepare();
    for (uint64_t number = 1; !stopping; number += 3) {
        meet(0, number);
        dawdle(&random);
        delay_stores(0, &random);
        sides[0].saw = pair->look();
        meet(0, number + 1);

        result.n_rounds++;
        result.n_met += sides[0].saw && sides[1].saw;
        result.n_wrong += pair->goes_wrong(sides[1].saw, sides[0].saw);
        stopping = result.n_wrong > 0 || (number % 64 == 0 && fipc_now_ns() > until_ns);
        atomic_store(&stop, stopping);
        pair->prepare();
        meet(0, number + 2);
    }
    return result;
}

/* Two threads on one CPU never meet. */
static void take_cpus(const pthread_t threads[N_THREADS])
{
    cpu_set_t allowed, one;
    size_t cpu = 0;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    for (int i = 0; i < N_THREADS && i < CPU_COUNT(&allowed); i++) {
        while (!CPU_ISSET(cpu, &allowed))
            cpu++;
        CPU_ZERO(&one);
        CPU_SET(cpu++, &one);
        ck_assert_int_eq(pthread_setaffinity_np(threads[i], sizeof(one), &one), 0);
    }
}

static struct result run_pair(const struct pair *chosen, uint64_t for_ns)
{
    uint64_t started_ns = fipc_now_ns();
    struct result result;
    pthread_t threads[N_THREADS] = {pthread_self()};

    ring_pair_init(&ring);
    fipc_end_init(&end);
    pair = chosen;
    ck_assert_int_eq(pthread_create(&threads[1], NULL, announce_each_round, NULL), 0);
    take_cpus(threads);
    result = run_rounds(started_ns + for_ns);
    ck_assert_int_eq(pthread_join(threads[1], NULL), 0);
    ring_pair_deinit(&ring);

    (void)printf("%s, without %s: %" PRIu64 " rounds in %" PRIu64
                 " ms, both saw each other in %" PRIu64 ", wrong in %" PRIu64 "\n",
                 pair->name, stress_missing_fence == NULL ? "nothing" : stress_missing_fence,
                 result.n_rounds, (fipc_now_ns() - started_ns) / FIPC_NS_PER_MS, result.n_met,
                 result.n_wrong);
    (void)fflush(stdout);
    return result;
}

GROUP(fences, .timeout = 70, .fixtures = {HOLDINGS_KEPT});

LOOP_TEST(with_both_fences_one_always_sees_the_other, COUNT_OF(pairs))
{
    ck_assert_uint_eq(run_pair(&pairs[_i], FENCED_NS).n_wrong, 0);
}

LOOP_TEST(one_claims_a_sleep_and_the_sleeper_knows, COUNT_OF(claims))
{
    ck_assert_uint_eq(run_pair(&claims[_i], FENCED_NS).n_wrong, 0);
}

/* ---- the other half: what a missing fence costs, or the tests above would prove nothing ---- */

static const struct {
    const struct pair *pair;
    const char *fence;
} gaps[] = {
    {&pairs[0], "fipc_end_fence"}, {&pairs[0], "fipc_end_rouse"}, {&pairs[1], "fipc_end_fence"},
    {&pairs[1], "fipc_end_rouse"}, {&pairs[2], "fipc_end_close"}, {&pairs[2], "fipc_end_rouse"},
};

GROUP(missing, .timeout = 70, .fixtures = {HOLDINGS_KEPT});

LOOP_TEST(without_either_fence_both_miss_each_other, COUNT_OF(gaps))
{
    cpu_set_t allowed;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    if (CPU_COUNT(&allowed) == 1) {
        (void)printf("one CPU: it always sees what it stored; tests/model proves the fences\n");
        return;
    }
    stress_missing_fence = gaps[_i].fence;
    ck_assert_uint_gt(run_pair(gaps[_i].pair, UNFENCED_NS_MAX).n_wrong, 0);
}
