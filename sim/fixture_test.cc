// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "sim/shell.h"

namespace {

using tina_test::Result;
using tina_test::Shell;

// Not as a test of bazel's, so that the commands that it prints are for a shell.
Result Canary(const std::string &environment, const std::string &name) {
    return Shell("unset TEST_TARGET XML_OUTPUT_FILE TINA_SEED TINA_LONG; " + environment +
                 " sim/failing_tests --gtest_filter=Canary." + name);
}

// The last line that is a command: the shrunk form.
std::string CommandOf(const std::string &text) {
    size_t at = text.rfind("  TINA_SIM='");
    return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

TEST(Fixture, TellsTheSentenceAndACommandThatFailsAgain) {
    Result failed = Canary("", "BooksTwice");
    EXPECT_EQ(failed.code, 1);
    EXPECT_NE(failed.text.find("sim/failing_tests.cc:13: Failure"), std::string::npos)
        << failed.text;
    EXPECT_NE(failed.text.find("1-minimal"), std::string::npos) << failed.text;
    Result again = Shell(CommandOf(failed.text));
    EXPECT_EQ(again.code, 1) << failed.text << again.text;
    EXPECT_NE(again.text.find("charged once: "), std::string::npos) << again.text;
}

TEST(Fixture, AFailedAssertionIsAFailureWithItsSeed) {
    Result failed = Canary("", "Asserts");
    EXPECT_EQ(failed.code, 1) << failed.text;
    EXPECT_NE(failed.text.find("assertion failed: self->ticks == 0"), std::string::npos)
        << failed.text;
    Result again = Shell(CommandOf(failed.text));
    EXPECT_NE(again.code, 0) << failed.text << again.text;
    EXPECT_NE(again.text.find("assertion failed: self->ticks == 0"), std::string::npos)
        << again.text;
}

TEST(Fixture, TellsWhatIsNotTheSameTwice) {
    Result failed = Canary("", "Uninitialised");
    EXPECT_EQ(failed.code, 1);
    EXPECT_NE(failed.text.find("the same twice"), std::string::npos) << failed.text;
    EXPECT_NE(failed.text.find(" differs"), std::string::npos) << failed.text;
    failed = Canary("", "Static");
    EXPECT_EQ(failed.code, 1);
    EXPECT_NE(failed.text.find("what an earlier run has left decides"), std::string::npos)
        << failed.text;
}

TEST(Fixture, PassesWhereNothingIsWrong) {
    Result passed = Canary("", "Sound");
    EXPECT_EQ(passed.code, 0) << passed.text;
}

TEST(Fixture, TakesSeedsFromTheEnvironment) {
    Result failed = Canary("", "BooksTwice");
    std::smatch seed;
    ASSERT_TRUE(std::regex_search(failed.text, seed, std::regex("seed ([0-9]+): charged once")))
        << failed.text;
    EXPECT_EQ(Canary("TINA_SIM_SEED=" + seed[1].str(), "BooksTwice").code, 1);
    EXPECT_EQ(Canary("TINA_SEED=" + seed[1].str() + " TINA_SIM_SEEDS=1", "BooksTwice").code, 1);
    EXPECT_EQ(
        Canary("TINA_SIM_SEEDS=" + std::to_string(std::stoi(seed[1].str()) - 1), "BooksTwice").code,
        0);
    EXPECT_EQ(Canary("TINA_SIM_SEED=x", "Sound").code, 1);
    EXPECT_EQ(Canary("TINA_SIM='--seed x'", "Sound").code, 1);
    EXPECT_EQ(Canary("TINA_SIM='--scenario another --seed x'", "Sound").code, 0);
}

} // namespace
