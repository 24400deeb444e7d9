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
#define STATS_PAYLOAD_MAX 32

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
    /* the round may have begun long before the request came: never too early */
    due_ns = fipc_deadline_after(core_look_at_clock(core), ms * FIPC_NS_PER_MS);
    core_set_handler_deadline(
        core, handler, due_ns < handler->deadline_ns ? due_ns : handler->deadline_ns, delay_over);
}

/* To make one takes long, and is the last thing in its slot's turn. It began at @began_ns. */
static void reply_with_report(struct core *core, struct handler *handler, uint64_t began_ns,
                              char *report)
{
    core_end_act(core, ACT_REPORT, began_ns);
    core->is_slice_over = true;
    if (report == NULL)
        reply_error(core, handler, -ENOMEM);
    else
        reply_data(core, handler, report, strlen(report));
    free(report);
}

/* A page of the services: of the first ones, or from number N on. */
static void serve_list(struct core *core, struct handler *handler, const void *payload, size_t size)
{
    uint64_t began_ns = core_begin_act(core);
    uint32_t first = 0;

    if (size > 0 && parse_number(payload, size, &first) < 0)
        reply_error(core, handler, -EINVAL);
    else
        reply_with_report(core, handler, began_ns,
                          report_services(core, first, reply_bytes_max(core, handler)));
}

/* Nothing asks for the totals; "slots N" for the taken slots from number N on, as many as a reply
 * holds. */
static void serve_stats(struct core *core, struct handler *handler, const void *payload,
                        size_t size)
{
    static const char slots_from[] = "slots ";
    const size_t prefix = sizeof(slots_from) - 1;
    uint64_t began_ns = core_begin_act(core);
    char question[STATS_PAYLOAD_MAX];
    uint32_t first;

    if (size == 0) {
        reply_with_report(core, handler, began_ns, report_stats(core));
        return;
    }
    if (size > sizeof(question)) {
        reply_error(core, handler, -EINVAL);
        return;
    }
    memcpy(question, payload, size);
    if (size <= prefix || memcmp(question, slots_from, prefix) != 0 ||
        parse_number(question + prefix, size - prefix, &first) < 0)
        reply_error(core, handler, -EINVAL);
    else
        reply_with_report(core, handler, began_ns,
                          report_slots(core, first, reply_bytes_max(core, handler)));
}

const struct builtin builtins[] = {
    {"fipc.delay", serve_delay}, {"fipc.echo", serve_echo},   {"fipc.list", serve_list},
    {"fipc.ping", serve_ping},   {"fipc.stats", serve_stats},
};

const uint32_t builtin_count = sizeof(builtins) / sizeof(builtins[0]);
