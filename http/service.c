// SPDX-License-Identifier: Apache-2.0
#include "http/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/format.h"

#define FIRST_FD 3 // SD_LISTEN_FDS_START

static bool listen_read(http_service *service, char *sentence);
static bool number_read(const char *text, uint32_t *number);
static const char *listen_fault(int fd);
static bool notify_open(http_service *service, char *sentence);

bool http_service_open(http_service *service, char sentence[TINA_SENTENCE_BYTES]) {
    *service = (http_service){.notify_fd = -1};
    bool opened = listen_read(service, sentence) && notify_open(service, sentence);
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
                                        "NOTIFY_SOCKET"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    return opened;
}

bool http_service_tell(const http_service *service, const char *state) {
    if (service->notify_fd < 0)
        return true;
    return send(service->notify_fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void http_service_close(http_service *service) {
    if (service->notify_fd >= 0)
        close(service->notify_fd);
    service->notify_fd = -1;
}

// Without LISTEN_PID, or with another process's, nothing was passed to this one.
static bool listen_read(http_service *service, char *sentence) {
    const char *pid_text = getenv("LISTEN_PID");
    const char *count_text = getenv("LISTEN_FDS");
    uint32_t pid = 0;
    uint32_t count = 0;
    if (pid_text == NULL || count_text == NULL)
        return true;
    if (!number_read(pid_text, &pid) || !number_read(count_text, &count)) {
        tina_format(sentence, TINA_SENTENCE_BYTES,
                    "LISTEN_PID is %.40s and LISTEN_FDS %.40s, but numbers are needed; unset them",
                    pid_text, count_text);
        return false;
    }
    if (pid != (uint32_t)getpid() || count == 0)
        return true;
    const char *fault = count > 1 ? "is not the only socket, and this server listens on one"
                                  : listen_fault(FIRST_FD);
    if (fault == NULL) {
        service->listen_fd = FIRST_FD;
        return true;
    }
    tina_format(sentence, TINA_SENTENCE_BYTES,
                "fd %d, passed by LISTEN_FDS=%u, %s; pass one listening stream socket", FIRST_FD,
                count, fault);
    return false;
}

static bool number_read(const char *text, uint32_t *number) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] != '\0')
        return false;
    for (*number = 0; *text != '\0'; text++)
        *number = *number * 10 + (uint32_t)(*text - '0');
    return true;
}

static int option_get(int fd, int option) {
    int value = 0;
    socklen_t bytes = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &bytes) == 0 ? value : -errno;
}

static const char *listen_fault(int fd) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return "is not open";
    int family = option_get(fd, SO_DOMAIN);
    if (family == -ENOTSOCK)
        return "is no socket";
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return "is neither a TCP nor a Unix socket";
    if (option_get(fd, SO_TYPE) != SOCK_STREAM)
        return "is no stream socket";
    return option_get(fd, SO_ACCEPTCONN) == 1 ? NULL : "does not listen";
}

// A path, or with "@" a name in Linux's own space of names.
static bool notify_open(http_service *service, char *sentence) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL)
        return true;
    size_t bytes = strlen(path);
    bool fits = bytes > 1 && bytes < sizeof address.sun_path && (path[0] == '/' || path[0] == '@');
    if (fits) {
        memcpy(address.sun_path, path, bytes);
        address.sun_path[0] = path[0] == '@' ? '\0' : '/';
        service->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
    if (service->notify_fd >= 0 &&
        connect(service->notify_fd, (const struct sockaddr *)&address, length) == 0)
        return true;
    tina_format(sentence, TINA_SENTENCE_BYTES, "NOTIFY_SOCKET is %.80s, but %s; unset it", path,
                fits ? tina_io_error_text(-errno) : "a socket's path or @name is needed");
    http_service_close(service);
    return false;
}
