/* SPDX-License-Identifier: MIT */
#ifndef FIPC_TESTS_RAW_CLIENT_H
#define FIPC_TESTS_RAW_CLIENT_H

/*
 * A client without manners: it speaks the wire by itself, on top of common/ alone, and shows all
 * that it holds, so that a test can send anything and corrupt everything.
 *
 * Functions return 0 or a negative errno and wait at most RAW_DEADLINE_MS, after which they return
 * -ETIMEDOUT; the peer's hang-up is -EPIPE.
 */
#include "common/channel.h"
#include "common/control.h"
#include "common/lane.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#define RAW_DEADLINE_MS 20000

struct raw_client {
    int lane_fd;
    int region_fd; /* of the session, kept to punch holes; -1 without one; likewise the bell */
    int bell_fd;
    struct fipc_welcome welcome;
    struct fipc_channel channel; /* channel.region.base is NULL without a session */
    uint64_t last_id;
    /* the last received packet or record */
    struct fipc_control packet; /* its name and data lie in packet_bytes */
    unsigned char packet_bytes[FIPC_PACKET_BYTES_MAX];
    struct fipc_header header; /* of a record, and its payload */
    unsigned char *payload;
    size_t payload_bytes;
};

#define RAW_CLIENT_EMPTY ((struct raw_client){.lane_fd = -1, .region_fd = -1, .bell_fd = -1})

/* ---- the lane ---- */

/* The user, and group, as whom raw_connect() connects: only root can be another one. 0: as the test
 * runs. */
extern uid_t raw_connect_uid;

/* connect(2) as that user. Return: as connect(2), with errno */
int raw_connect_fd(int fd, const struct sockaddr_un *address);

/* Only connects: nothing is sent. @client must be empty. */
int raw_connect(struct raw_client *client, const char *socket_path);

/* Dies without a word. Safe on an empty client. */
void raw_close(struct raw_client *client);

/* Sends one packet of any bytes, with any fds. */
int raw_send_bytes(struct raw_client *client, const void *bytes, size_t size, const int *fds,
                   size_t n_fds);

/* Sends a packet of the protocol. */
int raw_send_packet(struct raw_client *client, const struct fipc_control *packet);

/* Waits for the next packet. Its fds, if any, become region_fd and bell_fd. -EBADMSG: it is not of
 * the protocol, or has more fds */
int raw_receive_packet(struct raw_client *client);

/* Waits until the peer hung up, whatever it sends before. */
int raw_wait_hang_up(struct raw_client *client);

/* ---- a session ---- */

/* Sends HELLO as it is: of a session, or of anything else that the caller makes of it. */
int raw_send_hello(struct raw_client *client, const struct fipc_hello *hello);

/* Waits for WELCOME and its fds. -ECONNREFUSED: it was REFUSED, packet.refused says why */
int raw_await_welcome(struct raw_client *client);

/* The same, then maps and seals the region and rings. */
int raw_receive_welcome(struct raw_client *client);

/* All of it: connect, HELLO for rings of these sizes (0: the default), WELCOME. */
int raw_open_session(struct raw_client *client, const char *socket_path,
                     uint32_t request_ring_bytes, uint32_t reply_ring_bytes);

/* Publishes a record and rings; header.size is set here. -EAGAIN: no room */
int raw_send_record(struct raw_client *client, const struct fipc_header *header,
                    const void *payload, size_t size);

/* Rings the broker, whatever its end word says. */
int raw_ring_bell(struct raw_client *client);

/* Waits for a record, makes a copy of it and gives its room back; skip records are passed over.
 * -EPIPE: the peer hung up and the ring is empty; -EBADMSG: the ring is corrupt */
int raw_receive_record(struct raw_client *client);

/* The same without waiting. -EAGAIN: there is none */
int raw_try_receive_record(struct raw_client *client);

/* Waits for GOODBYE and the hang-up, passing over other records. */
int raw_receive_goodbye(struct raw_client *client, enum fipc_reason *ret_reason);

/* Sends OPEN, waits for OPENED. Return: its status, or why there was none */
int raw_open_name(struct raw_client *client, const char *name, uint32_t *ret_target);

/* Sends SERVE, waits for SERVED. Return: its status, or why there was none */
int raw_serve(struct raw_client *client, const char *name, uint32_t concurrency,
              uint32_t *ret_target);

/* Sends WAIT, does not wait itself. Return: as raw_send_record() */
int raw_send_wait(struct raw_client *client, const char *name, uint64_t remaining_ns,
                  uint64_t *ret_id);

/* Waits for a request as a worker: its header is client->header, its data the payload from data_at
 * on. -EBADMSG: another record came, or a malformed one */
int raw_take_request(struct raw_client *client, struct fipc_delivery *ret_delivery,
                     size_t *ret_data_at);

/* Answers a delivery. Return: as raw_send_record() */
int raw_send_reply(struct raw_client *client, uint32_t number, uint64_t id, int32_t status,
                   const void *data, size_t size);

/* Sends a request, does not wait. Return: as raw_send_record() */
int raw_send_request(struct raw_client *client, uint32_t target, const void *data, size_t size,
                     uint64_t *ret_id);

/* Sends a request and waits for its reply, passing over others. Return: the reply's status, or why
 * there was none */
int raw_call(struct raw_client *client, uint32_t target, const void *data, size_t size);

/* ---- a one-shot ---- */

/* Connects, sends a one-shot request, waits for the answer. Return: its status
 * (packet.oneshot_reply and packet.data are the answer), or why there was none; -ECONNREFUSED as
 * raw_receive_welcome() */
int raw_call_once(struct raw_client *client, const char *socket_path, const char *name,
                  const void *data, size_t size);

#endif
