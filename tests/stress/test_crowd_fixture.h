/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_CROWD_FIXTURE_H
#define FIPC_TESTS_CROWD_FIXTURE_H

/* What the tests with very many clients share: a broker whose config is known, clients by the
 * hundred, and what the broker takes of the machine, seen from outside. */
#include "tests/integration/broker.h"
#include "tests/integration/raw_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Under AddressSanitizer a process's memory says nothing about the program. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CROWD_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define CROWD_SANITIZED 1
#endif

/* ---- the broker ---- */

/* Stops it in its tracks (SIGSTOP), and lets it go on. Clients may connect and fill their rings
 * meanwhile. */
void crowd_broker_pause(const struct test_broker *broker);
void crowd_broker_resume(const struct test_broker *broker);

/* Whether its main thread sleeps: there is nothing that it could do. */
bool crowd_broker_is_asleep(const struct test_broker *broker);

/* What it has now. */
int crowd_count_mappings(const struct test_broker *broker);
long crowd_rss_kib(const struct test_broker *broker);

/* A number of fipc.stats, asked for by a one-shot. */
long long crowd_number(const struct test_broker *broker, const char *path);

/* ---- clients ---- */

/* Empty clients, which cost memory when they are used; and their end. */
struct raw_client *crowd_clients_new(int count);
struct raw_client *crowd_clients_free(struct raw_client *clients, int count);

/* Connects without waiting and sends HELLO; a one-shot echoes its own number. Return: 0; -EAGAIN
 * the kernel's queue is full; another negative errno */
int crowd_send_session(struct raw_client *client, const struct test_broker *broker);
int crowd_send_oneshot(struct raw_client *client, const struct test_broker *broker, int number);

/* Waits for the answer to crowd_send_oneshot() and compares all of it. Return: 0; -EBADMSG it is
 * another; -ECONNREFUSED; another negative errno */
int crowd_receive_oneshot(struct raw_client *client, int number);

/* One echo of this session; likewise in two halves, so that many are in flight. */
int crowd_call(struct raw_client *client, uint32_t echo, int number);
int crowd_send_call(struct raw_client *client, uint32_t echo, int number);
int crowd_receive_call(struct raw_client *client, int number);

/* Whether something came over the lane. */
bool crowd_has_answer(const struct raw_client *client);

#endif
