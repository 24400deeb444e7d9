/* SPDX-License-Identifier: MIT */
#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/failure.h"
#include "client/fipctl/output.h"
#include "client/fipctl/table.h"

#include <stdlib.h>

#define SERVICE "fipc.list"

static const struct column columns[] = {
    {"NAME", "name", NULL, COLUMN_TEXT},
    {"KIND", "kind", NULL, COLUMN_TEXT},
    {0},
};

int list_run(const struct invocation *invocation)
{
    json_t *answer;
    int status = broker_ask(invocation, NULL, SERVICE, "", &answer);

    if (status != EXIT_SUCCESS)
        return status;
    if (!json_is_array(json_object_get(answer, "services"))) {
        failure_of_reply(invocation, SERVICE, "the reply has no list of services");
        status = EXIT_CALL_FAILED;
    } else if (invocation->settings.json) {
        output_json(json_incref(answer));
    } else {
        table_print(columns, json_object_get(answer, "services"));
    }
    json_decref(answer);
    return status;
}
