// SPDX-License-Identifier: Apache-2.0
//
// Random owners do random things to random connections; each byte must arrive once and in order,
// each op must complete once, each death must be told once, and nothing may be left.
// TINA_SEED=n runs one seed.

#include <errno.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/prng.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"

namespace {

// What flows in one direction of one connection: byte n is a function of the stream and n alone.
struct Stream {
    uint64_t name = 0;
    uint64_t position = 0;
    static uint64_t streamed; // by all of them

    std::string ahead(size_t bytes) const {
        std::string text(bytes, 0);
        for (size_t i = 0; i < bytes; i++) {
            text[i] = static_cast<char>(tina_prng_mix(name ^ (position + i)));
        }
        return text;
    }
    void check(const std::string &got) {
        ASSERT_TRUE(got == ahead(got.size())) << "at byte " << position << " of stream " << name;
        position += got.size();
        streamed += got.size();
    }
};

uint64_t Stream::streamed;

struct Connection {
    size_t owner = 0;
    tina_fd fd = {};
    int peer = -1;
    std::string outgoing; // the memory of the send in flight
    Stream out, out_seen, in, in_seen;
};

// Who knocks is let in, in this order, by a multishot accept.
struct Door {
    tina_fd fd = {};
    tina_address address = {};
    tina_io_id accept = {};
    std::deque<int> knocking;
};

struct Flight {
    size_t owner;
    uint8_t kind;
    size_t connection;
};

class Random {
  public:
    Random(Kind &kind, tina_scripted_controls *(*controls)(Kind &), uint64_t seed)
        : rig_(kind, sizes()), random_(tina_prng_make(seed, 1, 1)) {
        controls_ = controls != nullptr ? controls(kind) : nullptr;
        for (size_t i = 0; i < kOwners; i++) {
            owners_.push_back(born());
        }
        rig_.keep_buffers = true;
    }

    void run(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFailure(); i++) {
            step();
        }
        end();
    }

  private:
    static constexpr size_t kOwners = 3;
    static constexpr size_t kDoorkeeper = 0;
    static constexpr uint32_t kFds = 20; // more than all of them can want at once
    static constexpr uint32_t kOps = 16;

    static Sizes sizes() {
        Sizes sizes;
        sizes.fds = kFds;
        sizes.ops = kOps;
        sizes.addresses = 2;
        sizes.buffers = 4;
        sizes.buffer_bytes = 128;
        return sizes;
    }
    size_t below(size_t limit) {
        return static_cast<size_t>(tina_prng_below(&random_, limit));
    }
    std::unique_ptr<tina_reactor_owner> born() {
        auto owner = std::make_unique<tina_reactor_owner>();
        owner->token = ++tokens_;
        return owner;
    }

    void step() {
        switch (below(15)) {
        case 0:
            connect();
            break;
        case 1:
        case 2:
            recv();
            break;
        case 3:
        case 4:
            send();
            break;
        case 5:
            cancel();
            break;
        case 6:
            below(4) == 0 ? close() : (void)0;
            break;
        case 7:
            below(20) == 0 ? release(below(kOwners)) : (void)0;
            break;
        case 8:
            far_side();
            break;
        case 9:
            give();
            break;
        case 10:
            disturb();
            break;
        case 11:
            listen();
            break;
        case 12:
            knock();
            break;
        case 13:
            take_some();
            break;
        default:
            turn();
        }
    }

    void connect() {
        // Those who knock may be accepted meanwhile.
        if (connections_.size() >= 6 ||
            rig_.count().fds_in_use + door_.knocking.size() + 2 > kFds ||
            rig_.count().ops_in_use + 2 > kOps) {
            return;
        }
        undisturb();
        rig_.take_max = UINT32_MAX;
        size_t owner = below(kOwners);
        int peer;
        tina_fd fd = rig_.pair(owners_[owner].get(), &peer);
        admit(owner, fd, peer);
        take();
    }

    void admit(size_t owner, tina_fd fd, int peer) {
        Connection c;
        c.owner = owner;
        c.fd = fd;
        c.peer = peer;
        c.out.name = c.out_seen.name = ++streams_ << 32;
        c.in.name = c.in_seen.name = ++streams_ << 32;
        connections_[++names_] = c;
    }

    Connection *any(size_t *name) {
        if (connections_.empty()) {
            return nullptr;
        }
        auto at = connections_.begin();
        std::advance(at, static_cast<long>(below(connections_.size())));
        *name = at->first;
        return &at->second;
    }

    bool is_busy(size_t connection, uint8_t kind) const {
        return std::any_of(flights_.begin(), flights_.end(), [&](const auto &f) {
            return f.second.connection == connection && f.second.kind == kind;
        });
    }

    void submit(Connection *c, size_t name, const tina_io_op &op) {
        tina_io_id id = {};
        int32_t result = tina_reactor_submit(rig_.reactor, owners_[c->owner].get(), &op, &id);
        if (result == 0) {
            ASSERT_TRUE(flights_.emplace(id.bits, Flight{c->owner, op.kind, name}).second);
        } else {
            ASSERT_EQ(result, TINA_IO_OPS_FULL);
        }
    }

    void recv() {
        size_t name;
        Connection *c = any(&name);
        if (c != nullptr && !is_busy(name, TINA_OP_RECV)) {
            submit(c, name,
                   below(2) == 0 ? tina_op_recv_multishot(c->fd)
                                 : tina_op_recv(c->fd, 1 + static_cast<uint32_t>(below(200))));
        }
    }

    // One of the owners listens; another life of it does so again.
    void listen() {
        if (door_.accept.bits != 0 || rig_.count().ops_in_use == kOps) {
            return;
        }
        tina_reactor_owner *owner = owners_[kDoorkeeper].get();
        if (tina_fd_is_none(door_.fd)) {
            if (rig_.count().fds_in_use == kFds) {
                return;
            }
            door_.fd = rig_.listener(owner, &door_.address);
        }
        door_.accept = rig_.submit(owner, tina_op_accept_multishot(door_.fd));
        flights_.emplace(door_.accept.bits, Flight{kDoorkeeper, TINA_OP_ACCEPT, 0});
    }

    void knock() {
        if (tina_fd_is_none(door_.fd) || connections_.size() + door_.knocking.size() >= 8) {
            return;
        }
        int peer = rig_.far->connect(door_.address);
        ASSERT_GE(peer, 0);
        door_.knocking.push_back(peer);
    }

    void accepted(const Completion &c) {
        if ((c.flags & TINA_IO_MORE) == 0) {
            ASSERT_TRUE(c.result == TINA_IO_CANCELED || c.result == TINA_IO_TIMED_OUT) << c.result;
            door_.accept = {};
            return;
        }
        ASSERT_FALSE(door_.knocking.empty());
        admit(kDoorkeeper, c.fd, door_.knocking.front());
        door_.knocking.pop_front();
    }

    // What an owner has of its completions when it is busy with something else for a while.
    void take_some() {
        for (size_t i = 0; i < kOwners; i++) {
            rig_.take(owners_[i].get(), static_cast<uint32_t>(below(4)));
        }
        take();
    }

    void send() {
        size_t name;
        Connection *c = any(&name);
        if (c != nullptr && !is_busy(name, TINA_OP_SEND)) {
            c->outgoing = c->out.ahead(1 + below(below(4) == 0 ? 20000 : 300));
            tina_io_op op =
                tina_op_send(c->fd, c->outgoing.data(), static_cast<uint32_t>(c->outgoing.size()));
            op.flags = below(3) == 0 ? TINA_IO_SOME : 0;
            submit(c, name, op);
        }
    }

    void cancel() {
        if (!flights_.empty()) {
            auto at = flights_.begin();
            std::advance(at, static_cast<long>(below(flights_.size())));
            (void)tina_reactor_cancel(rig_.reactor, {at->first},
                                      below(2) == 0 ? TINA_IO_CANCELED : TINA_IO_TIMED_OUT);
        }
    }

    void close() {
        size_t name;
        Connection *c = any(&name);
        if (c == nullptr) {
            return;
        }
        submit(c, name, tina_op_close(c->fd));
        if (is_busy(name, TINA_OP_CLOSE)) {
            bury(name);
        }
    }

    // The memory of a send in flight lives on until the op or its owner is known to be over.
    void bury(size_t name) {
        Connection &c = connections_[name];
        rig_.far->close(c.peer);
        buried_[name] = std::move(c.outgoing);
        connections_.erase(name);
    }

    void release(size_t index) {
        for (auto it = flights_.begin(); it != flights_.end();) {
            it = it->second.owner == index ? flights_.erase(it) : std::next(it);
        }
        std::vector<size_t> gone;
        for (const auto &c : connections_) {
            if (c.second.owner == index) {
                gone.push_back(c.first);
            }
        }
        for (size_t name : gone) {
            bury(name);
        }
        if (index == kDoorkeeper) {
            for (int peer : door_.knocking) {
                rig_.far->close(peer);
            }
            door_ = Door();
        }
        uint64_t token = owners_[index]->token;
        if (!tina_reactor_release(rig_.reactor, owners_[index].get())) {
            dying_[token] = std::move(owners_[index]);
        }
        owners_[index] = born();
    }

    void far_side() {
        size_t name;
        Connection *c = any(&name);
        if (c == nullptr) {
            return;
        }
        std::string bytes = c->in.ahead(1 + below(500));
        int sent = rig_.far->send(c->peer, bytes.data(), static_cast<uint32_t>(bytes.size()));
        c->in.position += sent > 0 ? static_cast<uint64_t>(sent) : 0;
        char got[4096];
        int received = rig_.far->recv(c->peer, got, 1 + static_cast<uint32_t>(below(sizeof got)));
        if (received > 0) {
            c->out_seen.check(std::string(got, static_cast<size_t>(received)));
        }
    }

    void give() {
        if (!held_.empty()) {
            size_t at = below(held_.size());
            tina_reactor_give_buffer(rig_.reactor, held_[at]);
            held_.erase(held_.begin() + static_cast<long>(at));
        }
    }

    void disturb() {
        if (controls_ != nullptr) {
            controls_->hold = below(4) == 0;
            controls_->reverse = below(2) == 0;
            controls_->late_cancels = below(4) == 0;
            controls_->send_bytes_max = static_cast<uint32_t>(below(50));
            controls_->multishot_max = static_cast<uint32_t>(below(4));
            controls_->fail_next[TINA_OP_RECV] = below(8) == 0 ? EIO : 0;
            controls_->fail_next[TINA_OP_SEND] = below(8) == 0 ? EIO : 0;
        }
    }
    void undisturb() {
        if (controls_ != nullptr) {
            *controls_ = {};
        }
    }

    void turn() {
        rig_.reap_capacity = 1 + static_cast<uint32_t>(below(4));
        rig_.take_max = below(2) == 0 ? UINT32_MAX : static_cast<uint32_t>(below(3));
        uint64_t now = monotonic_ns();
        ASSERT_EQ(tina_reactor_wait(rig_.reactor, now, now + below(2) * 100000), 0);
        rig_.reap();
        take();
    }

    void take() {
        for (Completion &c : rig_.completions) {
            completed(c);
        }
        rig_.completions.clear();
        for (uint64_t token : rig_.drained) {
            ASSERT_EQ(dying_.erase(token), 1u) << "DRAINED twice, or for the living";
        }
        rig_.drained.clear();
    }

    void completed(const Completion &c) {
        if (c.buffer != TINA_IO_NO_BUFFER) {
            held_.push_back(c.buffer);
        }
        auto flight = flights_.find(c.id.bits);
        ASSERT_TRUE(flight != flights_.end()) << "completed twice, or after its owner's death";
        ASSERT_EQ(flight->second.kind, c.kind);
        ASSERT_EQ(owners_[flight->second.owner]->token, c.owner);
        ASSERT_NE(c.result, -ENOBUFS);
        if (c.kind == TINA_OP_ACCEPT) {
            accepted(c);
        }
        auto at = connections_.find(flight->second.connection);
        bool open = at != connections_.end();
        if ((c.flags & TINA_IO_MORE) == 0) {
            flights_.erase(flight);
        } else {
            results_++;
        }
        if (c.kind == TINA_OP_RECV && open) {
            at->second.in_seen.check(c.data);
        } else if (c.kind == TINA_OP_SEND && open) {
            ASSERT_TRUE(c.result != static_cast<int32_t>(at->second.outgoing.size()) ||
                        c.bytes == at->second.outgoing.size());
            at->second.out.position += c.bytes;
            at->second.outgoing.assign(at->second.outgoing.size(), 'x'); // ours again
        }
    }

    void end() {
        undisturb();
        for (size_t i = 0; i < kOwners; i++) {
            release(i);
        }
        for (uint16_t buffer : held_) {
            tina_reactor_give_buffer(rig_.reactor, buffer);
        }
        for (int i = 0; i < 1000 && !dying_.empty(); i++) {
            held_.clear();
            turn();
        }
        EXPECT_TRUE(dying_.empty());
        EXPECT_EQ(rig_.count().ops_in_use, 0u);
        EXPECT_EQ(rig_.count().fds_in_use, 0u);
        EXPECT_EQ(rig_.count().buffers_in_use, 0u);
        EXPECT_EQ(rig_.count().stale, 0u);
        EXPECT_EQ(rig_.count().submitted, rig_.count().completed);
        if (getenv("TINA_SEED") != nullptr) {
            std::cout << rig_.count().completed << " ops, " << rig_.count().canceled
                      << " canceled, " << results_ << " multishot results, "
                      << rig_.count().multishot_pauses << " pauses, "
                      << rig_.count().buffers_awaited << " waits for a buffer, " << names_
                      << " connections, " << tokens_ << " owners, " << Stream::streamed
                      << " bytes checked\n";
        }
    }

    Rig rig_;
    tina_prng random_;
    tina_scripted_controls *controls_;
    std::vector<std::unique_ptr<tina_reactor_owner>> owners_;
    std::map<uint64_t, std::unique_ptr<tina_reactor_owner>> dying_;
    std::map<size_t, Connection> connections_;
    std::map<size_t, std::string> buried_;
    std::map<uint64_t, Flight> flights_;
    std::vector<uint16_t> held_;
    uint64_t tokens_ = 0;
    uint64_t streams_ = 0;
    size_t names_ = 0;
    size_t results_ = 0;
    Door door_;
};

std::vector<uint64_t> seeds(uint64_t count) {
    const char *chosen = getenv("TINA_SEED");
    if (chosen != nullptr) {
        return {strtoull(chosen, nullptr, 0)};
    }
    std::vector<uint64_t> all;
    for (uint64_t seed = 1; seed <= count; seed++) {
        all.push_back(seed);
    }
    return all;
}

TEST(ReactorRandom, Scripted) {
    for (uint64_t seed : seeds(30)) {
        SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
        ScriptedKind kind;
        kind.settings.stage_count_max = seed % 3 == 0 ? 1 : 0;
        Random(
            kind,
            [](Kind &k) { return tina_scripted_control(static_cast<ScriptedKind &>(k).scripted); },
            seed)
            .run(4000);
        if (HasFailure()) {
            return;
        }
    }
}

TEST(ReactorRandom, Uring) {
    for (uint64_t seed : seeds(8)) {
        SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
        tina_reactor_uring_options options = {};
        options.sq_entries = options.cq_entries = seed % 2 == 0 ? 2 : 0;
        auto kind = uring_kind(options);
        Random(*kind, nullptr, seed).run(3000);
        if (HasFailure()) {
            return;
        }
    }
}

TEST(ReactorRandom, Epoll) {
    for (uint64_t seed : seeds(8)) {
        SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
        tina_reactor_epoll_options options = {};
        options.event_count = seed % 2 == 0 ? 1 : 0;
        options.poll_interval_ns = seed % 3 == 0 ? 1 : 0;
        auto kind = epoll_kind(options);
        Random(*kind, nullptr, seed).run(3000);
        if (HasFailure()) {
            return;
        }
    }
}

} // namespace
