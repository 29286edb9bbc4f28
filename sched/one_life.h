// SPDX-License-Identifier: Apache-2.0
//
// A child that plays once: its end ends nothing and starts nothing, so a test or benchmark whose
// isolates have all ended is over.

#ifndef TINA_SCHED_ONE_LIFE_H
#define TINA_SCHED_ONE_LIFE_H

#include "sched/spec.h"

namespace tina {

inline tina_child OneLife(const tina_isolate_type *type, tina_bytes args = {nullptr, 0}) {
    tina_child child = {};
    child.type = type;
    child.args = args;
    child.restart = TINA_TEMPORARY;
    return child;
}

} // namespace tina

#endif
