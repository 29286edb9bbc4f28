// SPDX-License-Identifier: Apache-2.0
//
// The whole machine begins anew: its process was killed, or its power went. Of the process nothing
// is left; of its connections the kernel tells the peers, unless the power went; of the disk there
// is what was written, or what was synced.

#include "core/assert.h"
#include "sim/machine.h"

#define LIVES_MAX 250u // an entity of a stream has eight bits for them

// Without power no packet is answered; what was not sent in vain comes when there is power again.
static void hosts_cut(tina_sim *sim, uint64_t until_ns) {
    uint32_t hosts = sim_net_host_count(sim->net);
    for (uint32_t host = 0; host < hosts; host++) {
        sim_net_cut(sim->net, host, SIM_NET_MACHINE, until_ns);
        sim_net_cut(sim->net, SIM_NET_MACHINE, host, until_ns);
    }
}

static void machine_restart(tina_sim *sim, bool power) {
    char sentence[TINA_SENTENCE_BYTES];
    uint64_t down_ns = 1 + sim_detail(&sim->faults, 0, sim->world.settings.down_ns + 1);
    uint64_t up_ns = sim->world.now_ns + down_ns;
    sim_note(&sim->world, SIM_RESTART, SIM_NOWHERE, power ? 1 : 0, down_ns);
    if (power)
        sim_net_vanish(sim->net, SIM_NET_MACHINE);
    machine_close(sim);
    if (power) {
        hosts_cut(sim, up_ns);
        sim_disk_crash(sim->disk);
    }
    sim->life++;
    bool opened = machine_open(sim, sentence);
    TINA_ASSERT(opened);
    for (uint32_t i = 0; i < sim->shard_count; i++)
        sim->shards[i].free_ns = up_ns;
    if (sim->scenario->check)
        sim->scenario->check(sim, sim->state);
}

void machine_disturb(tina_sim *sim) {
    const tina_sim_settings *settings = &sim->world.settings;
    if (!sim->scenario->restarts || sim->life == LIVES_MAX || sim->report->failed)
        return;
    bool killed = sim_strikes(&sim->world, &sim->faults, settings->kill_ppm);
    bool power = sim_strikes(&sim->world, &sim->faults, settings->power_ppm);
    if (killed || power)
        machine_restart(sim, power);
}
