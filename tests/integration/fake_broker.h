/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_FAKE_BROKER_H
#define FIPC_TESTS_FAKE_BROKER_H

/*
 * A broker without manners, for one client at a time: it speaks the wire by itself, on top of
 * common/ alone, so that a test can have it answer anything. It never sleeps on its end word, so
 * that nobody need ring it. Run it in a thread of its own; its failures fail the test.
 */
#include "common/channel.h"
#include "common/control.h"
#include "common/lane.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#define FAKE_RING_BYTES 8192
#define FAKE_TARGET 7 /* of every name */

struct fake_broker {
    char folder[64];
    struct sockaddr_un address;
    int listener_fd;
    /* of the client: */
    int lane_fd; /* -1: none */
    int region_fd;
    int bell_fd;
    struct fipc_channel channel; /* channel.region.base is NULL without a session */
    struct fipc_hello hello;
    /* the last received record: */
    struct fipc_header header;
    unsigned char payload[FAKE_RING_BYTES];
    size_t payload_bytes;
};

/* Listens in a folder of its own, with a backlog of this size. */
void fake_init(struct fake_broker *fake, int backlog);

/* Also drops the client. */
void fake_deinit(struct fake_broker *fake);

/* Waits for a client and its HELLO. */
void fake_accept(struct fake_broker *fake);

/* Closes all that the client has with us, without a word. */
void fake_drop(struct fake_broker *fake);

void fake_send_packet(struct fake_broker *fake, const struct fipc_control *packet, const int *fds,
                      size_t n_fds);
void fake_send_bytes(struct fake_broker *fake, const void *bytes, size_t size);

void fake_refuse(struct fake_broker *fake, enum fipc_reason reason, uint32_t retry_ms);

/* Makes a channel and welcomes the client to it. */
void fake_make_channel(struct fake_broker *fake);
void fake_welcome(struct fake_broker *fake);

/* Waits for a record. Return: false the client hung up */
bool fake_receive(struct fake_broker *fake);

/* Publishes a record and rings. */
void fake_send(struct fake_broker *fake, const struct fipc_header *header, const void *payload,
               size_t size);

/* Publishes a control record. */
void fake_send_control(struct fake_broker *fake, const struct fipc_header *header,
                       const struct fipc_control *control);

/* Answers the record that was received last as a broker does that has fipc.echo under any name. */
void fake_answer(struct fake_broker *fake);

/* Answers names until a request comes, and leaves that open. */
void fake_receive_request(struct fake_broker *fake);

/* Answers until the client hangs up. */
void fake_serve(struct fake_broker *fake);

#endif
