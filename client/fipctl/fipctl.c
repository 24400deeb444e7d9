/* SPDX-License-Identifier: MIT */
#include "client/fipctl/command.h"
#include "client/fipctl/options.h"
#include "client/fipctl/output.h"

int main(int argc, char **argv)
{
    struct invocation invocation;
    int status;

    output_init();
    status = options_parse(&invocation, &fipctl_program, argc, argv);
    if (status == OPTIONS_GO_ON)
        status = invocation.command->run(&invocation);
    return output_finish(status);
}
