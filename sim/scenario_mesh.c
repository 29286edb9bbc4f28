// SPDX-License-Identifier: Apache-2.0
//
// A mesh: nodes on all shards send each other numbered messages, monitor each other and each
// other's shards, and end by plan or by chance. Whatever happens, each pair's messages come in
// order and once, none is missing that no counter explains, none reaches a successor, a DOWN comes
// once, after the last message of whoever ended, and tells why; news of a shard come after all
// messages and DOWNs of the lives that they say are over, and at once where it has stopped; and
// when all is quiet nothing is held any more.

#include "sched/ctx.h"
#include "sim/scenarios.h"
#include "sim/world.h"

#define NODES_PER_SHARD 6u
#define SHARDS_MAX      4u
#define NODE_COUNT      (NODES_PER_SHARD * SHARDS_MAX)
#define MONITORS        5u // of each node at once
#define MAILBOX_MAX     12u
#define SHARE           8u
#define HOPS            3u
#define WAITER          (NODES_PER_SHARD - 1) // of a shard: waits for something else at times
#define WAIT_NS         UINT64_C(200000000)
#define LATE_TICKS      64u
#define NEWS_TICKS      8u

// Of what a node does.
enum {
    KIND_SEND = 0,
    KIND_WATCH_NODE,
    KIND_WATCH_SHARD,
    KIND_STOP,
    KIND_FORWARD,
    KIND_END,
    KIND_WAIT,
};

enum {
    TAG_NUMBERED = 1,
    TAG_SELF, // to oneself, when all is quiet
};

typedef struct numbered {
    tina_handle from;
    tina_handle to;
    uint64_t sent_ns; // the world's
    uint32_t sender;
    uint32_t number; // of those that this life of the receiver's was sent by this of the sender's
    uint32_t hops;   // that may follow
    uint32_t life;   // of the sender's shard
} numbered;

typedef struct pair {
    tina_handle from;
    tina_handle to;
    uint32_t accepted; // of these two lives
    uint32_t taken;
    tina_handle told; // of whom the receiver was told that it had ended
} pair;

typedef struct watch {
    tina_monitor monitor;
    tina_handle who;
    uint32_t node; // NODE_COUNT: of a shard
    uint32_t shard;
    uint32_t breaks; // of its shard: of a shard's when it was set, of a node's when that began
    uint32_t changes;
    uint32_t life; // as told last
    int32_t change;
    uint32_t begins; // told of its shard when it was set, as node_book.begins
    uint64_t set_ns; // the world's
} watch;

typedef struct node_book {
    tina_handle who;
    uint32_t breaks;    // of its shard, when it began
    tina_handle ending; // who has returned an exit, with this reason:
    tina_exit_reason reason;
    tina_handle down;   // somebody was told that it has ended
    uint32_t mail;      // accepted from its own shard and not taken
    uint32_t self_sent; // when all is quiet
    uint32_t self_taken;
    bool quiet;
    uint32_t begins[SHARDS_MAX]; // the first life of a shard that it was not told is over
    watch watches[MONITORS];
} node_book;

typedef struct mesh {
    uint32_t node_count;
    bool strict; // no message is lost on its way
    bool waits;
    uint64_t late_max_ns;            // until one comes; 0: that cannot be said
    uint64_t news_max_ns;            // until all know that a shard has stopped
    uint64_t stopped_ns[SHARDS_MAX]; // seen so since; 0: it works
    uint64_t missing[SHARDS_MAX];
    node_book nodes[NODE_COUNT];
    pair pairs[NODE_COUNT][NODE_COUNT]; // [receiver][sender]
} mesh;

typedef struct node {
    uint32_t number;
    tina_fd fd; // the waiter's: a socket to which nobody sends
} node;

static mesh *mesh_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t draw(uint32_t stream, uint64_t limit) {
    return (uint32_t)tina_sim_draw(tina_sim_current(), stream, limit);
}

static uint32_t load(uint32_t most) {
    return tina_sim_load(tina_sim_current(), most);
}

static bool does(uint32_t kind) {
    return tina_sim_does(tina_sim_current(), kind);
}

// With less load each shard has the first of its nodes only.
static bool node_is_there(uint32_t number) {
    return number % NODES_PER_SHARD < load(NODES_PER_SHARD);
}

// The number of a shard's life in which it has broken so often: between two there is one in which
// it is empty.
static uint32_t life_of(uint32_t breaks) {
    return 1 + 2 * breaks;
}

static uint32_t node_draw(uint32_t stream) {
    uint32_t number = draw(stream, mesh_of()->node_count);
    return number - number % NODES_PER_SHARD + number % NODES_PER_SHARD % load(NODES_PER_SHARD);
}

static bool handles_equal(tina_handle a, tina_handle b) {
    return a.bits == b.bits;
}

static tina_effect node_end(uint32_t number, tina_effect effect) {
    node_book *book = &mesh_of()->nodes[number];
    book->ending = book->who;
    book->reason = effect.reason;
    return effect;
}

static void node_rest(tina_ctx *ctx) {
    uint64_t rest_ns = 1000000 + tina_sim_draw(tina_sim_current(), 0, 40000000);
    if (tina_timer_set(ctx, rest_ns, 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "mesh timers", "no timer for a node");
}

static tina_effect node_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    node *self = self_;
    self->number = tina_shard_number(ctx) * NODES_PER_SHARD + *(const uint32_t *)args.data;
    uint32_t breaks = tina_sim_breaks(tina_sim_current(), tina_shard_number(ctx));
    mesh_of()->nodes[self->number] = (node_book){.who = tina_self(ctx), .breaks = breaks};
    node_rest(ctx);
    if (self->number % NODES_PER_SHARD == WAITER && mesh_of()->waits)
        (void)tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &self->fd);
    return tina_receive();
}

// Meanwhile what it is to be told gathers.
static tina_effect node_wait(const node *self) {
    uint64_t wait_ns = 1 + tina_sim_draw(tina_sim_current(), 14, WAIT_NS);
    return tina_io(tina_op_within(tina_op_recvfrom(self->fd, 1), wait_ns));
}

// A sender on the receiver's shard knows how many wait there, if nobody else sends.
static void mail_check(const mesh *all, uint32_t to, tina_send_result result) {
    tina_sim *sim = tina_sim_current();
    uint32_t mail = all->nodes[to].mail;
    if (result == TINA_SEND_OK && mail > MAILBOX_MAX)
        tina_sim_fail(sim, "mesh mailbox bound", "node %u has %u messages waiting", to, mail);
    if (result == TINA_SEND_MAILBOX_FULL && tina_sim_shard_count(sim) == 1 && mail != MAILBOX_MAX)
        tina_sim_fail(sim, "mesh mailbox bound", "node %u was full with %u messages", to, mail);
}

static tina_send_result node_send(tina_ctx *ctx, uint32_t from, uint32_t to, tina_handle who,
                                  int32_t tag, uint32_t hops) {
    mesh *all = mesh_of();
    tina_handle self = tina_self(ctx);
    pair *between = &all->pairs[to][from];
    bool local = tina_handle_shard(who) == tina_shard_number(ctx);
    bool current = handles_equal(all->nodes[to].who, who);
    bool same = handles_equal(between->from, self) && handles_equal(between->to, who);
    uint64_t now_ns = tina_sim_now_ns(tina_sim_current());
    uint32_t number = same ? between->accepted + 1 : 1;
    uint32_t life = life_of(all->nodes[from].breaks);
    numbered sent = {self, who, now_ns, from, number, hops, life};
    tina_send_result result = tina_send(ctx, who, tag, &sent, sizeof sent);
    if (local && result == TINA_SEND_OK && !current)
        tina_sim_fail(tina_sim_current(), "mesh stale", "node %u: an old handle was good", to);
    if (!current)
        return result;
    if (result == TINA_SEND_OK && !same)
        *between = (pair){.from = self, .to = who, .told = between->told};
    if (result == TINA_SEND_OK) {
        between->accepted = number;
        all->nodes[to].mail += local;
    }
    if (local)
        mail_check(all, to, result);
    return result;
}

// A stale handle now and then: an earlier generation of the same slot.
static void burst_send(tina_ctx *ctx, uint32_t from) {
    const mesh *all = mesh_of();
    uint32_t to = node_draw(1);
    tina_handle who = all->nodes[to].who;
    uint32_t generation = tina_handle_generation(who);
    if (tina_handle_is_none(who))
        return;
    if (generation > 1 && draw(2, 16) == 0)
        who = tina_handle_make(tina_handle_shard(who), tina_handle_type(who), tina_handle_slot(who),
                               generation - 1);
    for (uint32_t left = 1 + draw(3, load(6)); left > 0; left--)
        (void)node_send(ctx, from, to, who, TAG_NUMBERED, HOPS);
}

static watch *watch_free(node_book *book) {
    for (uint32_t i = 0; i < MONITORS; i++)
        if (book->watches[i].monitor.bits == 0)
            return &book->watches[i];
    return NULL;
}

static watch *watch_named(node_book *book, tina_monitor monitor) {
    for (uint32_t i = 0; i < MONITORS; i++)
        if (monitor.bits && book->watches[i].monitor.bits == monitor.bits)
            return &book->watches[i];
    tina_sim_fail(tina_sim_current(), "mesh monitors", "an event came of a monitor that is none");
    return NULL;
}

static void watch_node(tina_ctx *ctx, node_book *book) {
    watch *set = watch_free(book);
    uint32_t peer = node_draw(4);
    tina_handle who = mesh_of()->nodes[peer].who;
    if (!set || tina_handle_is_none(who))
        return;
    tina_monitor monitor = tina_monitor_set(ctx, who);
    *set = (watch){
        .monitor = monitor,
        .who = who,
        .node = peer,
        .breaks = mesh_of()->nodes[peer].breaks,
        .begins = book->begins[tina_handle_shard(who)],
    };
}

static void watch_shard(tina_ctx *ctx, node_book *book) {
    watch *set = watch_free(book);
    uint32_t shard = draw(5, tina_shard_count(ctx));
    if (!set || shard == tina_shard_number(ctx))
        return;
    watch news = {.node = NODE_COUNT, .shard = shard};
    news.breaks = tina_sim_breaks(tina_sim_current(), shard);
    news.set_ns = tina_sim_now_ns(tina_sim_current());
    if (tina_monitor_shard(ctx, shard, &news.monitor) == TINA_MONITOR_OK)
        *set = news;
}

static void watch_stop(tina_ctx *ctx, watch *set) {
    tina_monitor monitor = set->monitor;
    bool ended = tina_monitor_end(ctx, monitor);
    set->monitor.bits = 0;
    if (!ended)
        tina_sim_fail(tina_sim_current(), "mesh monitors",
                      "a monitor that has told nothing is gone");
}

// Whether a node ended for a reason that it gave, or that the simulation or a supervisor had.
static bool reason_is_right(const mesh *all, const watch *of, tina_exit_reason reason) {
    const node_book *book = &all->nodes[of->node];
    bool planned = handles_equal(book->ending, of->who);
    switch ((tina_exit_kind)reason.kind) {
    case TINA_EXIT_NORMAL:
    case TINA_EXIT_SHUTDOWN:
    case TINA_EXIT_CODE:
    case TINA_EXIT_CRASH:
        // Of one that has a successor the book tells nothing any more.
        return planned ? book->reason.kind == reason.kind && book->reason.code == reason.code
                       : !handles_equal(book->who, of->who);
    case TINA_EXIT_CALL_LIMIT:
    case TINA_EXIT_PANIC:
        return tina_sim_crashes(tina_sim_current()) > 0;
    case TINA_EXIT_SHARD:
        return (uint32_t)reason.code == tina_handle_shard(of->who) &&
               tina_sim_breaks(tina_sim_current(), tina_handle_shard(of->who)) > 0;
    case TINA_EXIT_KILLED:
    case TINA_EXIT_UNKNOWN:
        return true;
    default:
        return false;
    }
}

// Of two reasons it does not follow that somebody is gone: a request that was lost is answered as
// if nobody were there; and who knows an isolate of a life of its shard's that it has no news of
// yet is told of the life before.
static bool is_down(const mesh *all, const watch *of, tina_exit_reason reason) {
    uint32_t breaks = tina_sim_breaks(tina_sim_current(), tina_handle_shard(of->who));
    if (reason.kind == TINA_EXIT_SHARD)
        return of->breaks == 0;
    return reason.kind != TINA_EXIT_UNKNOWN || (all->strict && breaks == 0);
}

static void node_down(node_book *book, uint32_t number, const tina_down_event *down) {
    mesh *all = mesh_of();
    watch *set = watch_named(book, down->monitor);
    if (!set)
        return;
    tina_sim_note(tina_sim_current(), number << 8 | (uint32_t)down->reason.kind, down->who.bits);
    if (set->node == NODE_COUNT || !handles_equal(set->who, down->who) ||
        !reason_is_right(all, set, down->reason))
        tina_sim_fail(tina_sim_current(), "mesh down", "node %u: node %u is down, %d %d", number,
                      set->node, down->reason.kind, down->reason.code);
    uint32_t begins = book->begins[tina_handle_shard(set->who)];
    // One that had ended when it was monitored may be told of at any time.
    if (life_of(set->breaks) < begins && set->begins < begins &&
        down->reason.kind != TINA_EXIT_UNKNOWN)
        tina_sim_fail(tina_sim_current(), "mesh news first",
                      "node %u: that node %u is down came after news of life %u of its shard",
                      number, set->node, begins);
    if (is_down(all, set, down->reason)) {
        all->pairs[number][set->node].told = down->who;
        all->nodes[set->node].down = down->who;
    }
    set->monitor.bits = 0;
}

static void node_news(node_book *book, const tina_shard_event *news) {
    watch *set = watch_named(book, news->monitor);
    if (!set)
        return;
    bool stopped = news->change == TINA_SHARD_QUARANTINED;
    bool again = stopped && set->change == news->change && news->count == 1;
    bool grows = news->life > set->life || (stopped && news->life == set->life && !again);
    if (set->node != NODE_COUNT || set->shard != news->shard || news->count == 0 || !grows)
        tina_sim_fail(tina_sim_current(), "mesh news",
                      "shard %u: %d in life %u after %d in life %u", news->shard, news->change,
                      news->life, set->change, set->life);
    set->changes += news->count;
    set->life = news->life;
    set->change = news->change;
    uint32_t begins = news->life + stopped;
    if (begins > book->begins[set->shard])
        book->begins[set->shard] = begins;
}

static void mail_take(tina_ctx *ctx, uint32_t number, const tina_message *m, const numbered *came) {
    mesh *all = mesh_of();
    tina_sim *sim = tina_sim_current();
    pair *between = &all->pairs[number][came->sender];
    bool local = tina_handle_shard(came->from) == tina_shard_number(ctx);
    all->nodes[number].mail -= local;
    if (!handles_equal(came->to, tina_self(ctx)) || !handles_equal(came->from, m->from) ||
        !handles_equal(m->to, tina_self(ctx)))
        tina_sim_fail(sim, "mesh address", "node %u got what was for another", number);
    if (handles_equal(between->told, came->from))
        tina_sim_fail(sim, "mesh down first", "node %u: node %u sent after it was down", number,
                      came->sender);
    uint32_t begins = all->nodes[number].begins[tina_handle_shard(came->from)];
    if (came->life < begins)
        tina_sim_fail(sim, "mesh news first",
                      "node %u: a message of life %u of a shard came after news of life %u", number,
                      came->life, begins);
    if (all->late_max_ns && tina_sim_now_ns(sim) - came->sent_ns > all->late_max_ns)
        tina_sim_fail(sim, "mesh late", "node %u: a message came after %llu ns", number,
                      (unsigned long long)(tina_sim_now_ns(sim) - came->sent_ns));
    // Of an earlier life of the sender's the count is gone.
    if (!handles_equal(between->from, came->from) || !handles_equal(between->to, came->to))
        return;
    if (came->number <= between->taken || (local && came->number != between->taken + 1))
        tina_sim_fail(sim, "mesh order", "node %u: from node %u came %u after %u", number,
                      came->sender, came->number, between->taken);
    all->missing[tina_shard_number(ctx)] += came->number - between->taken - 1;
    between->taken = came->number;
}

// Faults have stopped: monitors end, and what a share holds can be sent, once all was given back.
static void node_calm(tina_ctx *ctx, uint32_t number) {
    node_book *book = &mesh_of()->nodes[number];
    tina_shard_counters counters;
    for (uint32_t i = 0; i < MONITORS; i++)
        if (book->watches[i].monitor.bits && book->watches[i].node != NODE_COUNT)
            watch_stop(ctx, &book->watches[i]);
    (void)tina_counters(ctx, tina_shard_number(ctx), &counters);
    if (book->quiet || counters.messages_in_use > 0 || book->mail > 0)
        return;
    book->self_sent = 0;
    book->self_taken = 0;
    for (uint32_t i = 0; i < SHARE; i++)
        if (node_send(ctx, number, number, tina_self(ctx), TAG_SELF, 0) == TINA_SEND_OK)
            book->self_sent++;
}

static tina_effect node_act(tina_ctx *ctx, const node *self) {
    uint32_t number = self->number;
    node_book *book = &mesh_of()->nodes[number];
    node_rest(ctx);
    if (tina_sim_is_calm(tina_sim_current())) {
        node_calm(ctx, number);
        return tina_receive();
    }
    for (uint32_t left = 1 + draw(6, load(4)); left > 0; left--) {
        uint32_t what = draw(7, 8);
        uint32_t which = draw(8, MONITORS);
        if (what < 4 && does(KIND_SEND))
            burst_send(ctx, number);
        else if (what >= 4 && what < 6 && does(KIND_WATCH_NODE))
            watch_node(ctx, book);
        else if (what == 6 && does(KIND_WATCH_SHARD))
            watch_shard(ctx, book);
        else if (what == 7 && book->watches[which].monitor.bits && does(KIND_STOP))
            watch_stop(ctx, &book->watches[which]);
    }
    uint32_t end = draw(9, 200);
    if (end == 0 && does(KIND_END))
        return node_end(number, tina_done());
    if (end == 1 && does(KIND_END))
        return node_end(number, tina_exit((int32_t)draw(10, 100)));
    if (end == 2 && does(KIND_END))
        return node_end(number, tina_crash((int32_t)draw(10, 100)));
    bool waits = draw(13, 3) == 0 && does(KIND_WAIT) && !tina_fd_is_none(self->fd);
    return waits ? node_wait(self) : tina_receive();
}

static void node_forward(tina_ctx *ctx, uint32_t number, const numbered *came) {
    if (came->hops == 0 || draw(11, 2) || tina_sim_is_calm(tina_sim_current()) ||
        !does(KIND_FORWARD))
        return;
    uint32_t to = node_draw(12);
    (void)node_send(ctx, number, to, mesh_of()->nodes[to].who, TAG_NUMBERED, came->hops - 1);
}

static tina_effect node_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    const node *self = self_;
    node_book *book = &mesh_of()->nodes[self->number];
    const numbered *came = (const numbered *)(const void *)m->payload;
    if (handles_equal(book->down, tina_self(ctx)))
        tina_sim_fail(tina_sim_current(), "mesh down", "node %u is down and runs", self->number);
    switch (m->tag) {
    case TAG_NUMBERED:
        mail_take(ctx, self->number, m, came);
        node_forward(ctx, self->number, came);
        return tina_receive();
    case TAG_SELF:
        mail_take(ctx, self->number, m, came);
        book->quiet = ++book->self_taken == SHARE;
        return tina_receive();
    case TINA_TIMER:
        return node_act(ctx, self);
    case TINA_IO_RECVFROM_DONE:
        return tina_receive();
    case TINA_DOWN:
        node_down(book, self->number, &m->down);
        return tina_receive();
    case TINA_SHARD_NEWS:
        node_news(book, &m->shard);
        return tina_receive();
    case TINA_SHUTDOWN:
        return node_end(self->number, tina_done());
    default:
        tina_sim_fail(tina_sim_current(), "mesh", "event %d came, which none is owed", m->tag);
        return tina_receive();
    }
}

static const tina_isolate_type node_type = {
    .name = "node",
    .init = node_init,
    .handle = node_handle,
    .struct_bytes = sizeof(node),
    .mailbox_max = MAILBOX_MAX,
    .batch = 3,
};

static const uint32_t numbers[NODES_PER_SHARD] = {0, 1, 2, 3, 4, 5};

#define NODE(i)                                                                                    \
    {                                                                                              \
        .type = &node_type, .args = { &numbers[i], sizeof numbers[i] }                             \
    }

static const tina_child children[NODES_PER_SHARD] = {NODE(0), NODE(1), NODE(2),
                                                     NODE(3), NODE(4), NODE(5)};
static const tina_type_slots types[] = {{&node_type, NODES_PER_SHARD}};

// So few envelopes that they run out, and a channel that is full now and then.
static const tina_spec spec = {
    .name = "mesh",
    .types = types,
    .type_count = 1,
    .root = {.name = "mesh", .children = children, .child_count = NODES_PER_SHARD, .intensity = 10},
    .message_count = NODES_PER_SHARD * SHARE + 8,
    .sender_share = SHARE,
    .monitor_count = NODES_PER_SHARD * MONITORS - 8,
    .tick_batch = 24,
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 12288,
};

static void mesh_begin(tina_sim *sim, void *state) {
    mesh *self = state;
    self->node_count = tina_sim_shard_count(sim) * NODES_PER_SHARD;
    const tina_sim_settings *settings = &tina_sim_world(sim)->settings;
    self->strict = settings->wire_loss_ppm == 0;
    // Where nothing but wires and turns takes time.
    if (settings->pause_ppm == 0 && settings->death_ppm == 0 && settings->wire_clog_ppm == 0)
        self->late_max_ns = settings->wire_ns + LATE_TICKS * ((settings->turn_ns + 1) << 6);
    // A waiter's mail holds up that of others: not where they are timed, nor in every run.
    self->waits = tina_sim_draw(sim, 15, 4) == 0 && self->late_max_ns == 0;
    self->news_max_ns = settings->wire_ns + LATE_TICKS * ((settings->turn_ns + 1) << 6) +
                        4 * WAIT_NS + (settings->wire_clog_ppm ? settings->wire_clog_ns : 0) +
                        (settings->pause_ppm ? NEWS_TICKS * settings->pause_ns : 0);
}

// Whoever asks about a shard that has stopped is told so, and need not wait for what comes next.
static void news_check(tina_sim *sim, const mesh *self, uint32_t number) {
    const node_book *book = &self->nodes[number];
    uint64_t now_ns = tina_sim_now_ns(sim);
    for (uint32_t i = 0; i < MONITORS; i++) {
        const watch *set = &book->watches[i];
        uint64_t stopped_ns = self->stopped_ns[set->shard];
        uint64_t since_ns = stopped_ns > set->set_ns ? stopped_ns : set->set_ns;
        if (number % NODES_PER_SHARD != WAITER && set->monitor.bits && set->node == NODE_COUNT &&
            stopped_ns && set->change != TINA_SHARD_QUARANTINED &&
            now_ns - since_ns > self->news_max_ns)
            tina_sim_fail(sim, "mesh news late", "node %u is not told that shard %u has stopped",
                          number, set->shard);
    }
}

static void mesh_check(tina_sim *sim, void *state) {
    mesh *self = state;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        bool up = tina_sim_is_up(sim, i);
        if (up || self->stopped_ns[i] == 0)
            self->stopped_ns[i] = up ? 0 : tina_sim_now_ns(sim);
    }
    for (uint32_t n = 0; n < self->node_count; n++)
        if (tina_sim_is_up(sim, n / NODES_PER_SHARD) &&
            self->nodes[n].breaks == tina_sim_breaks(sim, n / NODES_PER_SHARD))
            news_check(sim, self, n);
}

static uint32_t watches_on(const mesh *self, uint32_t shard) {
    uint32_t count = 0;
    for (uint32_t n = shard * NODES_PER_SHARD; n < (shard + 1) * NODES_PER_SHARD; n++)
        for (uint32_t i = 0; i < MONITORS; i++)
            count += self->nodes[n].watches[i].monitor.bits != 0;
    return count;
}

static bool news_is_in(tina_sim *sim, const watch *set) {
    if (set->monitor.bits == 0 || set->node != NODE_COUNT)
        return set->monitor.bits == 0;
    uint32_t breaks = tina_sim_breaks(sim, set->shard);
    if (set->changes > 2 * breaks)
        tina_sim_fail(sim, "mesh news", "of %u changes of shard %u %u were told", 2 * breaks,
                      set->shard, set->changes);
    return set->changes >= breaks - set->breaks && set->change != TINA_SHARD_QUARANTINED;
}

static bool shard_is_quiet(tina_sim *sim, const mesh *self, uint32_t shard) {
    tina_shard_counters counters;
    tina_shard_snapshot(tina_sim_shard(sim, shard), &counters);
    if (!tina_sim_is_up(sim, shard) || counters.messages_in_use > 0 ||
        counters.timers_in_use != load(NODES_PER_SHARD) ||
        counters.monitors_in_use != watches_on(self, shard))
        return false;
    for (uint32_t n = shard * NODES_PER_SHARD; n < (shard + 1) * NODES_PER_SHARD; n++) {
        if (node_is_there(n) && !self->nodes[n].quiet)
            return false;
        for (uint32_t i = 0; i < MONITORS; i++)
            if (!news_is_in(sim, &self->nodes[n].watches[i]))
                return false;
    }
    return true;
}

// Of messages accepted for one that still lives, those that did not come are counted somewhere.
static bool mail_is_in(tina_sim *sim, const mesh *self, uint32_t shard) {
    tina_shard_counters counters;
    tina_shard_snapshot(tina_sim_shard(sim, shard), &counters);
    uint64_t missing = self->missing[shard];
    for (uint32_t to = shard * NODES_PER_SHARD; to < (shard + 1) * NODES_PER_SHARD; to++)
        for (uint32_t from = 0; from < self->node_count; from++) {
            const pair *between = &self->pairs[to][from];
            if (!handles_equal(between->to, self->nodes[to].who))
                continue;
            if (between->accepted < between->taken ||
                (from / NODES_PER_SHARD == shard && between->accepted != between->taken))
                return false;
            missing += between->accepted - between->taken;
        }
    return missing <= counters.arrivals_mailbox_full + counters.arrivals_stale;
}

static bool mesh_done(tina_sim *sim, void *state) {
    const mesh *self = state;
    if (!tina_sim_is_calm(sim))
        return false;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++)
        if (!shard_is_quiet(sim, self, i) || !mail_is_in(sim, self, i))
            return false;
    return true;
}

const tina_scenario tina_scenario_mesh = {
    .name = "mesh",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .faults_ns = 1000000000,
    .liveness_ns = 60000000000,
    .state_bytes = sizeof(mesh),
    .fewer_children = true,
    .begin = mesh_begin,
    .done = mesh_done,
    .check = mesh_check,
};
