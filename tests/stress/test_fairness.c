/* SPDX-License-Identifier: MIT */
/* The broker serves full rings in turns: a client waits for one turn of each other at most. */
#include "tests/stress/fairness_fixture.h"
#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

/* Whether the broker waits for this client's bell. */
static bool is_cold(const struct raw_client *client)
{
    /* relaxed: nothing is concluded about anything else */
    uint32_t word = atomic_load_explicit(&client->channel.peer->word, memory_order_relaxed);

    return word == FIPC_END_ASLEEP_FD;
}

static void send_requests(struct raw_client *client, uint32_t target, const char *data, int count)
{
    uint64_t id;

    for (int i = 0; i < count; i++)
        ck_assert_int_eq(raw_send_request(client, target, data, strlen(data), &id), 0);
}

/* Asks how many requests of the flooder have been taken by now: it has the highest slot of all, so
 * the report is about no other. */
static void send_question(struct raw_client *client, uint32_t stats)
{
    char question[32];

    (void)snprintf(question, sizeof(question), "slots %u", flooder.welcome.slot);
    send_requests(client, stats, question, 1);
}

static long long receive_answer(struct raw_client *client)
{
    ck_assert_int_eq(raw_receive_record(client), 0);
    ck_assert_int_eq(client->header.status, 0);
    ck_assert_int_eq(test_report_number(client->payload, client->payload_bytes, "slots.0.slot"),
                     flooder.welcome.slot);
    return test_report_number(client->payload, client->payload_bytes, "slots.0.calls");
}

/* When it goes on it finds all rings as they were filled meanwhile, and all bells rung. */
static void pause_broker(void)
{
    TEST_WAIT_FOR(is_cold(&flooder) && is_cold(&calm[0]) && is_cold(&calm[CALM_CLIENTS - 1]) &&
                  crowd_broker_is_asleep(&broker));
    crowd_broker_pause(&broker);
}

static const int per_turn_cases[] = {64, 10, 1};

/* What a turn takes before it looks at the clock: daemon/traffic/intake.c. */
#define RECORDS_PER_CLOCK_LOOK 4

GROUP(fairness, .timeout = 60, .fixtures = {{setup, teardown}});

/* Two clients with many turns' worth of requests. One asks how far the other one is, again and
 * again: a report takes the rest of a turn, so that the two alternate. A broker that loses its CPU
 * ends the turn in which it does, but not each of them. */
LOOP_TEST(full_rings_are_served_in_turns_of_messages_per_turn, COUNT_OF(per_turn_cases))
{
    int per_turn = per_turn_cases[_i];
    int least = per_turn < RECORDS_PER_CLOCK_LOOK ? per_turn : RECORDS_PER_CLOCK_LOOK;
    struct raw_client *other;
    uint32_t ping;
    long long taken, before = 0, longest_turn = 0;
    char json[64];

    (void)snprintf(json, sizeof(json), "{\"dispatch\": {\"messages_per_turn\": %d}}", per_turn);
    test_broker_start_with(&broker, per_turn == 64 ? "{}" : json);
    open_calm_clients("fipc.stats");
    other = &calm[0];
    ping = open_session(&flooder, "fipc.ping");

    pause_broker();
    send_requests(&flooder, ping, "", TURNS * per_turn);
    for (int turn = 0; turn < TURNS; turn++)
        send_question(other, calm_target[0]);
    crowd_broker_resume(&broker);
    for (int turn = 0; turn < TURNS; turn++) {
        taken = receive_answer(other);
        ck_assert_int_ge(taken, turn * least);
        ck_assert_int_le(taken, (turn + 1) * per_turn);
        longest_turn = taken - before > longest_turn ? taken - before : longest_turn;
        before = taken;
    }
#ifndef CROWD_SANITIZED /* so slow that its slice of time ends each turn */
    ck_assert_int_eq(longest_turn, per_turn);
#endif
}

/* The client that rings first: the flooder, or the last of the others. */
LOOP_TEST(calm_clients_wait_for_one_turn_of_a_flooder, 2)
{
    bool flooder_first = _i == 0;
    uint32_t ping;

    test_broker_start_with(&broker, "{}");
    open_calm_clients("fipc.stats");
    ping = open_session(&flooder, "fipc.ping");

    pause_broker();
    if (flooder_first)
        send_requests(&flooder, ping, "", TURNS * 64);
    for (int i = 0; i < CALM_CLIENTS; i++)
        send_question(&calm[i], calm_target[i]);
    if (!flooder_first)
        send_requests(&flooder, ping, "", TURNS * 64);
    crowd_broker_resume(&broker);
    for (int i = 0; i < CALM_CLIENTS; i++)
        ck_assert_int_le(receive_answer(&calm[i]), 64);
}
