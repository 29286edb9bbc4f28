// SPDX-License-Identifier: Apache-2.0
//
// Tests of scenarios that are wrong on purpose.

#include <gtest/gtest.h>

#include "sim/canaries.h"
#include "sim/test.h"

namespace {

TEST(Canary, BooksTwice) {
    tina::Simulate(sim_canary_books_twice, 300);
}

TEST(Canary, Asserts) {
    tina::Simulate(sim_canary_asserts, 300);
}

TEST(Canary, Uninitialised) {
    tina::Simulate(sim_canary_uninitialised, 1);
}

TEST(Canary, Static) {
    tina::Simulate(sim_canary_static, 1);
}

TEST(Canary, Sound) {
    tina::Simulate(sim_canary_sound, 20);
}

} // namespace
