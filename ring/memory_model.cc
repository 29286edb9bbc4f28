// SPDX-License-Identifier: Apache-2.0

#include "ring/memory_model.h"

#include "ring/memory_model_state.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

namespace model {

Running *running;

namespace {

// 128 bits: at ten million states, two of them share a name with a probability of 10^-25.
struct Name {
    uint64_t words[2];

    bool operator==(const Name &other) const {
        return words[0] == other.words[0] && words[1] == other.words[1];
    }
};

struct NameHash {
    size_t operator()(const Name &name) const {
        return name.words[0];
    }
};

// For the report of a failure.
struct Step {
    size_t thread;
    Operation operation;
    uint64_t read;
};

struct Search {
    Result result;
    std::unordered_map<Name, double, NameHash> visited;
    std::vector<Step> trace;
};

Search *search;

// Runs the thread to its next operation, or its end.
void RunThread(State *state, size_t thread) {
    running->state = state;
    running->thread = thread;
    running->position = 0;
    memcpy(running->copy.data(), running->program->world, running->program->world_bytes);
    if (setjmp(running->leave) == 0) {
        running->program->threads[thread](running->copy.data());
        state->threads[thread].next = Operation();
    }
}

size_t NewestStore(const State &state, size_t location) {
    return state.locations[location].store_count - 1;
}

bool IsEnabled(const State &state, size_t thread) {
    const Operation &next = state.threads[thread].next;
    size_t newest = NewestStore(state, next.location);
    switch (next.kind) {
    case OperationKind::kEnd:
        return false;
    case OperationKind::kWait:
        return state.locations[next.location].stores[newest].value != 0;
    case OperationKind::kAwaitChange:
        return newest > state.threads[thread].view.store[next.location];
    default:
        return true;
    }
}

void AppendStore(State *state, size_t thread, const Operation &operation, const View &carried,
                 uint64_t value) {
    Location &location = state->locations[operation.location];
    if (location.store_count == kStoreMax) {
        Fatal("a location's stores are full");
    }
    View &view = state->threads[thread].view;
    view.store[operation.location] = static_cast<uint8_t>(location.store_count);
    Store &store = location.stores[location.store_count++];
    store.value = value;
    store.released = carried;
    if (operation.releases) {
        store.released.Join(view);
    }
    store.released.store[operation.location] = view.store[operation.location];

    if (operation.kind == OperationKind::kStore) {
        location.plain_writers = static_cast<uint8_t>(location.plain_writers | (1u << thread));
    } else {
        location.has_exchange = true;
    }
    int writers = __builtin_popcount(location.plain_writers) + location.has_exchange;
    if (writers > 1 && running->weakening != Weakening::kSplit) {
        Fatal("a location with two writers is beyond this model");
    }
}

// Executes thread's next operation, reading from the given store if it reads.
void Execute(State *state, size_t thread_index, size_t store_index) {
    Thread &thread = state->threads[thread_index];
    Operation operation = thread.next;
    if (operation.is_site) {
        Site site;
        site.function = operation.function;
        site.line = operation.line;
        site.is_exchange =
            operation.kind == OperationKind::kExchange || operation.kind == OperationKind::kFetchOr;
        search->result.sites.insert(site);
    }
    const Store read = state->locations[operation.location].stores[store_index];
    uint64_t result = 0;
    switch (operation.kind) {
    case OperationKind::kLoad:
        result = read.value;
        thread.view.store[operation.location] = static_cast<uint8_t>(store_index);
        if (operation.acquires) {
            thread.view.Join(read.released);
        }
        break;
    case OperationKind::kStore:
        AppendStore(state, thread_index, operation, View(), operation.value);
        break;
    case OperationKind::kSignal:
    case OperationKind::kWait:
    case OperationKind::kExchange:
    case OperationKind::kFetchOr:
        result = read.value;
        thread.view.store[operation.location] = static_cast<uint8_t>(store_index);
        if (operation.acquires) {
            thread.view.Join(read.released);
        }
        // A read-modify-write continues the release sequence of what it read.
        AppendStore(state, thread_index, operation, read.released,
                    operation.kind == OperationKind::kFetchOr ? result | operation.value
                                                              : operation.value);
        break;
    case OperationKind::kAwaitChange:
        thread.view.store[operation.location]++;
        store_index = 0; // it read nothing
        break;
    case OperationKind::kEnd:
        Fatal("an ended thread has no step");
    }
    // What comes next in this thread is not covered by what the operation released.
    thread.view.clock[thread_index]++;
    thread.Append(result, store_index);
}

Name NameOf(const State &state) {
    Name name = {{0, 0}};
    for (const Thread &thread : state.threads) {
        name.words[0] = tina_prng_mix(name.words[0] + thread.name[0]);
        name.words[1] = tina_prng_mix(name.words[1] ^ thread.name[1]) + 3;
    }
    return name;
}

void Report(const std::string &what) {
    static const char *const kNames[] = {"load",         "store",  "exchange", "fetch or",
                                         "await change", "signal", "wait",     "end"};
    std::string &failure = search->result.failure;
    failure = what;
    for (const Step &step : search->trace) {
        const Operation &operation = step.operation;
        char line[200];
        snprintf(line, sizeof line,
                 "\n  thread %zu %s:%d %s of location %zu, read %llu, wrote %llu", step.thread,
                 operation.function, operation.line, kNames[static_cast<int>(operation.kind)],
                 operation.location, static_cast<unsigned long long>(step.read),
                 static_cast<unsigned long long>(operation.value));
        failure += line;
    }
}

double ExploreFrom(const State &state);

double ExploreStep(const State &state, size_t thread, size_t store) {
    const Operation &operation = state.threads[thread].next;
    search->trace.push_back(
        Step{thread, operation, state.locations[operation.location].stores[store].value});
    State next = state;
    Execute(&next, thread, store);
    RunThread(&next, thread);
    double interleavings = 0;
    if (running->failure[0] == '\0') {
        interleavings = ExploreFrom(next);
    } else {
        Report(running->failure);
    }
    search->trace.pop_back();
    return interleavings;
}

// Returns the number of orders of steps from state to an end.
double ExploreFrom(const State &state) {
    Name name = NameOf(state);
    auto seen = search->visited.find(name);
    if (seen != search->visited.end()) {
        return seen->second;
    }
    search->result.states++;
    size_t thread_count = running->program->threads.size();
    double interleavings = 0;
    bool ended = true;
    bool stuck = true;
    for (size_t thread = 0; thread < thread_count; thread++) {
        const Operation &next = state.threads[thread].next;
        ended = ended && next.kind == OperationKind::kEnd;
        if (!IsEnabled(state, thread)) {
            continue;
        }
        stuck = false;
        size_t newest = NewestStore(state, next.location);
        size_t oldest = next.kind == OperationKind::kLoad
                            ? state.threads[thread].view.store[next.location]
                            : newest;
        for (size_t store = oldest; store <= newest; store++) {
            interleavings += ExploreStep(state, thread, store);
            if (!search->result.failure.empty()) {
                return 0;
            }
        }
    }
    if (ended) {
        search->result.executions++;
        interleavings = 1;
    } else if (stuck) {
        Report("every thread waits");
        return 0;
    }
    search->visited[name] = interleavings;
    return interleavings;
}

} // namespace

void Fatal(const char *text) {
    fprintf(stderr, "memory model: %s\n", text);
    abort();
}

Result Explore(const Program &program, Weakening weakening, const Site &site) {
    if (program.threads.size() > kThreadMax || program.cell_count > kCellMax) {
        Fatal("too many threads or cells");
    }
    Search local_search;
    search = &local_search;
    Running local_running;
    running = &local_running;
    running->program = &program;
    running->weakening = weakening;
    running->weak_site = site;
    running->copy.resize(program.world_bytes);

    State state;
    running->state = &state;
    running->in_setup = true;
    program.setup();
    running->in_setup = false;
    for (size_t thread = 0; thread < program.threads.size(); thread++) {
        state.threads[thread].view.clock[thread] = 1;
        RunThread(&state, thread);
        if (running->failure[0] != '\0') {
            Report(running->failure);
            return local_search.result;
        }
    }
    local_search.result.interleavings = ExploreFrom(state);
    local_search.result.reached_max = running->reached_max;
    return local_search.result;
}

} // namespace model
