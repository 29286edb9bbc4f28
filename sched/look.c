// SPDX-License-Identifier: Apache-2.0

#include "sched/internal.h"

static const char *state_name(isolate_state state) {
    switch (state) {
    case ISOLATE_FREE:
        return "free";
    case ISOLATE_STARTING:
        return "starting";
    case ISOLATE_RUNNING:
        return "running";
    case ISOLATE_RECEIVING:
        return "receiving";
    case ISOLATE_AWAITING:
        return "awaiting an op";
    case ISOLATE_REFUSED:
        return "refused an op";
    case ISOLATE_CALLING:
        return "calling";
    case ISOLATE_ANSWERED:
        return "answered";
    case ISOLATE_CALL_FAILED:
        return "call failed";
    case ISOLATE_YIELDED:
        return "yielded";
    case ISOLATE_DRAINING:
        return "draining";
    }
    return "unknown";
}

bool tina_shard_look(const tina_shard *shard, uint32_t *place, tina_isolate_look *look) {
    for (; *place < shard->isolate_count; (*place)++) {
        const tina_isolate *at = &shard->isolates[*place];
        if (at->state == ISOLATE_FREE)
            continue;
        bool calls = at->state == ISOLATE_CALLING;
        *look = (tina_isolate_look){
            .handle = at->handle,
            .type = shard->types[at->type].type->name,
            .state = state_name((isolate_state)at->state),
            .mail_count = at->state == ISOLATE_DRAINING ? 0 : at->mail_count,
            .ops_in_flight = at->io.ops_in_flight,
            .waits_for = calls ? at->call_target : tina_handle_none(),
        };
        (*place)++;
        return true;
    }
    return false;
}
