// SPDX-License-Identifier: Apache-2.0

#include "http/sim_probe.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/format.h"
#include "http/sim_answer.h"

#define STATUSES_BYTES 64u

static void times_check(const sim_probe *self) {
    const sim_client_result *result = &self->result;
    uint64_t took_ns = result->ended_ns - self->since_ns;
    bool connected = result->end != SIM_CLIENT_NOT_CONNECTED;
    if (connected == self->not_connected)
        tina_sim_fail(tina_sim_current(), "http probe", "%s: its end is %d, errno %d", self->name,
                      (int)result->end, result->error);
    // A shard's clock may be a thousandth fast.
    else if (took_ns < self->least_ns - self->least_ns / 500 || took_ns > self->most_ns)
        tina_sim_fail(tina_sim_current(), "http probe",
                      "%s: its end %d came after %llu ms, and not after %llu to %llu", self->name,
                      (int)result->end, (unsigned long long)(took_ns / 1000000),
                      (unsigned long long)(self->least_ns / 1000000),
                      (unsigned long long)(self->most_ns / 1000000));
}

static void answers_check(sim_probe *self) {
    const sim_client_result *result = &self->result;
    char statuses[STATUSES_BYTES] = "";
    size_t used = 0;
    uint64_t parsed = 0;
    uint32_t closed = 0;
    bool retries = false;
    sim_answer heard = {0};
    for (uint32_t i = 0;; i++) {
        const sim_ask *ask = i < SIM_PROBE_ASKS && self->asks[i].id ? &self->asks[i] : NULL;
        heard = sim_answer_read(ask, result->kept + parsed, result->kept_bytes - parsed);
        if (heard.wrong || !heard.whole || used + 5 > sizeof statuses)
            break;
        parsed += heard.bytes;
        closed = closed * 2 + heard.closes;
        retries = heard.retries;
        self->status = heard.status;
        used +=
            tina_format(statuses + used, sizeof statuses - used, used ? " %u" : "%u", heard.status);
    }
    bool cut = result->kept_bytes > parsed;
    if (heard.wrong)
        tina_sim_fail(tina_sim_current(), "http probe", "%s: after \"%s\" comes one that %s",
                      self->name, statuses, heard.wrong);
    else if (self->statuses && (strcmp(statuses, self->statuses) != 0 || cut != self->cut))
        tina_sim_fail(tina_sim_current(), "http probe",
                      "%s: it heard \"%s\" and %llu bytes more, and not \"%s\"", self->name,
                      statuses, (unsigned long long)(result->kept_bytes - parsed), self->statuses);
    else if (self->statuses && self->retries != retries)
        tina_sim_fail(tina_sim_current(), "http probe", "%s: of Retry-After it heard %d",
                      self->name, (int)retries);
    else if ((self->closed && closed != 1) || (self->open && closed != 0))
        tina_sim_fail(tina_sim_current(), "http probe",
                      "%s: another answer than the last says that it is, or that does not (%x)",
                      self->name, closed);
}

static void probe_done(void *where, sim_client *client) {
    sim_probe *self = where;
    self->result = sim_client_look(client);
    self->client = NULL;
    self->ended = true;
    if (self->since_ns == 0)
        self->since_ns =
            self->result.connected_ns ? self->result.connected_ns : self->result.started_ns;
    times_check(self);
    answers_check(self);
    if (self->told)
        self->told(self);
}

static void probe_heard(void *where, sim_client *client, const void *data, uint32_t bytes) {
    sim_probe *self = where;
    (void)client;
    (void)data;
    (void)bytes;
    self->heard_ns = tina_sim_now_ns(tina_sim_current());
}

static void then_send(void *where, uint64_t word) {
    sim_probe *self = where;
    (void)word;
    if (self->ended)
        return;
    self->since_ns = tina_sim_now_ns(tina_sim_current());
    sim_client_send(self->client, self->then, self->then_bytes);
}

void sim_probe_start(tina_sim *sim, sim_probe *self, tina_bytes first, tina_bytes then) {
    sim_world *world = tina_sim_world(sim);
    const sim_site *site = tina_sim_state(sim);
    uint64_t host = tina_sim_draw(sim, 52, SIM_SITE_HOSTS);
    sim_client_plan plan = self->plan;
    plan.to = site->address;
    plan.data = first.data;
    plan.bytes = first.bytes;
    plan.heard = probe_heard;
    plan.done = probe_done;
    plan.where = self;
    self->client = sim_client_start(tina_sim_net(sim), site->hosts[host], &plan);
    if (self->then_ns == 0)
        return;
    self->then = malloc(then.bytes);
    TINA_ASSERT(self->then != NULL);
    sim_net_adopt(tina_sim_net(sim), self->then, free);
    memcpy(self->then, then.data, then.bytes);
    self->then_bytes = (uint32_t)then.bytes;
    sim_agenda_at(&world->agenda, world->now_ns + self->then_ns, then_send, self, 0);
}
