// SPDX-License-Identifier: Apache-2.0
//
// Every call of ctx that changes something, but for memory of the caller's own, counts to what one
// handler may make, and so is made where a fault is the shard's own.

#include "sched/children.h"
#include "sched/harness.h"
#include "sched/puppet.h"

#include <functional>
#include <utility>
#include <vector>

namespace {

using tina::Harness;
using tina::Play;
using tina::Script;

using Call = std::function<void(tina_ctx *)>;

const tina_fd kNone = {};
const tina_handle kNobody = {};
const tina_address kHere = tina_address_ipv4(127, 0, 0, 1, 80);

const std::vector<std::pair<const char *, Call>> kCalls = {
    {"send", [](tina_ctx *ctx) { (void)tina_send(ctx, kNobody, 1, nullptr, 0); }},
    {"call", [](tina_ctx *ctx) { (void)tina_call(ctx, tina_self(ctx), 1, nullptr, 0, 0); }},
    {"spawn_on",
     [](tina_ctx *ctx) {
         (void)tina_spawn_on(ctx, 200, nullptr, {nullptr, 0}, 0);
     }},
    {"answer", [](tina_ctx *ctx) { (void)tina_answer(ctx, {}, 1, nullptr, 0); }},
    {"submit",
     [](tina_ctx *ctx) {
         tina_io_id id;
         (void)tina_submit(ctx, tina_op_accept(kNone), &id);
     }},
    {"cancel", [](tina_ctx *ctx) { (void)tina_cancel(ctx, {}); }},
    {"monitor_set", [](tina_ctx *ctx) { (void)tina_monitor_set(ctx, kNobody); }},
    {"monitor_end", [](tina_ctx *ctx) { (void)tina_monitor_end(ctx, {}); }},
    {"monitor_shard",
     [](tina_ctx *ctx) {
         tina_monitor monitor;
         (void)tina_monitor_shard(ctx, 0, &monitor);
     }},
    {"transfer_take", [](tina_ctx *ctx) { (void)tina_transfer_take(ctx); }},
    {"transfer_keep", [](tina_ctx *ctx) { (void)tina_transfer_keep(ctx, {}); }},
    {"transfer_give", [](tina_ctx *ctx) { (void)tina_transfer_give(ctx, {}); }},
    {"send_transfer",
     [](tina_ctx *ctx) { (void)tina_send_transfer(ctx, kNobody, 1, nullptr, 0, {}); }},
    {"handoff", [](tina_ctx *ctx) { (void)tina_handoff(ctx, kNobody, 1, kNone, TINA_RIGHT_FULL); }},
    {"spawn",
     [](tina_ctx *ctx) {
         (void)tina_spawn(ctx, nullptr, {nullptr, 0}, nullptr);
     }},
    {"spawn_with_fd",
     [](tina_ctx *ctx) {
         (void)tina_spawn_with_fd(ctx, nullptr, {nullptr, 0}, kNone, nullptr);
     }},
    {"spawn_in",
     [](tina_ctx *ctx) {
         (void)tina_spawn_in(ctx, nullptr, {nullptr, 0}, kNone, nullptr);
     }},
    {"bequeath", [](tina_ctx *ctx) { (void)tina_bequeath(ctx, kNone); }},
    {"timer_set", [](tina_ctx *ctx) { (void)tina_timer_set(ctx, 1000, 0); }},
    {"timer_set_periodic", [](tina_ctx *ctx) { (void)tina_timer_set_periodic(ctx, 1000, 0); }},
    {"timer_cancel", [](tina_ctx *ctx) { (void)tina_timer_cancel(ctx, {}); }},
    {"socket_open",
     [](tina_ctx *ctx) {
         tina_fd fd;
         (void)tina_socket_open(ctx, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd);
     }},
    {"socket_adopt",
     [](tina_ctx *ctx) {
         tina_fd fd;
         (void)tina_socket_adopt(ctx, -1, &fd);
     }},
    {"socket_bind", [](tina_ctx *ctx) { (void)tina_socket_bind(ctx, kNone, &kHere); }},
    {"socket_listen", [](tina_ctx *ctx) { (void)tina_socket_listen(ctx, kNone, 1); }},
    {"socket_set_option",
     [](tina_ctx *ctx) { (void)tina_socket_set_option(ctx, kNone, TINA_OPTION_NO_DELAY, 1); }},
    {"socket_shutdown",
     [](tina_ctx *ctx) { (void)tina_socket_shutdown(ctx, kNone, TINA_SHUTDOWN_BOTH); }},
    {"socket_local_address",
     [](tina_ctx *ctx) {
         tina_address address;
         (void)tina_socket_local_address(ctx, kNone, &address);
     }},
    {"socket_peer_address",
     [](tina_ctx *ctx) {
         tina_address address;
         (void)tina_socket_peer_address(ctx, kNone, &address);
     }},
    {"log", [](tina_ctx *ctx) { tina_log(ctx, TINA_LOG_INFO, "one line"); }},
    {"stop", [](tina_ctx *ctx) { tina_stop(ctx, 0); }},
    {"child_start",
     [](tina_ctx *ctx) {
         tina_child child = {};
         tina_node node;
         (void)tina_child_start(ctx, nullptr, &child, &node);
     }},
    {"child_terminate", [](tina_ctx *ctx) { (void)tina_child_terminate(ctx, {}); }},
    {"child_restart", [](tina_ctx *ctx) { (void)tina_child_restart(ctx, {}); }},
    {"child_delete", [](tina_ctx *ctx) { (void)tina_child_delete(ctx, {}); }},
};

TEST(Limit, EveryCallCounts) {
    for (const auto &[name, call] : kCalls) {
        int made = 0;
        Script script;
        script.init = [&made, &call = call](tina_ctx *ctx, tina_bytes) {
            for (made = 0; made < 2; made++)
                call(ctx);
            return tina_receive();
        };
        Play play({&script});
        play.spec.call_max = 1;
        Harness h(play.spec);
        h.Settle();
        EXPECT_EQ(made, 1) << name << " is free";
        EXPECT_EQ(h.counters().crashed, 1u) << name;
    }
}

} // namespace
