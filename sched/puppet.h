// SPDX-License-Identifier: Apache-2.0
//
// Isolates for tests, written where the test is: what one does in init and handle is a closure.

#ifndef TINA_SCHED_PUPPET_H
#define TINA_SCHED_PUPPET_H

#include "sched/ctx.h"
#include "sched/one_life.h"
#include "sched/spec.h"

#include <cstring>
#include <functional>
#include <utility>
#include <vector>

namespace tina {

struct Script {
    std::function<tina_effect(tina_ctx *, tina_bytes)> init;
    std::function<tina_effect(tina_ctx *, const tina_message *)> handle;
};

struct Puppet {
    Script *script;
};

inline tina_effect PuppetInit(tina_ctx *ctx, void *self, tina_bytes args) {
    Script *script;
    std::memcpy(&script, args.data, sizeof script);
    static_cast<Puppet *>(self)->script = script;
    return script->init ? script->init(ctx, args) : tina_receive();
}

inline tina_effect PuppetHandle(tina_ctx *ctx, void *self, const tina_message *m) {
    Script *script = static_cast<Puppet *>(self)->script;
    if (script->handle)
        return script->handle(ctx, m);
    return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
}

inline tina_isolate_type PuppetType(const char *name = "puppet") {
    tina_isolate_type type = {};
    type.name = name;
    type.init = PuppetInit;
    type.handle = PuppetHandle;
    type.struct_bytes = sizeof(Puppet);
    type.mailbox_max = 8;
    return type;
}

struct Play {
    explicit Play(std::vector<Script *> scripts, uint32_t slots = 16) : type(PuppetType()) {
        types[0] = {&type, slots};
        pointers = std::move(scripts);
        for (Script *&script : pointers)
            children.push_back(OneLife(&type, tina_bytes_of(&script, sizeof script)));
        spec.types = types;
        spec.type_count = 1;
        spec.root.children = children.data();
        spec.root.child_count = static_cast<uint32_t>(children.size());
    }
    tina_isolate_type type;
    tina_type_slots types[1];
    std::vector<Script *> pointers;
    std::vector<tina_child> children;
    tina_spec spec = {};
};

inline tina_bytes ArgsOf(Script *const *script) {
    return tina_bytes_of(script, sizeof *script);
}

} // namespace tina

#endif
