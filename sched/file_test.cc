// SPDX-License-Identifier: Apache-2.0
//
// Files and datagrams as effects: what a handler is given, and where its memory may lie.

#include "sched/harness.h"
#include "sched/puppet.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace {

using tina::Harness;
using tina::Play;
using tina::Script;

constexpr uint64_t kMillisecond = 1000000;
constexpr uint32_t kNew = TINA_OPEN_READ | TINA_OPEN_WRITE | TINA_OPEN_CREATE;

void ExpectNothingLeft(Harness &h) {
    EXPECT_EQ(h.counters().isolates_in_use, 0u);
    EXPECT_EQ(h.counters().isolates_draining, 0u);
    EXPECT_EQ(h.counters().timers_in_use, 0u);
    EXPECT_EQ(h.io().fds_in_use, 0u);
    EXPECT_EQ(h.io().ops_in_use, 0u);
    EXPECT_EQ(h.io().buffers_in_use, 0u);
}

TEST(File, IsWrittenRenamedReadAndRemovedInStraightLine) {
    Script script;
    static const char text[] = "hello";
    static tina_file_stat stat;
    tina_fd fd = {};
    int reads = 0;
    stat = {};
    script.init = [&](tina_ctx *, tina_bytes) { return tina_io_open("new", kNew, 0600); };
    script.handle = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_GE(m->io.result, 0) << m->tag;
        switch (m->tag) {
        case TINA_IO_OPEN_DONE:
            fd = m->io.fd;
            return tina_io_write(fd, 0, text, 5);
        case TINA_IO_WRITE_DONE:
            EXPECT_EQ(m->io.result, 5);
            return tina_io_fsync(fd);
        case TINA_IO_FSYNC_DONE:
            return tina_io_rename("new", "kept");
        case TINA_IO_RENAME_DONE:
            return tina_io_stat_path("kept", &stat);
        case TINA_IO_STAT_DONE:
            EXPECT_EQ(stat.bytes, 5u);
            return tina_io_poll(fd, TINA_POLL_READ);
        case TINA_IO_POLL_DONE:
            EXPECT_EQ(m->io.result, static_cast<int32_t>(TINA_POLL_READ));
            return tina_io_read(fd, 1, 100);
        case TINA_IO_READ_DONE:
            if (m->io.result == 0) {
                EXPECT_EQ(tina_io_data(ctx, m), nullptr);
                return tina_io_unlink("kept");
            }
            reads++;
            EXPECT_EQ(std::string(static_cast<const char *>(tina_io_data(ctx, m)), 4), "ello");
            return tina_io_read(fd, 5, 100);
        case TINA_IO_UNLINK_DONE:
            return tina_io_close(fd);
        default:
            EXPECT_EQ(m->tag, TINA_IO_CLOSE_DONE);
            return tina_done();
        }
    };
    Play play({&script});
    Harness h(play.spec);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(reads, 1);
    ExpectNothingLeft(h);
}

TEST(File, ASendfileOfOneReachesThePeer) {
    Script script;
    static std::string text(9000, 'f');
    const tina_address here = tina_address_ipv4(127, 0, 0, 1, 80);
    tina_fd listener, connection = {}, file = {};
    script.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_listen(ctx, &here, 4, &listener), 0);
        return tina_io_accept(listener);
    };
    script.handle = [&](tina_ctx *, const tina_message *m) {
        switch (m->tag) {
        case TINA_IO_ACCEPT_DONE:
            connection = m->io.fd;
            return tina_io_open("page", kNew, 0600);
        case TINA_IO_OPEN_DONE:
            file = m->io.fd;
            return tina_io_write(file, 0, text.data(), text.size());
        case TINA_IO_WRITE_DONE:
            return tina_io_sendfile(connection, file, 1, text.size());
        default:
            EXPECT_EQ(m->tag, TINA_IO_SENDFILE_DONE);
            EXPECT_EQ(m->io.result, 8999);
            EXPECT_EQ(m->io.bytes, 8999u);
            return tina_done();
        }
    };
    Play play({&script});
    Harness h(play.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &here);
    char bytes[4096];
    size_t taken = 0;
    for (int i = 0; i < 100 && taken < 8999; i++) {
        h.Settle();
        int32_t some = tina_scripted_peer_recv(h.scripted(), peer, bytes, sizeof bytes);
        taken += some > 0 ? static_cast<size_t>(some) : 0;
    }
    EXPECT_EQ(taken, 8999u);
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

TEST(Datagram, ComesWithItsSenderAndIsAnswered) {
    Script script;
    static char answer[16];
    static tina_address sender;
    const tina_address here = tina_address_ipv4(127, 0, 0, 1, 53);
    tina_fd fd = {};
    script.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &fd), 0);
        EXPECT_EQ(tina_socket_bind(ctx, fd, &here), 0);
        return tina_io_recvfrom(fd, sizeof answer);
    };
    script.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == TINA_IO_SENDTO_DONE)
            return tina_io_recvfrom(fd, sizeof answer);
        EXPECT_EQ(m->tag, TINA_IO_RECVFROM_DONE);
        if (m->io.result == 0)
            return tina_done();
        if (m->io.result < 0 || m->io.from == nullptr) {
            ADD_FAILURE();
            return tina_done();
        }
        EXPECT_EQ(m->io.flags, m->io.result == 16 ? TINA_IO_TRUNCATED : 0u);
        sender = *m->io.from;
        std::memcpy(answer, tina_io_data(ctx, m), m->io.bytes);
        return tina_io_sendto(fd, answer, m->io.bytes, &sender);
    };
    Play play({&script});
    Harness h(play.spec);
    h.Settle();
    tina_address far = tina_address_ipv4(127, 0, 0, 1, 0), from;
    tina_scripted_peer peer = tina_scripted_bind(h.scripted(), &far);
    for (const char *word : {"ping", "a datagram that is too long"}) {
        uint32_t bytes = static_cast<uint32_t>(strlen(word));
        char got[64];
        EXPECT_EQ(tina_scripted_peer_sendto(h.scripted(), peer, word, bytes, &here),
                  static_cast<int32_t>(bytes));
        h.Settle();
        int32_t most = bytes < 16 ? static_cast<int32_t>(bytes) : 16;
        EXPECT_EQ(tina_scripted_peer_recvfrom(h.scripted(), peer, got, sizeof got, &from), most);
        EXPECT_EQ(memcmp(got, word, static_cast<size_t>(most)), 0);
        EXPECT_EQ(from.port, 53);
    }
    EXPECT_EQ(tina_scripted_peer_sendto(h.scripted(), peer, "", 0, &here), 0);
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

TEST(Datagram, AReceiveHasADeadline) {
    Script script;
    tina_fd fd = {};
    int32_t result = 0;
    script.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &fd), 0);
        return tina_io(tina_op_within(tina_op_recvfrom(fd, 1), 10 * kMillisecond));
    };
    script.handle = [&](tina_ctx *, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_IO_RECVFROM_DONE);
        result = m->io.result;
        return tina_done();
    };
    Play play({&script});
    Harness h(play.spec);
    h.Settle();
    h.Sleep(9 * kMillisecond);
    EXPECT_EQ(result, 0);
    h.Sleep(2 * kMillisecond);
    EXPECT_EQ(result, TINA_IO_TIMED_OUT);
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

// A datagram that came before the deadline, at it, or after it.
TEST(Datagram, WhatCameByTheDeadlineWinsAndWhatCameLaterWaits) {
    for (int when = -1; when <= 1; when++) {
        Script script;
        const tina_address here = tina_address_ipv4(127, 0, 0, 1, 53);
        tina_fd fd = {};
        std::vector<int32_t> results;
        script.init = [&](tina_ctx *ctx, tina_bytes) {
            EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &fd), 0);
            EXPECT_EQ(tina_socket_bind(ctx, fd, &here), 0);
            return tina_io(tina_op_within(tina_op_recvfrom(fd, 9), 10 * kMillisecond));
        };
        script.handle = [&](tina_ctx *, const tina_message *m) {
            results.push_back(m->io.result);
            return m->io.result == 3 ? tina_done() : tina_io_recvfrom(fd, 9);
        };
        Play play({&script});
        Harness h(play.spec);
        h.Settle();
        tina_address far = tina_address_ipv4(127, 0, 0, 1, 0);
        tina_scripted_peer peer = tina_scripted_bind(h.scripted(), &far);
        if (when < 0)
            h.Sleep(9 * kMillisecond);
        else if (when > 0)
            h.Sleep(10 * kMillisecond);
        EXPECT_EQ(tina_scripted_peer_sendto(h.scripted(), peer, "abc", 3, &here), 3);
        if (when == 0)
            h.Pass(10 * kMillisecond); // both are there when the shard looks
        EXPECT_TRUE(h.Settle().ended);
        h.Sleep(100 * kMillisecond);
        std::vector<int32_t> late = {TINA_IO_TIMED_OUT, 3};
        EXPECT_EQ(results, when > 0 ? late : std::vector<int32_t>{3}) << when;
        ExpectNothingLeft(h);
    }
}

// What each op is given lies where it must not, and each is refused without harm.
TEST(OpMemory, ThatDoesNotLastIsRefused) {
    Script script;
    static const tina_address far = tina_address_ipv4(127, 0, 0, 1, 9);
    static tina_file_stat stat;
    tina_fd fd = {}, socket = {};
    int step = 0;
    std::vector<int32_t> results;
    auto next = [&](tina_ctx *ctx) {
        char stack[64] = "on the stack";
        tina_address address = far;
        tina_file_stat on_stack;
        void *scratch = tina_scratch(ctx, 64);
        std::memcpy(scratch, "scratch", 8);
        static char static_data[] = "x";
        switch (step++) {
        case 0:
            return tina_io_write(fd, 0, stack, 1);
        case 1:
            return tina_io_write(fd, 0, scratch, 1);
        case 2:
            return tina_io_sendto(socket, stack, 1, &far);
        case 3:
            return tina_io_sendto(socket, static_data, 1, &address);
        case 4:
            return tina_io_stat(fd, &on_stack);
        case 5:
            return tina_io_stat(fd, static_cast<tina_file_stat *>(scratch));
        case 6:
            return tina_io_open(stack, TINA_OPEN_READ, 0);
        case 7:
            return tina_io_unlink(stack);
        case 8:
            return tina_io_rename("a", stack);
        case 9:
            return tina_io_rename(stack, "a");
        case 10:
            return tina_io_stat_path(stack, &stat);
        // These are well.
        case 11:
            return tina_io_stat_path(static_cast<const char *>(scratch), &stat);
        case 12:
            return tina_io_sendto(socket, static_data, 1, &far);
        default:
            return tina_done();
        }
    };
    script.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &socket), 0);
        return tina_io_open("file", kNew, 0600);
    };
    script.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == TINA_IO_OPEN_DONE && m->io.result == 0)
            fd = m->io.fd;
        else
            results.push_back(m->io.result);
        return next(ctx);
    };
    Play play({&script});
    Harness h(play.spec);
    EXPECT_TRUE(h.Settle().ended);
    ASSERT_EQ(results.size(), 13u);
    for (size_t i = 0; i < 11; i++)
        EXPECT_EQ(results[i], TINA_IO_BAD_OP) << i;
    EXPECT_EQ(results[11], -ENOENT);
    EXPECT_EQ(results[12], 1);
    EXPECT_NE(h.log().find("gave an op memory on its handler's stack"), std::string::npos);
    ExpectNothingLeft(h);
}

TEST(OpMemory, APathOnTheStackIsWellForABackgroundOp) {
    Script script;
    int32_t result = -1;
    script.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_io_id id;
        char path[] = "file";
        EXPECT_EQ(tina_submit(ctx, tina_op_open(path, kNew, 0600), &id), 0);
        std::memset(path, '#', sizeof path);
        return tina_receive();
    };
    script.handle = [&](tina_ctx *, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_IO_OPEN_DONE);
        result = m->io.result;
        return tina_done();
    };
    Play play({&script});
    Harness h(play.spec);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(result, 0);
    ExpectNothingLeft(h);
}

TEST(OpMemory, DeathWaitsForItsFiles) {
    Script script;
    static std::string text(4000, 'x');
    static tina_file_stat stat;
    script.init = [&](tina_ctx *, tina_bytes) { return tina_io_open("file", kNew, 0600); };
    script.handle = [&](tina_ctx *ctx, const tina_message *m) {
        tina_io_id id;
        EXPECT_EQ(tina_submit(ctx, tina_op_write(m->io.fd, 0, text.data(), 4000), &id), 0);
        EXPECT_EQ(tina_submit(ctx, tina_op_stat_path("file", &stat), &id), 0);
        EXPECT_EQ(tina_submit(ctx, tina_op_open("file", TINA_OPEN_READ, 0), &id), 0);
        return tina_crash(7);
    };
    Play play({&script});
    Harness h(play.spec);
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

} // namespace
