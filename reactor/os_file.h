// SPDX-License-Identifier: Apache-2.0
//
// Files of this machine, for backends: our words in the kernel's.

#ifndef TINA_REACTOR_OS_FILE_H
#define TINA_REACTOR_OS_FILE_H

#include <stdint.h>

#include "reactor/file.h"

struct open_how;
struct statx;

// tina_os_open_flags returns open(2)'s flags for TINA_OPEN_...
int tina_os_open_flags(uint32_t how);

// tina_os_open_no_links returns openat2(2)'s argument for TINA_OPEN_READ and TINA_OPEN_NO_LINKS,
// static.
struct open_how *tina_os_open_no_links(void);

// tina_os_stat_mask returns what to ask statx(2) for; tina_os_stat_from what it answered.
uint32_t tina_os_stat_mask(void);
void tina_os_stat_from(const struct statx *answer, tina_file_stat *stat);

#endif
