// SPDX-License-Identifier: Apache-2.0
//
// bazel run -c opt //bench:shards_bench [-- [--small] [rows whose name contains this]]
//
// What it costs to speak to another shard: two shards that tina_run starts, each on a core, beside
// what the same two threads do with nothing but a ring between them. In each round both run, in
// turn; figures are medians over the rounds, ratios medians of each round's ratio, beside the tenth
// and the ninetieth of a hundred. What a cache line costs between two cores changes under a
// hypervisor, so that is measured before and after.

#include "bench/shards_floor.h"

#include "sched/ctx.h"
#include "sched/one_life.h"
#include "sched/spec.h"
#include "sched/system.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using tina::Floor;
using tina::Median;

bool small = false;
const char *wanted = "";

enum {
    BALL = 1,
    WORD,
    FLOOD,
    FLOOR,
};

// What is run, and what it found; set before a run, read after it.
struct Plan {
    uint64_t rounds;
    uint64_t count; // in a round; a tenth more come before
    Floor floor;
    bool flood;
    bool calls; // in place of messages there and back
    uint32_t payload_bytes;
    std::vector<double> line_ns; // before and after
    std::vector<double> floor_ns;
    std::vector<double> ours_ns;
};
Plan plan;
std::atomic<uint64_t> partner; // on shard 1

tina_handle Partner() {
    return tina_handle{partner.load(std::memory_order_acquire)};
}

// There are two on each shard, and the one that has nothing to do there ends in its init.
tina_effect FarInit(tina_ctx *ctx, void *, tina_bytes) {
    if (tina_shard_number(ctx) != 1)
        return tina_done();
    partner.store(tina_self(ctx).bits, std::memory_order_release);
    return tina_receive();
}

tina_effect NearInit(tina_ctx *ctx, void *, tina_bytes) {
    return tina_shard_number(ctx) == 0 ? tina_yield() : tina_done();
}

void Tell(tina_ctx *ctx, int32_t tag, const void *payload, size_t bytes) {
    if (tina_send(ctx, Partner(), tag, payload, bytes) != TINA_SEND_OK)
        std::abort();
}

// The turns of a run: the line, floor and ours in every round, the line.
struct Near {
    uint64_t turn;
    uint64_t done; // of this turn
    uint64_t from_ns;
    bool floor_told;
};

bool TurnIsFloors(const Near *self) {
    return self->turn == 0 || self->turn % 2 == 1 || self->turn == 2 * plan.rounds + 1;
}

// Floors run within one call of a handler on each side: on the same threads and cores as ours, and
// with no pause in which a hypervisor could move them.
struct FloorItem {
    Floor floor;
    uint64_t count;
};

FloorItem FloorOf(const Near *self) {
    bool line = self->turn == 0 || self->turn > 2 * plan.rounds;
    return {line ? tina::floor_line : plan.floor, plan.count};
}

// What was told leaves with the tick: the near side begins in the next.
tina_effect FloorTurn(tina_ctx *ctx, Near *self) {
    FloorItem item = FloorOf(self);
    if (!self->floor_told) {
        Tell(ctx, FLOOR, &item, sizeof item);
        self->floor_told = true;
        return tina_yield();
    }
    bool line = item.floor.near_side == tina::floor_line.near_side;
    (line ? plan.line_ns : plan.floor_ns).push_back(item.floor.near_side(item.count));
    self->floor_told = false;
    self->turn++;
    self->done = 0;
    return tina_yield();
}

// Returns true when this turn has done all.
bool Counts(Near *self) {
    uint64_t warm = plan.count / 10;
    if (self->done == warm)
        self->from_ns = tina::MonotonicNs();
    if (self->done++ < warm + plan.count)
        return false;
    plan.ours_ns.push_back(static_cast<double>(tina::MonotonicNs() - self->from_ns) /
                           static_cast<double>(plan.count));
    self->turn++;
    return true;
}

// A round trip ended, or is to begin.
tina_effect TripTurn(tina_ctx *ctx, Near *self) {
    if (Counts(self))
        return tina_yield();
    if (plan.calls)
        return tina_call(ctx, Partner(), BALL, &self->done, sizeof self->done, 10000000000);
    Tell(ctx, BALL, &self->done, sizeof self->done);
    return tina_receive();
}

// Of a flood from there, what is counted are messages that a handler is given.
tina_effect FloodTurn(tina_ctx *ctx, Near *self, const tina_message *m) {
    uint64_t sum = 0;
    if (m->tag != WORD) {
        uint64_t count = plan.count / 10 + plan.count + 1;
        Tell(ctx, FLOOD, &count, sizeof count);
        return tina_receive();
    }
    for (uint32_t at = 0; at < m->payload_bytes; at += 8) {
        uint64_t word;
        std::memcpy(&word, m->payload + at, 8);
        sum += word;
    }
    if (sum != self->done * (m->payload_bytes / 8))
        std::abort();
    return Counts(self) ? tina_yield() : tina_receive();
}

tina_effect NearHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Near *self = static_cast<Near *>(self_);
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (tina_handle_is_none(Partner()))
        return tina_yield();
    if (self->turn == 2 * plan.rounds + 2) {
        tina_stop(ctx, 0);
        return tina_receive();
    }
    if (TurnIsFloors(self))
        return FloorTurn(ctx, self);
    return plan.flood ? FloodTurn(ctx, self, m) : TripTurn(ctx, self);
}

struct Far {
    tina_handle to;
    uint64_t sent;
    uint64_t count;
};

tina_effect Flood(tina_ctx *ctx, Far *self) {
    uint64_t payload[12];
    for (int i = 0; i < 64 && self->sent < self->count; i++) {
        std::fill(payload, payload + plan.payload_bytes / 8, self->sent);
        if (tina_send(ctx, self->to, WORD, payload, plan.payload_bytes) != TINA_SEND_OK)
            break; // full: again in the next tick
        self->sent++;
    }
    return self->sent < self->count ? tina_yield() : tina_receive();
}

tina_effect FarHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Far *self = static_cast<Far *>(self_);
    FloorItem item;
    switch (m->tag) {
    case BALL:
        if (plan.calls)
            return tina_reply(ctx, BALL, m->payload, m->payload_bytes);
        tina_send(ctx, m->from, BALL, m->payload, m->payload_bytes);
        return tina_receive();
    case FLOOD:
        self->to = m->from;
        self->sent = 0;
        std::memcpy(&self->count, m->payload, sizeof self->count);
        return Flood(ctx, self);
    case FLOOR:
        std::memcpy(&item, m->payload, sizeof item);
        item.floor.far_side(item.count);
        return tina_receive();
    case TINA_YIELDED:
        return Flood(ctx, self);
    default:
        return tina_done();
    }
}

// From before a send to its handler, on a shard that has slept for a millisecond.
tina_effect BellHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Near *self = static_cast<Near *>(self_);
    if (m->tag == TINA_SHUTDOWN)
        return tina_done();
    if (m->tag == TINA_TIMER && !tina_handle_is_none(Partner())) {
        uint64_t now_ns = tina::MonotonicNs();
        if (self->done++ == plan.count)
            tina_stop(ctx, 0);
        else
            Tell(ctx, WORD, &now_ns, sizeof now_ns);
    }
    tina_timer_set(ctx, 1000000, 0);
    return tina_receive();
}

tina_effect SleeperHandle(tina_ctx *, void *, const tina_message *m) {
    uint64_t from_ns, now_ns = tina::MonotonicNs();
    if (m->tag != WORD)
        return tina_done();
    std::memcpy(&from_ns, m->payload, sizeof from_ns);
    plan.ours_ns.push_back(static_cast<double>(now_ns - from_ns));
    return tina_receive();
}

using Handle = tina_effect (*)(tina_ctx *, void *, const tina_message *);

void Run(Handle near_handle, Handle far_handle) {
    tina_isolate_type near_type = {};
    near_type.name = "near";
    near_type.init = NearInit;
    near_type.handle = near_handle;
    near_type.struct_bytes = sizeof(Near);
    near_type.mailbox_max = 1u << 20; // the channel bounds what waits, and nothing is dropped
    tina_isolate_type far_type = {};
    far_type.name = "far";
    far_type.init = FarInit;
    far_type.handle = far_handle;
    far_type.struct_bytes = sizeof(Far);
    tina_type_slots types[] = {{&near_type, 1}, {&far_type, 1}};
    tina_child children[] = {tina::OneLife(&near_type), tina::OneLife(&far_type)};
    tina_spec spec = {};
    spec.name = "shards_bench";
    spec.types = types;
    spec.type_count = 2;
    spec.root.children = children;
    spec.root.child_count = 2;
    spec.shard_count = 2;
    spec.handler_soft_ns = TINA_HANDLER_UNLIMITED; // floors take their time
    spec.handler_hard_ns = TINA_HANDLER_UNLIMITED;
    partner = 0;
    plan.ours_ns.reserve(plan.rounds * plan.count);
    tina::FloorRingsBegin();
    if (tina_run(&spec) != 0)
        std::exit(1);
}

double Part(std::vector<double> values, size_t tenths) {
    std::sort(values.begin(), values.end());
    return values[(values.size() - 1) * tenths / 10];
}

void Compare(const char *what, const Plan &compared) {
    if (!std::strstr(what, wanted))
        return;
    plan = compared;
    plan.rounds = small ? 2 : 51;
    plan.count = small ? 200 : plan.flood ? 200000 : 10000;
    Run(NearHandle, FarHandle);
    std::vector<double> ratios;
    for (size_t i = 0; i < plan.rounds; i++)
        ratios.push_back(plan.ours_ns[i] / plan.floor_ns[i]);
    std::printf("%-42s %6.1f ns  ring %6.1f ns  ratio %.2f (%.2f to %.2f)  line %.0f, %.0f ns\n",
                what, Median(plan.ours_ns), Median(plan.floor_ns), Median(ratios), Part(ratios, 1),
                Part(ratios, 9), plan.line_ns[0], plan.line_ns[1]);
}

std::vector<double> Wake(uint64_t wakes) {
    plan = {};
    plan.rounds = 1;
    plan.count = wakes;
    Run(BellHandle, SleeperHandle);
    return plan.ours_ns;
}

// Each round's median is one figure.
void CompareWakes() {
    struct Row {
        const char *what;
        std::vector<double> (*measure)(uint64_t wakes);
        std::vector<double> ns;
    };
    Row rows[] = {{"wake of a sleeping shard, send to handler", Wake, {}},
                  {"wake of a sleeping thread, eventfd", tina::FloorEventfdNs, {}},
                  {"wake of a sleeping thread, futex", tina::FloorFutexNs, {}},
                  {"wake of a sleeping thread, MSG_RING", tina::FloorRingMessageNs, {}}};
    if (!std::strstr("wake of a sleeping shard", wanted))
        return;
    for (int round = 0; round < (small ? 1 : 9); round++)
        for (Row &row : rows) {
            std::vector<double> ns = row.measure(small ? 5 : 200);
            if (!ns.empty())
                row.ns.push_back(Median(ns));
        }
    for (Row &row : rows)
        if (row.ns.empty())
            std::printf("%-42s refused here\n", row.what);
        else
            std::printf("%-42s %6.1f us\n", row.what, Median(row.ns) / 1000);
}

} // namespace

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (std::strcmp(argv[i], "--small") == 0)
            small = true;
        else
            wanted = argv[i];
    Plan trip = {}, call, flood_8 = {}, flood_96;
    trip.floor = tina::floor_trip;
    call = trip;
    call.calls = true;
    flood_8.floor = tina::floor_flood_8;
    flood_8.flood = true;
    flood_8.payload_bytes = 8;
    flood_96 = flood_8;
    flood_96.floor = tina::floor_flood_96;
    flood_96.payload_bytes = 96;
    Compare("round trip of a spinning pair, by send", trip);
    Compare("round trip of a spinning pair, by call", call);
    Compare("flood, per delivered message of 8 bytes", flood_8);
    Compare("flood, per delivered message of 96 bytes", flood_96);
    CompareWakes();
    return 0;
}
