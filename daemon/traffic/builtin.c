/* SPDX-License-Identifier: MIT */
#include "daemon/traffic/builtin.h"

#include "common/clock.h"
#include "daemon/model/core.h"
#include "daemon/traffic/reply.h"
#include "daemon/traffic/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_DIGITS_MAX 9
#define QUESTION_BYTES_MAX 32

/* The request comes back as the reply. */
static void serve_echo(struct core *core, struct handler *handler, const void *payload, size_t size)
{
    reply_data(core, handler, payload, size);
}

/* An empty reply, whatever the request. */
static void serve_ping(struct core *core, struct handler *handler, const void *payload, size_t size)
{
    (void)payload;
    (void)size;
    reply_data(core, handler, NULL, 0);
}

/* Decimal digits in shared memory to a number: each byte is read once. Return: 0; -EINVAL */
static int parse_number(const void *text, size_t size, uint32_t *ret_number)
{
    char digits[NUMBER_DIGITS_MAX];
    uint32_t number = 0;

    if (size == 0 || size > sizeof(digits))
        return -EINVAL;
    memcpy(digits, text, size);
    for (size_t i = 0; i < size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return -EINVAL;
        number = number * 10 + (uint32_t)(digits[i] - '0');
    }
    *ret_number = number;
    return 0;
}

static void delay_over(void *context, struct deadline *deadline)
{
    struct core *core = context;
    struct handler *handler = DEADLINE_OWNER(deadline, struct handler, deadline);

    if (core->now_ns >= handler->deadline_ns)
        reply_error(core, handler, -ETIMEDOUT);
    else
        reply_data(core, handler, NULL, 0);
}

/* An empty reply after this number of milliseconds, or -ETIMEDOUT at the deadline, whichever comes
 * first.
 */
static void serve_delay(struct core *core, struct handler *handler, const void *payload,
                        size_t size)
{
    uint64_t due_ns;
    uint32_t ms;

    if (parse_number(payload, size, &ms) < 0) {
        reply_error(core, handler, -EINVAL);
        return;
    }
    reply_count_from_now(core, handler);
    due_ns = fipc_deadline_after(core->now_ns, ms * FIPC_NS_PER_MS);
    core_set_handler_deadline(
        core, handler, due_ns < handler->deadline_ns ? due_ns : handler->deadline_ns, delay_over);
}

/* ---- reports ---- */

/* A page takes so long; each report is charged with it. */
#define REPORT_NS (100 * FIPC_NS_PER_US)

/* An account has a fiftieth of the time for reports, all together have a tenth. The time of one
 * second can be saved. A report waits for two seconds at most. */
static const struct fipc_budget of_account = {
    .tokens_max = 20 * FIPC_NS_PER_MS,
    .spent_max = 60 * FIPC_NS_PER_MS,
    .ns_per_token = 50,
};

static const struct fipc_budget of_all = {
    .tokens_max = 100 * FIPC_NS_PER_MS,
    .spent_max = 300 * FIPC_NS_PER_MS,
    .ns_per_token = 10,
};

/* Return: whether a report may be made in time */
static bool has_turn(struct fipc_bucket *bucket, const struct fipc_budget *budget, uint64_t now_ns)
{
    fipc_bucket_refill(bucket, budget, now_ns);
    return bucket->spent + REPORT_NS <= budget->spent_max;
}

/* Charges a report. Return: when it may be made */
static uint64_t take_turn(struct fipc_bucket *bucket, const struct fipc_budget *budget)
{
    uint64_t after_ns = bucket->refilled_ns + fipc_bucket_debt_ns(bucket, budget);

    fipc_bucket_take(bucket, budget, REPORT_NS);
    return after_ns;
}

/* Charges a report to the account and to all, or to none of them. Return: when it may be made;
 * FIPC_NEVER: not in time */
static uint64_t report_turn(struct core *core, struct account *account)
{
    uint64_t of_account_ns, of_all_ns;

    if (!has_turn(&account->reports, &of_account, core->now_ns) ||
        !has_turn(&core->reports, &of_all, core->now_ns))
        return FIPC_NEVER;
    of_account_ns = take_turn(&account->reports, &of_account);
    of_all_ns = take_turn(&core->reports, &of_all);
    return of_account_ns > of_all_ns ? of_account_ns : of_all_ns;
}

/* Return: a report, from handler.first_item on, for free(3); NULL: no memory */
typedef char *make_report_fn(struct core *core, const struct handler *handler);

static char *make_list(struct core *core, const struct handler *handler)
{
    return report_services(core, handler->first_item, reply_bytes_max(core, handler));
}

static char *make_totals(struct core *core, const struct handler *handler)
{
    (void)handler;
    return report_stats(core);
}

static char *make_slots(struct core *core, const struct handler *handler)
{
    return report_slots(core, handler->first_item, reply_bytes_max(core, handler));
}

/* The last thing in its slot's turn. */
static void answer(struct core *core, struct handler *handler, make_report_fn *make)
{
    uint64_t began_ns = core_begin_act(core);
    char *report = make(core, handler);

    core_end_act(core, ACT_REPORT, began_ns);
    core->is_slice_over = true;
    if (report != NULL)
        reply_data(core, handler, report, strlen(report));
    else
        reply_error(core, handler, -ENOMEM);
    free(report);
}

static void answer_late(struct core *core, struct deadline *deadline, make_report_fn *make)
{
    struct handler *handler = DEADLINE_OWNER(deadline, struct handler, deadline);

    if (core->now_ns >= handler->deadline_ns)
        reply_error(core, handler, -ETIMEDOUT);
    else
        answer(core, handler, make);
}

static void list_is_due(void *context, struct deadline *deadline)
{
    answer_late(context, deadline, make_list);
}

static void totals_are_due(void *context, struct deadline *deadline)
{
    answer_late(context, deadline, make_totals);
}

static void slots_are_due(void *context, struct deadline *deadline)
{
    answer_late(context, deadline, make_slots);
}

/* Answers now, or when the account, and all, have the time for it. */
static void serve_report(struct core *core, struct handler *handler, make_report_fn *make,
                         deadline_fn *is_due)
{
    uint64_t after_ns = report_turn(core, slot_of_caller(&core->slots, handler)->account);

    if (after_ns == FIPC_NEVER)
        reply_error(core, handler, -EAGAIN);
    else if (after_ns <= core->now_ns)
        answer(core, handler, make);
    else
        core_set_handler_deadline(core, handler,
                                  after_ns < handler->deadline_ns ? after_ns : handler->deadline_ns,
                                  is_due);
}

/* A page of the services: of the first ones, or from number N on. */
static void serve_list(struct core *core, struct handler *handler, const void *payload, size_t size)
{
    if (size > 0 && parse_number(payload, size, &handler->first_item) < 0)
        reply_error(core, handler, -EINVAL);
    else
        serve_report(core, handler, make_list, list_is_due);
}

/* Nothing asks for the totals; "slots N" for the taken slots from number N on, as many as a reply
 * holds. */
static void serve_stats(struct core *core, struct handler *handler, const void *payload,
                        size_t size)
{
    static const char slots_from[] = "slots ";
    const size_t prefix = sizeof(slots_from) - 1;
    char question[QUESTION_BYTES_MAX];

    if (size == 0) {
        serve_report(core, handler, make_totals, totals_are_due);
        return;
    }
    if (size > sizeof(question)) {
        reply_error(core, handler, -EINVAL);
        return;
    }
    memcpy(question, payload, size);
    if (size <= prefix || memcmp(question, slots_from, prefix) != 0 ||
        parse_number(question + prefix, size - prefix, &handler->first_item) < 0)
        reply_error(core, handler, -EINVAL);
    else
        serve_report(core, handler, make_slots, slots_are_due);
}

const struct builtin builtins[] = {
    {"fipc.delay", serve_delay}, {"fipc.echo", serve_echo},   {"fipc.list", serve_list},
    {"fipc.ping", serve_ping},   {"fipc.stats", serve_stats},
};

const uint32_t builtin_count = sizeof(builtins) / sizeof(builtins[0]);
