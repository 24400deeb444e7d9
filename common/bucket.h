/* SPDX-License-Identifier: MIT */
#ifndef FIPC_COMMON_BUCKET_H
#define FIPC_COMMON_BUCKET_H

/*
 * A token bucket: something costly may happen while the bucket holds tokens for it. Time refills a
 * bucket up to tokens_max, so that a short burst passes and a constant stream does not. A budget
 * may let its bucket go into debt: then the caller takes the tokens once it knows the charge, and
 * waits until the debt is paid.
 *
 * The caller owns the clock: every time is an argument.
 */
#include <stdbool.h>
#include <stdint.h>

/* What all buckets of one kind have in common: a constant with a name. */
struct fipc_budget {
    uint64_t tokens_max;   /* of a full bucket */
    uint64_t spent_max;    /* tokens_max, or more: the difference is the largest debt */
    uint64_t ns_per_token; /* refills one token; not 0 */
};

/* All zero is a full bucket. */
struct fipc_bucket {
    uint64_t spent; /* tokens missing from a full one; 0: it is full */
    uint64_t refilled_ns;
};

/* Adds the tokens of the time since the last refill; a part of a token is kept for the next one. An
 * earlier @now_ns than the last one adds nothing. */
static inline void fipc_bucket_refill(struct fipc_bucket *bucket, const struct fipc_budget *budget,
                                      uint64_t now_ns)
{
    uint64_t tokens;

    if (now_ns < bucket->refilled_ns)
        return;
    tokens = (now_ns - bucket->refilled_ns) / budget->ns_per_token;
    if (tokens >= bucket->spent) {
        bucket->spent = 0;
        bucket->refilled_ns = now_ns;
    } else {
        bucket->spent -= tokens;
        bucket->refilled_ns += tokens * budget->ns_per_token;
    }
}

/* Adds tokens that were earned otherwise than by time. */
static inline void fipc_bucket_give(struct fipc_bucket *bucket, uint64_t tokens)
{
    bucket->spent -= tokens < bucket->spent ? tokens : bucket->spent;
}

/* Whether the bucket holds @tokens; with 0: whether it has no debt. */
static inline bool fipc_bucket_holds(const struct fipc_bucket *bucket,
                                     const struct fipc_budget *budget, uint64_t tokens)
{
    return bucket->spent <= budget->tokens_max && budget->tokens_max - bucket->spent >= tokens;
}

/* Takes tokens, whether the bucket holds them or not. The bucket forgives a charge beyond the
 * largest debt: spent stays at spent_max. */
static inline void fipc_bucket_take(struct fipc_bucket *bucket, const struct fipc_budget *budget,
                                    uint64_t tokens)
{
    bool exceeds = bucket->spent > budget->spent_max || budget->spent_max - bucket->spent < tokens;

    bucket->spent = exceeds ? budget->spent_max : bucket->spent + tokens;
}

/* How long it takes, from the last refill on, until the debt is paid; 0: there is none. */
static inline uint64_t fipc_bucket_debt_ns(const struct fipc_bucket *bucket,
                                           const struct fipc_budget *budget)
{
    return bucket->spent > budget->tokens_max
               ? (bucket->spent - budget->tokens_max) * budget->ns_per_token
               : 0;
}

#endif
