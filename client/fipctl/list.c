/* SPDX-License-Identifier: MIT */
#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/output.h"
#include "client/fipctl/pages.h"
#include "client/fipctl/table.h"

#include <stdlib.h>

static const struct pages pages = {"fipc.list", "", "services"};

static const struct column columns[] = {
    {"NAME", "name", NULL, COLUMN_TEXT},
    {"KIND", "kind", NULL, COLUMN_TEXT},
    {"WORKERS", "workers", NULL, COLUMN_NUMBER},
    {"QUEUE", "queued", NULL, COLUMN_NUMBER},
    {"PATH", "path", NULL, COLUMN_TEXT},
    {"UID", "uids", NULL, COLUMN_NUMBER},
    {0},
};

int list_run(const struct invocation *invocation)
{
    fipc_client *client;
    json_t *services, *last = NULL;
    int status = broker_connect(invocation, &client);

    if (status != EXIT_SUCCESS)
        return status;
    services = json_array();
    status = pages_ask(invocation, client, &pages, services, &last);
    fipc_unref(client);
    if (status == EXIT_SUCCESS && invocation->settings.json)
        output_json(json_pack("{s:O}", "services", services));
    else if (status == EXIT_SUCCESS)
        table_print(columns, services);
    json_decref(last);
    json_decref(services);
    return status;
}
