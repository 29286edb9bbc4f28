// SPDX-License-Identifier: Apache-2.0
//
// The ways between hosts: how long they are, and who is cut off from whom.

#include "sim/net_state.h"

uint64_t sim_net_delay(net_socket *s) {
    return 1 + sim_draw_upto(&s->stream, s->net->world->settings.net_ns);
}

uint64_t sim_net_cut_until(sim_net *net, uint32_t from, uint32_t to) {
    uint64_t until_ns = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < net->cut_count; i++) {
        net_cut cut = net->cuts[i];
        if (cut.until_ns <= net->world->now_ns)
            continue;
        net->cuts[kept++] = cut;
        if (cut.from == from && cut.to == to && cut.until_ns > until_ns)
            until_ns = cut.until_ns;
    }
    net->cut_count = kept;
    return until_ns;
}

void sim_net_cut(sim_net *net, uint32_t from, uint32_t to, uint64_t until_ns) {
    TINA_ASSERT(from < net->host_count && to < net->host_count);
    uint64_t now_ns = net->world->now_ns;
    if (from == to || until_ns <= now_ns)
        return; // the loopback is never cut
    net->cuts = sim_net_grow(net->cuts, net->cut_count, &net->cut_capacity, sizeof *net->cuts);
    net->cuts[net->cut_count++] = (net_cut){from, to, until_ns};
    net->counters.cuts++;
    sim_note(net->world, SIM_NET_PARTITION, SIM_NOWHERE, from << 16 | to, until_ns - now_ns);
}

void sim_net_chance_cut(net_socket *s, uint32_t to_host) {
    sim_net *net = s->net;
    const tina_sim_settings *settings = &net->world->settings;
    if (to_host == s->host || !sim_strikes(net->world, &s->stream, settings->net_partition_ppm))
        return;
    uint64_t ns = 1 + sim_detail(&s->stream, 0, settings->net_partition_ns + 1);
    uint64_t ways = sim_detail(&s->stream, 1, 3);
    uint64_t until_ns = net->world->now_ns + ns;
    if (ways != 1)
        sim_net_cut(net, s->host, to_host, until_ns);
    if (ways != 0)
        sim_net_cut(net, to_host, s->host, until_ns);
}
