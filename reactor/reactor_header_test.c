// SPDX-License-Identifier: Apache-2.0
//
// The public headers as C17 sees them; the other tests include them from C++.

#include "reactor/backend.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/scripted.h"
#include "reactor/uring.h"

_Static_assert(sizeof(tina_io_op) == 40, "an op is a value");
_Static_assert(sizeof(tina_io_completion) == 32, "a completion is a value");
_Static_assert(sizeof(tina_backend_result) == 16, "four results a line");

int main(void) {
    tina_io_op op = tina_op_within(tina_op_recv(tina_fd_none(), 1), 2);
    tina_address address = tina_address_ipv4(127, 0, 0, 1, 80);
    tina_io_op connect = tina_op_connect(tina_fd_none(), &address);
    return op.timeout_ns == 2 && connect.data == &address && tina_fd_is_none(op.fd) &&
                   tina_op_accept(op.fd).kind == TINA_OP_ACCEPT &&
                   tina_op_close(op.fd).kind == TINA_OP_CLOSE &&
                   tina_op_send(op.fd, "", 1).kind == TINA_OP_SEND
               ? 0
               : 1;
}
