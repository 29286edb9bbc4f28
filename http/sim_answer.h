// SPDX-License-Identifier: Apache-2.0
//
// For scenarios: what a client has heard, read as a response and held against what was asked.

#ifndef TINA_HTTP_SIM_ANSWER_H
#define TINA_HTTP_SIM_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "http/sim_site.h"

#ifdef __cplusplus
extern "C" {
#endif

// A response as far as it is here. All zero: not even its head is.
typedef struct sim_answer {
    uint32_t status;
    uint32_t id; // 0: it says none
    bool closes;
    bool chunked;
    bool retries;    // says Retry-After
    uint64_t length; // Content-Length
    uint64_t head_bytes;
    uint64_t bytes; // the whole response, when it is whole
    bool whole;
    const char *wrong; // or NULL
} sim_answer;

// sim_answer_read reads the response at the beginning of `data`. Of a 200, each byte of body that
// is here must be the ask's; `ask` is NULL when none is due.
sim_answer sim_answer_read(const sim_ask *ask, const uint8_t *data, uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif
