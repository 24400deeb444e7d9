/* SPDX-License-Identifier: MIT */
#include "client/base/error.h"

#include "common/control.h"

#include <errno.h>
#include <fipc/client.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define VERSIONS_BYTES 112

/* Of the last broker of another version that this thread has met; 0: of none. */
static _Thread_local unsigned brokers_version;
static _Thread_local char versions[VERSIONS_BYTES];

int fipc_error_of_version(unsigned version)
{
    brokers_version = version != FIPC_CONTROL_VERSION ? version : 0;
    return -EPROTONOSUPPORT;
}

static const char *text_of_versions(void)
{
    if (brokers_version == 0)
        (void)snprintf(versions, sizeof(versions),
                       "the broker speaks another version of the protocol than this library, which "
                       "speaks %u",
                       FIPC_CONTROL_VERSION);
    else
        (void)snprintf(versions, sizeof(versions),
                       "the broker speaks version %u of the protocol, this library version %u",
                       brokers_version, FIPC_CONTROL_VERSION);
    return versions;
}

FIPC_PUBLIC const char *fipc_strerror(int error)
{
    const char *text;

    switch (error < 0 && error != INT_MIN ? -error : error) {
    case 0:
        return "success";
    case EINVAL:
        return "invalid argument";
    case ENOENT:
        return "no such service";
    case EACCES:
        return "not allowed";
    case ETIMEDOUT:
        return "no reply in time";
    case EAGAIN:
        return "no room now";
    case EDQUOT:
        return "over the quota";
    case EMSGSIZE:
        return "message too large";
    case EEXIST:
        return "served already by this client";
    case ECONNREFUSED:
        return "no broker";
    case ECONNRESET:
        return "connection lost, the outcome is unknown";
    case ECANCELED:
        return "cancelled";
    case EPROTO:
        return "protocol violated";
    case EPROTONOSUPPORT:
        return text_of_versions();
    case ENOMEM:
        return "no memory";
    case ECHILD:
        return "used after fork";
    default:
        text = strerrordesc_np(error < 0 && error != INT_MIN ? -error : error);
        return text != NULL ? text : "unknown error";
    }
}
