// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // statx

#include "reactor/os_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

// O_NONBLOCK, so that a FIFO is opened without its other end; a regular file does not know it.
int tina_os_open_flags(uint32_t how) {
    static const int access[] = {O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR};
    int flags = access[how & (TINA_OPEN_READ | TINA_OPEN_WRITE)];
    flags |= O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    flags |= (how & TINA_OPEN_CREATE) != 0 ? O_CREAT : 0;
    flags |= (how & TINA_OPEN_EXCLUSIVE) != 0 ? O_EXCL : 0;
    flags |= (how & TINA_OPEN_TRUNCATE) != 0 ? O_TRUNC : 0;
    flags |= (how & TINA_OPEN_APPEND) != 0 ? O_APPEND : 0;
    flags |= (how & TINA_OPEN_DIRECTORY) != 0 ? O_DIRECTORY : 0;
    return flags;
}

struct open_how *tina_os_open_no_links(void) {
    static struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                                  .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return &how;
}

uint32_t tina_os_stat_mask(void) {
    return STATX_TYPE | STATX_MODE | STATX_SIZE | STATX_MTIME | STATX_INO;
}

static uint32_t kind_of(uint32_t mode) {
    return S_ISREG(mode)   ? TINA_FILE_REGULAR
           : S_ISDIR(mode) ? TINA_FILE_DIRECTORY
                           : TINA_FILE_OTHER;
}

void tina_os_stat_from(const struct statx *answer, tina_file_stat *stat) {
    const struct statx_timestamp *modified = &answer->stx_mtime;
    uint64_t seconds = modified->tv_sec > 0 ? (uint64_t)modified->tv_sec : 0;
    *stat = (tina_file_stat){
        .bytes = answer->stx_size,
        .modified_ns = modified->tv_sec < 0 ? 0 : seconds * 1000000000u + modified->tv_nsec,
        .device = makedev(answer->stx_dev_major, answer->stx_dev_minor),
        .inode = answer->stx_ino,
        .kind = kind_of(answer->stx_mode),
        .permissions = answer->stx_mode & 07777,
    };
}
