// SPDX-License-Identifier: Apache-2.0

#include "reactor/epoll_fds.h"

#include <stddef.h>

#include "core/assert.h"
#include "core/bits.h"

// The OS gives the lowest free number, so fds are dense and their own good hash.
static uint32_t home_of(const tina_epoll_fds *fds, int32_t os_fd) {
    return (uint32_t)os_fd & fds->mask;
}

// The fd's row, or the free one that ends its probe; half of the rows are always free.
static tina_epoll_fd *probe(const tina_epoll_fds *fds, int32_t os_fd) {
    TINA_ASSERT(os_fd >= 0);
    uint32_t at = home_of(fds, os_fd);
    while (fds->rows[at].os_fd >= 0 && fds->rows[at].os_fd != os_fd) {
        at = (at + 1) & fds->mask;
    }
    return &fds->rows[at];
}

tina_epoll_fd *tina_epoll_fds_find(const tina_epoll_fds *fds, int32_t os_fd) {
    tina_epoll_fd *row = probe(fds, os_fd);
    return row->os_fd == os_fd ? row : NULL;
}

tina_epoll_fd *tina_epoll_fds_add(tina_epoll_fds *fds, int32_t os_fd) {
    tina_epoll_fd *row = probe(fds, os_fd);
    if (row->os_fd != os_fd) {
        TINA_ASSERT(fds->count <= fds->mask / 2);
        fds->count++;
        *row = (tina_epoll_fd){.os_fd = os_fd};
    }
    return row;
}

// Rows behind the hole move up, unless they would come before their home.
void tina_epoll_fds_remove(tina_epoll_fds *fds, int32_t os_fd) {
    tina_epoll_fd *row = probe(fds, os_fd);
    if (row->os_fd != os_fd) {
        return;
    }
    fds->count--;
    uint32_t hole = (uint32_t)(row - fds->rows);
    for (uint32_t at = (hole + 1) & fds->mask; fds->rows[at].os_fd >= 0;
         at = (at + 1) & fds->mask) {
        uint32_t distance = (at - home_of(fds, fds->rows[at].os_fd)) & fds->mask;
        if (distance >= ((at - hole) & fds->mask)) {
            fds->rows[hole] = fds->rows[at];
            hole = at;
        }
    }
    fds->rows[hole] = (tina_epoll_fd){.os_fd = -1};
}

uint64_t tina_epoll_fds_rows(uint32_t fd_count) {
    return tina_round_up_pow2(2 * ((uint64_t)fd_count + 1));
}

void tina_epoll_fds_init(tina_epoll_fds *fds, tina_epoll_fd *rows, uint64_t row_count) {
    TINA_ASSERT(tina_is_power_of_two(row_count));
    *fds = (tina_epoll_fds){.rows = rows, .mask = (uint32_t)(row_count - 1)};
    for (uint64_t i = 0; i < row_count; i++) {
        rows[i] = (tina_epoll_fd){.os_fd = -1};
    }
}
