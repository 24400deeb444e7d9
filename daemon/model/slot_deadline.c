/* SPDX-License-Identifier: MIT */
#include "daemon/model/slot_deadline.h"

#include "common/clock.h"
#include "daemon/config/config.h"
#include "daemon/model/slot.h"

uint64_t slot_deadline_ns(const struct config *config, const struct slot *slot,
                          enum fipc_reason *ret_reason)
{
    uint64_t from_ns, span_ms;

    if (slot->is_welcome_due)
        return FIPC_NEVER; /* it waits for us, as long as it likes */
    if (slot->state == SLOT_GREETING || slot->state == SLOT_WELCOMED ||
        (slot->state == SLOT_OPEN && slot->active_ns == 0)) {
        *ret_reason = FIPC_REASON_NO_REQUEST;
        from_ns = slot->taken_ns;
        span_ms = config->timeouts.doorbell_ms;
    } else if (slot->blocked_ns != 0) {
        *ret_reason = FIPC_REASON_NOT_DRAINED;
        from_ns = slot->blocked_ns;
        span_ms = config->timeouts.handler_ms;
    } else if (slot->state == SLOT_OPEN && slot_n_live(slot) == 0 && slot->n_workers == 0 &&
               config->timeouts.idle_ms > 0) {
        *ret_reason = FIPC_REASON_IDLE;
        from_ns = slot->active_ns;
        span_ms = config->timeouts.idle_ms;
    } else {
        return FIPC_NEVER;
    }
    return fipc_deadline_after(from_ns, span_ms * FIPC_NS_PER_MS);
}

uint64_t slot_next_look_ns(const struct config *config, const struct slot *slot, uint64_t now_ns)
{
    enum fipc_reason reason;
    uint64_t deadline_ns = slot_deadline_ns(config, slot, &reason);
    uint64_t longest_ns = config->timeouts.handler_ms * FIPC_NS_PER_MS;
    uint64_t span_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

    if (slot->is_filling && !slot->is_welcome_due)
        return now_ns;
    if (config->timeouts.idle_ms > 0 && longest_ns > config->timeouts.idle_ms * FIPC_NS_PER_MS)
        longest_ns = config->timeouts.idle_ms * FIPC_NS_PER_MS;
    if (span_ns > longest_ns)
        span_ns = longest_ns;
    if (slot->bell_after_ns > now_ns && slot->bell_after_ns - now_ns < span_ns)
        span_ns = slot->bell_after_ns - now_ns;
    return now_ns + span_ns + FIPC_NS_PER_MS;
}
