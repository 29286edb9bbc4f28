// SPDX-License-Identifier: Apache-2.0

#include "examples/fault.h"

#include <stddef.h>
#include <string.h>

// The sanitizers would end the process before the processor complains.
#define AS_WRITTEN __attribute__((noinline, no_sanitize("address", "undefined")))

// What the compiler and the analyzer then know nothing about.
#define HIDE(variable) __asm__ volatile("" : "+r"(variable))

static const char *const names[FAULT_COUNT] = {"effect", "null", "division", "overflow", "loop"};

const char *fault_name(fault kind) {
    return names[kind];
}

bool fault_parse(const char *text, fault *kind) {
    int at = 0;
    while (at < FAULT_COUNT && strcmp(text, names[at]) != 0)
        at++;
    *kind = (fault)at;
    return at < FAULT_COUNT || strcmp(text, "all") == 0;
}

static AS_WRITTEN void write_null(void) {
    volatile int *nowhere = NULL;
    HIDE(nowhere);
    *nowhere = 1;
}

static AS_WRITTEN void divide(int by) {
    int dividend = 7;
    HIDE(dividend);
    HIDE(by);
    volatile int quotient = dividend / by; // or there would be no need to divide
    (void)quotient;
}

static AS_WRITTEN int recurse(int depth) {
    volatile int frame[64];
    frame[depth & 63] = depth;
    return depth < 0 ? 0 : recurse(depth + 1) + frame[depth & 63];
}

static AS_WRITTEN void loop(void) {
    volatile bool on = true;
    while (on)
        continue;
}

tina_effect fault_commit(fault kind) {
    switch (kind) {
    case FAULT_NULL:
        write_null();
        break;
    case FAULT_DIVISION:
        divide(0);
        break;
    case FAULT_OVERFLOW:
        (void)recurse(0);
        break;
    case FAULT_LOOP:
        loop();
        break;
    case FAULT_EFFECT:
    case FAULT_COUNT:
        break;
    }
    return tina_crash(1);
}
