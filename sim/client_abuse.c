// SPDX-License-Identifier: Apache-2.0
//
// What clients do that a server does not like.

#include "core/assert.h"
#include "sim/client.h"

// Around what somebody has patience for: a hundredth of it to four times.
static uint64_t time_draw(sim_stream *stream, uint64_t patience_ns) {
    uint64_t hundredths = 1 + sim_draw(stream, 400);
    return patience_ns / 100 * hundredths + 1;
}

static uint64_t place_draw(sim_stream *stream, const sim_client_plan *plan) {
    return 1 + sim_draw_upto(stream, plan->bytes);
}

static void slowly(sim_stream *stream, uint64_t patience_ns, sim_client_plan *plan, uint64_t from) {
    plan->slow_from = from;
    plan->slow_bytes = UINT64_MAX;
    plan->slow_step_bytes = 1 + (uint32_t)sim_draw(stream, 8);
    plan->slow_step_ns = time_draw(stream, patience_ns / 16);
}

const char *sim_client_abuse(sim_stream *stream, uint64_t patience_ns, sim_client_plan *plan) {
    static const char *const names[] = {
        "nothing",        "sends slowly",        "stops halfway",        "reads slowly",
        "never reads",    "half-closes",         "closes while sending", "resets while sending",
        "closes at once", "resets at an answer", "says nothing",         "leaves in time",
    };
    uint64_t kind = sim_draw(stream, sizeof names / sizeof names[0]);
    uint64_t place = place_draw(stream, plan);
    uint64_t time_ns = time_draw(stream, patience_ns);
    switch (kind) {
    case 0:
        break;
    case 1:
        slowly(stream, patience_ns, plan, place - 1);
        break;
    case 2:
        plan->bytes = place - 1;
        plan->timeout_ns = 10 * patience_ns;
        break;
    case 3:
        plan->read_bytes = 1 + (uint32_t)sim_draw(stream, 64);
        plan->read_ns = time_draw(stream, patience_ns / 16);
        plan->leaves_ns = 10 * patience_ns;
        break;
    case 4:
        plan->never_reads = true;
        plan->leaves_ns = 10 * patience_ns;
        break;
    case 5:
        plan->half_closes = true;
        break;
    case 6:
    case 7:
        plan->leaves_at_sent = place;
        plan->resets = kind == 7;
        break;
    case 8:
        plan->leaves_ns = 1 + time_ns / 1000;
        break;
    case 9:
        plan->leaves_at_received = place;
        plan->resets = true;
        break;
    case 10:
        plan->bytes = 0;
        plan->leaves_ns = 10 * patience_ns;
        break;
    case 11:
        plan->leaves_ns = time_ns;
        plan->resets = sim_draw(stream, 2) == 0;
        break;
    default:
        tina_assert_failed("no such abuse", __FILE__, __LINE__);
    }
    return names[kind];
}
