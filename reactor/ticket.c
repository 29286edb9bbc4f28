// SPDX-License-Identifier: Apache-2.0
//
// An fd on its way from one reactor to another: in no table, and nobody's, until it is imported or
// dropped.

#include "reactor/table.h"

int32_t tina_reactor_export(tina_reactor *reactor, tina_reactor_owner *owner, tina_fd name,
                            tina_fd_ticket *ticket) {
    int32_t refusal = tina_reactor_movable(reactor, owner, name);
    if (refusal != 0) {
        return refusal;
    }
    uint32_t index = fd_index(name.bits);
    *ticket = (tina_fd_ticket){.os_fd = reactor->fds[index].os_fd,
                               .rights = tina_fds_rights(reactor, name)};
    if (reactor->backend->let_go != NULL) {
        reactor->backend->let_go(reactor->self, ticket->os_fd);
    }
    tina_fds_unlink(reactor, index);
    tina_fds_give(reactor, index);
    return 0;
}

bool tina_reactor_import(tina_reactor *reactor, tina_reactor_owner *owner,
                         const tina_fd_ticket *ticket, tina_fd *fd) {
    TINA_ASSERT(!owner->released);
    uint32_t index = tina_fds_take(reactor, ticket->os_fd);
    if (index == 0) {
        return false;
    }
    *fd = tina_fds_own(reactor, index, owner, ticket->rights);
    return true;
}

void tina_reactor_drop(tina_reactor *reactor, const tina_fd_ticket *ticket) {
    reactor->backend->close_now(reactor->self, ticket->os_fd);
    reactor->counters.tickets_dropped++;
}
