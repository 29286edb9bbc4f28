// SPDX-License-Identifier: Apache-2.0
//
// Several shards under test, on one thread: each on a scripted backend of its own, all with one
// clock, and linked with each other as a system's are.

#ifndef TINA_SCHED_CLUSTER_H
#define TINA_SCHED_CLUSTER_H

#include "arena/arena.h"
#include "reactor/scripted.h"
#include "sched/ctx.h"
#include "sched/shard.h"
#include "sched/spec.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace tina {

class Cluster {
  public:
    // One spec a shard.
    explicit Cluster(const std::vector<tina_spec> &specs) {
        for (uint32_t i = 0; i < specs.size(); i++)
            members_.push_back(
                std::make_unique<Member>(this, specs[i], i, static_cast<uint32_t>(specs.size())));
        for (uint32_t from = 0; from < specs.size(); from++)
            for (uint32_t to = 0; to < specs.size(); to++)
                if (from != to) {
                    tina_shard_connect(shard(from), to, tina_shard_inlet(shard(to), from));
                    tina_shard_borrow(shard(from), to, tina_shard_transfers(shard(to)));
                    tina_shard_observe(shard(from), to, shard(to));
                }
    }

    // One turn of every shard's loop, in order.
    void Turn() {
        now_.monotonic_ns += 1000;
        for (uint32_t i = 0; i < members_.size(); i++)
            Turn(i);
    }
    tina_tick Turn(uint32_t i) {
        tina_tick tick = tina_shard_tick(shard(i), now_);
        EXPECT_EQ(
            tina_reactor_wait(tina_shard_reactor(shard(i)), now_.monotonic_ns, now_.monotonic_ns),
            0);
        return tick;
    }
    void Turns(int count) {
        for (int i = 0; i < count; i++)
            Turn();
    }
    void Pass(uint64_t ns) {
        now_.monotonic_ns += ns;
    }
    tina_shard *shard(uint32_t i) {
        return members_[i]->shard;
    }
    tina_shard_counters counters(uint32_t i) {
        tina_shard_counters counters;
        tina_shard_snapshot(shard(i), &counters);
        return counters;
    }
    const std::string &log(uint32_t i) {
        return members_[i]->log;
    }
    tina_scripted_controls *backend(uint32_t i) {
        return tina_scripted_control(members_[i]->scripted);
    }
    // Wake-ups that shard i was sent.
    uint64_t woken(uint32_t i) {
        return members_[i]->woken;
    }

  private:
    struct Member {
        Member(Cluster *cluster, const tina_spec &spec, uint32_t number, uint32_t count) {
            char sentence[TINA_SENTENCE_BYTES] = "";
            EXPECT_TRUE(tina_spec_resolve(&spec, &resolved, sentence)) << sentence;
            backend_options.scripted = &scripted;
            options.backend = &tina_reactor_scripted;
            options.backend_options = &backend_options;
            options.number = number;
            options.shard_count = count;
            options.log_write = [](void *where, const char *text, size_t bytes) {
                static_cast<Member *>(where)->log.append(text, bytes);
                return bytes;
            };
            options.log_where = this;
            options.wake = [](void *where, uint32_t peer) {
                static_cast<Cluster *>(where)->members_[peer]->woken++;
            };
            options.wake_where = cluster;
            options.now = cluster->now_;
            EXPECT_EQ(tina_arena_reserve(&arena, tina_shard_bytes(&resolved, &options)), 0);
            tina_arena_commit_options commit = {};
            commit.lazy = true;
            commit.fill = 0xAA;
            EXPECT_EQ(tina_arena_commit(&arena, &commit), 0);
            EXPECT_EQ(tina_shard_open(&arena, &resolved, &options, &shard, sentence), 0)
                << sentence;
        }
        ~Member() {
            tina_shard_close(shard);
            tina_arena_release(&arena);
        }
        tina_spec resolved = {};
        tina_scripted *scripted = nullptr;
        tina_scripted_options backend_options = {};
        tina_shard_options options = {};
        tina_arena arena = {};
        tina_shard *shard = nullptr;
        std::string log;
        uint64_t woken = 0;
    };

    tina_time now_ = {1000000, 0};
    std::vector<std::unique_ptr<Member>> members_;
};

} // namespace tina

#endif
