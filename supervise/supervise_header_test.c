// SPDX-License-Identifier: Apache-2.0
//
// The headers as C17 sees them, and one life of each thing they declare.

#include <stdlib.h>

#include "core/assert.h"
#include "supervise/policy.h"
#include "supervise/quarantine.h"
#include "supervise/tree.h"
#include "supervise/tree_requests.h"
#include "supervise/watchdog.h"

static void tree_life(void) {
    tina_tree_config config = {.node_count = 2, .group_count = 1, .window_count = 1};
    void *memory = aligned_alloc(64, tina_tree_bytes(&config));
    TINA_ASSERT(memory != NULL);
    tina_tree *tree = tina_tree_open(&config, memory);
    tina_node root;
    tina_node child;
    TINA_ASSERT(tina_tree_add_group(tree, (tina_node){0}, &(tina_tree_group){0}, &root) ==
                TINA_TREE_OK);
    TINA_ASSERT(tina_tree_add_child(tree, root, &(tina_child_policy){0}, 1, &child) ==
                TINA_TREE_OK);
    tina_tree_start(tree);
    tina_tree_step step;
    TINA_ASSERT(tina_tree_next(tree, 1, &step));
    TINA_ASSERT(step.kind == TINA_STEP_START);
    TINA_ASSERT(step.node.bits == child.bits);
    TINA_ASSERT(tina_tree_spawned(tree, child, 42) == TINA_TREE_OK);
    TINA_ASSERT(tina_tree_started(tree, child) == TINA_TREE_OK);
    TINA_ASSERT(!tina_tree_next(tree, 1, &step));
    tina_tree_shutdown(tree);
    TINA_ASSERT(tina_tree_next(tree, 2, &step));
    TINA_ASSERT(step.kind == TINA_STEP_STOP);
    TINA_ASSERT(step.who == 42);
    TINA_ASSERT(tina_tree_exited(tree, child, TINA_EXITED_SHUTDOWN) == TINA_TREE_OK);
    TINA_ASSERT(tina_tree_next(tree, 2, &step));
    TINA_ASSERT(step.kind == TINA_STEP_ENDED);
    tina_tree_check(tree);
    free(memory);
}

int main(void) {
    tree_life();
    tina_watchdog watchdog;
    tina_watchdog_init(&watchdog, &(tina_watchdog_limits){0});
    TINA_ASSERT(tina_watchdog_judge(&watchdog, &(tina_watchdog_sample){0}) == TINA_WATCHDOG_FINE);
    tina_quarantine quarantine;
    tina_quarantine_init(&quarantine, &(tina_quarantine_policy){0});
    TINA_ASSERT(tina_quarantine_faulted(&quarantine, true, 0, 1) == TINA_QUARANTINE_REBUILD);
    return 0;
}
