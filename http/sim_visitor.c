// SPDX-License-Identifier: Apache-2.0

#include "http/sim_visitor.h"

#include <string.h>

#include "http/sim_answer.h"
#include "sim/net.h"

#define PAUSE_NS UINT64_C(10000000)

static const sim_ask *ask_due(const sim_visitor *self) {
    return self->answered < self->first + self->sent ? &self->asks[self->answered] : NULL;
}

static void visitor_fail(const sim_visitor *self, const char *what, const sim_answer *heard) {
    const sim_ask *ask = ask_due(self);
    tina_sim_fail(tina_sim_current(), "http answers",
                  "visitor %u, visit %u: the answer %s; status %u, kind %u, id %u, %u bytes; heard "
                  "id %u, %llu bytes of body",
                  self->number, self->visits, what, heard->status, ask ? ask->kind : 99,
                  ask ? ask->id : 0, ask ? ask->bytes : 0, heard->id,
                  (unsigned long long)heard->length);
}

// What may be answered in place of what was asked for.
static bool is_excuse(const sim_visitor *self, const sim_ask *ask, uint32_t status) {
    if (self->strict)
        return false;
    bool crashed = self->trouble != sim_site_trouble(tina_sim_current());
    return status == 503 || status == 408 ||
           (status == 500 && (crashed || ask->kind == SIM_ASK_PANIC)) ||
           (ask->kind == SIM_ASK_FILE && (status == 500 || status == 404) &&
            tina_sim_world(tina_sim_current())->settings.disk_error_ppm > 0);
}

static void leave(sim_visitor *self) {
    self->left = true;
    sim_client_leave(self->client);
}

static void ask_more(sim_visitor *self);

static void answer_take(sim_visitor *self, const sim_answer *heard) {
    const sim_ask *ask = ask_due(self);
    if (!ask)
        visitor_fail(self, "was not asked for", heard);
    else if (heard->status != 200 && !is_excuse(self, ask, heard->status))
        visitor_fail(self, "is no such thing", heard);
    else if (ask->kind == SIM_ASK_PANIC && heard->status == 200)
        visitor_fail(self, "is a crashed handler's", heard);
    else if (heard->status == 200 &&
             sim_client_look(self->client).sent < self->ends[self->answered - self->first])
        visitor_fail(self, "came before its ask was sent", heard);
    self->parsed += heard->bytes;
    self->last = heard->closes;
    self->last_status = heard->status;
    if (heard->status != 200) {
        self->statuses++;
        self->answered += ask && ask->kind == SIM_ASK_PANIC && heard->status == 500;
        leave(self);
        return;
    }
    self->answered++;
    if (self->last || self->answered == self->ask_count)
        leave(self);
    else if (!ask_due(self))
        ask_more(self);
}

static void visitor_heard(void *where, sim_client *client, const void *data, uint32_t bytes) {
    sim_visitor *self = where;
    (void)data;
    (void)bytes;
    self->moved_ns = tina_sim_now_ns(tina_sim_current());
    while (!self->left) {
        sim_client_result result = sim_client_look(client);
        if (result.kept_bytes == self->parsed)
            return;
        sim_answer heard = sim_answer_read(ask_due(self), result.kept + self->parsed,
                                           result.kept_bytes - self->parsed);
        if (heard.wrong)
            visitor_fail(self, heard.wrong, &heard);
        if (!heard.whole || heard.wrong)
            return;
        answer_take(self, &heard);
    }
}

static void asks_send(sim_visitor *self) {
    uint8_t bytes[SIM_ASK_BYTES_MAX];
    uint32_t depth = self->depth ? self->depth : 1;
    for (uint32_t i = 0; i < depth && self->first + self->sent < self->ask_count; i++) {
        sim_ask *ask = &self->asks[self->first + self->sent];
        if (ask->kind == SIM_ASK_PANIC && ask_due(self) && self->visits % 2)
            return; // answers before it may go with it
        ask->closes = self->closes && self->first + self->sent + 1 == self->ask_count;
        uint32_t count = sim_ask_write(ask, bytes);
        self->sent_bytes += count;
        self->sent_ns[self->sent] = tina_sim_now_ns(tina_sim_current());
        self->ends[self->sent++] = self->sent_bytes;
        sim_client_send(self->client, bytes, count);
    }
}

static void asks_later(void *where, uint64_t visit) {
    sim_visitor *self = where;
    if (self->client && self->visits == visit && !self->left && !ask_due(self))
        asks_send(self);
}

static void ask_more(sim_visitor *self) {
    tina_sim *sim = tina_sim_current();
    sim_world *world = tina_sim_world(sim);
    if (self->think_ns == 0)
        asks_send(self);
    else
        sim_agenda_at(&world->agenda, world->now_ns + 1 + tina_sim_draw(sim, 30, self->think_ns),
                      asks_later, self, self->visits);
}

// Of what was sent and not answered.
static bool panic_is_due(const sim_visitor *self) {
    for (uint32_t i = self->answered; i < self->first + self->sent; i++)
        if (self->asks[i].kind == SIM_ASK_PANIC)
            return true;
    return false;
}

// A visit that ended before its time: whether there is an excuse.
static bool is_excused(const sim_visitor *self, uint64_t trouble, bool begun) {
    const sim_ask *ask = ask_due(self);
    const sim_site *site = tina_sim_state(tina_sim_current());
    if (site->draining && !begun)
        return true;
    if (self->strict)
        return self->last;
    return self->last || self->may_be_cut || !self->in_order || self->trouble != trouble ||
           (ask && panic_is_due(self));
}

static void visitor_visit(void *where, uint64_t word);

static void visitor_done(void *where, sim_client *client) {
    sim_visitor *self = where;
    tina_sim *sim = tina_sim_current();
    sim_world *world = tina_sim_world(sim);
    sim_client_result result = sim_client_look(client);
    const sim_ask *ask = ask_due(self);
    self->client = NULL;
    self->last_result = result;
    if (!self->left) {
        self->cuts++;
        sim_answer rest =
            sim_answer_read(ask, result.kept + self->parsed, result.kept_bytes - self->parsed);
        if (rest.wrong || (!ask && result.kept_bytes > self->parsed))
            visitor_fail(self, rest.wrong ? rest.wrong : "was not asked for", &rest);
        if (!is_excused(self, sim_site_trouble(sim), result.kept_bytes > self->parsed))
            tina_sim_fail(sim, "http whole",
                          "visitor %u, visit %u: nothing happened, and %u of %u were answered; end "
                          "%d, errno %d, %llu bytes heard",
                          self->number, self->visits, self->answered - self->first, self->sent,
                          (int)result.end, result.error, (unsigned long long)result.received);
        if (ask && ask->kind == SIM_ASK_PANIC && result.connected_ns &&
            result.end != SIM_CLIENT_NOT_CONNECTED)
            self->answered++;
    }
    if (self->told)
        self->told(self);
    const sim_site *site = tina_sim_state(sim);
    if (self->answered < self->ask_count && !self->one_visit && !site->draining) {
        uint64_t pause_ns = self->pause_ns ? self->pause_ns : PAUSE_NS;
        sim_agenda_at(&world->agenda, world->now_ns + 1 + tina_sim_draw(sim, 31, pause_ns),
                      visitor_visit, self, 0);
    }
}

static void visitor_visit(void *where, uint64_t word) {
    sim_visitor *self = where;
    tina_sim *sim = tina_sim_current();
    const sim_site *site = tina_sim_state(sim);
    (void)word;
    if (site->draining)
        return;
    self->visits++;
    self->first = self->answered;
    self->sent = 0;
    self->sent_bytes = 0;
    self->parsed = 0;
    self->last = false;
    self->left = false;
    self->in_order = sim_site_in_order(sim);
    self->trouble = sim_site_trouble(sim);
    self->began_ns = self->moved_ns = tina_sim_now_ns(sim);
    sim_client_plan plan = self->plan;
    plan.to = site->address;
    plan.heard = visitor_heard;
    plan.done = visitor_done;
    plan.where = self;
    uint32_t host = self->own_host ? self->own_host : site->hosts[self->host];
    self->client = sim_client_start(tina_sim_net(sim), host, &plan);
    asks_send(self);
}

void sim_visitor_start(tina_sim *sim, sim_visitor *self) {
    sim_world *world = tina_sim_world(sim);
    uint64_t pause_ns = self->pause_ns ? self->pause_ns : PAUSE_NS;
    sim_agenda_at(&world->agenda, world->now_ns + PAUSE_NS + tina_sim_draw(sim, 31, pause_ns),
                  visitor_visit, self, 0);
}

bool sim_visitor_is_done(const sim_visitor *self) {
    return self->answered == self->ask_count;
}

void sim_visitor_check(tina_sim *sim, const sim_visitor *self, uint64_t most_ns) {
    uint64_t now_ns = tina_sim_now_ns(sim);
    if (self->client && now_ns - self->moved_ns > most_ns)
        tina_sim_fail(sim, "http stuck",
                      "visitor %u, visit %u: nothing for %llu s, %u of %u answered", self->number,
                      self->visits, (unsigned long long)((now_ns - self->moved_ns) / 1000000000),
                      self->answered - self->first, self->sent);
}
