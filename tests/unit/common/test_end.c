/* SPDX-License-Identifier: MIT */
/* How ends sleep and are woken: which words ask for a bell, and which end rings it. */
#include "common/end.h"

#include "common/clock.h"
#include "common/os/os.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define FUTEX FIPC_END_ASLEEP_FUTEX
#define FD FIPC_END_ASLEEP_FD
#define ROOM FIPC_END_ROOM
#define NEWS_BOTH (FIPC_NEWS_RECORDS | FIPC_NEWS_ROOM)

static struct fipc_end end;

static void make_end(void) { fipc_end_init(&end); }

static uint32_t word_of_end(void) { return atomic_load_explicit(&end.word, memory_order_relaxed); }

/* ---- rousing ---- */

static const struct {
    uint32_t word;
    unsigned news;
    int answer;
} rousings[] = {
    {FIPC_END_AWAKE, FIPC_NEWS_NONE, 0},
    {FIPC_END_AWAKE, FIPC_NEWS_RECORDS, 0},
    {FIPC_END_AWAKE, FIPC_NEWS_ROOM, 0},
    {FIPC_END_AWAKE, NEWS_BOTH, 0},
    {FUTEX, FIPC_NEWS_NONE, 0},
    {FUTEX, FIPC_NEWS_RECORDS, FUTEX},
    {FUTEX, FIPC_NEWS_ROOM, 0},
    {FUTEX, NEWS_BOTH, FUTEX},
    {FUTEX | ROOM, FIPC_NEWS_NONE, 0},
    {FUTEX | ROOM, FIPC_NEWS_RECORDS, FUTEX},
    {FUTEX | ROOM, FIPC_NEWS_ROOM, FUTEX},
    {FUTEX | ROOM, NEWS_BOTH, FUTEX},
    {FD, FIPC_NEWS_NONE, 0},
    {FD, FIPC_NEWS_RECORDS, FD},
    {FD, FIPC_NEWS_ROOM, 0},
    {FD, NEWS_BOTH, FD},
    {FD | ROOM, FIPC_NEWS_NONE, 0},
    {FD | ROOM, FIPC_NEWS_RECORDS, FD},
    {FD | ROOM, FIPC_NEWS_ROOM, FD},
    {FD | ROOM, NEWS_BOTH, FD},
};

GROUP(rousing, .fixtures = {HOLDINGS_KEPT, {make_end, NULL}});

LOOP_TEST(bell_is_asked_for_where_news_meets_a_sleeper_that_waits_for_it, COUNT_OF(rousings))
{
    uint32_t left = rousings[_i].answer == 0 ? rousings[_i].word : FIPC_END_AWAKE;

    fipc_end_arm(&end, rousings[_i].word);

    ck_assert_int_eq(fipc_end_rouse(&end, rousings[_i].news), rousings[_i].answer);
    ck_assert_uint_eq(word_of_end(), left);
}

TEST(bell_is_asked_for_once_a_sleep)
{
    for (int sleep = 0; sleep < 3; sleep++) {
        fipc_end_arm(&end, FD);
        ck_assert_int_eq(fipc_end_rouse(&end, FIPC_NEWS_RECORDS), FD);
        ck_assert_int_eq(fipc_end_rouse(&end, FIPC_NEWS_RECORDS), 0);
    }
}

static bool word_is_valid(uint32_t word)
{
    return word == FIPC_END_AWAKE || word == FUTEX || word == FD || word == (FUTEX | ROOM) ||
           word == (FD | ROOM);
}

static void expect_corrupt(uint32_t word)
{
    if (word_is_valid(word))
        return;
    for (unsigned news = FIPC_NEWS_NONE; news <= NEWS_BOTH; news++) {
        fipc_end_set(&end, word);
        EXPECT(fipc_end_rouse(&end, news) == -EBADMSG);
        EXPECT(word_of_end() == word);
    }
}

TEST(word_that_is_none_is_refused)
{
    for (uint32_t word = 0; word < 0x10000; word++) {
        expect_corrupt(word);
        expect_corrupt(word << 16);
        expect_corrupt(~word);
    }
    for (uint32_t bit = 2; bit < 32; bit++) {
        expect_corrupt(FIPC_END_AWAKE | UINT32_C(1) << bit);
        expect_corrupt(FUTEX | UINT32_C(1) << bit);
        expect_corrupt(FD | ROOM | UINT32_C(1) << bit);
    }
}

/* Threads that all find the same sleeper. */
#define N_RINGERS 3
#define N_ROUNDS 3000

static _Atomic int n_claims;
static pthread_barrier_t round_starts, round_ends;

static void *rouse_each_round(void *argument)
{
    (void)argument;
    for (int round = 0; round < N_ROUNDS; round++) {
        (void)pthread_barrier_wait(&round_starts);
        if (fipc_end_rouse(&end, FIPC_NEWS_RECORDS) != 0)
            n_claims++;
        (void)pthread_barrier_wait(&round_ends);
    }
    return NULL;
}

TEST(one_of_many_ringers_claims_a_sleep)
{
    pthread_t ringers[N_RINGERS];

    (void)pthread_barrier_init(&round_starts, NULL, N_RINGERS + 1);
    (void)pthread_barrier_init(&round_ends, NULL, N_RINGERS + 1);
    for (int i = 0; i < N_RINGERS; i++)
        ck_assert_int_eq(pthread_create(&ringers[i], NULL, rouse_each_round, NULL), 0);

    for (int round = 0; round < N_ROUNDS; round++) {
        bool rung;

        n_claims = 0;
        fipc_end_arm(&end, FD);
        (void)pthread_barrier_wait(&round_starts);
        rung = fipc_end_disarm(&end); /* the sleeper leaves meanwhile: rung, or nobody claims it */
        (void)pthread_barrier_wait(&round_ends);
        EXPECT(n_claims == rung);
    }

    for (int i = 0; i < N_RINGERS; i++)
        ck_assert_int_eq(pthread_join(ringers[i], NULL), 0);
}

/* ---- sleeping ---- */

static const uint32_t sleeping_words[] = {FUTEX, FUTEX | ROOM, FD, FD | ROOM};

GROUP(sleeping, .fixtures = {HOLDINGS_KEPT, {make_end, NULL}});

TEST(new_end_is_awake_and_not_closing)
{
    memset(&end, 0xff, sizeof(end));
    fipc_end_init(&end);

    ck_assert_uint_eq(word_of_end(), FIPC_END_AWAKE);
    ck_assert(!fipc_end_is_closing(&end));
}

LOOP_TEST(disarm_without_a_bell_says_so, COUNT_OF(sleeping_words))
{
    fipc_end_arm(&end, sleeping_words[_i]);
    ck_assert_uint_eq(word_of_end(), sleeping_words[_i]);

    ck_assert(!fipc_end_disarm(&end));
    ck_assert_uint_eq(word_of_end(), FIPC_END_AWAKE);
}

LOOP_TEST(disarm_after_a_claim_says_so, COUNT_OF(sleeping_words))
{
    fipc_end_arm(&end, sleeping_words[_i]);
    ck_assert_int_gt(fipc_end_rouse(&end, FIPC_NEWS_RECORDS), 0);

    ck_assert(fipc_end_disarm(&end));
    ck_assert_uint_eq(word_of_end(), FIPC_END_AWAKE);
}

TEST(many_ends_are_armed_with_one_fence)
{
    fipc_end_set(&end, FD);
    fipc_end_fence();

    ck_assert_int_eq(fipc_end_rouse(&end, FIPC_NEWS_RECORDS), FD);
}

TEST(sleep_ends_at_once_when_rung_before_it_began)
{
    fipc_end_arm(&end, FUTEX | ROOM);
    ck_assert_int_eq(fipc_end_rouse(&end, FIPC_NEWS_ROOM), FUTEX);

    ck_assert_int_eq(fipc_end_sleep(&end, FUTEX | ROOM, FIPC_NEVER), 0);
}

TEST(sleep_ends_at_its_deadline)
{
    uint64_t deadline_ns = fipc_now_ns() + 10 * FIPC_NS_PER_MS;

    fipc_end_arm(&end, FUTEX);
    ck_assert_int_eq(fipc_end_sleep(&end, FUTEX, deadline_ns), -ETIMEDOUT);
    ck_assert_uint_ge(fipc_now_ns(), deadline_ns);
}

static struct fipc_end *share_end(void)
{
    struct fipc_end *shared =
        mmap(NULL, GUARD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(shared, MAP_FAILED);
    fipc_end_init(shared);
    return shared;
}

TEST(wake_reaches_a_sleeper_in_another_process)
{
    struct fipc_end *shared = share_end();
    pid_t child = fork();

    if (child == 0) {
        fipc_end_arm(shared, FUTEX);
        _exit(fipc_end_sleep(shared, FUTEX, FIPC_NEVER) == 0 && fipc_end_disarm(shared) ? 0 : 1);
    }
    wait_until_blocked(child, child, SYS_futex, (unsigned long)&shared->word);
    ck_assert_int_eq(fipc_end_rouse(shared, FIPC_NEWS_RECORDS), FUTEX);
    fipc_end_wake(shared);
    ck_assert_int_eq(wait_for_exit(child), 0);

    (void)munmap(shared, GUARD_BYTES);
}

struct sleeper {
    pthread_t thread;
    _Atomic pid_t tid;
    _Atomic bool awake;
};

static void *sleep_on_end(void *argument)
{
    struct sleeper *sleeper = argument;

    sleeper->tid = gettid();
    (void)fipc_end_sleep(&end, FUTEX, FIPC_NEVER);
    sleeper->awake = true;
    return NULL;
}

static void start_sleeper(struct sleeper *sleeper)
{
    *sleeper = (struct sleeper){.awake = false};
    ck_assert_int_eq(pthread_create(&sleeper->thread, NULL, sleep_on_end, sleeper), 0);
    while (sleeper->tid == 0)
        (void)sched_yield();
    wait_until_blocked(getpid(), sleeper->tid, SYS_futex, (unsigned long)&end.word);
}

/* A hostile end may put very many there. */
TEST(wake_wakes_one_sleeper_of_many)
{
    struct sleeper sleepers[2], *last;

    fipc_end_arm(&end, FUTEX);
    start_sleeper(&sleepers[0]);
    start_sleeper(&sleepers[1]);

    fipc_end_wake(&end);
    while (!sleepers[0].awake && !sleepers[1].awake)
        (void)sched_yield();
    last = sleepers[0].awake ? &sleepers[1] : &sleepers[0];
    wait_until_blocked(getpid(), last->tid, SYS_futex, (unsigned long)&end.word);

    fipc_end_wake(&end);
    ck_assert_int_eq(pthread_join(sleepers[0].thread, NULL), 0);
    ck_assert_int_eq(pthread_join(sleepers[1].thread, NULL), 0);
}

TEST(closing_is_seen_by_the_peer)
{
    fipc_end_close(&end);
    ck_assert(fipc_end_is_closing(&end));
    ck_assert_uint_eq(word_of_end(), FIPC_END_AWAKE);
}
