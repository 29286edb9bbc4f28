// SPDX-License-Identifier: Apache-2.0

#include "sim/test.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "sim/failures.h"

namespace tina {
namespace {

constexpr uint32_t kShrinkSeconds = 20;
constexpr uint64_t kLong = 100;

struct Place {
    const char *file;
    int line;
};

void Fail(const Place &place, const std::string &text) {
    ADD_FAILURE_AT(place.file, place.line) << text;
}

// Returns false where the variable is no number; where it is not set, value stays.
bool NumberRead(const Place &place, const char *name, uint64_t *value) {
    const char *text = std::getenv(name);
    if (!text || sim_number_read(text, value))
        return true;
    Fail(place, std::string(name) + " takes a number, not \"" + text + "\"");
    return false;
}

std::string Program() {
    char path[4096];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof path);
    return bytes > 0 ? std::string(path, static_cast<size_t>(bytes)) : "the test";
}

// What runs this test again, before and after the options of the run.
struct Command {
    std::string before;
    std::string after;
};

Command CommandOfTest() {
    const testing::TestInfo *test = testing::UnitTest::GetInstance()->current_test_info();
    std::string filter = test ? std::string(test->test_suite_name()) + "." + test->name() : "*";
    const char *target = std::getenv("TEST_TARGET");
    if (!target)
        return {"TINA_SIM='", "' " + Program() + " --gtest_filter='" + filter + "'"};
#ifdef NDEBUG
    const char *mode = "-c opt ";
#else
    const char *mode = "";
#endif
    return {std::string("bazel test ") + mode + target + " --test_filter='" + filter +
                "' --test_env=TINA_SIM='",
            "'"};
}

void OneRun(const tina_scenario &scenario, const std::string &words, const Place &place) {
    const std::string prefix = "--scenario ";
    std::string rest = words;
    if (words.compare(0, prefix.size(), prefix) == 0) {
        size_t end = words.find(' ', prefix.size());
        if (words.substr(prefix.size(), end - prefix.size()) != scenario.name)
            return;
        rest = end == std::string::npos ? "" : words.substr(end);
    }
    sim_plan plan = {};
    sim_outcome outcome;
    char sentence[TINA_SENTENCE_BYTES];
    plan.scenario = &scenario;
    if (!sim_plan_words(&plan, rest.c_str(), sentence)) {
        Fail(place, std::string("TINA_SIM: ") + sentence);
        return;
    }
    sim_outcome_run(&plan, nullptr, nullptr, &outcome);
    if (!outcome.ran || outcome.failed)
        Fail(place, std::string(outcome.checker) + ": " + outcome.sentence);
    sim_plan_free(&plan);
}

void FailureKeep(void *failures, const sim_failure *failure) {
    static_cast<std::vector<sim_failure> *>(failures)->push_back(*failure);
}

void FailureTell(const sim_search &search, const sim_failure &failure, const Place &place) {
    if (!failure.outcome.ran) {
        Fail(place, failure.outcome.sentence);
        return;
    }
    Command command = CommandOfTest();
    std::vector<char> text(1 << 20);
    sim_telling telling = {};
    telling.plan = &search.plan;
    telling.command = command.before.c_str();
    telling.after = command.after.c_str();
    telling.shrink = true;
    telling.shrink_s = kShrinkSeconds;
    sim_failure_text(&telling, &failure, text.data(), text.size());
    Fail(place, text.data());
}

} // namespace

void Simulate(const tina_scenario &scenario, uint64_t seeds, const char *file, int line) {
    const Place place = {file, line};
    const tina_scenario *scenarios[] = {&scenario};
    const char *words = std::getenv("TINA_SIM");
    sim_search search = {};
    search.scenarios = scenarios;
    search.scenario_count = 1;
    search.seed_count = std::getenv("TINA_LONG") ? seeds * kLong : seeds;
    search.plan.seed = 1;
    search.jobs = 1;
    search.twice = true;
    search.until_failure = true;
    if (words) {
        OneRun(scenario, words, place);
        return;
    }
    if (!NumberRead(place, "TINA_SEED", &search.plan.seed) ||
        !NumberRead(place, "TINA_SIM_SEEDS", &search.seed_count) ||
        !NumberRead(place, "TINA_SIM_SEED", &search.plan.seed))
        return;
    if (std::getenv("TINA_SIM_SEED"))
        search.seed_count = 1;
    sim_totals totals;
    std::vector<sim_failure> failures;
    sim_search_run(&search, &totals, FailureKeep, &failures);
    for (const sim_failure &failure : failures)
        FailureTell(search, failure, place);
    if (failures.empty() && totals.runs != search.seed_count)
        Fail(place, "interrupted after " + std::to_string(totals.runs) + " seeds");
}

} // namespace tina
