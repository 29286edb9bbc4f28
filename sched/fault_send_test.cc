// SPDX-License-Identifier: Apache-2.0
//
// A fault while the kernel reads from the isolate's own memory: what the peer receives is the
// beginning of what that isolate sent, and never a byte of whoever has its slot next.

#include "sched/ctx.h"
#include "sched/spec.h"
#include "sched/system.h"
#include "sched/test_backend.h"
#include "supervise/faults.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

namespace {

constexpr size_t kBytes = 4 << 20; // far more than the sockets between the two hold
constexpr uint32_t kLives = 20;    // the last one sends nothing

std::atomic<uint32_t> place; // life 16 | port 16: a port may be given out twice
std::atomic<uint32_t> lives;

// Its bytes are all the number of its life.
struct Sender {
    tina_fd listener;
    tina_fd fd;
    uint8_t life;
    uint8_t bytes[kBytes];
};

tina_effect SenderInit(tina_ctx *ctx, void *self_, tina_bytes) {
    Sender *self = static_cast<Sender *>(self_);
    self->life = static_cast<uint8_t>(++lives);
    if (self->life == kLives) {
        tina_stop(ctx, 0);
        return tina_receive();
    }
    std::memset(self->bytes, self->life, kBytes);
    tina_address address = tina_address_ipv4(127, 0, 0, 1, 0);
    EXPECT_EQ(tina_listen(ctx, &address, 4, &self->listener), 0);
    EXPECT_EQ(tina_socket_local_address(ctx, self->listener, &address), 0);
    place = uint32_t{self->life} << 16 | address.port;
    return tina_io_accept(self->listener);
}

tina_effect SenderHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Sender *self = static_cast<Sender *>(self_);
    tina_io_id id;
    switch (m->tag) {
    case TINA_IO_ACCEPT_DONE:
        if (m->io.result < 0)
            return tina_receive();
        self->fd = m->io.fd;
        EXPECT_EQ(tina_submit(ctx, tina_op_send(self->fd, self->bytes, kBytes), &id), 0);
        tina_timer_set(ctx, 1000000, 0);
        return tina_receive();
    case TINA_TIMER: // the send cannot be over: nobody has read the rest
        if (self->life % 2)
            tina::FaultNull();
        tina::FaultOverflow();
        return tina_receive();
    case TINA_IO_SEND_DONE:
        ADD_FAILURE() << "sent " << m->io.bytes;
        return tina_receive();
    default:
        return tina_done();
    }
}

// Reads what a life has sent, once it is over: only then does the rest have anywhere to go.
void Peer() {
    for (uint32_t life = 1; life < kLives; life++) {
        while (place >> 16 != life)
            std::this_thread::yield();
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(place & 0xffff));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
        while (lives == life)
            std::this_thread::yield();
        uint8_t piece[65536];
        size_t total = 0, strange = 0;
        for (ssize_t got; (got = read(fd, piece, sizeof piece)) > 0;
             total += static_cast<size_t>(got))
            strange += static_cast<size_t>(got - std::count(piece, piece + got, life));
        EXPECT_EQ(strange, 0u) << life;
        EXPECT_GT(total, 0u) << life;
        EXPECT_LT(total, kBytes) << life;
        close(fd);
    }
}

TEST(FaultSend, WhatWasBeingSentStaysTheDeadOnes) {
    tina_isolate_type type = {};
    type.name = "sender";
    type.init = SenderInit;
    type.handle = SenderHandle;
    type.struct_bytes = sizeof(Sender);
    tina_type_slots types[] = {{&type, 1}};
    tina_child child = {};
    child.type = &type;
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = &child;
    spec.root.child_count = 1;
    spec.root.intensity = kLives;
    spec.backend = TestBackend();
    std::thread peer(Peer);
    EXPECT_EQ(tina_run(&spec), 0);
    peer.join();
    EXPECT_EQ(lives, kLives);
}

} // namespace
