// SPDX-License-Identifier: Apache-2.0
//
// What OTP's suite does not ask, because there a supervisor blocks and a pid is never reused.

#include "supervise/tree.h"

#include <gtest/gtest.h>

#include "supervise/tree_world.h"

using namespace tree_world;

TEST(Tree, AnExitReportedAtTheDeadlineIsInTime) {
    World world(group_policy(TINA_ONE_FOR_ONE));
    tina_node one = world.child(1, child_policy(TINA_PERMANENT, SECOND));
    world.child(2, child_policy(TINA_PERMANENT, SECOND));
    world.manners[1].deaf = true;
    world.start();
    world.terminate(one);
    world.now_ns += SECOND;
    world.exits(one, TINA_EXITED_SHUTDOWN);
    world.run();
    EXPECT_EQ(world.take_log(), "+1 +2 -1");
    EXPECT_EQ(tina_tree_next_ns(world.tree), UINT64_MAX);
}
