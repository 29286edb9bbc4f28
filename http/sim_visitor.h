// SPDX-License-Identifier: Apache-2.0
//
// For scenarios: a client that has things to ask, over as many connections as it takes, and checks
// what it hears. It is the oracle: answers come whole, in order, each to its ask, and none comes
// unasked; one that is cut short is a beginning of the right one; and a connection that nothing has
// happened to is not cut short.

#ifndef TINA_HTTP_SIM_VISITOR_H
#define TINA_HTTP_SIM_VISITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "http/sim_site.h"
#include "sim/client.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SIM_VISITOR_ASKS 12u

typedef struct sim_visitor {
    // Set by the scenario.
    uint32_t number;
    uint32_t host; // an index of the site's
    sim_ask asks[SIM_VISITOR_ASKS];
    uint32_t ask_count;
    uint32_t depth;       // asks sent before their answers are here; default 1
    uint64_t think_ns;    // at most, before the next ones
    uint64_t pause_ns;    // at most, before the next connection; default 10 ms
    bool closes;          // says Connection: close with the last
    sim_client_plan plan; // how it sends and reads; its bytes, calls and address are the visitor's
    bool one_visit;       // does not come again, whatever became of it
    bool may_be_cut;      // by what its plan does
    bool strict;          // nothing may cost it an answer
    uint32_t own_host;    // in place of the site's; 0: none
    void (*told)(struct sim_visitor *self); // at the end of each visit; or NULL

    // Kept by the visitor.
    sim_client *client; // NULL: not here
    sim_client_result last_result;
    uint32_t answered;               // asks
    uint32_t sent;                   // asks, on this connection
    uint32_t first;                  // ... of which this was the first
    uint64_t ends[SIM_VISITOR_ASKS]; // where each ask ends in what is sent
    uint64_t sent_ns[SIM_VISITOR_ASKS];
    uint64_t sent_bytes;
    uint64_t parsed; // bytes of answers
    uint32_t last_status;
    bool last; // an answer said that it is the connection's last
    bool left;
    bool in_order;
    uint64_t trouble;
    uint64_t began_ns;
    uint64_t moved_ns; // when anything last came
    uint32_t visits;
    uint32_t cuts;     // visits that ended before their answers were here
    uint32_t statuses; // of answers that were none: 408, 503
} sim_visitor;

// sim_visitor_start has it come within pause_ns.
void sim_visitor_start(tina_sim *sim, sim_visitor *self);

bool sim_visitor_is_done(const sim_visitor *self); // all is answered

// sim_visitor_check fails the run when a visit has stood still for longer than `most_ns`.
void sim_visitor_check(tina_sim *sim, const sim_visitor *self, uint64_t most_ns);

#ifdef __cplusplus
}
#endif

#endif
