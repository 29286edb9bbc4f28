// SPDX-License-Identifier: Apache-2.0
//
// Large payloads and file descriptors that change hands.

#include "sched/harness.h"
#include "sched/puppet.h"

#include <string>

namespace {

using tina::Harness;
using tina::Play;
using tina::Script;

struct Pair {
    Pair() : play({&receiver, &sender}) {
        receiver.init = [this](tina_ctx *ctx, tina_bytes) {
            receiver_handle = tina_self(ctx);
            return tina_receive();
        };
        play.spec.transfer_count = 4;
        play.spec.transfer_bytes = 1000;
    }
    Script receiver, sender;
    Play play;
    tina_handle receiver_handle = {};
};

TEST(Transfer, ArrivesAndGoesWhenTheHandlerReturns) {
    Pair pair;
    tina_transfer sent = {};
    std::string got;
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        sent = tina_transfer_take(ctx);
        EXPECT_NE(sent.bits, 0u);
        std::memset(tina_transfer_data(ctx, sent), 'x', 1000);
        EXPECT_EQ(tina_send_transfer(ctx, pair.receiver_handle, 1, "hi", 2, sent), TINA_SEND_OK);
        EXPECT_EQ(tina_transfer_data(ctx, sent), nullptr) << "no longer the sender's";
        EXPECT_FALSE(tina_transfer_give(ctx, sent));
        return tina_receive();
    };
    pair.receiver.handle = [&](tina_ctx *ctx, const tina_message *m) {
        tina_transfer transfer = tina_transfer_of(ctx, m);
        EXPECT_EQ(transfer.bits, sent.bits);
        got.assign(static_cast<const char *>(tina_transfer_data(ctx, transfer)), 1000);
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(got, std::string(1000, 'x'));
    EXPECT_EQ(h.counters().transfers_in_use, 0u);
}

TEST(Transfer, KeptLastsUntilGivenBack) {
    Pair pair;
    tina_transfer kept = {};
    int rounds = 0;
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(
            tina_send_transfer(ctx, pair.receiver_handle, 1, nullptr, 0, tina_transfer_take(ctx)),
            TINA_SEND_OK);
        return tina_receive();
    };
    pair.receiver.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (rounds++ == 0) {
            kept = tina_transfer_of(ctx, m);
            EXPECT_TRUE(tina_transfer_keep(ctx, kept));
            return tina_yield();
        }
        EXPECT_EQ(tina_transfer_of(ctx, m).bits, 0u) << "this one brought none";
        EXPECT_NE(tina_transfer_data(ctx, kept), nullptr);
        EXPECT_TRUE(tina_transfer_give(ctx, kept));
        EXPECT_FALSE(tina_transfer_give(ctx, kept));
        EXPECT_EQ(tina_transfer_data(ctx, kept), nullptr);
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(rounds, 2);
    EXPECT_EQ(h.counters().transfers_in_use, 0u);
}

TEST(Transfer, EveryRefusalLeavesItWithItsSender) {
    Pair pair;
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_transfer t = tina_transfer_take(ctx);
        char big[TINA_PAYLOAD_BYTES_MAX + 1] = {};
        EXPECT_EQ(tina_send_transfer(ctx, tina_handle_none(), 1, nullptr, 0, t), TINA_SEND_STALE);
        EXPECT_EQ(tina_send_transfer(ctx, pair.receiver_handle, 1, big, sizeof big, t),
                  TINA_SEND_BAD_MESSAGE);
        EXPECT_EQ(tina_send_transfer(ctx, pair.receiver_handle, 1, nullptr, 0, {0}),
                  TINA_SEND_BAD_TRANSFER);
        EXPECT_EQ(tina_send_transfer(ctx, pair.receiver_handle, 1, nullptr, 0, {UINT64_MAX}),
                  TINA_SEND_BAD_TRANSFER);
        for (int i = 0; i < 8; i++)
            EXPECT_EQ(tina_send(ctx, pair.receiver_handle, 0, nullptr, 0), TINA_SEND_OK);
        EXPECT_EQ(tina_send_transfer(ctx, pair.receiver_handle, 1, nullptr, 0, t),
                  TINA_SEND_MAILBOX_FULL);
        EXPECT_NE(tina_transfer_data(ctx, t), nullptr);
        for (int i = 0; i < 3; i++)
            EXPECT_NE(tina_transfer_take(ctx).bits, 0u);
        EXPECT_EQ(tina_transfer_take(ctx).bits, 0u);
        return tina_done();
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().transfers_refused, 1u);
    EXPECT_EQ(h.counters().transfers_in_use, 0u) << "they went with their owner";
}

TEST(Transfer, WithoutAnyTakingIsRefused) {
    Pair pair;
    pair.play.spec.transfer_count = 0;
    pair.sender.init = [](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(tina_transfer_take(ctx).bits, 0u);
        EXPECT_EQ(tina_transfer_data(ctx, {1}), nullptr);
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().transfers_refused, 1u);
}

TEST(Transfer, InTheMailboxOfOneThatDiesIsGivenBack) {
    Pair pair;
    pair.receiver.init = [&](tina_ctx *ctx, tina_bytes) {
        pair.receiver_handle = tina_self(ctx);
        return tina_call(ctx, tina_self(ctx), 0, nullptr, 0, 0); // takes no message
    };
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(
            tina_send_transfer(ctx, pair.receiver_handle, 1, nullptr, 0, tina_transfer_take(ctx)),
            TINA_SEND_OK);
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(h.counters().transfers_in_use, 1u);
    tina_shard_force(h.shard());
    h.Settle();
    EXPECT_EQ(h.counters().transfers_in_use, 0u);
}

// The kernel reads from a buffer: it can be neither sent on nor given back, and outlives its owner.
TEST(Transfer, IsHeldWhileAnOpReadsFromIt) {
    Pair pair;
    pair.play.spec.transfer_bytes = 65536;
    tina_transfer buffer = {};
    tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
    int steps = 0;
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_fd listener;
        EXPECT_EQ(tina_listen(ctx, &at, 1, &listener), 0);
        buffer = tina_transfer_take(ctx);
        return tina_io_accept(listener);
    };
    pair.sender.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (steps++ == 0) {
            tina_io_id id;
            EXPECT_EQ(tina_submit(
                          ctx, tina_op_send(m->io.fd, tina_transfer_data(ctx, buffer), 65536), &id),
                      0);
            EXPECT_FALSE(tina_transfer_give(ctx, buffer));
            EXPECT_EQ(tina_send_transfer(ctx, pair.receiver_handle, 1, nullptr, 0, buffer),
                      TINA_SEND_BUSY);
        }
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    ASSERT_GE(tina_scripted_connect(h.scripted(), &at).socket, 0);
    h.Settle();
    EXPECT_EQ(steps, 1);
    tina_scripted_control(h.scripted())->hold = true;
    tina_shard_force(h.shard());
    h.Turn();
    EXPECT_EQ(h.counters().transfers_in_use, 1u);
    tina_scripted_control(h.scripted())->hold = false;
    h.Settle();
    EXPECT_EQ(h.counters().transfers_in_use, 0u);
}

TEST(Transfer, AnOpFromABufferThatIsNotKeptIsRefused) {
    Pair pair;
    int32_t result = 0;
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        EXPECT_EQ(
            tina_send_transfer(ctx, pair.receiver_handle, 1, nullptr, 0, tina_transfer_take(ctx)),
            TINA_SEND_OK);
        return tina_receive();
    };
    pair.receiver.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag != 1) {
            result = m->io.result;
            return tina_receive();
        }
        tina_fd fd;
        EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
        return tina_io_send(fd, tina_transfer_data(ctx, tina_transfer_of(ctx, m)), 100);
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(result, TINA_IO_BAD_OP);
}

TEST(Transfer, MayBeSentOnToOneself) {
    Pair pair;
    int rounds = 0;
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_transfer transfer = tina_transfer_take(ctx);
        std::memcpy(tina_transfer_data(ctx, transfer), "data", 5);
        EXPECT_EQ(tina_send_transfer(ctx, pair.receiver_handle, 1, nullptr, 0, transfer),
                  TINA_SEND_OK);
        return tina_receive();
    };
    pair.receiver.handle = [&](tina_ctx *ctx, const tina_message *m) {
        tina_transfer transfer = tina_transfer_of(ctx, m);
        const void *data = tina_transfer_data(ctx, transfer);
        EXPECT_NE(data, nullptr);
        if (data) {
            EXPECT_STREQ(static_cast<const char *>(data), "data");
        }
        if (++rounds < 3) {
            EXPECT_EQ(tina_send_transfer(ctx, tina_self(ctx), 1, nullptr, 0, transfer),
                      TINA_SEND_OK);
        }
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(rounds, 3);
    EXPECT_EQ(h.counters().transfers_in_use, 0u);
}

TEST(Transfer, InTheMailIsNobodysToUse) {
    Pair pair;
    int got = 0;
    pair.receiver.init = [&](tina_ctx *ctx, tina_bytes) {
        pair.receiver_handle = tina_self(ctx);
        tina_transfer transfer = tina_transfer_take(ctx);
        EXPECT_EQ(tina_send_transfer(ctx, tina_self(ctx), 1, nullptr, 0, transfer), TINA_SEND_OK);
        EXPECT_EQ(tina_transfer_data(ctx, transfer), nullptr);
        EXPECT_FALSE(tina_transfer_keep(ctx, transfer));
        EXPECT_FALSE(tina_transfer_give(ctx, transfer));
        EXPECT_EQ(tina_send_transfer(ctx, tina_self(ctx), 2, nullptr, 0, transfer),
                  TINA_SEND_BAD_TRANSFER);
        return tina_receive();
    };
    pair.receiver.handle = [&](tina_ctx *ctx, const tina_message *m) {
        got += m->tag == 1 && tina_transfer_data(ctx, tina_transfer_of(ctx, m)) != nullptr;
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(got, 1);
    EXPECT_EQ(h.counters().transfers_in_use, 0u);
}

TEST(Transfer, AnOpThatReadsBeyondItsBufferIsRefused) {
    Pair pair;
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_fd fd;
        tina_io_id id;
        EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
        char *data = static_cast<char *>(tina_transfer_data(ctx, tina_transfer_take(ctx)));
        EXPECT_EQ(tina_submit(ctx, tina_op_send(fd, data + 512, 1024), &id), TINA_IO_BAD_OP);
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
}

TEST(Handoff, MovesAnFdWithItsRightsLessened) {
    Pair pair;
    tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
    std::vector<int32_t> results;
    tina_fd got = {};
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_fd listener;
        EXPECT_EQ(tina_listen(ctx, &at, 1, &listener), 0);
        EXPECT_EQ(tina_handoff(ctx, pair.receiver_handle, 1, tina_fd_none(), TINA_RIGHT_FULL),
                  TINA_SEND_BAD_FD);
        return tina_io_accept(listener);
    };
    pair.sender.handle = [&](tina_ctx *ctx, const tina_message *m) {
        tina_fd fd = m->io.fd;
        EXPECT_EQ(tina_handoff(ctx, tina_handle_none(), 1, fd, TINA_RIGHT_READ), TINA_SEND_STALE);
        EXPECT_EQ(tina_handoff(ctx, pair.receiver_handle, 1, fd, TINA_RIGHT_READ), TINA_SEND_OK);
        EXPECT_EQ(tina_handoff(ctx, pair.receiver_handle, 1, fd, TINA_RIGHT_READ),
                  TINA_SEND_BAD_FD);
        return tina_receive();
    };
    pair.receiver.handle = [&](tina_ctx *ctx, const tina_message *m) {
        if (m->tag == 1) {
            EXPECT_EQ(m->payload_bytes, sizeof got);
            std::memcpy(&got, m->payload, sizeof got);
            EXPECT_TRUE(tina_fd_is_none(tina_fd_with_rights(got, TINA_RIGHT_FULL)));
            EXPECT_EQ(tina_handoff(ctx, pair.receiver_handle, 1, got, TINA_RIGHT_WRITE),
                      TINA_SEND_BAD_FD);
            static char byte;
            return tina_io_send(got, &byte, 1);
        }
        results.push_back(m->io.result);
        return results.size() == 1 ? tina_io_recv(got, 10) : tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    tina_scripted_peer peer = tina_scripted_connect(h.scripted(), &at);
    h.Settle();
    ASSERT_EQ(tina_scripted_peer_send(h.scripted(), peer, "abc", 3), 3);
    h.Settle();
    EXPECT_EQ(results, (std::vector<int32_t>{TINA_IO_NO_RIGHT, 3}));
}

TEST(Handoff, WhileAnOpIsInFlightIsRefused) {
    Pair pair;
    tina_address at = tina_address_ipv4(127, 0, 0, 1, 80);
    tina_send_result result = TINA_SEND_OK;
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_fd listener;
        tina_io_id id;
        EXPECT_EQ(tina_listen(ctx, &at, 1, &listener), 0);
        EXPECT_EQ(tina_submit(ctx, tina_op_accept(listener), &id), 0);
        result = tina_handoff(ctx, pair.receiver_handle, 1, listener, TINA_RIGHT_FULL);
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(result, TINA_SEND_BUSY);
}

TEST(Handoff, ToOneThatDiesBeforeItHandlesItClosesTheFd) {
    Pair pair;
    pair.receiver.init = [&](tina_ctx *ctx, tina_bytes) {
        pair.receiver_handle = tina_self(ctx);
        return tina_call(ctx, tina_self(ctx), 0, nullptr, 0, 0);
    };
    pair.sender.init = [&](tina_ctx *ctx, tina_bytes) {
        tina_fd fd;
        EXPECT_EQ(tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
        EXPECT_EQ(tina_handoff(ctx, pair.receiver_handle, 1, fd, TINA_RIGHT_FULL), TINA_SEND_OK);
        return tina_receive();
    };
    Harness h(pair.play.spec);
    h.Settle();
    EXPECT_EQ(h.io().fds_in_use, 1u);
    tina_shard_force(h.shard());
    h.Settle();
    EXPECT_EQ(h.io().fds_in_use, 0u);
}

} // namespace
