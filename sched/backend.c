// SPDX-License-Identifier: Apache-2.0

#include "sched/backend.h"

#include <errno.h>

#include "core/format.h"
#include "reactor/epoll.h"
#include "reactor/uring.h"

// What no setting of this program's own would cure. A lack of memory or of file descriptors is told
// by the ring itself when it opens.
static const char *refusal_of(int error) {
    switch (-error) {
    case ENOSYS:
        return "io_uring is not in this kernel (ENOSYS)";
    case EPERM:
        return "io_uring is forbidden here (EPERM; by seccomp or the sysctl "
               "kernel.io_uring_disabled)";
    case EACCES:
        return "io_uring is forbidden here (EACCES)";
    case EINVAL:
    case EOPNOTSUPP:
        return "this kernel's io_uring is too old (before Linux 5.19)";
    default:
        return NULL;
    }
}

const tina_reactor_backend *tina_backend_choose(tina_backend wanted,
                                                char notice[TINA_SENTENCE_BYTES]) {
    notice[0] = '\0';
    const char *refusal = NULL;
    if (wanted == TINA_BACKEND_AUTO)
        refusal = refusal_of(tina_reactor_uring_probe(NULL));
    if (refusal)
        tina_format(notice, TINA_SENTENCE_BYTES, "%s; running on epoll", refusal);
    return wanted == TINA_BACKEND_EPOLL || refusal ? &tina_reactor_epoll : &tina_reactor_uring;
}
