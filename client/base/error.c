/* SPDX-License-Identifier: MIT */
#include <fipc/client.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

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
    case ENOMEM:
        return "no memory";
    case ECHILD:
        return "used after fork";
    default:
        text = strerrordesc_np(error < 0 && error != INT_MIN ? -error : error);
        return text != NULL ? text : "unknown error";
    }
}
