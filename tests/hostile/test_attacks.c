/* SPDX-License-Identifier: MIT */
/*
 * Each attack runs while a victim of another uid calls on. Whatever the attacker does: the broker
 * stays the same process, the victim sees no error, and two seconds after the end the broker holds
 * what it held before, with a handful of lines in its log. On a quiet machine (the groups latency
 * and soup) the victim waits hardly longer, either.
 *
 * FIPC_ATTACK_MS: how long each attack lasts; FIPC_ATTACK: the name of the only one to run;
 * FIPC_SOUP_MS: how long the soup lasts; FIPC_SOUP_SEED: its seed.
 */
#include "tests/hostile/attack.h"
#include "tests/hostile/victim.h"
#include "tests/stress/test_crowd_fixture.h"
#include "tests/suite.h"

#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define VICTIM_UID 60001
#define ATTACKER_UID 60002 /* and those that follow */
#define ATTACKERS_MAX 8
#define SOUP_ATTACKERS 3
/* The victim waits less than one of these: many times what it waits in calm times, a time, or
 * twice what anybody waits on this machine now. */
#define P99_RATIO_MAX 5
#define P99_NS_MAX (2 * FIPC_NS_PER_MS)
#define BYSTANDER_RATIO_MAX 2
#define LATENCY_TRIES 2
#define GROWTH_TRIES 5
#define ROUNDS_OF_LATENCY 4
/* In ten seconds: ten of each of two kinds, and how many there were more. */
#define LOG_LINES_MAX 22
#define LOG_WINDOW_NS (10 * FIPC_NS_PER_S)
#define RSS_GROWTH_KIB_MAX 512
#define WARM_UP_PART 4

static struct test_broker broker;
static struct victim victim, bystander;

/* How an attack is tried. */
struct trial {
    unsigned attackers;
    uint64_t ready_ns; /* before each round */
    uint64_t span_ns;  /* how long they attack, in all rounds */
    int rounds;        /* before each is a calm time, half as long */
    uint64_t random;
    bool judges_latency;
};

/* What the broker holds. */
struct holdings {
    int fds, mappings;
    long rss_kib;
    long long slots;
};

static int count_mappings(void)
{
#ifdef CROWD_SANITIZED
    return test_broker_count_regions(&broker); /* the sanitizer has others, of its own */
#else
    return crowd_count_mappings(&broker);
#endif
}

static struct holdings look(void)
{
    return (struct holdings){
        .fds = test_broker_count_fds(&broker),
        .mappings = count_mappings(),
        .rss_kib = crowd_rss_kib(&broker),
        .slots = crowd_number(&broker, "slots.taken"),
    };
}

static void setup(void)
{
    test_raise_fds_limit();
    victim_stay_on(VICTIM_CPU_OF_BROKER);
    test_broker_init(&broker);
    ck_assert_int_eq(chmod(broker.folder, 0755), 0);
    test_broker_start_with(&broker,
                           "{\"control\": {\"mode\": \"0666\"}, \"slots\": {\"count\": 1024}}");
    victim_stay_on(VICTIM_CPU_OF_CLIENTS);
    victim_start(&victim, broker.socket, VICTIM_UID);
    victim_start(&bystander, NULL, VICTIM_UID);
    TEST_WAIT_FOR(victim_calls(&victim) > 0 && victim_calls(&bystander) > 0);
}

static void teardown(void)
{
    victim_stop(&victim);
    victim_stop(&bystander);
    test_broker_deinit(&broker);
}

/* Looks until all is back, for two seconds. */
static struct holdings look_until_back(const struct holdings *before)
{
    uint64_t end_ns = fipc_now_ns() + 2 * FIPC_NS_PER_S;
    struct holdings now;

    do {
        test_pause(); /* we hold something ourselves while we look */
        now = look();
    } while (
        (now.fds > before->fds || now.mappings > before->mappings || now.slots > before->slots) &&
        fipc_now_ns() < end_ns);
    return now;
}

/* ---- attackers ---- */

/* How long somebody waits says something about the broker, and not about the scheduler, where
 * victim, broker and attackers have a CPU each. With fewer the attackers only run where nobody else
 * does. */
static void stand_back(void)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) <= 2)
        (void)sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
}

static pid_t send_attacker(void (*run)(struct attack_scene *scene), const struct trial *trial,
                           uid_t uid, uint64_t random, uint64_t end_ns)
{
    struct attack_scene scene = {.socket = broker.socket, .end_ns = end_ns, .random = random};
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    (void)setpgid(0, 0);
    if (trial->judges_latency)
        stand_back();
    (void)setrlimit(RLIMIT_NICE, &(struct rlimit){1, 1}); /* some of its threads may be better */
    if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
        _exit(2);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    run(&scene);
    _exit(0);
}

static void wait_until(uint64_t end_ns)
{
    while (fipc_now_ns() < end_ns)
        test_pause();
}

static void end_attacker(pid_t pid)
{
    (void)kill(-pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* ---- what the victim saw ---- */

struct tally {
    struct victim_span quiet, attacked;
    struct victim_span bystander; /* under the same attack */
};

static void tally_deinit(struct tally *tally)
{
    victim_span_deinit(&tally->quiet);
    victim_span_deinit(&tally->attacked);
    victim_span_deinit(&tally->bystander);
}

static uint64_t milliseconds(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return (text != NULL ? strtoull(text, NULL, 10) : otherwise) * FIPC_NS_PER_MS;
}

/* A calm time, then the attack, in turns. */
static struct tally watch(void (*run)(struct attack_scene *scene), const struct trial *trial,
                          const struct holdings *calm)
{
    uint64_t round_ns = trial->span_ns / (unsigned)trial->rounds;
    struct tally tally = {0};

    for (int round = 0; round < trial->rounds; round++) {
        pid_t pids[ATTACKERS_MAX];
        size_t from = victim_calls(&victim), bystander_from;
        uint64_t end_ns;

        wait_until(fipc_now_ns() + round_ns / 2);
        victim_span_add(&tally.quiet, &victim, from);
        end_ns = fipc_now_ns() + trial->ready_ns + round_ns;
        for (unsigned i = 0; i < trial->attackers; i++)
            pids[i] = send_attacker(run, trial, ATTACKER_UID + i,
                                    trial->random * 97 + (unsigned)round * 7 + i + 1, end_ns);
        wait_until(end_ns - round_ns);
        from = victim_calls(&victim);
        bystander_from = victim_calls(&bystander);
        wait_until(end_ns);
        victim_span_add(&tally.attacked, &victim, from);
        victim_span_add(&tally.bystander, &bystander, bystander_from);
        for (unsigned i = 0; i < trial->attackers; i++)
            end_attacker(pids[i]);
        (void)look_until_back(calm); /* what they left behind is no calm time */
    }
    return tally;
}

static bool is_patient(struct tally *tally)
{
    uint64_t attacked_ns = victim_span_p99_ns(&tally->attacked);

    return attacked_ns < P99_RATIO_MAX * victim_span_p99_ns(&tally->quiet) ||
           attacked_ns < P99_NS_MAX ||
           attacked_ns < BYSTANDER_RATIO_MAX * victim_span_p99_ns(&tally->bystander);
}

/* Once; where latency is judged, until the victim was patient. */
static struct tally watch_tries(void (*run)(struct attack_scene *scene), struct trial trial,
                                const struct holdings *calm)
{
    struct tally tally = watch(run, &trial, calm);

    for (int try = 1; trial.judges_latency && !is_patient(&tally) && try < LATENCY_TRIES; try++) {
        tally_deinit(&tally);
        trial.random++;
        tally = watch(run, &trial, calm);
    }
    return tally;
}

static unsigned log_lines(void) { return (unsigned)test_broker_log_lines(&broker, "fipcd"); }

static void report(const char *name, struct tally *tally, const struct holdings *before,
                   const struct holdings *after, unsigned lines)
{
    printf("%-24s %5zu calls, p99 %7.1f us quiet, %7.1f us attacked, %7.1f us of a bystander; "
           "fds %+d, mappings %+d, slots %+lld, RSS %+ld KiB, %u lines\n",
           name, tally->attacked.calls, (double)victim_span_p99_ns(&tally->quiet) / 1e3,
           (double)victim_span_p99_ns(&tally->attacked) / 1e3,
           (double)victim_span_p99_ns(&tally->bystander) / 1e3, after->fds - before->fds,
           after->mappings - before->mappings, after->slots - before->slots,
           after->rss_kib - before->rss_kib, lines);
    (void)fflush(stdout);
}

/* The sanitizer keeps what is freed. */
static bool memory_grew(const struct holdings *before, const struct holdings *after)
{
#ifndef CROWD_SANITIZED
    if (after->rss_kib - before->rss_kib > RSS_GROWTH_KIB_MAX)
        return true;
#endif
    return after->mappings > before->mappings;
}

static void check_given_back(const struct holdings *before, const struct holdings *after)
{
    ck_assert_int_le(after->fds, before->fds);
    ck_assert_int_le(after->slots, before->slots);
    ck_assert(!memory_grew(before, after));
}

/* No call of the victim failed, whenever it was made. */
static void check_no_error(void)
{
    struct victim_span all = {0};

    victim_span_add(&all, &victim, 0);
    ck_assert_int_eq(all.first_error, 0);
    victim_span_deinit(&all);
}

static void check(const char *name, void (*run)(struct attack_scene *scene), struct trial trial)
{
    const struct trial warm_up = {.attackers = trial.attackers,
                                  .ready_ns = trial.ready_ns,
                                  .span_ns = trial.span_ns / WARM_UP_PART,
                                  .rounds = 1,
                                  .random = trial.random,
                                  .judges_latency = trial.judges_latency};
    pid_t pid = broker.pid;
    uint64_t began_ns = fipc_now_ns();
    unsigned lines = log_lines();
    struct holdings before = look(), after;
    struct tally tally = watch(run, &warm_up, &before);

    tally_deinit(&tally);
    /* tables that were used once stay, at their largest, and the stack of a thread: only growth
     * time after time is a leak */
    before.rss_kib = look_until_back(&before).rss_kib;
    tally = watch_tries(run, trial, &before);
    after = look_until_back(&before);
    for (int try = 0; memory_grew(&before, &after) && try < GROWTH_TRIES; try++) {
        struct tally again = watch(run, &trial, &before);

        tally_deinit(&again);
        before.rss_kib = after.rss_kib;
        before.mappings = after.mappings;
        after = look_until_back(&before);
    }
    lines = log_lines() - lines;
    report(name, &tally, &before, &after, lines);

    ck_assert(test_broker_is_alive(&broker));
    ck_assert_int_eq(broker.pid, pid);
    check_no_error();
    check_given_back(&before, &after);
    ck_assert_uint_le(lines, LOG_LINES_MAX * (1 + (fipc_now_ns() - began_ns) / LOG_WINDOW_NS));
    ck_assert(!trial.judges_latency || is_patient(&tally));
    tally_deinit(&tally);
}

static int count_attacks(void)
{
    int count = 0;

    while (attack_number((unsigned)count) != NULL)
        count++;
    return count;
}

static void check_attack(int number, struct trial trial)
{
    const struct attack *attack = attack_number((unsigned)number);
    const char *only = getenv("FIPC_ATTACK");

    trial.attackers = attack->n_uids > 0 ? attack->n_uids : 1;
    trial.random = (unsigned)number + 1;
    if (trial.judges_latency)
        trial.ready_ns = attack->ready_ms * FIPC_NS_PER_MS;
    if (only == NULL || strcmp(only, attack->name) == 0)
        check(attack->name, attack->run, trial);
}

GROUP(attacks, .timeout = 1200, .fixtures = {{setup, teardown}},
      .needs_root = "give victim and attacker a uid each");

LOOP_TEST(attack_costs_the_victim_no_call_and_the_broker_nothing, count_attacks())
{
    check_attack(_i, (struct trial){.span_ns = milliseconds("FIPC_ATTACK_MS", 200), .rounds = 1});
}

GROUP(latency, .timeout = 1200, .fixtures = {{setup, teardown}},
      .needs_root = "give victim and attacker a uid each");

LOOP_TEST(victim_notices_no_attack, count_attacks())
{
    check_attack(_i, (struct trial){.span_ns = milliseconds("FIPC_ATTACK_MS", 4000),
                                    .rounds = ROUNDS_OF_LATENCY,
                                    .judges_latency = true});
}

GROUP(soup, .timeout = 1200, .fixtures = {{setup, teardown}},
      .needs_root = "give victim and attacker a uid each");

TEST(victim_notices_no_soup)
{
    const char *seed = getenv("FIPC_SOUP_SEED");
    uint64_t random = seed != NULL ? strtoull(seed, NULL, 10) : fipc_now_ns() >> 20;

    printf("FIPC_SOUP_SEED=%llu\n", (unsigned long long)random);
    check("soup", attack_soup,
          (struct trial){.attackers = SOUP_ATTACKERS,
                         .span_ns = milliseconds("FIPC_SOUP_MS", 20000),
                         .rounds = ROUNDS_OF_LATENCY,
                         .random = random,
                         .judges_latency = true});
}
