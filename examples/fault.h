// SPDX-License-Identifier: Apache-2.0
//
// Faults for examples that show what one costs: real accesses and instructions.

#ifndef TINA_EXAMPLES_FAULT_H
#define TINA_EXAMPLES_FAULT_H

#include <stdbool.h>

#include "sched/isolate.h"

typedef enum fault {
    FAULT_EFFECT = 0, // returns a crash
    FAULT_NULL,       // writes through NULL
    FAULT_DIVISION,   // divides by zero
    FAULT_OVERFLOW,   // recurses until the stack is used up
    FAULT_LOOP,       // never returns
    FAULT_COUNT,
} fault;

const char *fault_name(fault kind);

// fault_parse reads a fault's name; FAULT_COUNT for "all". False when text is none of them.
bool fault_parse(const char *text, fault *kind);

// fault_commit does it. Only FAULT_EFFECT has something to return.
tina_effect fault_commit(fault kind);

#endif
