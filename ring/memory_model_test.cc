// SPDX-License-Identifier: Apache-2.0
//
// ring.h, ring.c, sleeper.h and occupancy.h, compiled as they are against ring/model_atomic.h, in
// every execution that C11 allows some small programs. Then each ordering in them is weakened in
// turn, and at least one of the programs must fail: an ordering that nothing needs would be as much
// of an error.

#include "ring/memory_model.h"

#include "ring/occupancy.h"
#include "ring/ring.h"
#include "ring/sleeper.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kCapacity = 2;

// Two items before 2^64, and odd, so that the first run of two ends at the end of the memory.
constexpr uint64_t kStart = UINT64_MAX - 2;

struct World {
    tina_ring rings[2];
    tina_occupancy occupancy;
    tina_atomic_u32 event;
};

World initial;
uint64_t cells[2 * kCapacity];

World &In(void *world) {
    return *static_cast<World *>(world);
}

bool Push(tina_ring *ring, uint64_t value) {
    uint32_t count = 1;
    auto *slot = static_cast<uint64_t *>(tina_ring_claim(ring, &count));
    if (slot == nullptr) {
        return false;
    }
    model::WriteCell(slot, value);
    tina_ring_publish(ring, 1);
    return true;
}

// Consumes what one peek shows, and requires that it is next, next + 1...; returns how many.
uint32_t Pop(tina_ring *ring, uint32_t count_max, uint64_t next) {
    uint32_t count = count_max;
    auto *items = static_cast<const uint64_t *>(tina_ring_peek(ring, &count));
    for (uint32_t i = 0; i < count; i++) {
        model::Require(model::ReadCell(&items[i]) == next + i, "items arrive once and in order");
    }
    if (count > 0) {
        tina_ring_consume(ring, count);
    }
    return count;
}

model::Program Base(uint32_t ring_count) {
    model::Program program;
    program.world = &initial;
    program.world_bytes = sizeof initial;
    program.cells = cells;
    program.cell_count = 2 * kCapacity;
    program.setup = [ring_count] {
        for (uint32_t i = 0; i < ring_count; i++) {
            tina_ring_init(&initial.rings[i], &cells[i * kCapacity], kCapacity, 8, kStart);
        }
        tina_occupancy_init(&initial.occupancy, 2);
        tina_atomic_u32_store_relaxed(&initial.event, 0);
    };
    return program;
}

// Each side tries, and goes on when the ring is full or empty.
model::Program OneAtATime() {
    model::Program program = Base(1);
    program.threads = {
        [](void *world) {
            uint64_t next = 100;
            for (int i = 0; i < 6; i++) {
                next += Push(&In(world).rings[0], next);
            }
        },
        [](void *world) {
            uint64_t next = 100;
            for (int i = 0; i < 6; i++) {
                next += Pop(&In(world).rings[0], 1, next);
                model::Reached(next - 100);
            }
        },
    };
    return program;
}

// Claims add up over the end of the memory before one publish; one claim in two is given back.
model::Program Batches() {
    model::Program program = Base(1);
    program.threads = {
        [](void *world) {
            tina_ring *ring = &In(world).rings[0];
            uint64_t next = 100;
            for (int i = 0; i < 5; i++) {
                uint32_t count = 2;
                for (uint32_t filled = 0; filled < kCapacity; filled += count) {
                    count = 2;
                    auto *run = static_cast<uint64_t *>(tina_ring_claim(ring, &count));
                    if (run == nullptr) {
                        break;
                    }
                    for (uint32_t j = 0; j < count; j++) {
                        model::WriteCell(&run[j], next + filled + j);
                    }
                }
                uint32_t shown = tina_ring_claimed(ring);
                shown -= i % 2 == 1 && shown > 0;
                tina_ring_publish(ring, shown);
                next += shown;
            }
        },
        [](void *world) {
            tina_ring *ring = &In(world).rings[0];
            uint64_t next = 100;
            for (int i = 0; i < 5; i++) {
                if (tina_ring_readable(ring) > 0) {
                    next += Pop(ring, 2, next);
                    next += Pop(ring, 2, next);
                }
                model::Reached(next - 100);
            }
        },
    };
    return program;
}

// The consumer blocks when there is nothing, as a shard does; a lost wake leaves it there for ever.
void Receive(World *world, uint32_t ring_count, uint64_t items) {
    uint64_t next[2] = {100, 100};
    uint64_t received = 0;
    while (received < items) {
        uint64_t before = received;
        for (uint32_t i = 0; i < ring_count; i++) {
            uint32_t popped = Pop(&world->rings[i], kCapacity, next[i]);
            next[i] += popped;
            received += popped;
        }
        model::Reached(received);
        if (received != before) {
            continue;
        }
        tina_sleeper_announce(&world->occupancy.sleeper);
        uint32_t readable = 0;
        for (uint32_t i = 0; i < ring_count; i++) {
            readable += tina_ring_readable(&world->rings[i]);
        }
        if (readable == 0) {
            model::WaitEvent(&world->event);
        }
        tina_sleeper_awake(&world->occupancy.sleeper);
    }
}

void Send(World *world, uint32_t ring, uint64_t items) {
    for (uint64_t i = 0; i < items; i++) {
        while (!Push(&world->rings[ring], 100 + i)) {
            model::AwaitChange(&world->rings[ring].head);
        }
        if (tina_sleeper_must_wake(&world->occupancy.sleeper)) {
            model::SignalEvent(&world->event);
        }
    }
}

model::Program Sleep(uint64_t items) {
    model::Program program = Base(1);
    program.threads = {
        [items](void *world) { Send(&In(world), 0, items); },
        [items](void *world) { Receive(&In(world), 1, items); },
    };
    return program;
}

// Two bringers share a sleeper, each with a ring of its own.
model::Program SleepOfTwo(uint64_t first, uint64_t second) {
    model::Program program = Base(2);
    program.threads = {
        [first](void *world) { Send(&In(world), 0, first); },
        [second](void *world) { Send(&In(world), 1, second); },
        [first, second](void *world) { Receive(&In(world), 2, first + second); },
    };
    return program;
}

// The same by bits: a ring without its bit is not looked at. One that may hold more is kept in mind
// for the next turn.
void ReceiveMarked(World *world, uint32_t ring_count, uint64_t items) {
    uint64_t next[2] = {100, 100};
    uint64_t received = 0;
    uint64_t kept = 0;
    while (received < items) {
        uint64_t due = kept | tina_occupancy_take(&world->occupancy, 0);
        kept = 0;
        for (uint32_t i = 0; i < ring_count; i++) {
            if ((due >> i & 1) == 0) {
                continue;
            }
            uint32_t popped = Pop(&world->rings[i], 1, next[i]);
            kept |= popped > 0 ? UINT64_C(1) << i : 0;
            next[i] += popped;
            received += popped;
        }
        model::Reached(received);
        if (kept != 0) {
            continue;
        }
        tina_sleeper_announce(&world->occupancy.sleeper);
        if (!tina_occupancy_is_marked(&world->occupancy)) {
            model::WaitEvent(&world->event);
        }
        tina_sleeper_awake(&world->occupancy.sleeper);
    }
}

void SendMarked(World *world, uint32_t ring, uint64_t items) {
    for (uint64_t i = 0; i < items; i++) {
        while (!Push(&world->rings[ring], 100 + i)) {
            model::AwaitChange(&world->rings[ring].head);
        }
        if (tina_occupancy_mark(&world->occupancy, ring)) {
            model::SignalEvent(&world->event);
        }
    }
}

model::Program Marked(uint64_t items) {
    model::Program program = Base(1);
    program.threads = {
        [items](void *world) { SendMarked(&In(world), 0, items); },
        [items](void *world) { ReceiveMarked(&In(world), 1, items); },
    };
    return program;
}

model::Program MarkedByTwo(uint64_t first, uint64_t second) {
    model::Program program = Base(2);
    program.threads = {
        [first](void *world) { SendMarked(&In(world), 0, first); },
        [second](void *world) { SendMarked(&In(world), 1, second); },
        [first, second](void *world) { ReceiveMarked(&In(world), 2, first + second); },
    };
    return program;
}

struct NamedProgram {
    const char *name;
    model::Program program;
    uint64_t reached; // in some execution, so that the program is known to get to its end
    model::Result result;
};

// The programs, explored as they are. With TINA_LONG set, three have one item more: that makes 4.5
// million states of one, which take half a minute.
const std::vector<NamedProgram> &Programs() {
    static const std::vector<NamedProgram> programs = [] {
        uint64_t second = getenv("TINA_LONG") != nullptr ? 2 : 1;
        std::vector<NamedProgram> list = {
            {"one at a time", OneAtATime(), 6, {}},
            {"batches", Batches(), 8, {}},
            {"sleep", Sleep(4), 4, {}},
            {"sleep of two", SleepOfTwo(2, second), 2 + second, {}},
            {"marked", Marked(2 + second), 2 + second, {}},
            {"marked by two", MarkedByTwo(2, second), 2 + second, {}},
        };
        for (NamedProgram &named : list) {
            named.result = model::Explore(named.program);
        }
        return list;
    }();
    return programs;
}

std::string FirstLine(const std::string &text) {
    return text.substr(0, text.find('\n'));
}

} // namespace

TEST(MemoryModel, EveryExecutionOfEveryProgramHolds) {
    for (const NamedProgram &named : Programs()) {
        const model::Result &result = named.result;
        printf("%-13s %7lu states, %6lu executions, standing for %.3g interleavings\n", named.name,
               static_cast<unsigned long>(result.states),
               static_cast<unsigned long>(result.executions), result.interleavings);
        EXPECT_EQ(result.failure, "");
        EXPECT_EQ(result.reached_max, named.reached);
    }
}

TEST(MemoryModel, EveryOrderingIsNeeded) {
    std::set<model::Site> sites;
    for (const NamedProgram &named : Programs()) {
        sites.insert(named.result.sites.begin(), named.result.sites.end());
    }
    // Two acquires and two releases in the ring, three exchanges in the sleeper, and two
    // read-modify-writes of the bits.
    EXPECT_EQ(sites.size(), 9u);
    for (const model::Site &site : sites) {
        for (model::Weakening weakening : {model::Weakening::kRelaxed, model::Weakening::kSplit}) {
            if (weakening == model::Weakening::kSplit && !site.is_exchange) {
                continue;
            }
            // It must be an exchange, which passes on what the bringers released to the next
            // announcement, but needs no order of its own.
            if (weakening == model::Weakening::kRelaxed &&
                std::string(site.function) == "tina_sleeper_awake") {
                continue;
            }
            bool caught = false;
            printf("%s, line %d, %s: ", site.function, site.line,
                   weakening == model::Weakening::kRelaxed ? "relaxed" : "split");
            for (const NamedProgram &named : Programs()) {
                if (named.result.sites.count(site) == 0) {
                    continue;
                }
                model::Result result = model::Explore(named.program, weakening, site);
                if (!result.failure.empty()) {
                    printf("%s: %s, after %lu states\n", named.name,
                           FirstLine(result.failure).c_str(),
                           static_cast<unsigned long>(result.states));
                    caught = true;
                    break;
                }
            }
            EXPECT_TRUE(caught) << "nothing needs the order in " << site.function;
        }
    }
}

// Canaries: mistakes of those who use the ring.

TEST(MemoryModel, FindsAnItemThatIsReadAfterItsSlotWasGivenBack) {
    model::Program program = OneAtATime();
    program.threads[1] = [](void *world) {
        tina_ring *ring = &In(world).rings[0];
        for (int i = 0; i < 4; i++) {
            uint32_t count = 1;
            auto *item = static_cast<const uint64_t *>(tina_ring_peek(ring, &count));
            if (item != nullptr) {
                tina_ring_consume(ring, 1);
                model::ReadCell(item);
            }
        }
    };
    EXPECT_EQ(FirstLine(model::Explore(program).failure),
              "a write races with a read of the same cell");
}

TEST(MemoryModel, FindsASleeperThatDoesNotLookAgain) {
    model::Program program = Sleep(4);
    program.threads[1] = [](void *world) {
        tina_ring *ring = &In(world).rings[0];
        for (uint64_t received = 0; received < 4;) {
            uint32_t popped = Pop(ring, 2, 100 + received);
            received += popped;
            if (popped == 0) {
                tina_sleeper_announce(&In(world).occupancy.sleeper);
                model::WaitEvent(&In(world).event);
                tina_sleeper_awake(&In(world).occupancy.sleeper);
            }
        }
    };
    EXPECT_EQ(FirstLine(model::Explore(program).failure), "every thread waits");
}

TEST(MemoryModel, FindsAMarkThatIsSavedWhenTheBitSeemsToStand) {
    model::Program program = Marked(4);
    program.threads[0] = [](void *world_) {
        World *world = &In(world_);
        for (uint64_t i = 0; i < 4; i++) {
            while (!Push(&world->rings[0], 100 + i)) {
                model::AwaitChange(&world->rings[0].head);
            }
            if (tina_atomic_u64_load_relaxed(&world->occupancy.words[0]) == 0 &&
                tina_occupancy_mark(&world->occupancy, 0)) {
                model::SignalEvent(&world->event);
            }
        }
    };
    EXPECT_EQ(FirstLine(model::Explore(program).failure), "every thread waits");
}

TEST(MemoryModel, FindsAReaderThatTakesTheBitsAfterItLooked) {
    model::Program program = Marked(4);
    program.threads[1] = [](void *world_) {
        World *world = &In(world_);
        for (uint64_t received = 0; received < 4;) {
            received += Pop(&world->rings[0], 2, 100 + received);
            (void)tina_occupancy_take(&world->occupancy, 0);
            tina_sleeper_announce(&world->occupancy.sleeper);
            if (!tina_occupancy_is_marked(&world->occupancy)) {
                model::WaitEvent(&world->event);
            }
            tina_sleeper_awake(&world->occupancy.sleeper);
        }
    };
    EXPECT_EQ(FirstLine(model::Explore(program).failure), "every thread waits");
}

TEST(MemoryModel, FindsABringerThatAsksBeforeItPublishes) {
    model::Program program = Sleep(1);
    program.threads[0] = [](void *world) {
        bool must_wake = tina_sleeper_must_wake(&In(world).occupancy.sleeper);
        Push(&In(world).rings[0], 100);
        if (must_wake) {
            model::SignalEvent(&In(world).event);
        }
    };
    EXPECT_EQ(FirstLine(model::Explore(program).failure), "every thread waits");
}
