// SPDX-License-Identifier: Apache-2.0
//
// Command lines of the examples: options with a value each, and words without one.

#ifndef TINA_EXAMPLES_ARGUMENTS_H
#define TINA_EXAMPLES_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tina.h"

typedef struct arguments {
    const char *program;
    const char *usage;
    uint32_t word_count; // exactly so many

    uint16_t port;        // --port
    tina_backend backend; // --backend
    tina_address to;      // --to ADDRESS:PORT
    const char *words[2];
} arguments;

// Returns -1 when the program is to run, or its exit status: it has said why, or helped.
int arguments_read(arguments *into, int argc, char **argv);

// Says what is wrong with a word, and returns 1.
int arguments_refuse(const arguments *given, const char *what, const char *word);

#endif
