// SPDX-License-Identifier: Apache-2.0
//
// A random program: isolates that do everything that the API allows, and much that it refuses, with
// every list walked after each tick. At the end nothing may be left. The seed is printed and
// accepted: TINA_SEED=7; TINA_LONG=1 runs ten million operations.

#include "sched/harness.h"
#include "sched/one_life.h"

#include "core/prng.h"

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

using tina::Harness;

constexpr uint64_t kMillisecond = 1000000;

// What isolates know of each other, all of it possibly stale.
struct World {
    tina_prng prng;
    uint64_t operations = 0;
    std::vector<tina_handle> handles;
    std::vector<tina_caller> callers;
    std::vector<tina_transfer> transfers;
    std::vector<tina_timer> timers;
    std::vector<tina_monitor> monitors;
    std::vector<tina_io_id> ids;
    std::vector<tina_fd> fds;
    uint64_t seen[16] = {};

    uint64_t Below(uint64_t limit) {
        return tina_prng_below(&prng, limit);
    }
    template <class T> T Any(const std::vector<T> &from) {
        return from.empty() ? T{} : from[Below(from.size())];
    }
    template <class T> void Keep(std::vector<T> &in, T what) {
        if (in.size() < 64)
            in.push_back(what);
        else
            in[Below(in.size())] = what;
    }
};

World *world;
const tina_isolate_type *chaos_pointer;
tina_address kPort = tina_address_ipv4(127, 0, 0, 1, 80);

struct Chaos {
    tina_fd fd;
    uint8_t bytes[512];
};

void Act(tina_ctx *ctx, Chaos *self, const tina_message *m) {
    World &w = *world;
    w.operations++;
    if (w.Below(8) == 0)
        w.Keep(w.handles, tina_self(ctx));
    uint64_t kind = w.Below(20);
    size_t bytes = w.Below(100) == 0 ? 97 : w.Below(97);
    switch (kind) {
    case 0:
    case 1:
    case 2:
    case 3: {
        tina_handle to = w.Any(w.handles);
        int32_t tag = w.Below(200) ? static_cast<int32_t>(w.Below(8)) : -3;
        tina_send(ctx, to, tag, self->bytes, bytes);
        break;
    }
    case 4:
    case 5: {
        tina_handle child;
        if (tina_spawn(ctx, chaos_pointer, tina_bytes_of(self->bytes, bytes), &child) ==
            TINA_SPAWN_OK)
            w.Keep(w.handles, child);
        break;
    }
    case 6:
        w.Keep(w.timers, w.Below(4) ? tina_timer_set(ctx, w.Below(20 * kMillisecond), kind)
                                    : tina_timer_set_periodic(ctx, w.Below(kMillisecond), kind));
        break;
    case 7:
        tina_timer_cancel(ctx, w.Any(w.timers));
        break;
    case 8: {
        tina_handle who = w.Any(w.handles);
        w.Keep(w.monitors, tina_monitor_set(ctx, who));
        break;
    }
    case 9:
        tina_monitor_end(ctx, w.Any(w.monitors));
        break;
    case 10:
        if (m)
            w.Keep(w.callers, tina_caller_of(ctx, m));
        break;
    case 11:
        tina_answer(ctx, w.Any(w.callers), 1, self->bytes, bytes);
        break;
    case 12:
        w.Keep(w.transfers, tina_transfer_take(ctx));
        break;
    case 13: {
        tina_handle to = w.Any(w.handles);
        tina_transfer transfer = w.Any(w.transfers);
        tina_send_transfer(ctx, to, 2, self->bytes, bytes, transfer);
        break;
    }
    case 14: {
        tina_transfer transfer = w.Any(w.transfers);
        uint64_t what = w.Below(3);
        if (what == 0)
            tina_transfer_give(ctx, transfer);
        else if (what == 1)
            tina_transfer_keep(ctx, transfer);
        else if (void *data = tina_transfer_data(ctx, transfer))
            std::memset(data, 0x5A, 256);
        break;
    }
    case 15: {
        tina_fd fd;
        if (tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd) == 0) {
            w.Keep(w.fds, fd);
            self->fd = fd;
        }
        break;
    }
    case 16: {
        tina_handle to = w.Any(w.handles);
        tina_fd fd = w.Any(w.fds);
        tina_handoff(ctx, to, 3, fd, static_cast<tina_right>(w.Below(4)));
        break;
    }
    case 17: {
        tina_fd fd = w.Below(4) ? self->fd : w.Any(w.fds);
        tina_io_op ops[] = {tina_op_recv(fd, 1 + static_cast<uint32_t>(bytes)),
                            tina_op_send(fd, self->bytes, 1 + static_cast<uint32_t>(bytes)),
                            tina_op_connect(fd, &kPort),
                            tina_op_close(fd),
                            tina_op_accept(fd),
                            tina_op_accept_multishot(fd),
                            tina_op_recv_multishot(fd)};
        tina_io_op op = ops[w.Below(7)];
        if (w.Below(2))
            op = tina_op_within(op, 1 + w.Below(5 * kMillisecond));
        tina_io_id id;
        if (tina_submit(ctx, op, &id) == 0)
            w.Keep(w.ids, id);
        break;
    }
    case 18:
        tina_cancel(ctx, w.Any(w.ids));
        break;
    case 19:
        tina_handoff(ctx, w.Any(w.handles), 4, self->fd, TINA_RIGHT_FULL);
        break;
    }
}

tina_effect Next(tina_ctx *ctx, Chaos *self) {
    World &w = *world;
    uint64_t kind = w.Below(40);
    if (kind >= 32 && w.Below(8))
        kind = w.Below(32);
    if (kind < 20) {
        // Something will wake it.
        if (tina_timer_set(ctx, 1 + w.Below(5 * kMillisecond), 0).bits == 0)
            return tina_yield();
        return tina_receive();
    }
    tina_fd fd = w.Below(4) ? self->fd : w.Any(w.fds);
    uint32_t bytes = 1 + static_cast<uint32_t>(w.Below(500));
    uint64_t timeout = 1 + w.Below(3 * kMillisecond);
    if (kind < 24)
        return tina_call(ctx, w.Any(w.handles), 5, self->bytes, w.Below(97), timeout);
    // Something must wake it after the reply, too.
    if (kind < 26)
        return tina_timer_set(ctx, timeout, 0).bits ? tina_reply(ctx, 6, self->bytes, w.Below(97))
                                                    : tina_yield();
    switch (kind) {
    case 26:
    case 27:
        return tina_io(tina_op_within(tina_op_recv(fd, bytes), timeout));
    case 28:
    case 29:
        return tina_io(tina_op_within(tina_op_send(fd, self->bytes, bytes), timeout));
    case 30:
        return tina_io(tina_op_within(tina_op_connect(fd, &kPort), timeout));
    case 31:
        return tina_io_close(fd);
    case 32:
        return tina_done();
    case 33:
        return tina_exit(3);
    case 34:
        return w.Below(4) ? tina_done() : tina_crash(4);
    case 35:
        return w.Below(4) ? tina_yield() : tina_effect{};
    default:
        return tina_yield();
    }
}

tina_effect ChaosHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Chaos *self = static_cast<Chaos *>(self_);
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag == TINA_IO_ACCEPT_DONE && m->io.result == 0)
        world->Keep(world->fds, m->io.fd);
    if (m->tag == 3 || m->tag == 4)
        std::memcpy(&self->fd, m->payload, sizeof self->fd);
    if (m->tag < 0 && m->tag > -16)
        world->seen[-m->tag]++;
    if (world->Below(2))
        tina_answer(ctx, tina_caller_of(ctx, m), 1, self->bytes, 8);
    for (uint64_t left = world->Below(4); left; left--)
        Act(ctx, self, m);
    return Next(ctx, self);
}

tina_effect ChaosInit(tina_ctx *ctx, void *self_, tina_bytes) {
    Chaos *self = static_cast<Chaos *>(self_);
    Act(ctx, self, nullptr);
    return Next(ctx, self);
}

// One that stays, accepts what connects, and keeps the population up.
struct Anchor {
    tina_fd listener;
};

tina_effect AnchorHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Anchor *self = static_cast<Anchor *>(self_);
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    tina_io_id id;
    if (m->tag == TINA_IO_ACCEPT_DONE && m->io.result == 0) {
        world->Keep(world->fds, m->io.fd);
        tina_handle to = world->Any(world->handles);
        if (tina_handoff(ctx, to, 4, m->io.fd, TINA_RIGHT_FULL) != TINA_SEND_OK &&
            tina_submit(ctx, tina_op_close(m->io.fd), &id) != 0)
            return tina_crash(9);
    }
    if (m->tag == TINA_IO_ACCEPT_DONE && m->io.result != TINA_IO_CANCELED &&
        !(m->io.flags & TINA_IO_MORE))
        tina_submit(ctx,
                    world->Below(2) ? tina_op_accept(self->listener)
                                    : tina_op_accept_multishot(self->listener),
                    &id);
    if (m->tag == TINA_TIMER) {
        for (int i = 0; i < 8; i++) {
            tina_handle child;
            if (tina_spawn(ctx, chaos_pointer, {nullptr, 0}, &child) == TINA_SPAWN_OK)
                world->Keep(world->handles, child);
        }
        tina_timer_set(ctx, kMillisecond / 10, 0);
    }
    return tina_receive();
}

tina_effect AnchorInit(tina_ctx *ctx, void *self_, tina_bytes) {
    Anchor *self = static_cast<Anchor *>(self_);
    tina_io_id id;
    EXPECT_EQ(tina_listen(ctx, &kPort, 8, &self->listener), 0);
    EXPECT_EQ(tina_submit(ctx, tina_op_accept(self->listener), &id), 0);
    EXPECT_NE(tina_timer_set(ctx, 0, 0).bits, 0u);
    return tina_receive();
}

uint64_t Seed() {
    const char *seed = std::getenv("TINA_SEED");
    return seed ? std::strtoull(seed, nullptr, 10) : 1;
}

TEST(Random, EverythingAtOnceLeavesNothingBehind) {
    const char *wish = std::getenv("TINA_LONG");
    uint64_t operations = wish && *wish == '1' ? 10000000 : 100000;
    uint64_t seed = Seed();
    std::printf("TINA_SEED=%llu\n", static_cast<unsigned long long>(seed));
    World w;
    w.prng = tina_prng_make(seed, 2, 0);
    world = &w;

    tina_isolate_type chaos = {};
    chaos.name = "chaos";
    chaos.init = ChaosInit;
    chaos.handle = ChaosHandle;
    chaos.struct_bytes = sizeof(Chaos);
    chaos.mailbox_max = 8;
    chaos_pointer = &chaos;
    tina_isolate_type anchor = {};
    anchor.name = "anchor";
    anchor.init = AnchorInit;
    anchor.handle = AnchorHandle;
    anchor.struct_bytes = sizeof(Anchor);
    tina_type_slots types[] = {{&chaos, 64}, {&anchor, 1}};
    tina_child children[] = {tina::OneLife(&anchor)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 2;
    spec.root.children = children;
    spec.root.child_count = 1;
    spec.message_count = 256;
    spec.timer_count = 96;
    spec.monitor_count = 48;
    spec.transfer_count = 8;
    spec.transfer_bytes = 256;
    spec.fd_count = 48;
    spec.op_count = 64;
    spec.address_count = 4;
    spec.buffer_count = 8;
    spec.log_level = TINA_LOG_ERROR;
    Harness h(spec, [](void *, const char *, size_t bytes) { return bytes; });
    tina_prng faults = tina_prng_make(seed, 3, 0);
    while (w.operations < operations) {
        h.Turn();
        h.Pass(tina_prng_below(&faults, kMillisecond / 10));
        // Completions come late, in the wrong order, or fail.
        tina_scripted_controls *control = tina_scripted_control(h.scripted());
        if (tina_prng_below(&faults, 50) == 0)
            control->hold = tina_prng_below(&faults, 2);
        if (tina_prng_below(&faults, 50) == 0)
            control->reverse = tina_prng_below(&faults, 2);
        if (tina_prng_below(&faults, 50) == 0)
            control->send_bytes_max = static_cast<uint32_t>(tina_prng_below(&faults, 64));
        if (tina_prng_below(&faults, 100) == 0)
            control->fail_next[1 + tina_prng_below(&faults, TINA_OP_KIND_COUNT - 1)] = 5;
    }
    *tina_scripted_control(h.scripted()) = tina_scripted_controls{};
    tina_shard_shutdown(h.shard());
    for (int i = 0; i < 1000 && !h.Turn().ended; i++)
        h.Pass(10 * kMillisecond);
    tina_shard_force(h.shard());
    EXPECT_TRUE(h.Settle().ended);

    tina_shard_counters c = h.counters();
    EXPECT_EQ(c.isolates_in_use, 0u);
    EXPECT_EQ(c.isolates_draining, 0u);
    EXPECT_EQ(c.messages_in_use, 0u);
    EXPECT_EQ(c.timers_in_use, 0u);
    EXPECT_EQ(c.monitors_in_use, 0u);
    EXPECT_EQ(c.transfers_in_use, 0u);
    EXPECT_EQ(h.io().fds_in_use, 0u);
    EXPECT_EQ(h.io().ops_in_use, 0u);
    EXPECT_EQ(h.io().buffers_in_use, 0u);
    EXPECT_EQ(h.Turn().until_ns, UINT64_MAX) << "a deadline was left in the wheel";
    // A random program that never gets anywhere proves nothing.
    for (int event : {TINA_YIELDED, TINA_TIMER, TINA_DOWN, TINA_CALL_FAILED})
        EXPECT_GT(w.seen[-event], 0u) << event;
    EXPECT_GT(c.calls_answered, 0u);
    EXPECT_GT(c.answers_stale, 0u);
    EXPECT_GT(c.sends_mailbox_full, 0u);
    EXPECT_GT(c.sends_over_share + c.sends_pool_empty, 0u);
    EXPECT_GT(c.crashed, 0u);
    EXPECT_GT(c.io_refused, 0u);
    EXPECT_GT(c.transfers_refused, 0u);
    EXPECT_GT(h.io().canceled, 0u);
    std::printf(
        "%llu operations, %llu ticks, %llu spawned, %llu crashed, %llu messages, %llu calls "
        "answered, %llu ops\n",
        static_cast<unsigned long long>(w.operations), static_cast<unsigned long long>(c.ticks),
        static_cast<unsigned long long>(c.spawned), static_cast<unsigned long long>(c.crashed),
        static_cast<unsigned long long>(c.messages_sent),
        static_cast<unsigned long long>(c.calls_answered),
        static_cast<unsigned long long>(h.io().submitted));
}

} // namespace
