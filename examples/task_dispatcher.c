// SPDX-License-Identifier: Apache-2.0
//
// A dispatcher and its workers under a supervision tree. A worker that is free asks for work, by a
// call that is answered when there is some; with it comes what became of its last job. Every third
// job makes its worker fault. The supervisor starts another, which asks for work like any other;
// the dispatcher, which monitors whom it gives work to, learns that the job is lost. That is all.
//
//     root, one_for_all ── workers, dynamic ── worker, worker, ...
//                       └─ dispatcher

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/fault.h"
#include "tina.h"

enum {
    WORKER_COUNT = 4,
    // A worker's successor may ask for work before its end is told.
    ROW_COUNT = 2 * WORKER_COUNT,
    REPORT_JOBS = 100, // between two reports
};

// Tags: a worker's call, and the reply.
enum {
    ASK = 1,
    JOB
};

typedef struct job {
    uint64_t number; // from 1
    int32_t fault;   // what the worker will do wrong, or NO_FAULT
} job;

enum {
    NO_FAULT = -1
};

// What came of a job; number 0: there was none.
typedef struct outcome {
    uint64_t number;
    uint64_t steps;
} outcome;

typedef struct settings {
    uint64_t jobs; // 0: without end
    uint64_t pace_ms;
    fault kind; // FAULT_COUNT: each in turn
} settings;

typedef struct worker {
    tina_handle dispatcher;
} worker;

static tina_effect worker_ask(tina_ctx *ctx, const worker *self, outcome done) {
    return tina_call(ctx, self->dispatcher, ASK, &done, sizeof done, 0);
}

static tina_effect worker_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    worker *self = self_;
    self->dispatcher = *(const tina_handle *)args.data;
    return worker_ask(ctx, self, (outcome){0, 0});
}

// The job itself: how long Collatz's sequence takes to come down to 1.
static uint64_t collatz_steps(uint64_t number) {
    uint64_t steps = 0;
    for (; number > 1; steps++)
        number = number % 2 ? 3 * number + 1 : number / 2;
    return steps;
}

static tina_effect worker_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    worker *self = self_;
    switch (m->tag) {
    case JOB: {
        const job *todo = (const job *)m->payload;
        if (todo->fault != NO_FAULT)
            return fault_commit((fault)todo->fault);
        return worker_ask(ctx, self, (outcome){todo->number, collatz_steps(todo->number)});
    }
    case TINA_CALL_FAILED: // the dispatcher is gone or the program ends: so will this worker
        return tina_receive();
    default:
        return tina_done();
    }
}

static const tina_isolate_type worker_type = {
    .name = "worker", .init = worker_init, .handle = worker_handle, .struct_bytes = sizeof(worker)};

// Faults are what this program is for, so its budget bears as many as it can make.
static const tina_child worker_pattern = {.name = "worker", .type = &worker_type};
static const tina_group workers = {.name = "workers",
                                   .children = &worker_pattern,
                                   .child_count = 1,
                                   .intensity = 100000,
                                   .dynamic = true};

// A worker that has asked for work at least once.
typedef struct row {
    tina_handle who;     // none: the row is free
    tina_caller waiting; // its call, or none while it works
    uint64_t number;     // of its job, or 0
} row;

typedef struct dispatcher {
    const settings *settings;
    row rows[ROW_COUNT];
    uint64_t due; // jobs that there are so far
    uint64_t given;
    uint64_t done;
    uint64_t lost;
} dispatcher;

// The group of the workers is started before, but this init is still part of the start.
static tina_effect dispatcher_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    (void)ctx;
    dispatcher *self = self_;
    self->settings = *(const settings *const *)args.data;
    return tina_yield();
}

static tina_effect dispatcher_begin(tina_ctx *ctx, dispatcher *self) {
    tina_handle handle = tina_self(ctx);
    for (int i = 0; i < WORKER_COUNT; i++)
        if (tina_spawn_in(ctx, &workers, tina_bytes_of(&handle, sizeof handle), tina_fd_none(),
                          NULL) != TINA_SPAWN_OK)
            return tina_crash(1);
    tina_timer_set_periodic(ctx, self->settings->pace_ms * 1000000, 0);
    return tina_receive();
}

static row *row_of(dispatcher *self, tina_handle who) {
    for (int i = 0; i < ROW_COUNT; i++)
        if (self->rows[i].who.bits == who.bits)
            return &self->rows[i];
    return NULL;
}

static job job_make(const settings *given, uint64_t number) {
    job made = {number, NO_FAULT};
    if (number % 3 == 0)
        made.fault = given->kind != FAULT_COUNT ? (int32_t)given->kind
                                                : (int32_t)((number / 3 - 1) % FAULT_COUNT);
    return made;
}

static void jobs_give(tina_ctx *ctx, dispatcher *self) {
    for (int i = 0; i < ROW_COUNT && self->given < self->due; i++) {
        row *at = &self->rows[i];
        if (at->waiting.bits == 0)
            continue;
        job todo = job_make(self->settings, self->given + 1);
        if (tina_answer(ctx, at->waiting, JOB, &todo, sizeof todo) == TINA_ANSWER_OK) {
            at->number = todo.number;
            self->given++;
        }
        at->waiting.bits = 0;
    }
}

static void job_count(tina_ctx *ctx, const dispatcher *self) {
    uint64_t accounted = self->done + self->lost;
    bool end = self->settings->jobs != 0 && accounted == self->settings->jobs;
    if (end || accounted % REPORT_JOBS == 0)
        tina_log(ctx, TINA_LOG_INFO, "%" PRIu64 " jobs: %" PRIu64 " done, %" PRIu64 " lost",
                 accounted, self->done, self->lost);
    if (end)
        tina_stop(ctx, 0);
}

static tina_effect worker_asks(tina_ctx *ctx, dispatcher *self, const tina_message *m) {
    const outcome *last = (const outcome *)m->payload;
    row *at = row_of(self, m->from);
    if (!at) {
        at = row_of(self, (tina_handle){0});
        if (!at || tina_monitor_set(ctx, m->from).bits == 0)
            return tina_crash(2);
        at->who = m->from;
    }
    at->waiting = tina_caller_of(ctx, m);
    at->number = 0;
    if (last->number != 0) {
        self->done++;
        job_count(ctx, self);
    }
    jobs_give(ctx, self);
    return tina_receive();
}

static const char *words_of(tina_exit_reason reason) {
    switch (reason.kind) {
    case TINA_EXIT_CRASH:
        return "crashed";
    case TINA_EXIT_FAULT:
        return "faulted";
    case TINA_EXIT_OVERFLOW:
        return "overflowed its stack";
    case TINA_EXIT_RUNAWAY:
        return "ran for too long";
    default:
        return "ended";
    }
}

static tina_effect worker_is_down(tina_ctx *ctx, dispatcher *self, const tina_message *m) {
    row *at = row_of(self, m->down.who);
    if (!at)
        return tina_receive();
    uint64_t number = at->number;
    *at = (row){0};
    if (number != 0) {
        self->lost++;
        tina_log(ctx, TINA_LOG_INFO, "job %" PRIu64 " is lost: its worker %s", number,
                 words_of(m->down.reason));
        job_count(ctx, self);
    }
    return tina_receive();
}

static tina_effect dispatcher_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    dispatcher *self = self_;
    switch (m->tag) {
    case TINA_YIELDED:
        return dispatcher_begin(ctx, self);
    case TINA_TIMER:
        self->due += m->timer.count;
        if (self->settings->jobs != 0 && self->due > self->settings->jobs)
            self->due = self->settings->jobs;
        jobs_give(ctx, self);
        return tina_receive();
    case ASK:
        return worker_asks(ctx, self, m);
    case TINA_DOWN:
        return worker_is_down(ctx, self, m);
    default:
        return tina_done();
    }
}

static const tina_isolate_type dispatcher_type = {.name = "dispatcher",
                                                  .init = dispatcher_init,
                                                  .handle = dispatcher_handle,
                                                  .struct_bytes = sizeof(dispatcher)};

static const char usage[] =
    "usage: task_dispatcher [--jobs N] [--fault FAULT] [--pace-ms MS]\n"
    "Gives a job to one of four workers every MS (default 50) milliseconds, N in all or, by\n"
    "default, without end. Every third makes its worker fault: FAULT is effect, null, division,\n"
    "overflow, loop, or all, the default: each in turn. Says which jobs are lost.\n";

static int refuse(const char *what, const char *word) {
    fprintf(stderr, "task_dispatcher: %s %s; see --help\n", what, word);
    return 1;
}

static bool number_read(const char *text, uint64_t most, uint64_t *number) {
    char *end;
    *number = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && *number >= 1 && *number <= most;
}

int main(int argc, char **argv) {
    static settings given = {.pace_ms = 50, .kind = FAULT_COUNT};
    for (int i = 1; i < argc; i += 2) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0)
            return fputs(usage, stdout) < 0;
        bool jobs = strcmp(word, "--jobs") == 0;
        bool pace = strcmp(word, "--pace-ms") == 0;
        if (!jobs && !pace && strcmp(word, "--fault") != 0)
            return refuse("unknown argument", word);
        if (i + 1 == argc)
            return refuse("a value is missing after", word);
        if (jobs && !number_read(argv[i + 1], UINT64_MAX / 2, &given.jobs))
            return refuse("--jobs takes a number from 1, not", argv[i + 1]);
        if (pace && !number_read(argv[i + 1], 3600000, &given.pace_ms))
            return refuse("--pace-ms takes a number from 1 to 3600000, not", argv[i + 1]);
        if (!jobs && !pace && !fault_parse(argv[i + 1], &given.kind))
            return refuse("--fault takes effect, null, division, overflow, loop or all, not",
                          argv[i + 1]);
    }
    static const settings *const chosen = &given;
    const tina_type_slots types[] = {{&worker_type, ROW_COUNT}, {&dispatcher_type, 1}};
    const tina_child children[] = {
        {.name = "workers", .group = &workers},
        {.name = "dispatcher",
         .type = &dispatcher_type,
         .args = tina_bytes_of(&chosen, sizeof chosen)},
    };
    const tina_spec spec = {
        .name = "task_dispatcher",
        .types = types,
        .type_count = 2,
        .root = {.children = children, .child_count = 2, .strategy = TINA_ONE_FOR_ALL},
        .handler_soft_ns = 50000000,
        .handler_hard_ns = 200000000,
    };
    return tina_run(&spec);
}
