/* SPDX-License-Identifier: MIT */
/* Submissions stand in the order in which they were submitted, however they came to stand there. */
#include "client/session/submission_queue.h"

#include "client/base/message.h"
#include "tests/unit/fixture.h"

static struct fipc_submission *submission_of(const char *service, const char *data, unsigned flags,
                                             uint64_t number)
{
    struct fipc_call call = {.service = service,
                             .service_bytes = strlen(service),
                             .data = data,
                             .size = data != NULL ? strlen(data) : 0,
                             .flags = flags,
                             .timeout_ms = -1};
    struct fipc_submission *submission = fipc_submission_new(NULL, &call, number + 100);

    ck_assert_ptr_nonnull(submission);
    submission->number = number;
    return submission;
}

/* ---- submissions ---- */

static const struct {
    const char *service, *data;
    unsigned flags;
} calls[] = {
    {"a", NULL, 0},
    {"a.b", "", FIPC_NO_WAIT},
    {"com.example.kv", "get colour", FIPC_IDEMPOTENT | FIPC_WAIT_SERVICE},
};

LOOP_TEST(a_submission_is_a_copy_of_its_call, COUNT_OF(calls))
{
    struct fipc_submission *made =
        submission_of(calls[_i].service, calls[_i].data, calls[_i].flags, 5);
    size_t size = calls[_i].data != NULL ? strlen(calls[_i].data) : 0;

    ck_assert_uint_eq(made->pending.id, 105);
    ck_assert_uint_eq(made->request->size, size);
    ck_assert_mem_eq(made->request->data, calls[_i].data != NULL ? calls[_i].data : "", size);
    ck_assert_uint_eq(made->service_bytes, strlen(calls[_i].service));
    ck_assert_mem_eq(fipc_submission_service(made), calls[_i].service, made->service_bytes);
    ck_assert_int_eq(made->pending.no_wait, (calls[_i].flags & FIPC_NO_WAIT) != 0);
    ck_assert_int_eq(made->pending.is_idempotent, (calls[_i].flags & FIPC_IDEMPOTENT) != 0);
    ck_assert(!made->is_limited);
    fipc_submission_free(made);
}

static const struct {
    const char *queue, *service;
    bool fits;
} names[] = {
    {"a", "a", true},   {"a", "b", false},    {"a", "ab", false},
    {"ab", "a", false}, {"a.b", "a.b", true}, {"A", "a", false},
};

LOOP_TEST(a_queue_is_of_one_service, COUNT_OF(names))
{
    struct fipc_submission *one = submission_of(names[_i].queue, NULL, 0, 0);
    struct fipc_submission *other = submission_of(names[_i].service, NULL, 0, 1);
    struct fipc_submission_queue *queue = fipc_submission_queue_new(one);

    ck_assert_int_eq(fipc_submission_queue_fits(queue, other), names[_i].fits);
    free(queue);
    fipc_submission_free(one);
    fipc_submission_free(other);
}

/* ---- order ---- */

#define N 5

static const unsigned orders[][N] = {
    {0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}, {1, 2, 3, 4, 0}, {4, 0, 1, 2, 3},
};

LOOP_TEST(the_order_is_that_of_submission, COUNT_OF(orders))
{
    struct fipc_submission *all[N];
    struct fipc_submission_queue *queue;

    for (unsigned i = 0; i < N; i++)
        all[i] = submission_of(
            "a", NULL, (i % 2 != 0 ? FIPC_NO_WAIT : 0) | (i == 4 ? FIPC_WAIT_SERVICE : 0), i);
    queue = fipc_submission_queue_new(all[0]);
    for (unsigned i = 0; i < N; i++)
        fipc_submission_queue_add(queue, all[orders[_i][i]]);
    ck_assert_uint_eq(queue->n_queued, N);
    ck_assert_uint_eq(queue->n_impatient, 2);
    ck_assert_uint_eq(queue->n_waiting, 1);
    for (unsigned i = 0; i < N; i++) {
        ck_assert_ptr_eq(TAILQ_FIRST(&queue->list), all[i]);
        ck_assert_ptr_eq(all[i]->queue, queue);
        fipc_submission_queue_remove(all[i]);
        ck_assert_ptr_null(all[i]->queue);
        fipc_submission_free(all[i]);
    }
    ck_assert_uint_eq(queue->n_queued + queue->n_impatient + queue->n_waiting, 0);
    free(queue);
}
