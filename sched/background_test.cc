// SPDX-License-Identifier: Apache-2.0
//
// Ops in the background: an isolate that does something else meanwhile.

#include "sched/harness.h"
#include "sched/puppet.h"

#include <string>

namespace {

using tina::Harness;
using tina::Play;
using tina::Script;

constexpr uint64_t kMillisecond = 1000000;
const tina_address kHere = tina_address_ipv4(127, 0, 0, 1, 80);

void ExpectNothingLeft(Harness &h) {
    EXPECT_EQ(h.counters().isolates_in_use, 0u);
    EXPECT_EQ(h.counters().isolates_draining, 0u);
    EXPECT_EQ(h.counters().timers_in_use, 0u);
    EXPECT_EQ(h.counters().messages_in_use, 0u);
    EXPECT_EQ(h.io().fds_in_use, 0u);
    EXPECT_EQ(h.io().ops_in_use, 0u);
    EXPECT_EQ(h.io().buffers_in_use, 0u);
}

std::string DataOf(const tina_ctx *ctx, const tina_message *m) {
    return std::string(static_cast<const char *>(tina_io_data(ctx, m)), m->io.bytes);
}

// A script that listens, accepts one connection by an effect and has what follows as its own.
struct Server {
    Server() {
        script.init = [this](tina_ctx *ctx, tina_bytes) {
            self = tina_self(ctx);
            EXPECT_EQ(tina_listen(ctx, &kHere, 64, &listener), 0);
            return tina_io_accept(listener);
        };
        script.handle = [this](tina_ctx *ctx, const tina_message *m) {
            if (m->tag == TINA_IO_ACCEPT_DONE && tina_fd_is_none(connection)) {
                connection = m->io.fd;
                return connected(ctx);
            }
            return handle(ctx, m);
        };
    }
    Script script;
    tina_handle self = {};
    tina_fd listener = {};
    tina_fd connection = {};
    std::function<tina_effect(tina_ctx *)> connected;
    std::function<tina_effect(tina_ctx *, const tina_message *)> handle;
};

TEST(Background, ReceivesWhileItSends) {
    Server server;
    static std::string large(20000, 'x'); // more than the connection holds
    std::string got;
    std::vector<std::string> order;
    tina_io_id id = {};
    server.connected = [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_submit(ctx, tina_op_recv_multishot(server.connection), &id), 0);
        return tina_io_send(server.connection, large.data(), large.size());
    };
    server.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == TINA_IO_SEND_DONE) {
            order.push_back("sent");
            EXPECT_EQ(m->io.result, static_cast<int32_t>(large.size()));
            EXPECT_EQ(m->io.flags, 0u);
            return tina_receive();
        }
        EXPECT_EQ(m->tag, TINA_IO_RECV_DONE);
        EXPECT_EQ(m->io.id.bits, id.bits);
        EXPECT_EQ(m->io.flags, m->io.result > 0 ? TINA_IO_MORE : 0u);
        if (m->io.result == 0)
            return tina_done();
        order.push_back("received");
        got += DataOf(ctx, m);
        return tina_receive();
    };
    Play play({&server.script});
    Harness h(play.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    h.Settle();
    EXPECT_EQ(tina_scripted_peer_send(h.scripted(), peer, "abc", 3), 3);
    h.Settle();
    EXPECT_TRUE(order.empty()); // it awaits its send, and nothing else
    size_t taken = 0;
    char bytes[4096];
    while (taken < large.size()) {
        int32_t some = tina_scripted_peer_recv(h.scripted(), peer, bytes, sizeof bytes);
        ASSERT_GT(some, 0);
        taken += static_cast<size_t>(some);
        h.Settle();
    }
    EXPECT_EQ(order, (std::vector<std::string>{"sent", "received"}));
    EXPECT_EQ(tina_scripted_peer_send(h.scripted(), peer, "def", 3), 3);
    h.Settle();
    tina_scripted_peer_shutdown(h.scripted(), peer);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(got, "abcdef");
    ExpectNothingLeft(h);
}

TEST(Background, WaitsForTheSocketOrAMessage) {
    Server server;
    Script friend_of_it;
    std::string heard;
    server.connected = [&](tina_ctx *ctx) {
        tina_io_id id;
        EXPECT_EQ(tina_submit(ctx, tina_op_recv_multishot(server.connection), &id), 0);
        return tina_receive();
    };
    server.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == TINA_IO_RECV_DONE && m->io.result > 0)
            heard += "<" + DataOf(ctx, m) + ">";
        else if (m->tag >= 0)
            heard += "[" + std::to_string(m->tag) + "]";
        else
            return tina_done();
        return tina_receive();
    };
    friend_of_it.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_timer_set(ctx, kMillisecond, 0);
        return tina_receive();
    };
    int said = 0;
    friend_of_it.handle = [&](tina_ctx *ctx, const tina_message *) {
        EXPECT_EQ(tina_send(ctx, server.self, said++, nullptr, 0), TINA_SEND_OK);
        if (said == 3)
            return tina_done();
        tina_timer_set(ctx, kMillisecond, 0);
        return tina_receive();
    };
    Play play({&server.script, &friend_of_it});
    Harness h(play.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    h.Settle();
    for (const char *word : {"a", "b", "c"}) {
        EXPECT_EQ(tina_scripted_peer_send(h.scripted(), peer, word, 1), 1);
        h.Settle();
        h.Sleep(kMillisecond);
    }
    EXPECT_EQ(heard, "<a>[0]<b>[1]<c>[2]");
    tina_scripted_peer_close(h.scripted(), peer);
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

TEST(Background, AFloodFromTheSocketDelaysNoMessageBeyondItsTick) {
    Server server;
    Script other;
    uint64_t results = 0, said = 0, heard = 0;
    server.connected = [&](tina_ctx *ctx) {
        tina_io_id id;
        EXPECT_EQ(tina_submit(ctx, tina_op_recv_multishot(server.connection), &id), 0);
        return tina_receive();
    };
    server.handle = [&](tina_ctx *, const tina_message *m) {
        results += m->tag == TINA_IO_RECV_DONE;
        heard += m->tag >= 0;
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    other.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == TINA_SHUTDOWN)
            return tina_done();
        if (!tina_fd_is_none(server.connection))
            said += tina_send(ctx, server.self, 1, nullptr, 0) == TINA_SEND_OK;
        tina_timer_set(ctx, 1, 0); // once a tick
        return tina_receive();
    };
    other.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_timer_set(ctx, 1, 0);
        return tina_receive();
    };
    Play play({&server.script, &other});
    play.spec.buffer_bytes = 64;
    Harness h(play.spec);
    for (int i = 0; i < 10; i++)
        h.Turn();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    std::string flood(2048, 'x'); // 32 buffers a tick
    for (int i = 0; i < 100; i++) {
        tina_scripted_peer_send(h.scripted(), peer, flood.data(),
                                static_cast<uint32_t>(flood.size()));
        uint64_t before = said;
        h.Turn();
        EXPECT_GE(heard, before);
    }
    EXPECT_GT(said, 50u);
    EXPECT_GT(results, 1000u);
    tina_shard_shutdown(h.shard());
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

TEST(Background, AcceptsUntilItIsCanceled) {
    Script script;
    tina_fd listener;
    tina_io_id id = {};
    int accepted = 0;
    std::vector<int32_t> ends;
    script.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_listen(ctx, &kHere, 64, &listener), 0);
        EXPECT_EQ(tina_submit(ctx, tina_op_accept_multishot(listener), &id), 0);
        return tina_receive();
    };
    script.handle = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_IO_ACCEPT_DONE);
        if (!(m->io.flags & TINA_IO_MORE)) {
            ends.push_back(m->io.result);
            EXPECT_FALSE(tina_cancel(ctx, id)); // it is over
            return tina_done();
        }
        EXPECT_EQ(m->io.result, 0);
        if (++accepted == 40) {
            EXPECT_TRUE(tina_cancel(ctx, id));
            EXPECT_TRUE(tina_cancel(ctx, id));
        }
        return tina_receive();
    };
    Play play({&script});
    Harness h(play.spec);
    h.Settle();
    for (int i = 0; i < 40; i++)
        EXPECT_GE(tina_scripted_connect(h.scripted(), &kHere).socket, 0);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(accepted, 40);
    EXPECT_EQ(ends, (std::vector<int32_t>{TINA_IO_CANCELED}));
    ExpectNothingLeft(h);
}

TEST(Background, ADeadlineEndsAMultishotOpOnce) {
    Server server;
    int results = 0;
    std::vector<int32_t> ends;
    server.connected = [&](tina_ctx *ctx) {
        tina_io_id id;
        tina_io_op op = tina_op_recv_multishot(server.connection);
        EXPECT_EQ(tina_submit(ctx, tina_op_within(op, 10 * kMillisecond), &id), 0);
        return tina_receive();
    };
    server.handle = [&](tina_ctx *, const tina_message *m) {
        if (m->tag == TINA_IO_RECV_DONE && m->io.flags & TINA_IO_MORE)
            results++;
        else if (m->tag == TINA_IO_RECV_DONE)
            ends.push_back(m->io.result);
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    Play play({&server.script});
    Harness h(play.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    h.Settle();
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(tina_scripted_peer_send(h.scripted(), peer, "x", 1), 1);
        h.Sleep(kMillisecond);
    }
    EXPECT_EQ(results, 5);
    EXPECT_TRUE(ends.empty());
    h.Sleep(10 * kMillisecond);
    EXPECT_EQ(ends, (std::vector<int32_t>{TINA_IO_TIMED_OUT}));
    EXPECT_EQ(h.io().ops_in_use, 0u);
    h.Sleep(100 * kMillisecond);
    EXPECT_EQ(ends.size(), 1u);
    tina_shard_shutdown(h.shard());
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

TEST(Background, NoMoreAtOnceThanItsTypeMay) {
    Script script;
    tina_fd listeners[5];
    tina_io_id ids[5];
    std::vector<int32_t> results;
    script.init = [&](tina_ctx *ctx, tina_bytes) {
        for (int i = 0; i < 5; i++) {
            tina_address at = tina_address_ipv4(127, 0, 0, 1, static_cast<uint16_t>(80 + i));
            EXPECT_EQ(tina_listen(ctx, &at, 4, &listeners[i]), 0);
        }
        for (int i = 0; i < 3; i++)
            EXPECT_EQ(tina_submit(ctx, tina_op_accept_multishot(listeners[i]), &ids[i]), 0);
        EXPECT_EQ(tina_submit(ctx, tina_op_accept(listeners[3]), &ids[3]), TINA_IO_OPS_FULL);
        EXPECT_EQ(ids[3].bits, 0u);
        EXPECT_TRUE(tina_cancel(ctx, ids[1]));
        return tina_receive();
    };
    script.handle = [&](tina_ctx *ctx, const tina_message *m) {
        EXPECT_EQ(m->io.id.bits, ids[1].bits);
        EXPECT_EQ(m->io.result, TINA_IO_CANCELED);
        EXPECT_EQ(tina_submit(ctx, tina_op_accept(listeners[3]), &ids[3]), 0);
        EXPECT_EQ(tina_submit(ctx, tina_op_accept(listeners[4]), &ids[4]), TINA_IO_OPS_FULL);
        return tina_done();
    };
    Play play({&script});
    play.type.ops_max = 3;
    Harness h(play.spec);
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

TEST(Background, AnothersOpCannotBeCanceled) {
    Server server;
    Script thief;
    tina_io_id id = {};
    int heard = 0;
    server.connected = [&](tina_ctx *ctx) {
        EXPECT_EQ(tina_submit(ctx, tina_op_recv_multishot(server.connection), &id), 0);
        return tina_receive();
    };
    server.handle = [&](tina_ctx *, const tina_message *m) {
        heard += m->tag == TINA_IO_RECV_DONE && m->io.result == 1;
        return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
    };
    thief.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_timer_set(ctx, kMillisecond, 0);
        return tina_receive();
    };
    thief.handle = [&](tina_ctx *ctx, const tina_message *) {
        EXPECT_NE(id.bits, 0u);
        EXPECT_FALSE(tina_cancel(ctx, id));
        EXPECT_FALSE(tina_cancel(ctx, tina_io_id{0}));
        EXPECT_FALSE(tina_cancel(ctx, tina_io_id{UINT64_MAX}));
        return tina_done();
    };
    Play play({&server.script, &thief});
    Harness h(play.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    h.Settle();
    h.Sleep(2 * kMillisecond);
    EXPECT_EQ(tina_scripted_peer_send(h.scripted(), peer, "x", 1), 1);
    h.Settle();
    EXPECT_EQ(heard, 1);
    tina_shard_shutdown(h.shard());
    EXPECT_TRUE(h.Settle().ended);
    ExpectNothingLeft(h);
}

TEST(Background, AMultishotOpIsNoEffect) {
    Server server;
    int32_t result = 0;
    server.connected = [&](tina_ctx *) {
        return tina_io(tina_op_recv_multishot(server.connection));
    };
    server.handle = [&](tina_ctx *, const tina_message *m) {
        EXPECT_EQ(m->tag, TINA_IO_RECV_DONE);
        EXPECT_EQ(m->io.flags, 0u);
        result = m->io.result;
        return tina_done();
    };
    Play play({&server.script});
    Harness h(play.spec);
    h.Settle();
    tina_scripted_connect(h.scripted(), &kHere);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(result, TINA_IO_BAD_OP);
    EXPECT_EQ(h.counters().io_refused, 1u);
    ExpectNothingLeft(h);
}

// Completions not taken, an op paused for them, and one in flight: all go with their isolate.
TEST(Background, DeathTakesWhatWasNotDeliveredWithIt) {
    Server server;
    int results = 0;
    server.connected = [&](tina_ctx *ctx) {
        tina_io_id id;
        EXPECT_EQ(tina_submit(ctx, tina_op_recv_multishot(server.connection), &id), 0);
        EXPECT_EQ(tina_submit(ctx, tina_op_accept_multishot(server.listener), &id), 0);
        return tina_receive();
    };
    server.handle = [&](tina_ctx *, const tina_message *) {
        return ++results == 3 ? tina_crash(7) : tina_receive();
    };
    Play play({&server.script});
    play.spec.buffer_bytes = 64;
    Harness h(play.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &kHere);
    h.Settle();
    std::string flood(4000, 'x');
    EXPECT_EQ(tina_scripted_peer_send(h.scripted(), peer, flood.data(), 4000), 4000);
    for (int i = 0; i < 30; i++)
        EXPECT_GE(tina_scripted_connect(h.scripted(), &kHere).socket, 0);
    EXPECT_TRUE(h.Settle().ended);
    EXPECT_EQ(results, 3);
    EXPECT_GT(h.io().fds_dropped, 0u);
    ExpectNothingLeft(h);
}

} // namespace
