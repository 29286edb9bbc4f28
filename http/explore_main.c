// SPDX-License-Identifier: Apache-2.0

#include "http/sim_scenarios.h"
#include "sim/explore.h"

int main(int argc, char **argv) {
    return tina_explore(argc, argv, http_scenarios, "//http:explore");
}
