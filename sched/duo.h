// SPDX-License-Identifier: Apache-2.0
//
// Two linked shards under test, with one puppet each.

#ifndef TINA_SCHED_DUO_H
#define TINA_SCHED_DUO_H

#include "sched/cluster.h"
#include "sched/puppet.h"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace tina {

// What the puppets do is written where the test is.
struct Duo {
    Duo() {
        for (int i = 0; i < 2; i++) {
            handle[i] = tina_handle_none();
            script[i].init = [this, i](tina_ctx *ctx, tina_bytes) {
                handle[i] = tina_self(ctx);
                return start[i] ? start[i](ctx) : tina_receive();
            };
            script[i].handle = [this, i](tina_ctx *ctx, const tina_message *m) {
                if (m->tag == TINA_SHUTDOWN)
                    return tina_done();
                if (m->tag == TINA_TIMER && m->timer.word == 77) {
                    tina_timer_set(ctx, 1000, 77);
                    if (!act[i])
                        return tina_receive();
                    auto once = std::move(act[i]);
                    act[i] = nullptr;
                    return once(ctx);
                }
                return receive[i] ? receive[i](ctx, m) : tina_receive();
            };
            start[i] = [](tina_ctx *ctx) {
                tina_timer_set(ctx, 1000, 77);
                return tina_receive();
            };
        }
    }
    void Open() {
        cluster = std::make_unique<Cluster>(std::vector<tina_spec>{play[0].spec, play[1].spec});
        cluster->Turns(5);
    }
    // Lets puppet i do something, in its handler.
    void Do(int i, std::function<tina_effect(tina_ctx *)> what, int turns = 8) {
        act[i] = std::move(what);
        cluster->Turns(turns);
        EXPECT_FALSE(act[i]) << "puppet " << i << " waits for something else";
    }
    tina_shard_counters counters(uint32_t i) {
        return cluster->counters(i);
    }

    Script script[2];
    Play play[2] = {Play({&script[0]}), Play({&script[1]})};
    tina_handle handle[2];
    std::function<tina_effect(tina_ctx *)> start[2];
    std::function<tina_effect(tina_ctx *)> act[2];
    std::function<tina_effect(tina_ctx *, const tina_message *)> receive[2];
    std::unique_ptr<Cluster> cluster;
};

} // namespace tina

#endif
