// SPDX-License-Identifier: Apache-2.0

#include "sim/explore.h"
#include "sim/scenarios.h"

int main(int argc, char **argv) {
    return tina_explore(argc, argv, tina_scenarios, "//sim:explore");
}
