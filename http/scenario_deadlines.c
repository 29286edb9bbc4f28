// SPDX-License-Identifier: Apache-2.0
//
// Clients that are too slow, some for each deadline: each is told 408 or sees the end when its time
// is up, not before and not much later, wherever the time begins. And those for whom it looks as if
// they were, but who are answered: with a body that comes as fast as it must, or a handler that
// takes its time. Beside them clients who are not slow hear of nothing.

#include <string.h>

#include "core/assert.h"
#include "http/sim_probe.h"
#include "http/sim_scenarios.h"
#include "http/sim_visitor.h"
#include "sim/world.h"

#define GOOD      3u
#define SECOND_NS UINT64_C(1000000000)
// The network's and the shards' own time: a few round trips of the longest latency, and bytes in
// small pieces. Deadlines are longer, so that one that is twice as long is found.
#define SLACK_NS   (3 * SECOND_NS)
#define STUCK_NS   (100 * SECOND_NS)
#define BODY_BYTES 3000u

typedef enum probe_kind {
    PROBE_HEAD_STOPS = 0, // in the head
    PROBE_HEAD_DRIPS,
    PROBE_HEAD_LATE,      // after some silence
    PROBE_HEAD_SECOND,    // the next one's, some time after an answer
    PROBE_HEAD_PIPELINED, // the next one's, which came with the end of the first
    PROBE_BODY_STOPS,
    PROBE_BODY_STOPS_LATE, // after some more of it has come
    PROBE_BODY_SECOND,     // the next one's, which came with the end of the first
    PROBE_BODY_STREAMED,   // stops when a part of it has come back: the answer is cut
    PROBE_BODY_DRIPS,
    PROBE_BODY_TOO_SLOW, // at half of body_rate
    PROBE_BODY_MOVES,    // at twice body_rate: is answered
    PROBE_BODY_HELD_UP,  // by its handler: is answered
    PROBE_IDLE,          // says nothing
    PROBE_IDLE_AFTER,    // an answer
    PROBE_IDLE_AGAIN,    // after a second answer
    PROBE_IDLE_WAITED,   // after an answer that its handler had waited for
    PROBE_LINGERS,       // goes on sending after Connection: close
    PROBE_LINGERS_BAD,   // ... after a 400
    PROBE_WAITS,         // for a handler that waits longer than any of these deadlines
    PROBE_EVENTS,        // ... that waits three times
    PROBE_CALLS,         // ... that calls somebody who does not answer
    PROBE_KINDS,
} probe_kind;

#define TIMED_OUT 15u // of these

typedef struct deadlines_state {
    sim_site site;
    sim_visitor good[GOOD];
    sim_probe probes[PROBE_KINDS];
} deadlines_state;

// What a probe sends.
typedef struct script {
    uint8_t first[2 * SIM_ASK_BYTES_MAX];
    uint32_t bytes;
    uint8_t then[SIM_ASK_BYTES_MAX];
    uint32_t then_bytes;
} script;

static uint32_t draw(tina_sim *sim, uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(sim, stream, limit);
}

static sim_ask ask_make(deadlines_state *state, uint32_t kind, uint32_t bytes, uint32_t wait_ms) {
    return (sim_ask){++state->site.next_id + 100, kind, bytes, wait_ms, false};
}

static void ends(sim_probe *probe, const char *statuses, uint64_t least_ns, uint64_t most_ns) {
    probe->statuses = statuses;
    probe->least_ns = least_ns;
    probe->most_ns = most_ns + SLACK_NS;
}

static void slowly(sim_probe *probe, uint64_t from, uint32_t step_bytes, uint64_t step_ns) {
    probe->plan.slow_from = from;
    probe->plan.slow_bytes = UINT64_MAX;
    probe->plan.slow_step_bytes = step_bytes;
    probe->plan.slow_step_ns = step_ns;
}

static void head_script(tina_sim *sim, deadlines_state *state, probe_kind kind, script *says) {
    sim_probe *probe = &state->probes[kind];
    const http_server *server = &state->site.server;
    uint64_t header_ns = server->header_timeout_ns;
    uint8_t head[SIM_ASK_BYTES_MAX];
    probe->asks[0] = ask_make(state, SIM_ASK_TEXT, 10, 0);
    says->bytes = sim_ask_write(&probe->asks[0], says->first);
    uint32_t part = 1 + draw(sim, 10, says->bytes - 1);
    memcpy(head, says->first, says->bytes);
    ends(probe, "408", header_ns, header_ns);
    if (kind == PROBE_HEAD_DRIPS) {
        slowly(probe, draw(sim, 11, 30), 1, header_ns / 8);
        return;
    }
    if (kind == PROBE_HEAD_STOPS) {
        says->bytes = part;
        return;
    }
    if (kind == PROBE_HEAD_PIPELINED) {
        uint32_t end = says->bytes;
        says->bytes = 1 + draw(sim, 15, end - 1);
        says->then_bytes = end - says->bytes + part;
        memcpy(says->then, head + says->bytes, end - says->bytes);
        memcpy(says->then + end - says->bytes, head, part);
        probe->then_ns = header_ns / 2;
    } else {
        says->bytes = kind == PROBE_HEAD_LATE ? 0 : says->bytes;
        memcpy(says->then, head, part);
        says->then_bytes = part;
        probe->then_ns = server->idle_timeout_ns / 2;
    }
    probe->statuses = kind == PROBE_HEAD_LATE ? "408" : "200 408";
}

// Moves what follows the first `bytes` to what is sent later.
static void later(sim_probe *probe, script *says, uint32_t bytes, uint64_t then_ns) {
    says->then_bytes = says->bytes - bytes;
    memcpy(says->then, says->first + bytes, says->then_bytes);
    says->bytes = bytes;
    probe->then_ns = then_ns;
}

static void second_body_script(deadlines_state *state, script *says, uint32_t head) {
    sim_probe *probe = &state->probes[PROBE_BODY_SECOND];
    uint8_t second[SIM_ASK_BYTES_MAX];
    probe->asks[1] = ask_make(state, SIM_ASK_ECHO, BODY_BYTES, 0);
    uint32_t part = sim_ask_write(&probe->asks[1], second) - BODY_BYTES + 10;
    memcpy(says->first + says->bytes, second, part);
    says->bytes += part;
    later(probe, says, head + BODY_BYTES / 2, state->site.server.body_timeout_ns / 8 * 7);
    probe->statuses = "200 408";
}

// As body_rate is 64 bytes a second, and what has come counts in whole seconds of it.
static void body_script(tina_sim *sim, deadlines_state *state, probe_kind kind, script *says) {
    sim_probe *probe = &state->probes[kind];
    uint64_t body_ns = state->site.server.body_timeout_ns;
    uint32_t how = kind == PROBE_BODY_HELD_UP    ? SIM_ASK_SIP
                   : kind == PROBE_BODY_STREAMED ? SIM_ASK_STREAM
                                                 : SIM_ASK_ECHO;
    probe->asks[0] = ask_make(state, how, BODY_BYTES, (uint32_t)(2 * body_ns / 1000000));
    probe->asks[0].closes = kind != PROBE_BODY_SECOND;
    says->bytes = sim_ask_write(&probe->asks[0], says->first);
    uint32_t head = says->bytes - BODY_BYTES;
    uint64_t moves_ns = BODY_BYTES * SECOND_NS / 128;
    ends(probe, "408", body_ns, body_ns);
    if (kind == PROBE_BODY_STOPS) {
        says->bytes = head + draw(sim, 12, 20);
    } else if (kind == PROBE_BODY_STOPS_LATE) {
        says->bytes = head + BODY_BYTES / 2;
        later(probe, says, head, body_ns / 2);
    } else if (kind == PROBE_BODY_STREAMED) {
        says->bytes = head + 1 + draw(sim, 16, 20);
        probe->statuses = "";
        probe->cut = true;
    } else if (kind == PROBE_BODY_SECOND) {
        second_body_script(state, says, head);
    } else if (kind == PROBE_BODY_DRIPS) {
        slowly(probe, head, 1, body_ns / 8);
    } else if (kind == PROBE_BODY_TOO_SLOW) {
        slowly(probe, head, 4, SECOND_NS / 8);
        ends(probe, "408", 2 * body_ns - 2 * SECOND_NS, 2 * body_ns);
    } else if (kind == PROBE_BODY_MOVES) {
        slowly(probe, head, 16, SECOND_NS / 8);
        ends(probe, "200", moves_ns - SECOND_NS, moves_ns);
    } else {
        later(probe, says, head + BODY_BYTES / 2, 2 * body_ns + SECOND_NS);
        ends(probe, "200", 0, 0);
    }
}

static void idle_script(deadlines_state *state, probe_kind kind, script *says) {
    sim_probe *probe = &state->probes[kind];
    uint64_t idle_ns = state->site.server.idle_timeout_ns;
    uint64_t waited_ns = kind == PROBE_IDLE_WAITED ? SECOND_NS : 0;
    ends(probe, kind == PROBE_IDLE ? "" : "200", idle_ns + waited_ns, idle_ns + waited_ns);
    if (kind == PROBE_IDLE)
        return;
    probe->asks[0] = ask_make(state, waited_ns ? SIM_ASK_WAIT : SIM_ASK_TEXT, 10, 1000);
    says->bytes = sim_ask_write(&probe->asks[0], says->first);
    if (kind == PROBE_IDLE_AGAIN) {
        probe->asks[1] = ask_make(state, SIM_ASK_STATIC, 0, 0);
        says->then_bytes = sim_ask_write(&probe->asks[1], says->then);
        probe->then_ns = idle_ns / 2;
        probe->statuses = "200 200";
    }
}

// Since it does not read, it hears of nothing but the reset that answers what it sends in the end.
static void linger_script(deadlines_state *state, probe_kind kind, script *says) {
    sim_probe *probe = &state->probes[kind];
    uint64_t linger_ns = state->site.server.linger_timeout_ns;
    probe->asks[0] = ask_make(state, SIM_ASK_TEXT, 10, 0);
    probe->asks[0].closes = true;
    says->bytes = sim_ask_write(&probe->asks[0], says->first);
    if (kind == PROBE_LINGERS_BAD)
        memcpy(says->first, "g?t ", 4);
    slowly(probe, says->bytes, 1, linger_ns / 8);
    memset(says->first + says->bytes, 'x', 4096);
    says->bytes += 4096;
    probe->plan.never_reads = true;
    ends(probe, "", linger_ns, linger_ns);
}

static void wait_script(tina_sim *sim, deadlines_state *state, probe_kind kind, script *says) {
    sim_probe *probe = &state->probes[kind];
    uint32_t kinds[] = {SIM_ASK_WAIT, SIM_ASK_EVENTS, SIM_ASK_CALL};
    uint32_t wait_ms = 12000 + draw(sim, 14, 8000);
    uint64_t wait_ns = wait_ms * UINT64_C(1000000) * (kind == PROBE_EVENTS ? 3 : 1);
    probe->asks[0] = ask_make(state, kinds[kind - PROBE_WAITS], 3 * 97, wait_ms);
    probe->asks[0].closes = true;
    says->bytes = sim_ask_write(&probe->asks[0], says->first);
    ends(probe, "200", wait_ns, wait_ns);
}

static void probe_begin(tina_sim *sim, deadlines_state *state, probe_kind kind) {
    static const char *const names[] = {
        "head stops",
        "head drips",
        "head late",
        "second head stops",
        "next head stops",
        "body stops",
        "body stops later",
        "second body stops",
        "streamed body stops",
        "body drips",
        "body too slow",
        "body moves",
        "body held up",
        "idle",
        "idle after",
        "idle again",
        "idle after a wait",
        "lingers",
        "lingers, bad",
        "waits",
        "events",
        "calls",
    };
    static script says; // large
    says.bytes = says.then_bytes = 0;
    state->probes[kind].name = names[kind];
    if (kind <= PROBE_HEAD_PIPELINED)
        head_script(sim, state, kind, &says);
    else if (kind <= PROBE_BODY_HELD_UP)
        body_script(sim, state, kind, &says);
    else if (kind <= PROBE_IDLE_WAITED)
        idle_script(state, kind, &says);
    else if (kind <= PROBE_LINGERS_BAD)
        linger_script(state, kind, &says);
    else
        wait_script(sim, state, kind, &says);
    sim_probe_start(sim, &state->probes[kind], tina_bytes_of(says.first, says.bytes),
                    tina_bytes_of(says.then, says.then_bytes));
}

static void probes_start(void *state_, uint64_t word) {
    (void)word;
    for (uint32_t kind = 0; kind < PROBE_KINDS; kind++)
        probe_begin(tina_sim_current(), state_, (probe_kind)kind);
}

static void deadlines_begin(tina_sim *sim, void *state_) {
    deadlines_state *state = state_;
    sim_world *world = tina_sim_world(sim);
    http_server server = sim_site_server(sim);
    server.connection_count = server.context_count = GOOD + PROBE_KINDS;
    server.large_body_count = 0;
    server.requests_max = 0;
    server.backlog = 64;
    server.idle_timeout_ns = SECOND_NS * (4 + draw(sim, 1, 8));
    server.header_timeout_ns = SECOND_NS * (4 + draw(sim, 2, 8));
    server.body_timeout_ns = SECOND_NS * (4 + draw(sim, 3, 8));
    server.linger_timeout_ns = SECOND_NS * (4 + draw(sim, 4, 3));
    sim_site_open(sim, &state->site, &server);
    sim_agenda_at(&world->agenda, world->now_ns + SECOND_NS / 20 + draw(sim, 5, SECOND_NS),
                  probes_start, state, 0);
    for (uint32_t i = 0; i < GOOD; i++) {
        sim_visitor *visitor = &state->good[i];
        visitor->number = i;
        visitor->strict = true;
        visitor->host = draw(sim, 6, SIM_SITE_HOSTS);
        visitor->think_ns = SECOND_NS / 3;
        visitor->ask_count = 1 + draw(sim, 7, SIM_VISITOR_ASKS);
        for (uint32_t ask = 0; ask < visitor->ask_count; ask++)
            visitor->asks[ask] = sim_ask_draw(sim, &state->site, 600);
        sim_visitor_start(sim, visitor);
    }
}

static bool deadlines_done(tina_sim *sim, void *state_) {
    const deadlines_state *state = state_;
    for (uint32_t i = 0; i < GOOD; i++)
        if (!sim_visitor_is_done(&state->good[i]))
            return false;
    for (uint32_t i = 0; i < PROBE_KINDS; i++)
        if (!state->probes[i].ended)
            return false;
    return sim_site_in_use(sim) == 0;
}

static void deadlines_check(tina_sim *sim, void *state_) {
    const deadlines_state *state = state_;
    for (uint32_t i = 0; i < GOOD; i++)
        sim_visitor_check(sim, &state->good[i], STUCK_NS);
}

static void deadlines_end(tina_sim *sim, void *state_) {
    const deadlines_state *state = state_;
    uint64_t timeouts = 0;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++)
        timeouts += state->site.counters[i]->timeouts;
    if (timeouts != TIMED_OUT)
        tina_sim_fail(sim, "http timeouts", "%llu are counted, and not %u",
                      (unsigned long long)timeouts, TIMED_OUT);
}

const tina_scenario http_scenario_deadlines = {
    .name = "http_deadlines",
    .specs = &sim_site_program.spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SIM_SITE_SHARDS_MAX,
    .settings = SIM_SITE_GENTLE ",net_trickle_ppm=calm",
    .faults_ns = 120000000000,
    .state_bytes = sizeof(deadlines_state),
    .begin = deadlines_begin,
    .done = deadlines_done,
    .check = deadlines_check,
    .end = deadlines_end,
};
