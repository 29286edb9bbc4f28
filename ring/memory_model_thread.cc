// SPDX-License-Identifier: Apache-2.0

#include "ring/memory_model_state.h"

#include <cstdio>
#include <cstring>

namespace model {
namespace {

size_t LocationOf(const void *address) {
    const auto *byte = static_cast<const unsigned char *>(address);
    const auto *base = running->in_setup
                           ? static_cast<const unsigned char *>(running->program->world)
                           : running->copy.data();
    if (byte < base || byte >= base + running->program->world_bytes) {
        Fatal("an atomic is not in the world");
    }
    size_t offset = static_cast<size_t>(byte - base);
    auto &offsets = running->location_offsets;
    auto found = std::find(offsets.begin(), offsets.end(), offset);
    if (found == offsets.end()) {
        if (offsets.size() == kLocationMax) {
            Fatal("too many locations");
        }
        if (!running->in_setup) {
            Fatal("an atomic was not initialised");
        }
        offsets.push_back(offset);
        return offsets.size() - 1;
    }
    return static_cast<size_t>(found - offsets.begin());
}

[[noreturn]] void Fail(const char *text) {
    snprintf(running->failure, sizeof running->failure, "%s", text);
    longjmp(running->leave, 1);
}

// Answers from the log, or leaves the thread at this operation.
uint64_t Perform(const Operation &operation) {
    Thread &thread = running->state->threads[running->thread];
    if (running->position < thread.log_count) {
        return thread.log[running->position++];
    }
    thread.next = operation;
    longjmp(running->leave, 1);
}

bool IsWeak(const Operation &operation, Weakening weakening) {
    return running->weakening == weakening && running->weak_site.line == operation.line &&
           strcmp(running->weak_site.function, operation.function) == 0;
}

// Makes an operation of the modelled code, unless its site is weakened to order nothing.
Operation Make(OperationKind kind, const void *location, uint64_t value, enum model_order order,
               const char *function, int line) {
    Operation operation;
    operation.kind = kind;
    operation.location = LocationOf(location);
    operation.value = value;
    operation.function = function;
    operation.line = line;
    operation.is_site = order != MODEL_RELAXED;
    if (!IsWeak(operation, Weakening::kRelaxed)) {
        operation.acquires = order == MODEL_ACQUIRE || order == MODEL_ACQUIRE_RELEASE;
        operation.releases = order == MODEL_RELEASE || order == MODEL_ACQUIRE_RELEASE;
    }
    return operation;
}

} // namespace

uint64_t ReadCell(const uint64_t *address) {
    size_t index = static_cast<size_t>(address - running->program->cells);
    Require(index < running->program->cell_count, "a cell is in the memory given");
    Thread &thread = running->state->threads[running->thread];
    if (running->position < thread.log_count) {
        return thread.log[running->position++];
    }
    Cell &cell = running->state->cells[index];
    if (cell.write_clock > thread.view.clock[cell.writer]) {
        Fail("a read races with a write to the same cell");
    }
    cell.read_clock[running->thread] = thread.view.clock[running->thread];
    thread.Append(cell.value, 0);
    running->position++;
    return cell.value;
}

void WriteCell(uint64_t *address, uint64_t value) {
    size_t index = static_cast<size_t>(address - running->program->cells);
    Require(index < running->program->cell_count, "a cell is in the memory given");
    Thread &thread = running->state->threads[running->thread];
    if (running->position < thread.log_count) {
        running->position++;
        return;
    }
    Cell &cell = running->state->cells[index];
    if (cell.write_clock > thread.view.clock[cell.writer]) {
        Fail("a write races with a write to the same cell");
    }
    for (size_t reader = 0; reader < kThreadMax; reader++) {
        if (cell.read_clock[reader] > thread.view.clock[reader]) {
            Fail("a write races with a read of the same cell");
        }
    }
    cell.value = value;
    cell.writer = static_cast<uint8_t>(running->thread);
    cell.write_clock = thread.view.clock[running->thread];
    thread.Append(0, 0);
    running->position++;
}

void Require(bool condition, const char *text) {
    if (!condition) {
        Fail(text);
    }
}

void Reached(uint64_t value) {
    running->reached_max = std::max(running->reached_max, value);
}

void AwaitChange(const void *location) {
    Perform(Make(OperationKind::kAwaitChange, location, 0, MODEL_RELAXED, "AwaitChange", 0));
}

void SignalEvent(void *location) {
    Operation signal =
        Make(OperationKind::kSignal, location, 1, MODEL_ACQUIRE_RELEASE, "SignalEvent", 0);
    signal.is_site = false;
    Perform(signal);
}

void WaitEvent(void *location) {
    Operation wait = Make(OperationKind::kWait, location, 0, MODEL_ACQUIRE_RELEASE, "WaitEvent", 0);
    wait.is_site = false;
    Perform(wait);
}

} // namespace model

uint64_t model_load(const void *location, enum model_order order, const char *function, int line) {
    using namespace model;
    return Perform(Make(OperationKind::kLoad, location, 0, order, function, line));
}

void model_store(void *location, uint64_t value, enum model_order order, const char *function,
                 int line) {
    using namespace model;
    Operation store = Make(OperationKind::kStore, location, value, order, function, line);
    if (running->in_setup) {
        Location &initial = running->state->locations[store.location];
        initial.store_count = 1;
        initial.stores[0].value = value;
        return;
    }
    Perform(store);
}

static uint64_t ReadModifyWrite(model::OperationKind kind, void *location, uint64_t value,
                                const char *function, int line) {
    using namespace model;
    Operation whole = Make(kind, location, value, MODEL_ACQUIRE_RELEASE, function, line);
    if (!IsWeak(whole, Weakening::kSplit)) {
        return Perform(whole);
    }
    uint64_t read = Perform(Make(OperationKind::kLoad, location, 0, MODEL_ACQUIRE, function, line));
    uint64_t written = kind == OperationKind::kFetchOr ? read | value : value;
    Perform(Make(OperationKind::kStore, location, written, MODEL_RELEASE, function, line));
    return read;
}

uint64_t model_exchange(void *location, uint64_t value, const char *function, int line) {
    return ReadModifyWrite(model::OperationKind::kExchange, location, value, function, line);
}

uint64_t model_fetch_or(void *location, uint64_t value, const char *function, int line) {
    return ReadModifyWrite(model::OperationKind::kFetchOr, location, value, function, line);
}

void model_assert_failed(const char *condition, const char *file, int line) {
    char text[200];
    snprintf(text, sizeof text, "assertion: %s at %s:%d", condition, file, line);
    model::Fail(text);
}
