// SPDX-License-Identifier: Apache-2.0
//
// The access log of a shard. Connections stage lines in one half of a buffer while the other is
// being written, by an isolate that is spawned when there is something to write; nobody waits. What
// finds the half full is dropped and counted.
//
//     connection ─ line ─▶ | filling | ◀─ swap ─▶ | being written | ─ write op ─▶ file

#ifndef TINA_HTTP_ACCESS_LOG_H
#define TINA_HTTP_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_shard http_shard;
typedef struct http_context http_context;

typedef struct http_log {
    uint8_t *halves[2];
    uint32_t half_bytes;
    uint32_t filling; // the half that lines go to; the other is the writer's
    uint32_t bytes;   // in it
    uint32_t lines;
    tina_handle writer;
    bool awake; // the writer will look at what is staged
} http_log;

// http_log_request stages the line of the context's request, whose response is over.
void http_log_request(http_shard *shard, http_context *context, tina_ctx *ctx);

extern const tina_isolate_type http_log_writer_type;

#ifdef __cplusplus
}
#endif

#endif
