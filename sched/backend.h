// SPDX-License-Identifier: Apache-2.0

#ifndef TINA_SCHED_BACKEND_H
#define TINA_SCHED_BACKEND_H

#include "reactor/backend.h"
#include "sched/spec.h"

// tina_backend_choose returns the backend that is wanted or, if that is left open, one that this
// kernel grants; a notice, else "", when it is not the one that a user would expect. At boot only:
// it asks the kernel.
const tina_reactor_backend *tina_backend_choose(tina_backend wanted,
                                                char notice[TINA_SENTENCE_BYTES]);

#endif
