// SPDX-License-Identifier: Apache-2.0

#include "sim/canaries.h"
#include "sim/explore.h"

int main(int argc, char **argv) {
    return tina_explore(argc, argv, sim_canaries, "//sim:explore_canaries");
}
