// SPDX-License-Identifier: Apache-2.0
//
// A thread on a stack of ours, as a shard's is, with a trap: for tests.

#ifndef TINA_SUPERVISE_TRAP_THREAD_H
#define TINA_SUPERVISE_TRAP_THREAD_H

#include "supervise/trap.h"
#include "supervise/trap_signals.h"

#include <gtest/gtest.h>

#include <pthread.h>

#include <functional>
#include <utility>

namespace tina {

class Thread {
  public:
    explicit Thread(std::function<void(tina_trap *)> run) : run_(std::move(run)) {
        EXPECT_EQ(tina_trap_stack_map(&stack_, size_t{1} << 20, TINA_TRAP_GAP_BYTES), 0);
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        EXPECT_EQ(pthread_attr_setstack(&attributes, stack_.low, stack_.bytes), 0);
        EXPECT_EQ(pthread_create(&thread_, &attributes, Main, this), 0);
        pthread_attr_destroy(&attributes);
    }
    ~Thread() {
        Join();
        tina_trap_stack_unmap(&stack_);
    }
    void Join() {
        if (!joined_)
            pthread_join(thread_, nullptr);
        joined_ = true;
    }
    pthread_t id() const {
        return thread_;
    }

  private:
    static void *Main(void *self_) {
        Thread *self = static_cast<Thread *>(self_);
        tina_trap_stack_enter(&self->stack_);
        tina_trap trap;
        tina_trap_init(&trap, reinterpret_cast<uintptr_t>(self->stack_.low),
                       self->stack_.gap_bytes);
        self->run_(&trap);
        tina_trap_stack_leave(&self->stack_);
        return nullptr;
    }
    std::function<void(tina_trap *)> run_;
    tina_trap_stack stack_ = {};
    pthread_t thread_ = {};
    bool joined_ = false;
};

inline void OnThread(const std::function<void(tina_trap *)> &run) {
    Thread thread(run);
}

} // namespace tina

#endif
