// SPDX-License-Identifier: Apache-2.0

#include "sched/stderr_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/format.h"

void tina_stderr_sink_open(tina_stderr_sink *sink, int fd) {
    *sink = (tina_stderr_sink){.fd = fd};
    struct stat status;
    if (fstat(fd, &status) != 0)
        return;
    if (S_ISSOCK(status.st_mode)) {
        sink->socket = true;
        return;
    }
    if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
        return;
    char path[32];
    tina_format(path, sizeof path, "/proc/self/fd/%d", fd);
    int reopened = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (reopened < 0)
        return;
    sink->fd = reopened;
    sink->own = true;
}

void tina_stderr_sink_close(tina_stderr_sink *sink) {
    if (sink->own)
        close(sink->fd);
    *sink = (tina_stderr_sink){.fd = -1};
}

size_t tina_stderr_sink_write(void *where, const char *text, size_t bytes) {
    const tina_stderr_sink *sink = where;
    ssize_t written = sink->socket ? send(sink->fd, text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
                                   : write(sink->fd, text, bytes);
    if (written >= 0)
        return (size_t)written;
    return errno == EAGAIN || errno == EINTR ? 0 : bytes;
}
