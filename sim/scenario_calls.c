// SPDX-License-Identifier: Apache-2.0
//
// Calls: askers on all shards call servers, which answer at once, later, twice or never, end
// instead, or ask another server first. Whatever happens, a call ends once, by its own answer or by
// a failure that can be explained, not before its time and not long after it; nothing else comes
// meanwhile; and when all is quiet neither an envelope nor a credit is held.

#include <string.h>

#include "sched/ctx.h"
#include "sim/scenarios.h"
#include "sim/world.h"

#define ASKERS          4u
#define SERVERS         3u
#define PARTIES         (ASKERS + SERVERS) // of each shard; askers first
#define SHARDS_MAX      4u
#define PARTY_COUNT     (PARTIES * SHARDS_MAX)
#define KEPT            8u  // callers whom a server owes an answer
#define CREDITS         16u // of each pair of shards, with so small a channel
#define CALM_ANSWERS    8u
#define LATE_TICKS      64u
#define FILLERS         17u
#define RESTS_UNTIL_ALL 16u // a server answers whom it keeps, within so many of its rests

enum {
    TAG_ASK = 1,
    TAG_ANSWER,
};

typedef enum mode {
    MODE_NOW = 0,
    MODE_LATER,
    MODE_TWICE,
    MODE_NESTED,
    MODE_NEVER,
    MODE_DIE,
    MODE_COUNT
} mode;

// Of a request and of its answer.
typedef struct question {
    tina_handle from;
    uint64_t answered_ns; // the world's
    uint32_t party;
    uint32_t number; // of the party's, from 1
    uint32_t mode;
    uint32_t filler[FILLERS]; // all of them the number
} question;

_Static_assert(sizeof(question) <= TINA_PAYLOAD_BYTES_MAX, "fits");

typedef struct open_call {
    uint32_t number; // 0: none
    uint32_t server;
    tina_handle target;
    uint64_t until_ns;   // its shard's; UINT64_MAX: it has no timeout
    uint64_t late_ticks; // its shard's, when it was seen to be late; 0: it was not
} open_call;

typedef struct party_book {
    tina_handle who;
    tina_handle died; // somebody was told that it has ended
    uint32_t number;  // of its last call
    bool canceled;    // and so the next event is TINA_SHUTDOWN
    open_call open;
    uint32_t calm_answers;
    bool credits[SHARDS_MAX]; // all those of that shard were had
} party_book;

typedef struct calls {
    uint32_t party_count;
    bool over;
    bool strict;                  // no request is lost on its way
    uint64_t late_max_ns;         // until an answer comes; 0: that cannot be said
    uint64_t seen_ns[SHARDS_MAX]; // the last time a handler saw
    party_book parties[PARTY_COUNT];
} calls;

typedef struct kept_caller {
    tina_caller caller;
    bool answered;
    question asked;
} kept_caller;

typedef struct party {
    uint32_t number;
    kept_caller kept[KEPT];
    kept_caller nested; // whom the open call of a server is for
} party;

static calls *calls_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

static bool handles_equal(tina_handle a, tina_handle b) {
    return a.bits == b.bits;
}

static uint32_t load(uint32_t most) {
    return tina_sim_load(tina_sim_current(), most);
}

// Whether it has something to do by itself; servers have.
static bool party_acts(uint32_t number) {
    return number % PARTIES >= ASKERS || number % PARTIES < load(ASKERS);
}

static void party_rest(tina_ctx *ctx) {
    uint64_t rest_ns = 500000 + tina_sim_draw(tina_sim_current(), 0, 20000000);
    if (tina_timer_set(ctx, rest_ns, 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "calls timers", "no timer for a party");
}

static tina_effect party_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    party *self = self_;
    self->number = tina_shard_number(ctx) * PARTIES + *(const uint32_t *)args.data;
    party_book *book = &calls_of()->parties[self->number];
    *book = (party_book){.who = tina_self(ctx), .number = book->number};
    if (party_acts(self->number))
        party_rest(ctx);
    return tina_receive();
}

static uint32_t server_draw(const calls *all) {
    uint32_t shard = draw(1, all->party_count / PARTIES);
    return shard * PARTIES + ASKERS + draw(2, SERVERS);
}

// timeout_ns 0: only of a server that will answer, and will not wait for the caller.
static tina_effect party_ask(tina_ctx *ctx, const party *self, uint32_t server, mode how,
                             uint64_t timeout_ns) {
    const calls *all = calls_of();
    party_book *book = &calls_of()->parties[self->number];
    question asked = {tina_self(ctx), 0, self->number, ++book->number, how, {0}};
    for (uint32_t i = 0; i < FILLERS; i++)
        asked.filler[i] = asked.number;
    tina_handle target = all->parties[server].who;
    tina_effect effect = tina_call(ctx, target, TAG_ASK, &asked, sizeof asked, timeout_ns);
    book->open = (open_call){
        .number = asked.number,
        .server = server,
        .target = target,
        .until_ns = timeout_ns ? tina_now_ns(ctx) + timeout_ns : UINT64_MAX,
    };
    return effect;
}

static bool party_lives(const party_book *book) {
    const tina_shard *shard = tina_sim_shard(tina_sim_current(), tina_handle_shard(book->who));
    uint32_t place = 0;
    tina_isolate_look look;
    while (tina_shard_look(shard, &place, &look))
        if (handles_equal(look.handle, book->who))
            return true;
    return false;
}

// A server whose answer is taken has been waited for, and one that is refused has not, as far as
// its own shard's books tell.
static void answer_check(tina_ctx *ctx, const question *asked, tina_answer_result result,
                         bool again) {
    tina_sim *sim = tina_sim_current();
    const party_book *asker = &calls_of()->parties[asked->party];
    if (tina_handle_shard(asked->from) != tina_shard_number(ctx))
        return;
    bool waits = handles_equal(asker->who, asked->from) && asker->open.number == asked->number;
    if (result == TINA_ANSWER_OK && !waits)
        tina_sim_fail(sim, "calls answer", "party %u was answered %u and did not wait for it",
                      asked->party, asked->number);
    // Unless it was told to shut down, of which this shard's books do not tell.
    tina_shard_counters counters;
    (void)tina_counters(ctx, tina_shard_number(ctx), &counters);
    bool told = calls_of()->over || counters.groups_given_up > 0;
    if (result != TINA_ANSWER_OK && waits && !told && !again && party_lives(asker) &&
        tina_now_ns(ctx) < asker->open.until_ns)
        tina_sim_fail(sim, "calls answer", "party %u waits for answer %u, which was refused",
                      asked->party, asked->number);
}

static void question_answer(tina_ctx *ctx, kept_caller *kept, bool twice) {
    bool again = kept->answered;
    kept->asked.answered_ns = tina_sim_now_ns(tina_sim_current());
    tina_answer_result result =
        tina_answer(ctx, kept->caller, TAG_ANSWER, &kept->asked, sizeof kept->asked);
    answer_check(ctx, &kept->asked, result, again);
    if (twice && tina_answer(ctx, kept->caller, TAG_ANSWER, &kept->asked, sizeof kept->asked) !=
                     TINA_ANSWER_STALE)
        tina_sim_fail(tina_sim_current(), "calls twice", "party %u was answered twice",
                      kept->asked.party);
    // The caller of an answered call stays, to be used again: it must be good for nothing.
    kept->answered = true;
    if (!twice)
        *kept = (kept_caller){0};
}

static kept_caller *kept_free(party *self) {
    for (uint32_t i = 0; i < KEPT; i++)
        if (self->kept[i].caller.bits == 0)
            return &self->kept[i];
    return NULL;
}

static tina_effect server_nest(tina_ctx *ctx, party *self, const kept_caller *came) {
    uint32_t server = server_draw(calls_of());
    self->nested = *came;
    return party_ask(ctx, self, server, draw(3, 3) ? MODE_NOW : MODE_NEVER,
                     1000000 + draw(4, 10000000));
}

static tina_effect server_asked(tina_ctx *ctx, party *self, const tina_message *m) {
    kept_caller came = {.caller = tina_caller_of(ctx, m)};
    memcpy(&came.asked, m->payload, sizeof came.asked);
    if (!handles_equal(m->from, came.asked.from) || !handles_equal(m->to, tina_self(ctx)))
        tina_sim_fail(tina_sim_current(), "calls address", "party %u was asked for another",
                      self->number);
    kept_caller *kept = kept_free(self);
    switch ((mode)came.asked.mode) {
    case MODE_DIE:
        return tina_crash(1);
    case MODE_TWICE:
        question_answer(ctx, &came, true);
        return tina_receive();
    case MODE_NESTED:
        return server_nest(ctx, self, &came);
    case MODE_LATER:
    case MODE_NEVER:
        if (!kept)
            break;
        *kept = came;
        return tina_receive();
    default:
        break;
    }
    came.asked.answered_ns = tina_sim_now_ns(tina_sim_current());
    return tina_reply(ctx, TAG_ANSWER, &came.asked, sizeof came.asked);
}

// Also those who were told that it would never answer: they wait no more by then.
static void server_settle(tina_ctx *ctx, party *self) {
    for (uint32_t i = 0; i < KEPT; i++) {
        kept_caller *kept = &self->kept[i];
        bool later =
            kept->asked.mode == MODE_LATER ? draw(5, 2) == 0 : draw(6, RESTS_UNTIL_ALL) == 0;
        if (kept->caller.bits && later)
            question_answer(ctx, kept, draw(7, 4) == 0);
    }
}

// Asks each server in turn when faults have stopped, then has all credits of each other shard.
static tina_effect asker_calm(tina_ctx *ctx, party *self) {
    const calls *all = calls_of();
    party_book *book = &calls_of()->parties[self->number];
    uint32_t next = book->calm_answers;
    if (next < load(CALM_ANSWERS)) {
        uint32_t shard = next % (all->party_count / PARTIES);
        uint32_t server = shard * PARTIES + ASKERS + next % SERVERS;
        return party_ask(ctx, self, server, (mode)(next % (MODE_NESTED + 1)), 0);
    }
    for (uint32_t shard = 0; shard < all->party_count / PARTIES; shard++) {
        if (self->number % PARTIES != 0 || shard == tina_shard_number(ctx) || book->credits[shard])
            continue;
        tina_monitor set[CREDITS];
        uint32_t count = 0;
        while (count < CREDITS &&
               (set[count] = tina_monitor_set(ctx, all->parties[shard * PARTIES].who)).bits)
            count++;
        book->credits[shard] = count == CREDITS;
        while (count > 0)
            (void)tina_monitor_end(ctx, set[--count]);
        break;
    }
    party_rest(ctx);
    return tina_receive();
}

static tina_effect asker_rested(tina_ctx *ctx, party *self) {
    if (tina_sim_is_calm(tina_sim_current()))
        return asker_calm(ctx, self);
    mode how = (mode)draw(8, MODE_COUNT + 2) % MODE_COUNT;
    if (!tina_sim_does(tina_sim_current(), how))
        how = MODE_NOW;
    bool patient = how <= MODE_NESTED && draw(9, 3) == 0;
    uint64_t timeout_ns = 100000 + tina_sim_draw(tina_sim_current(), 10, 40000000);
    uint32_t server = server_draw(calls_of());
    return party_ask(ctx, self, server, how, patient ? 0 : timeout_ns);
}

static void party_answered(tina_ctx *ctx, party_book *book, const tina_message *m) {
    question answer;
    memcpy(&answer, m->payload, sizeof answer);
    bool whole = m->payload_bytes == sizeof answer;
    for (uint32_t i = 0; i < FILLERS; i++)
        whole = whole && answer.filler[i] == answer.number;
    if (!whole || answer.number != book->open.number ||
        !handles_equal(answer.from, tina_self(ctx)) || !handles_equal(m->from, book->open.target) ||
        !handles_equal(m->to, tina_self(ctx)))
        tina_sim_fail(tina_sim_current(), "calls answer", "party %u asked %u and was answered %u",
                      answer.party, book->open.number, answer.number);
    uint64_t took_ns = tina_sim_now_ns(tina_sim_current()) - answer.answered_ns;
    if (calls_of()->late_max_ns && took_ns > calls_of()->late_max_ns)
        tina_sim_fail(tina_sim_current(), "calls late", "party %u: an answer came after %llu ns",
                      answer.party, (unsigned long long)took_ns);
    if (tina_sim_is_calm(tina_sim_current()))
        book->calm_answers++;
}

static bool failure_is_right(tina_ctx *ctx, party_book *book, const tina_call_event *failed) {
    calls *all = calls_of();
    tina_sim *sim = tina_sim_current();
    const open_call *open = &book->open;
    party_book *server = &all->parties[open->server];
    uint32_t shard = tina_handle_shard(open->target);
    bool local = shard == tina_shard_number(ctx);
    // An older life of a shard may be meant, by who had no news of the next.
    bool never_broke = tina_sim_breaks(sim, shard) == 0;
    switch ((tina_call_failure)failed->failure) {
    case TINA_CALL_STALE:
        if (local || (all->strict && never_broke))
            server->died = open->target;
        return true;
    case TINA_CALL_DIED:
        if (local || never_broke)
            server->died = open->target;
        return true;
    case TINA_CALL_TIMED_OUT:
        return tina_now_ns(ctx) >= open->until_ns;
    case TINA_CALL_CANCELED:
        book->canceled = true;
        return true;
    case TINA_CALL_MAILBOX_FULL:
    case TINA_CALL_POOL_EMPTY:
        return true;
    case TINA_CALL_NO_CREDIT:
    case TINA_CALL_CHANNEL_FULL:
        return !local;
    case TINA_CALL_QUARANTINED:
        return !local && !never_broke;
    default:
        return false;
    }
}

static void party_failed(tina_ctx *ctx, uint32_t number, const tina_call_event *failed) {
    party_book *book = &calls_of()->parties[number];
    tina_sim_note(tina_sim_current(), number << 8 | (uint32_t)failed->failure, failed->target.bits);
    if (!handles_equal(failed->target, book->open.target) || !failure_is_right(ctx, book, failed))
        tina_sim_fail(tina_sim_current(), "calls failure", "party %u: its call %u failed with %d",
                      number, book->open.number, failed->failure);
}

static tina_effect call_ended(tina_ctx *ctx, party *self) {
    calls_of()->parties[self->number].open.number = 0;
    if (self->number % PARTIES < ASKERS) {
        party_rest(ctx);
        return tina_receive();
    }
    if (self->nested.caller.bits)
        question_answer(ctx, &self->nested, false);
    return tina_receive();
}

static void event_check(tina_ctx *ctx, uint32_t number, int32_t tag) {
    tina_sim *sim = tina_sim_current();
    const party_book *book = &calls_of()->parties[number];
    calls_of()->seen_ns[tina_shard_number(ctx)] = tina_now_ns(ctx);
    bool ends = tag == TAG_ANSWER || tag == TINA_CALL_FAILED;
    if (handles_equal(book->died, tina_self(ctx)))
        tina_sim_fail(sim, "calls died", "party %u has died and runs", number);
    if (ends != (book->open.number != 0))
        tina_sim_fail(sim, "calls", "party %u: event %d, and its call is %u", number, tag,
                      book->open.number);
    if (book->canceled && tag != TINA_SHUTDOWN)
        tina_sim_fail(sim, "calls canceled", "party %u: event %d after it was canceled", number,
                      tag);
}

static tina_effect party_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    party *self = self_;
    event_check(ctx, self->number, m->tag);
    switch (m->tag) {
    case TAG_ASK:
        return server_asked(ctx, self, m);
    case TAG_ANSWER:
        party_answered(ctx, &calls_of()->parties[self->number], m);
        return call_ended(ctx, self);
    case TINA_CALL_FAILED:
        party_failed(ctx, self->number, &m->call);
        return call_ended(ctx, self);
    case TINA_TIMER:
        if (self->number % PARTIES < ASKERS)
            return asker_rested(ctx, self);
        server_settle(ctx, self);
        party_rest(ctx);
        return tina_receive();
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        return tina_receive();
    }
}

#define TYPE(type_name)                                                                            \
    {                                                                                              \
        .name = type_name, .init = party_init, .handle = party_handle,                             \
        .struct_bytes = sizeof(party), .mailbox_max = 3, .batch = 4,                               \
    }

static const tina_isolate_type asker_type = TYPE("asker");
static const tina_isolate_type server_type = TYPE("server");
static const uint32_t numbers[PARTIES] = {0, 1, 2, 3, 4, 5, 6};

#define PARTY(of, i)                                                                               \
    {                                                                                              \
        .type = &(of), .args = { &numbers[i], sizeof numbers[i] }                                  \
    }

static const tina_child children[PARTIES] = {
    PARTY(asker_type, 0),  PARTY(asker_type, 1),  PARTY(asker_type, 2),  PARTY(asker_type, 3),
    PARTY(server_type, 4), PARTY(server_type, 5), PARTY(server_type, 6),
};
static const tina_type_slots types[] = {{&asker_type, ASKERS}, {&server_type, SERVERS}};

// So few envelopes that calls run out of them.
static const tina_spec spec = {
    .name = "calls",
    .types = types,
    .type_count = 2,
    .root = {.name = "calls", .children = children, .child_count = PARTIES, .intensity = 100},
    .message_count = 16,
    .sender_share = 2,
    .monitor_count = CREDITS,
    .tick_batch = 20,
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 8192,
};

static void calls_begin(tina_sim *sim, void *state) {
    calls *self = state;
    self->party_count = tina_sim_shard_count(sim) * PARTIES;
    const tina_sim_settings *settings = &tina_sim_world(sim)->settings;
    self->strict = settings->wire_loss_ppm == 0;
    // Where nothing but wires and turns takes time.
    if (settings->pause_ppm == 0 && settings->death_ppm == 0 && settings->wire_clog_ppm == 0)
        self->late_max_ns = settings->wire_ns + LATE_TICKS * ((settings->turn_ns + 1) << 6);
}

// A shard that ticks and has seen the time ends the call soon.
static void calls_check(tina_sim *sim, void *state) {
    calls *self = state;
    for (uint32_t i = 0; i < self->party_count; i++) {
        open_call *open = &self->parties[i].open;
        uint32_t shard = i / PARTIES;
        bool lives = tina_sim_is_up(sim, shard) && open->number;
        if (!lives || open->until_ns >= self->seen_ns[shard])
            continue;
        tina_shard_counters counters;
        tina_shard_snapshot(tina_sim_shard(sim, shard), &counters);
        if (open->late_ticks == 0)
            open->late_ticks = counters.ticks;
        if (counters.ticks - open->late_ticks > LATE_TICKS)
            tina_sim_fail(sim, "calls timeout", "party %u: its call %u has not ended in time", i,
                          open->number);
    }
}

static bool party_is_done(tina_sim *sim, const calls *self, uint32_t number) {
    const party_book *book = &self->parties[number];
    if (number % PARTIES >= ASKERS || !party_acts(number))
        return true;
    for (uint32_t i = 0; number % PARTIES == 0 && i < tina_sim_shard_count(sim); i++)
        if (i != number / PARTIES && !book->credits[i])
            return false;
    return book->calm_answers >= load(CALM_ANSWERS) && book->open.number == 0;
}

static bool calls_done(tina_sim *sim, void *state) {
    calls *self = state;
    if (!tina_sim_is_calm(sim))
        return false;
    for (uint32_t i = 0; i < self->party_count; i++)
        if (!party_is_done(sim, self, i))
            return false;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        tina_shard_counters counters;
        tina_shard_snapshot(tina_sim_shard(sim, i), &counters);
        if (!tina_sim_is_up(sim, i) || counters.messages_in_use || counters.monitors_in_use)
            return false;
    }
    self->over = true;
    return true;
}

const tina_scenario tina_scenario_calls = {
    .name = "calls",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 1000000000,
    .liveness_ns = 60000000000,
    .state_bytes = sizeof(calls),
    .begin = calls_begin,
    .done = calls_done,
    .check = calls_check,
};
