// SPDX-License-Identifier: Apache-2.0
//
// The model against the textbook: for each litmus test, the outcomes that C11 allows and no others.

#include "ring/memory_model.h"

#include "core/atomic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace {

struct World {
    tina_atomic_u64 x;
    tina_atomic_u64 y;
    tina_atomic_u32 word;
};

World initial;
uint64_t cell;

using Body = std::function<void(World *)>;

model::Result ExploreAll(const std::vector<Body> &bodies, int relaxed_line = 0) {
    model::Program program;
    program.world = &initial;
    program.world_bytes = sizeof initial;
    program.cells = &cell;
    program.cell_count = 1;
    program.setup = [] {
        tina_atomic_u64_store_relaxed(&initial.x, 0);
        tina_atomic_u64_store_relaxed(&initial.y, 0);
        tina_atomic_u32_store_relaxed(&initial.word, 0);
    };
    for (const Body &body : bodies) {
        program.threads.push_back([body](void *world) { body(static_cast<World *>(world)); });
    }
    model::Site relaxed;
    relaxed.function = "operator()";
    relaxed.line = relaxed_line;
    return model::Explore(program, model::Weakening::kRelaxed, relaxed);
}

std::string Failure(const model::Result &result) {
    return result.failure.substr(0, result.failure.find('\n'));
}

} // namespace

TEST(Litmus, AMessagePassedByReleaseAndAcquireArrives) {
    model::Result result = ExploreAll({
        [](World *w) {
            model::WriteCell(&cell, 1);
            tina_atomic_u64_store_release(&w->x, 1);
        },
        [](World *w) {
            if (tina_atomic_u64_load_acquire(&w->x) == 1) {
                model::Require(model::ReadCell(&cell) == 1, "the message is there");
                model::Reached(1);
            }
        },
    });
    EXPECT_EQ(Failure(result), "");
    EXPECT_EQ(result.reached_max, 1u);
    EXPECT_EQ(result.executions, 2u);
}

TEST(Litmus, AMessagePassedByRelaxedStoreOrLoadIsARace) {
    Body relaxed_writer = [](World *w) {
        model::WriteCell(&cell, 1);
        tina_atomic_u64_store_relaxed(&w->x, 1);
    };
    Body writer = [](World *w) {
        model::WriteCell(&cell, 1);
        tina_atomic_u64_store_release(&w->x, 1);
    };
    Body reader = [](World *w) {
        if (tina_atomic_u64_load_acquire(&w->x) == 1) {
            model::ReadCell(&cell);
        }
    };
    Body relaxed_reader = [](World *w) {
        if (tina_atomic_u64_load_relaxed(&w->x) == 1) {
            model::ReadCell(&cell);
        }
    };
    const char *race = "a read races with a write to the same cell";
    EXPECT_EQ(Failure(ExploreAll({relaxed_writer, reader})), race);
    EXPECT_EQ(Failure(ExploreAll({writer, relaxed_reader})), race);
}

TEST(Litmus, AnAccessAfterTheReleaseIsNotCovered) {
    model::Result result = ExploreAll({
        [](World *w) {
            tina_atomic_u64_store_release(&w->x, 1);
            model::ReadCell(&cell);
        },
        [](World *w) {
            if (tina_atomic_u64_load_acquire(&w->x) == 1) {
                model::WriteCell(&cell, 1);
            }
        },
    });
    EXPECT_EQ(Failure(result), "a write races with a read of the same cell");
}

// Both threads may miss the other's store, which no interleaving of steps shows: four outcomes.
TEST(Litmus, StoreBufferingIsAllowedUnderReleaseAndAcquire) {
    EXPECT_EQ(ExploreAll({
                             [](World *w) {
                                 tina_atomic_u64_store_release(&w->x, 1);
                                 tina_atomic_u64_load_acquire(&w->y);
                             },
                             [](World *w) {
                                 tina_atomic_u64_store_release(&w->y, 1);
                                 tina_atomic_u64_load_acquire(&w->x);
                             },
                         })
                  .executions,
              4u);
}

// Of two exchanges of one word, the later sees what was stored before the earlier: the outcome in
// which both miss is gone.
TEST(Litmus, StoreBufferingIsForbiddenByExchangesOfOneWord) {
    model::Result result = ExploreAll({
        [](World *w) {
            tina_atomic_u64_store_release(&w->x, 1);
            bool later = tina_atomic_u32_exchange(&w->word, 1) == 2;
            uint64_t other = tina_atomic_u64_load_acquire(&w->y);
            model::Require(!later || other == 1, "the later sees the earlier's store");
        },
        [](World *w) {
            tina_atomic_u64_store_release(&w->y, 1);
            bool later = tina_atomic_u32_exchange(&w->word, 2) == 1;
            uint64_t other = tina_atomic_u64_load_acquire(&w->x);
            model::Require(!later || other == 1, "the later sees the earlier's store");
        },
    });
    EXPECT_EQ(Failure(result), "");
    // Either may be the later; the earlier may or may not see the other's store.
    EXPECT_EQ(result.executions, 4u);
}

TEST(Litmus, ALocationNeverGoesBack) {
    model::Result result = ExploreAll({
        [](World *w) {
            tina_atomic_u64_store_relaxed(&w->x, 1);
            tina_atomic_u64_store_relaxed(&w->x, 2);
        },
        [](World *w) {
            uint64_t first = tina_atomic_u64_load_relaxed(&w->x);
            uint64_t second = tina_atomic_u64_load_relaxed(&w->x);
            model::Require(first <= second, "loads of one location follow its stores");
        },
    });
    EXPECT_EQ(Failure(result), "");
    EXPECT_EQ(result.executions, 6u);
}

// Independent reads of independent writes: readers may disagree on which of two stores came first.
// With three threads at most, one writer is also a reader.
TEST(Litmus, ReadersMayDisagreeOnTheOrderOfTwoStores) {
    model::Result result = ExploreAll({
        [](World *w) {
            tina_atomic_u64_store_release(&w->x, 1);
            model::Reached(tina_atomic_u64_load_acquire(&w->y) == 0 ? 1 : 0);
        },
        [](World *w) { tina_atomic_u64_store_release(&w->y, 1); },
        [](World *w) {
            tina_atomic_u64_load_acquire(&w->y);
            tina_atomic_u64_load_acquire(&w->x);
        },
    });
    // Two loads of y and one of x, each of which may return either store.
    EXPECT_EQ(result.executions, 8u);
}

// Even one that orders nothing passes on what an earlier one released.
TEST(Litmus, AnExchangeContinuesAReleaseSequence) {
    constexpr int kRelaxedLine = __LINE__ + 9;
    model::Result result = ExploreAll(
        {
            [](World *w) {
                model::WriteCell(&cell, 1);
                (void)tina_atomic_u32_exchange(&w->word, 1);
            },
            [](World *w) {
                model::AwaitChange(&w->word);
                (void)tina_atomic_u32_exchange(&w->word, 2);
            },
            [](World *w) {
                model::AwaitChange(&w->word);
                model::AwaitChange(&w->word);
                model::Require(tina_atomic_u32_exchange(&w->word, 3) == 2, "read from the second");
                model::Require(model::ReadCell(&cell) == 1, "seen through the second");
            },
        },
        kRelaxedLine);
    EXPECT_EQ(Failure(result), "");
    EXPECT_EQ(result.executions, 1u);
    auto is_relaxed = [](const model::Site &site) { return site.line == kRelaxedLine; };
    EXPECT_EQ(std::count_if(result.sites.begin(), result.sites.end(), is_relaxed), 1);
}

TEST(Litmus, AThreadThatWaitsForEverIsFound) {
    EXPECT_EQ(Failure(ExploreAll({[](World *w) { model::WaitEvent(&w->word); }})),
              "every thread waits");
}

TEST(LitmusDeathTest, RefusesALocationWithTwoPlainWriters) {
    Body writer = [](World *w) { tina_atomic_u64_store_relaxed(&w->x, 1); };
    EXPECT_DEATH(ExploreAll({writer, writer}), "two writers");
}
