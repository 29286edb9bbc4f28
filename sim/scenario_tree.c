// SPDX-License-Identifier: Apache-2.0
//
// A supervised tree, and beside it a second one on paper: groups of all strategies, nested, with
// children of all restart types that end by plan, fail to start, take their time to stop or do not
// stop at all. The one on paper follows OTP's rules from what the children see (their inits, ends
// and TINA_SHUTDOWN) and knows at any time who may be started or stopped next; whatever else
// happens is a failure, and so is what does not happen.

#include <string.h>

#include "sched/ctx.h"
#include "sim/scenario_tree.h"
#include "sim/scenarios.h"

#define SHUTDOWN_NS UINT64_C(3000000)

typedef struct leaf {
    uint32_t number;
    bool stubborn; // told, and does not end
} leaf;

static paper_tree *paper(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

static void leaf_rest(tina_ctx *ctx, uint64_t most_ns) {
    if (tina_timer_set(ctx, 1 + draw(0, most_ns), 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "tree timers", "no timer for a leaf");
}

static paper_event event_of(tina_ctx *ctx, uint32_t number) {
    tina_shard_counters counters;
    (void)tina_counters(ctx, tina_shard_number(ctx), &counters);
    return (paper_event){number, tina_now_ns(ctx), counters.ticks};
}

// A failed start is a leaf's way to end only where that is no failed boot.
static tina_effect leaf_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    leaf *self = self_;
    self->number = *(const uint32_t *)args.data;
    paper_event event = event_of(ctx, self->number);
    paper_tick(paper(), &event);
    paper_init(paper(), &event);
    uint32_t how = draw(1, 24);
    bool rough = !tina_sim_is_calm(tina_sim_current());
    if (how == 0 && rough && paper_may_fail(paper(), self->number)) {
        paper_init_failed(paper(), &event);
        return tina_crash(1);
    }
    if (how == 1 && rough) {
        paper_ignored(paper(), &event);
        return tina_done();
    }
    paper_started(paper(), &event);
    leaf_rest(ctx, 12000000);
    return tina_receive();
}

static tina_effect leaf_end(const paper_event *event) {
    switch (draw(2, 4)) {
    case 0:
    case 1:
        paper_exited(paper(), event, false);
        return tina_done();
    case 2:
        paper_exited(paper(), event, true);
        return tina_exit(7);
    default:
        paper_exited(paper(), event, true);
        tina_panic("as planned");
    }
}

static tina_effect leaf_told(tina_ctx *ctx, leaf *self, const paper_event *event) {
    paper_told(paper(), event);
    uint32_t how = draw(3, 8);
    self->stubborn = how == 0;
    if (how < 3) {
        leaf_rest(ctx, 1000000);
        return tina_receive();
    }
    paper_exited(paper(), event, false);
    return tina_done();
}

static tina_effect leaf_rested(tina_ctx *ctx, const leaf *self, const paper_event *event) {
    if (paper_is_told(paper(), self->number)) {
        leaf_rest(ctx, 1000000);
        if (self->stubborn)
            return tina_receive();
        paper_exited(paper(), event, false);
        return tina_done();
    }
    if (!tina_sim_is_calm(tina_sim_current()) && draw(4, 3) == 0)
        return leaf_end(event);
    leaf_rest(ctx, 12000000);
    return tina_receive();
}

static tina_effect leaf_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    leaf *self = self_;
    paper_event event = event_of(ctx, self->number);
    paper_tick(paper(), &event);
    paper_runs(paper(), &event);
    switch (m->tag) {
    case TINA_SHUTDOWN:
        return leaf_told(ctx, self, &event);
    case TINA_TIMER:
        return leaf_rested(ctx, self, &event);
    default:
        return tina_receive();
    }
}

static const tina_isolate_type leaf_type = {
    .name = "leaf",
    .init = leaf_init,
    .handle = leaf_handle,
    .struct_bytes = sizeof(leaf),
};

static const uint32_t numbers[PAPER_LEAVES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};

#define LEAF(i, ...)                                                                               \
    { .type = &leaf_type, .args = {&numbers[i], sizeof numbers[i]}, __VA_ARGS__ }
#define STOPS .shutdown_ns = SHUTDOWN_NS

static const tina_child alls[] = {LEAF(0, STOPS), LEAF(1, STOPS), LEAF(2, STOPS)};
static const tina_group all_group = {.name = "all",
                                     .children = alls,
                                     .child_count = 3,
                                     .strategy = TINA_ONE_FOR_ALL,
                                     .intensity = 2,
                                     .period_ns = 20000000};

static const tina_child rests[] = {LEAF(3, STOPS), LEAF(4, STOPS, .restart = TINA_TRANSIENT),
                                   LEAF(5, STOPS, .restart = TINA_TEMPORARY), LEAF(6, STOPS)};
static const tina_group rest_group = {.name = "rest",
                                      .children = rests,
                                      .child_count = 4,
                                      .strategy = TINA_REST_FOR_ONE,
                                      .intensity = 3,
                                      .period_ns = 30000000};

static const tina_child ones[] = {LEAF(7, STOPS),
                                  LEAF(8, STOPS, .restart = TINA_TRANSIENT, .significant = true),
                                  LEAF(9, .shutdown_ns = TINA_SHUTDOWN_BRUTAL)};
static const tina_group one_group = {.name = "one",
                                     .children = ones,
                                     .child_count = 3,
                                     .intensity = 2,
                                     .period_ns = 20000000,
                                     .auto_shutdown = TINA_AUTO_SHUTDOWN_ANY};

static const tina_child inners[] = {LEAF(10, STOPS), LEAF(11, STOPS)};
static const tina_group inner_group = {.name = "inner",
                                       .children = inners,
                                       .child_count = 2,
                                       .strategy = TINA_ONE_FOR_ALL,
                                       .period_ns = 40000000};

static const tina_child outers[] = {{.group = &inner_group, .restart = TINA_PERMANENT},
                                    LEAF(12, STOPS)};
static const tina_group outer_group = {.name = "outer",
                                       .children = outers,
                                       .child_count = 2,
                                       .strategy = TINA_REST_FOR_ONE,
                                       .intensity = 1,
                                       .period_ns = 60000000};

static const tina_child roots[] = {
    {.group = &all_group},   {.group = &rest_group, .restart = TINA_PERMANENT},
    {.group = &one_group},   LEAF(13, STOPS),
    {.group = &outer_group},
};
static const tina_type_slots types[] = {{&leaf_type, PAPER_LEAVES}};

static const tina_spec spec = {
    .name = "tree",
    .types = types,
    .type_count = 1,
    .root = {.name = "root",
             .children = roots,
             .child_count = 5,
             .intensity = 12,
             .period_ns = 30000000},
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
};

static void tree_begin(tina_sim *sim, void *state) {
    paper_open(state, sim, &spec.root, 0);
}

static bool tree_done(tina_sim *sim, void *state) {
    uint32_t place = 0;
    uint32_t lives = 0;
    tina_isolate_look look;
    if (!tina_sim_is_calm(sim) || !tina_sim_is_up(sim, 0))
        return false;
    while (tina_shard_look(tina_sim_shard(sim, 0), &place, &look))
        lives++;
    return paper_rests(state, lives);
}

// What a leaf does not see coming is left out: the paper could not know of it.
const tina_scenario tina_scenario_tree = {
    .name = "tree",
    .specs = &spec,
    .spec_count = 1,
    .settings = "init_crash_ppm=calm,crash_before_ppm=calm,crash_during_ppm=calm,"
                "crash_after_ppm=calm",
    .faults_ns = 400000000,
    .state_bytes = sizeof(paper_tree),
    .begin = tree_begin,
    .done = tree_done,
};
