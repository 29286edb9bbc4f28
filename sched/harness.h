// SPDX-License-Identifier: Apache-2.0
//
// A shard under test: on the scripted backend, with a clock that the test turns.

#ifndef TINA_SCHED_HARNESS_H
#define TINA_SCHED_HARNESS_H

#include "arena/arena.h"
#include "reactor/scripted.h"
#include "sched/ctx.h"
#include "sched/shard.h"
#include "sched/spec.h"

#include <gtest/gtest.h>

#include <string>

namespace tina {

class Harness {
  public:
    explicit Harness(const tina_spec &spec, tina_log_write write = nullptr, uint8_t fill = 0xAA,
                     tina_trap *trap = nullptr, tina_symbolise symbolise = nullptr) {
        char sentence[TINA_SENTENCE_BYTES] = "";
        bool accepted = tina_spec_resolve(&spec, &resolved_, sentence);
        EXPECT_TRUE(accepted) << sentence;
        if (!accepted)
            std::abort();
        backend_options_.scripted = &scripted_;
        options_.backend = &tina_reactor_scripted;
        options_.backend_options = &backend_options_;
        options_.number = 3;
        options_.log_write = write ? write : AppendLog;
        options_.log_where = this;
        options_.now = now_;
        options_.trap = trap;
        options_.symbolise = symbolise;
        EXPECT_EQ(tina_arena_reserve(&arena_, tina_shard_bytes(&resolved_, &options_)), 0);
        tina_arena_commit_options commit = {};
        commit.lazy = true;
        commit.fill = fill;
        EXPECT_EQ(tina_arena_commit(&arena_, &commit), 0);
        EXPECT_EQ(tina_shard_open(&arena_, &resolved_, &options_, &shard_, sentence), 0)
            << sentence;
    }
    ~Harness() {
        tina_shard_close(shard_);
        tina_arena_release(&arena_);
    }
    Harness(const Harness &) = delete;
    Harness &operator=(const Harness &) = delete;

    // One turn of the loop: a tick, then the wait.
    tina_tick Turn() {
        now_.monotonic_ns += 1000;
        tick_ = tina_shard_tick(shard_, now_);
        EXPECT_EQ(tina_reactor_wait(tina_shard_reactor(shard_), now_.monotonic_ns,
                                    tick_.busy ? 0 : tick_.until_ns),
                  0);
        return tick_;
    }
    // Turns until nothing is left to do without time passing or a peer acting.
    tina_tick Settle(int turns_max = 1000) {
        int quiet = 0;
        for (int i = 0; i < turns_max && quiet < 3; i++)
            quiet = Turn().busy || !tina_scripted_control(scripted_)->would_block ? 0 : quiet + 1;
        EXPECT_EQ(quiet, 3) << "the shard never settles";
        return tick_;
    }
    void Pass(uint64_t ns) {
        now_.monotonic_ns += ns;
    }
    void Sleep(uint64_t ns) {
        Pass(ns);
        Settle();
    }

    tina_shard *shard() {
        return shard_;
    }
    tina_scripted *scripted() {
        return scripted_;
    }
    tina_shard_counters counters() {
        tina_shard_counters counters;
        tina_shard_snapshot(shard_, &counters);
        return counters;
    }
    const tina_reactor_counters &io() {
        return *tina_reactor_count(tina_shard_reactor(shard_));
    }
    const std::string &log() {
        return log_;
    }
    uint64_t now_ns() {
        return now_.monotonic_ns;
    }
    void set_wall(uint64_t wall_s) {
        now_.wall_s = wall_s;
    }

  private:
    static size_t AppendLog(void *where, const char *text, size_t bytes) {
        static_cast<Harness *>(where)->log_.append(text, bytes);
        return bytes;
    }

    tina_spec resolved_ = {};
    tina_scripted *scripted_ = nullptr;
    tina_scripted_options backend_options_ = {};
    tina_shard_options options_ = {};
    tina_arena arena_ = {};
    tina_shard *shard_ = nullptr;
    tina_time now_ = {1000000, 0};
    tina_tick tick_ = {};
    std::string log_;
};

} // namespace tina

#endif
