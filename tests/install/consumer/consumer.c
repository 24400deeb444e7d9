/* SPDX-License-Identifier: MIT */
/* A program outside the tree, in the words that C99, C11 and C++ share: prints what fipc.echo
 * answers. */
#include <fipc/client.h>

#include <stdio.h>

int main(void)
{
    static const char request[] = "hello from outside";
    fipc_client *client;
    fipc_message *reply;
    int r;

    r = fipc_connect(&client, NULL);
    if (r < 0) {
        (void)fprintf(stderr, "connect: %s\n", fipc_strerror(r));
        return 1;
    }
    r = fipc_call(client, "fipc.echo", request, sizeof(request) - 1, 0, 5000, &reply);
    fipc_unref(client);
    if (r < 0) {
        (void)fprintf(stderr, "call: %s\n", fipc_strerror(r));
        return 1;
    }
    (void)printf("%.*s\n", (int)fipc_size(reply), (const char *)fipc_data(reply));
    fipc_free(reply);
    return 0;
}
