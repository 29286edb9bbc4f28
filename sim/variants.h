// SPDX-License-Identifier: Apache-2.0
//
// For tests: the simulated backend in worlds from calm to rough, for the reactor's suite, which
// reads this in the place of its own variants.

#ifndef TINA_SIM_VARIANTS_H
#define TINA_SIM_VARIANTS_H

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "reactor/rig.h"

std::unique_ptr<Kind> sim_calm();
std::unique_ptr<Kind> sim_far_away(); // everything takes long
std::unique_ptr<Kind> sim_hurried();  // completions overtake, cancels are late, multishot ops end
std::unique_ptr<Kind> sim_narrow();   // small buffers, one op at a time
std::unique_ptr<Kind> sim_rough();    // all of it, and a slow disk
std::unique_ptr<Kind> sim_rough_too();

inline std::vector<Variant> sim_variants() {
    return {
        {"sim_calm", &sim_calm},       {"sim_far_away", &sim_far_away},
        {"sim_hurried", &sim_hurried}, {"sim_narrow", &sim_narrow},
        {"sim_rough", &sim_rough},     {"sim_rough_too", &sim_rough_too},
    };
}

inline auto every_variant() {
    return testing::ValuesIn(sim_variants());
}

// What holds for kernels holds here too.
inline auto every_kernel_variant() {
    return testing::ValuesIn(sim_variants());
}

#endif
