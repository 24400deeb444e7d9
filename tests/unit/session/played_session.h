/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_UNIT_SESSION_PLAYED_SESSION_H
#define FIPC_TESTS_UNIT_SESSION_PLAYED_SESSION_H

/* A session whose broker the test plays. Its lock is held. */
#include "client/base/message.h"
#include "client/session/session.h"
#include "tests/unit/link/played_link.h"

static struct played_link link_;
static struct fipc_client *client;

/* A session that never spins, whose broker, but for the played one, does not exist. */
static inline void make_session(void)
{
    struct fipc_settings settings = {.connect_ns = 1,
                                     .address = {.sun_family = AF_UNIX, .sun_path = "/nowhere"}};

    ck_assert_int_eq(fipc_session_new(&settings, &client), 0);
    (void)pthread_mutex_lock(&client->handle.lock);
}

/* Has the session go on with a new connection, the last one being lost. */
static inline void connect_session(void)
{
    played_link_make(&link_);
    fipc_session_take_connection(client, link_.connection);
}

static inline void make_connected(void)
{
    make_session();
    connect_session();
}

static inline void drop_session(void)
{
    (void)pthread_mutex_unlock(&client->handle.lock);
    fipc_handle_unref(&client->handle);
    if (link_.broker.region.base != NULL)
        played_link_drop(&link_);
}

/* An open question of a thread, or of nobody. */
static struct fipc_pending asked[8];
static unsigned n_asked, n_done;
static struct fipc_connection *done_on;

static inline void question_done(struct fipc_pending *question, struct fipc_connection *connection)
{
    (void)question;
    n_done++;
    done_on = connection;
}

/* Sends a question with this id. @kind: of the answer */
static inline struct fipc_pending *ask(uint64_t id, uint16_t kind)
{
    struct fipc_header header = {.kind = FIPC_KIND_REQUEST, .id = id};
    struct fipc_pending *question = &asked[n_asked++];

    ck_assert_int_eq(fipc_producer_send(&client->connection->channel.out, &header, NULL, 0), 0);
    *question = (struct fipc_pending){.id = id,
                                      .answer_kind = kind,
                                      .sent_until = client->connection->channel.out.tail,
                                      .keeps_payload = true,
                                      .on_done = question_done,
                                      .fd = -1,
                                      .asked = 9};
    fipc_pending_add(&client->connection->pending, question);
    return question;
}

static inline void forget_asked(void)
{
    for (unsigned i = 0; i < n_asked; i++) {
        if (asked[i].reply != NULL)
            fipc_message_recycle(asked[i].reply);
        asked[i].fd = fd_close(asked[i].fd);
    }
    n_asked = n_done = 0;
}

#endif
