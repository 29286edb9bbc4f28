// SPDX-License-Identifier: Apache-2.0
//
// What is said to be 1-minimal is tried here once more, by other code: each single reduction of the
// plan as it is printed.

#include "sim/shrink.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "sim/canaries.h"

namespace {

class Plan {
  public:
    explicit Plan(const tina_scenario &scenario) {
        plan_.scenario = &scenario;
    }
    Plan(const Plan &other) {
        sim_plan_copy(&plan_, &other.plan_);
    }
    Plan &operator=(const Plan &) = delete;
    ~Plan() {
        sim_plan_free(&plan_);
    }
    sim_plan *operator->() {
        return &plan_;
    }
    const sim_plan *operator->() const {
        return &plan_;
    }
    sim_plan *get() {
        return &plan_;
    }
    const sim_plan *get() const {
        return &plan_;
    }

  private:
    sim_plan plan_ = {};
};

sim_outcome OutcomeOf(const Plan &plan, uint64_t events_max) {
    Plan capped = plan;
    sim_outcome outcome;
    sim_attempt *attempt = sim_attempt_open();
    capped->events_max = events_max;
    sim_attempt_run(attempt, capped.get(), false, nullptr, nullptr, &outcome);
    sim_attempt_close(attempt);
    return outcome;
}

tina_sim_settings SettingsOf(const Plan &plan) {
    tina_sim_settings settings;
    char sentence[TINA_SENTENCE_BYTES];
    EXPECT_TRUE(sim_plan_settings(plan.get(), &settings, sentence)) << sentence;
    return settings;
}

std::string Printed(const Plan &plan) {
    std::vector<char> text(sim_plan_print(plan.get(), nullptr, nullptr, 0) + 1);
    sim_plan_print(plan.get(), nullptr, text.data(), text.size());
    return text.data();
}

// The plan that its own words say.
Plan Reread(const Plan &plan) {
    Plan again(*plan->scenario);
    char sentence[TINA_SENTENCE_BYTES];
    std::string words = Printed(plan);
    words.erase(0, words.find(" --seed"));
    EXPECT_TRUE(sim_plan_words(again.get(), words.c_str(), sentence)) << sentence;
    return again;
}

// Makes the plan say by their names which decisions strike.
void Keep(Plan *plan) {
    sim_outcome outcome;
    sim_attempt *attempt = sim_attempt_open();
    sim_attempt_run(attempt, plan->get(), true, nullptr, nullptr, &outcome);
    sim_plan_keep(plan->get(), sim_attempt_struck(attempt), outcome.struck_count);
    sim_attempt_close(attempt);
}

// The first seed from `first` on that fails, shrunk; kept: as if given by its decisions.
struct Shrunk {
    Shrunk(const tina_scenario &scenario, uint64_t first, const sim_shrink_limits &limits,
           bool kept = false)
        : plan(scenario) {
        sim_outcome given;
        plan->seed = first - 1;
        do {
            plan->seed++;
            given = OutcomeOf(plan, 0);
        } while (!given.failed && plan->seed < first + 300);
        EXPECT_TRUE(given.failed) << scenario.name;
        checker = given.checker;
        if (kept)
            Keep(&plan);
        sim_shrink(plan.get(), given.checker, &limits, &what);
        EXPECT_TRUE(what.repeats);
    }
    Plan plan;
    std::string checker;
    sim_shrunk what;
};

class Reductions {
  public:
    explicit Reductions(const Shrunk &shrunk)
        : shrunk_(shrunk), plan_(Reread(shrunk.plan)), settings_(SettingsOf(plan_)) {
        sim_outcome whole = OutcomeOf(plan_, 0);
        EXPECT_EQ(whole.checker, shrunk.checker);
        EXPECT_EQ(whole.events, shrunk.what.events);
        Decisions();
        Settings();
        Shards();
        Work();
        Until();
        Patience();
    }
    uint32_t held = 0;

  private:
    bool IsAlike(const Plan &candidate, uint64_t events, sim_outcome *outcome) {
        *outcome = OutcomeOf(candidate, events);
        bool alike = outcome->failed && outcome->checker == shrunk_.checker &&
                     outcome->events <= events && IsFair(candidate);
        held += !alike;
        return alike;
    }

    // A wait that was cut is enough where nothing strikes, and all of it is not here.
    bool IsFair(const Plan &candidate) {
        sim_plan control;
        if (candidate->liveness_ns == 0 || shrunk_.checker != SIM_LIVENESS)
            return true;
        for (bool calm : {false, true}) {
            sim_outcome outcome;
            sim_plan_control(&control, candidate.get(), calm);
            sim_outcome_run(&control, nullptr, nullptr, &outcome);
            if (outcome.failed)
                return false;
        }
        Plan whole = candidate;
        whole->liveness_ns = 0;
        return shrunk_.checker == OutcomeOf(whole, 0).checker;
    }

    void Try(const Plan &candidate) {
        sim_outcome outcome;
        EXPECT_FALSE(IsAlike(candidate, shrunk_.what.events_alike, &outcome))
            << Printed(candidate) << " of " << Printed(plan_);
    }

    // What makes no event less is no reduction.
    void TryFewer(const Plan &candidate) {
        sim_outcome outcome;
        EXPECT_FALSE(IsAlike(candidate, shrunk_.what.events, &outcome) &&
                     outcome.events < shrunk_.what.events)
            << Printed(candidate) << " of " << Printed(plan_);
    }

    void Decisions() {
        ASSERT_NE(plan_->kept, nullptr);
        for (uint32_t out = 0; out < plan_->kept_count; out++) {
            std::vector<uint64_t> kept(plan_->kept, plan_->kept + plan_->kept_count);
            kept.erase(kept.begin() + out);
            const uint64_t none = 0;
            Plan candidate = plan_;
            sim_plan_keep(candidate.get(), kept.empty() ? &none : kept.data(),
                          static_cast<uint32_t>(kept.size()));
            Try(candidate);
        }
    }

    void Settings() {
        tina_sim_settings least = sim_plan_least(plan_.get());
        for (uint32_t i = 0; i < tina_sim_setting_count; i++) {
            const tina_sim_setting *row = &tina_sim_setting_table[i];
            tina_sim_settings settings = settings_;
            uint64_t *value = tina_sim_setting_of(&settings, row);
            if (row->low == row->high || *value == *tina_sim_setting_of(&least, row))
                continue;
            *value = *tina_sim_setting_of(&least, row);
            Plan candidate = plan_;
            sim_plan_set(candidate.get(), &settings);
            Try(candidate);
        }
    }

    void Shards() {
        for (uint32_t shards = 1; shards < shrunk_.what.outcome.shards; shards++) {
            Plan candidate = plan_;
            candidate->shards = shards;
            Try(candidate);
        }
    }

    void Work() {
        for (int halvings = 1; halvings <= 10 && settings_.load_permille >> halvings; halvings++) {
            tina_sim_settings settings = settings_;
            settings.load_permille -= settings.load_permille >> halvings;
            Plan candidate = plan_;
            sim_plan_set(candidate.get(), &settings);
            TryFewer(candidate);
        }
        for (uint32_t kind = 0; kind < TINA_SIM_KINDS; kind++) {
            tina_sim_settings settings = settings_;
            settings.kinds_left_out |= UINT64_C(1) << kind;
            Plan candidate = plan_;
            sim_plan_set(candidate.get(), &settings);
            if (settings.kinds_left_out != settings_.kinds_left_out)
                TryFewer(candidate);
        }
    }

    void Until() {
        uint64_t until_ns = sim_plan_faults_ns(plan_.get());
        for (uint64_t less_ns = until_ns / 2; less_ns >= 1000000 && less_ns >= until_ns / 1024;
             less_ns /= 2) {
            Plan candidate = plan_;
            candidate->faults_until_ns = until_ns - less_ns;
            TryFewer(candidate);
        }
    }

    void Patience() {
        uint64_t whole_ns = sim_plan_liveness_ns(plan_.get());
        for (int halvings = 1; halvings <= 4 && shrunk_.checker == SIM_LIVENESS; halvings++) {
            Plan candidate = plan_;
            candidate->liveness_ns = whole_ns - (whole_ns >> halvings);
            TryFewer(candidate);
        }
    }

    const Shrunk &shrunk_;
    const Plan plan_;
    const tina_sim_settings settings_;
};

void ExpectMinimal(const Shrunk &shrunk) {
    SCOPED_TRACE(Printed(shrunk.plan));
    EXPECT_TRUE(shrunk.what.minimal);
    EXPECT_EQ(shrunk.what.unknown, 0u);
    EXPECT_EQ(Reductions(shrunk).held, shrunk.what.held);
}

// More time than it takes anywhere.
sim_shrink_limits Unhurried() {
    sim_shrink_limits limits = {};
    limits.seconds = 600;
    return limits;
}

// Of the search there is the first run only, so that whatever can be left out is left to the proof.
sim_shrink_limits ProofOnly() {
    sim_shrink_limits limits = Unhurried();
    limits.runs = 1;
    return limits;
}

TEST(Proof, LeavesNothingThatCanGoAlone) {
    const char *seed = std::getenv("TINA_SEED");
    const uint64_t from = seed ? std::stoull(seed) : 1;
    const uint64_t count = std::getenv("TINA_LONG") ? 100 : 1;
    for (uint64_t first = from; first < from + count; first++)
        for (const tina_scenario *scenario :
             {&sim_canary_two, &sim_canary_asserts, &sim_canary_books_twice, &sim_canary_odd,
              &sim_canary_less, &sim_canary_stuck})
            ExpectMinimal(Shrunk(*scenario, first, ProofOnly()));
}

// Without other seeds, which are tried for as long as there is time.
TEST(Proof, FollowsTheSearch) {
    for (const tina_scenario *scenario :
         {&sim_canary_two, &sim_canary_books_twice, &sim_canary_less})
        ExpectMinimal(Shrunk(*scenario, 1, Unhurried(), true));
}

// Any two could go: so much is not said.
TEST(Proof, IsOfEachAlone) {
    Shrunk odd(sim_canary_odd, 1, ProofOnly());
    ExpectMinimal(odd);
    ASSERT_GE(odd.plan->kept_count, 3u);
    Plan fewer = odd.plan;
    sim_plan_keep(fewer.get(), odd.plan->kept, odd.plan->kept_count - 2);
    EXPECT_EQ(OutcomeOf(fewer, 0).checker, odd.checker);
}

TEST(Proof, ThatIsCutShortIsNone) {
    sim_shrink_limits limits = ProofOnly();
    // All but the first run and the last, which sees the whole again.
    const uint32_t needed = Shrunk(sim_canary_odd, 1, limits).what.runs - 2;
    for (uint32_t runs : {1u, needed / 2, needed - 1, needed}) {
        limits.proof_runs = runs;
        Shrunk cut(sim_canary_odd, 1, limits);
        EXPECT_EQ(cut.what.minimal, runs == needed) << runs << " of " << needed;
        EXPECT_LE(cut.what.held, runs);
    }
}

// More to leave out than there is time for, a run being so long.
TEST(Proof, ThatHasNoTimeIsNone) {
    sim_shrink_limits limits = {};
    limits.seconds = 1;
    sim_run_cpu_ms = 200;
    Shrunk endless(sim_canary_hangs, 1, limits);
    sim_run_cpu_ms = SIM_RUN_CPU_MS;
    EXPECT_EQ(endless.checker, SIM_NO_END);
    EXPECT_FALSE(endless.what.minimal);
}

// Without its one decision that run has no end: nobody knows how it would have gone on.
TEST(Proof, IsNoneWhereARunWasNotOver) {
    Shrunk stalls(sim_canary_stalls, 1, ProofOnly());
    ASSERT_EQ(stalls.checker, "stalls");
    EXPECT_EQ(stalls.plan->kept_count, 1u);
    EXPECT_EQ(stalls.what.unknown, 1u);
    EXPECT_FALSE(stalls.what.minimal);
}

} // namespace
