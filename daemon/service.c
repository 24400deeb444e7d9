/* SPDX-License-Identifier: MIT */
#include "daemon/service.h"

#include "daemon/answer.h"
#include "daemon/builtin.h"
#include "daemon/handler.h"

#include <errno.h>
#include <string.h>

const struct service *service_of_target(uint32_t target)
{
    return target != SERVICE_NONE && target <= builtin_count ? &builtins[target - 1] : NULL;
}

uint32_t service_target(const void *name, size_t name_bytes)
{
    for (uint32_t i = 0; i < builtin_count; i++) {
        if (strlen(builtins[i].name) == name_bytes &&
            memcmp(builtins[i].name, name, name_bytes) == 0)
            return i + 1;
    }
    return SERVICE_NONE;
}

void service_run(struct broker *broker, struct handler *handler, const struct service *service,
                 const void *payload, size_t size)
{
    if (service == NULL) {
        answer_error(broker, handler, -ENOENT);
        return;
    }
    answer_set_state(broker, handler, HANDLER_ROUTED);
    answer_set_state(broker, handler, HANDLER_RUNNING);
    service->serve(broker, handler, payload, size);
}
