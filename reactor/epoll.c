// SPDX-License-Identifier: Apache-2.0
//
// The backend's memory and its kernel objects.

#define _GNU_SOURCE // epoll_pwait2, statx

#include "reactor/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/bits.h"
#include "core/format.h"
#include "reactor/epoll_state.h"
#include "reactor/os_file.h"

static int create_call(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int event_fd_call(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int wait_call(int epoll_fd, struct epoll_event *events, int count, uint64_t timeout_ns) {
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000u),
                               (long)(timeout_ns % 1000000000u)};
    int result =
        epoll_pwait2(epoll_fd, events, count, timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
    return result < 0 ? -errno : result;
}

static tina_reactor_epoll_options options_of(const tina_reactor_config *config) {
    tina_reactor_epoll_options options = {0};
    if (config->backend_options != NULL) {
        memcpy(&options, config->backend_options, sizeof options);
    }
    if (options.poll_interval_ns == 0) {
        options.poll_interval_ns = TINA_EPOLL_POLL_INTERVAL_NS;
    }
    if (options.event_count == 0) {
        options.event_count =
            config->fd_count < EPOLL_EVENTS_MAX ? config->fd_count : EPOLL_EVENTS_MAX;
    }
    options.create = options.create != NULL ? options.create : create_call;
    options.event_fd = options.event_fd != NULL ? options.event_fd : event_fd_call;
    options.wait = options.wait != NULL ? options.wait : wait_call;
    return options;
}

static void *carve(uint8_t *base, uint64_t *end, uint64_t bytes) {
    void *part = base == NULL ? NULL : base + *end;
    *end = tina_align_up(*end + bytes, TINA_CACHE_LINE_BYTES);
    return part;
}

// With base NULL, only counts.
static uint64_t epoll_carve(const tina_reactor_config *config, uint8_t *base) {
    tina_reactor_epoll_options options = options_of(config);
    uint64_t result_count = tina_round_up_pow2((uint64_t)config->op_count + EPOLL_MORE_MAX);
    // What is opened may be here before the front has, or refuses, a row for it.
    uint64_t row_count = tina_epoll_fds_rows(config->fd_count + config->path_count);
    uint64_t end = 0;
    epoll_state *e = carve(base, &end, sizeof *e);
    epoll_op *ops = carve(base, &end, ((uint64_t)config->op_count + 1) * sizeof *ops);
    tina_epoll_fd *rows = carve(base, &end, row_count * sizeof *rows);
    tina_backend_result *results = carve(base, &end, result_count * sizeof *results);
    uint16_t *lent = carve(base, &end, config->buffer_count * sizeof *lent);
    struct epoll_event *events = carve(base, &end, options.event_count * sizeof *events);
    epoll_sender *senders = carve(base, &end, (uint64_t)config->address_count * sizeof *senders);
    struct statx *stats = carve(base, &end, (uint64_t)config->path_count * sizeof *stats);
    if (base != NULL) {
        memset(e, 0, sizeof *e);
        e->op_count = config->op_count;
        e->ops = ops;
        e->results = results;
        e->result_mask = (uint32_t)(result_count - 1);
        e->lent = lent;
        e->events = events;
        e->senders = senders;
        e->stats = stats;
        e->options = options;
        memset(ops, 0, ((uint64_t)config->op_count + 1) * sizeof *ops);
        tina_epoll_fds_init(&e->fds, rows, row_count);
    }
    return end;
}

static uint64_t epoll_memory_bytes(const tina_reactor_config *config) {
    return epoll_carve(config, NULL);
}

static int kernel_open(epoll_state *e) {
    e->event_fd = e->options.event_fd();
    if (e->event_fd < 0) {
        return e->event_fd;
    }
    e->epoll_fd = e->options.create();
    int failed = e->epoll_fd < 0 ? e->epoll_fd : 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.u64 = EPOLL_WAKE_DATA}};
    if (failed == 0 && epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->event_fd, &event) < 0) {
        failed = -errno;
        (void)close(e->epoll_fd);
    }
    if (failed == 0) {
        failed = tina_epoll_files_open(&e->files, tina_epoll_wake, e);
        if (failed != 0) {
            (void)close(e->epoll_fd);
        }
    }
    if (failed != 0) {
        (void)close(e->event_fd);
    }
    return failed;
}

static int epoll_open(void *self, const tina_reactor_config *config,
                      const tina_backend_buffers *buffers, char *error_text,
                      size_t error_text_bytes) {
    epoll_state *e = self;
    (void)epoll_carve(config, self);
    e->buffers = *buffers;
    for (uint32_t buffer = buffers->count; buffer > 0; buffer--) {
        e->lent[e->lent_count++] = (uint16_t)(buffer - 1);
    }
    int failed = kernel_open(e);
    if (failed != 0) {
        const char *remedy = failed == -EMFILE   ? "; raise RLIMIT_NOFILE (ulimit -n)"
                             : failed == -ENFILE ? "; raise the sysctl fs.file-max"
                             : failed == -EAGAIN
                                 ? "; raise RLIMIT_NPROC (ulimit -u), the number of threads"
                                 : "";
        (void)tina_format(error_text, error_text_bytes, "an epoll could not be set up: %s%s",
                          tina_io_error_text(failed), remedy);
    }
    return failed;
}

static void epoll_close(void *self) {
    epoll_state *e = self;
    tina_epoll_files_close(&e->files);
    (void)close(e->epoll_fd);
    (void)close(e->event_fd);
}

static uint8_t epoll_sender_of(void *self, uint32_t place, tina_address *address) {
    const epoll_state *e = self;
    const epoll_sender *sender = &e->senders[place];
    tina_os_address_from(&sender->address, sender->bytes, address);
    return sender->cut ? TINA_IO_TRUNCATED : 0;
}

static void epoll_stat_of(void *self, uint32_t place, tina_file_stat *stat) {
    const epoll_state *e = self;
    tina_os_stat_from(&e->stats[place], stat);
}

void *tina_epoll_stat_place(const epoll_state *e, uint32_t place) {
    return &e->stats[place];
}

static int epoll_socket(void *self, tina_address_family family, tina_socket_kind kind) {
    int os_fd = tina_os_socket(self, family, kind);
    if (os_fd >= 0 && fcntl(os_fd, F_SETFL, O_NONBLOCK) < 0) {
        int failed = -errno;
        (void)close(os_fd);
        return failed;
    }
    return os_fd;
}

static int epoll_adopt(void *self, int os_fd) {
    epoll_state *e = self;
    int own = tina_os_adopt(os_fd, false);
    if (own >= 0) {
        tina_epoll_fds_add(&e->fds, own)->is_shared = true;
    }
    return own;
}

static void epoll_close_now(void *self, int os_fd) {
    epoll_state *e = self;
    tina_epoll_forget(e, os_fd);
    tina_os_close_now(self, os_fd);
}

static void epoll_let_go(void *self, int os_fd) {
    epoll_state *e = self;
    const tina_epoll_fd *row = tina_epoll_fds_find(&e->fds, os_fd);
    if (row != NULL && row->armed != 0) {
        (void)epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, os_fd, NULL);
    }
    tina_epoll_fds_remove(&e->fds, os_fd);
}

const tina_reactor_backend tina_reactor_epoll = {
    .name = "epoll",
    .memory_bytes = epoll_memory_bytes,
    .open = epoll_open,
    .close = epoll_close,
    .stage = tina_epoll_stage,
    .reap = tina_epoll_reap,
    .wait = tina_epoll_wait,
    .wake = tina_epoll_wake,
    .give_buffers = tina_epoll_give_buffers,
    .sender = epoll_sender_of,
    .stat = epoll_stat_of,
    .socket = epoll_socket,
    .adopt = epoll_adopt,
    .bind = tina_os_bind,
    .listen = tina_os_listen,
    .set_option = tina_os_set_option,
    .shutdown = tina_os_shutdown,
    .local_address = tina_os_local_address,
    .peer_address = tina_os_peer_address,
    .close_now = epoll_close_now,
    .let_go = epoll_let_go,
};
