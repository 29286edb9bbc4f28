// SPDX-License-Identifier: Apache-2.0
//
// For scenarios: a client that provokes one deadline or limit and knows what must come of it, and
// when. It fails the run when its connection ends too early or too late, when the answers that it
// hears have other statuses, or when one of them is not what was asked for.
//
//     sends `first` ... sends `then` at then_ns ─────┬── least_ns ──┬── most_ns ──▶
//                                                    └ from here     └ its end, in between

#ifndef TINA_HTTP_SIM_PROBE_H
#define TINA_HTTP_SIM_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/sim_site.h"
#include "sim/client.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SIM_PROBE_ASKS 8u

typedef struct sim_probe {
    // Set by the scenario. All in nanoseconds of virtual time.
    const char *name;
    sim_ask asks[SIM_PROBE_ASKS]; // whose answers it can hear, in order
    const char *statuses;         // of the whole answers that it must hear, as in "200 408"; NULL:
                                  // any
    bool closed;                  // the last of these, and no other, says Connection: close
    bool open;                    // no answer says Connection: close
    bool retries;                 // ... and Retry-After
    bool cut;                     // there follows the beginning of one more, which never ends
    bool not_connected;           // instead of all this: nobody accepts it
    uint64_t then_ns;  // since its start: when it sends `then`, which may be empty; 0: it does not
    uint64_t least_ns; // its end, since it was connected, or since it sent `then`
    uint64_t most_ns;
    sim_client_plan plan; // how it sends and reads; its bytes, calls and address are the probe's
    void (*told)(struct sim_probe *self); // at its end; or NULL

    // Kept by the probe.
    sim_client *client; // NULL: not here
    uint8_t *then;
    uint32_t then_bytes;
    uint64_t since_ns;
    uint64_t heard_ns; // when anything last came
    sim_client_result result;
    uint32_t status; // of the last whole answer
    bool ended;
} sim_probe;

// sim_probe_start has it come now, and send `first`; both are copied.
void sim_probe_start(tina_sim *sim, sim_probe *self, tina_bytes first, tina_bytes then);

#ifdef __cplusplus
}
#endif

#endif
