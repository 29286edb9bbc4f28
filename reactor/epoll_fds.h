// SPDX-License-Identifier: Apache-2.0
//
// What the epoll backend knows of an fd: who waits on it, and what the kernel watches. A table from
// the OS's fd to its row, open-addressed; an fd that nobody waits on and the kernel does not watch
// has none.

#ifndef TINA_REACTOR_EPOLL_FDS_H
#define TINA_REACTOR_EPOLL_FDS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The op of a direction that waits for the kernel's word, by its row in the table of ops; 0: none.
typedef struct tina_epoll_fd {
    int32_t os_fd; // below 0: the row is free
    uint32_t read_op;
    uint32_t write_op;
    uint8_t armed;     // EPOLLIN, EPOLLOUT: what the kernel watches; 0: the fd is not registered
    uint8_t unclaimed; // of these, what was ready when no op waited for it
    bool is_file;      // one that epoll cannot watch
    bool is_shared;    // somebody else has its file open too, so that closing it ends no watch; its
                       // row stays until then
} tina_epoll_fd;

typedef struct tina_epoll_fds {
    tina_epoll_fd *rows;
    uint32_t mask;
    uint32_t count;
} tina_epoll_fds;

// tina_epoll_fds_rows returns how many rows hold fd_count fds with few collisions.
uint64_t tina_epoll_fds_rows(uint32_t fd_count);
void tina_epoll_fds_init(tina_epoll_fds *fds, tina_epoll_fd *rows, uint64_t row_count);

// tina_epoll_fds_find returns an fd's row, or NULL; tina_epoll_fds_add makes it when there is none.
// Both are valid until the next add or remove.
tina_epoll_fd *tina_epoll_fds_find(const tina_epoll_fds *fds, int32_t os_fd);
tina_epoll_fd *tina_epoll_fds_add(tina_epoll_fds *fds, int32_t os_fd);
void tina_epoll_fds_remove(tina_epoll_fds *fds, int32_t os_fd);

#ifdef __cplusplus
}
#endif

#endif
