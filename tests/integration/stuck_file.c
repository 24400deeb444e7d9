/* SPDX-License-Identifier: MIT */
#include "tests/integration/stuck_file.h"

#include "common/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Its only file is its root. */
#define ROOT_MODE (S_IFREG | 0666)
#define REQUEST_BYTES_MAX (FUSE_MIN_READ_BUFFER + 4096)

/* Answers one request as far as it has to for the file to be opened. */
static void answer(int device_fd, const struct fuse_in_header *request)
{
    struct {
        struct fuse_out_header header;
        union {
            struct fuse_init_out init;
            struct fuse_open_out open;
            struct fuse_attr_out attributes;
        };
    } reply = {.header = {.unique = request->unique, .len = sizeof(reply.header)}};

    switch (request->opcode) {
    case FUSE_INIT:
        reply.init = (struct fuse_init_out){
            .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096};
        reply.header.len += (uint32_t)sizeof(reply.init);
        break;
    case FUSE_OPEN:
        reply.header.len += (uint32_t)sizeof(reply.open);
        break;
    case FUSE_GETATTR:
        reply.attributes.attr = (struct fuse_attr){.ino = 1, .mode = ROOT_MODE, .nlink = 1};
        reply.header.len += (uint32_t)sizeof(reply.attributes);
        break;
    case FUSE_FLUSH: /* which close(2) waits for */
        return;
    default:
        reply.header.error = -ENOSYS;
        break;
    }
    (void)!write(device_fd, &reply, reply.header.len);
}

static void serve(int device_fd)
{
    static union {
        struct fuse_in_header header;
        char bytes[REQUEST_BYTES_MAX];
    } request;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(device_fd, &request, sizeof(request)) > 0 || errno == EINTR || errno == ENOENT)
        answer(device_fd, &request.header);
    _exit(0);
}

static bool mount_at(const char *path, int device_fd)
{
    char options[128];

    (void)snprintf(options, sizeof(options), "fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other",
                   device_fd, (unsigned)ROOT_MODE);
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0 &&
           mount("stuck", path, "fuse.stuck", 0, options) == 0;
}

bool stuck_file_open(struct stuck_file *file)
{
    FIPC_CLEANUP(fd_closep) int device_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    char path[] = "/tmp/fipc-stuck-XXXXXX";
    bool mounted;

    *file = (struct stuck_file){.fd = -1};
    if (device_fd < 0)
        return false;
    (void)fd_close(mkostemp(path, O_CLOEXEC));
    mounted = mount_at(path, device_fd);
    if (mounted) {
        file->server = fork();
        if (file->server == 0)
            serve(device_fd);
        file->fd = open(path, O_RDONLY | O_CLOEXEC);
        (void)umount2(path, MNT_DETACH);
    }
    (void)unlink(path);
    return file->fd >= 0;
}

void stuck_file_close(struct stuck_file *file)
{
    if (file->server > 0) {
        (void)kill(file->server, SIGKILL);
        (void)waitpid(file->server, NULL, 0);
    }
    file->fd = fd_close(file->fd);
    file->server = 0;
}
