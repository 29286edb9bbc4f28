// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a connection for which there is no slot, where the server does not let it wait,
// and of one whose isolate has crashed.

#ifndef TINA_HTTP_OVERFLOW_H
#define TINA_HTTP_OVERFLOW_H

#include <stdbool.h>

#include "sched/isolate.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_shard http_shard;

// The answer of a server that has no room; the same for all clients.
tina_bytes http_unavailable(void);

// http_overflow_refuse counts a connection that is refused, and gives it to an isolate that answers
// 503. Returns false, and the caller closes it, when it is to be closed or there is none left.
bool http_overflow_refuse(http_shard *shard, tina_ctx *ctx, tina_fd fd);

// One a connection that is being refused, args: its tina_fd; or that crashed, args: tina_heir_args.
// Where that was in a handler of whose response nothing had left, what was answered before is sent,
// then 500.
extern const tina_isolate_type http_refusal_type;

#define HTTP_REFUSALS 64u // at once

#ifdef __cplusplus
}
#endif

#endif
