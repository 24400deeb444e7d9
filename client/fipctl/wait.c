/* SPDX-License-Identifier: MIT */
#include "client/fipctl/broker.h"
#include "client/fipctl/command.h"
#include "client/fipctl/options.h"
#include "client/fipctl/output.h"

#include <stdlib.h>

int wait_run(const struct invocation *invocation)
{
    const char *name = invocation->arguments[0];
    fipc_client *client;
    int status = options_check_name(invocation, name);

    if (status != OPTIONS_GO_ON)
        return status;
    status = broker_connect(invocation, &client);
    if (status != EXIT_SUCCESS)
        return status;
    status = broker_wait_served(invocation, client, name);
    fipc_unref(client);
    if (status == EXIT_SUCCESS && invocation->settings.json)
        output_json(json_pack("{s:s}", "service", name));
    return status;
}
