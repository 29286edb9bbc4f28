// SPDX-License-Identifier: Apache-2.0
//
// What every backend must do, all of it at once: random ops of every kind with random cancels,
// closes and deaths. Each op completes once, with a result that it may have; what is read is what
// was written; and at the end fds, buffers, places and rows are all home.
// TINA_SEED=n runs one seed, TINA_LONG=1 a million ops a variant.

#include <errno.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/prng.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/rig.h"
#include "reactor/suite.h"

namespace {

constexpr uint32_t kPatternBytes = 4096;
constexpr uint32_t kFileBytes = 12288;
constexpr size_t kOwners = 4;

enum class Type {
    kStream,
    kDatagram,
    kListener,
    kFile
};

struct Thing {
    Type type;
    tina_fd fd;
    int knocks = 0; // a connect to a full backlog would wait
};

struct Flight {
    uint8_t kind;
    tina_fd fd;
    uint64_t offset = 0;
    std::unique_ptr<tina_file_stat> stat; // freed with the op: a write after it would be seen
};

struct Life {
    tina_reactor_owner owner = {};
    std::vector<Thing> things;
    std::map<uint64_t, Flight> flights;
};

class Soak : public Suite {
  protected:
    void run(uint64_t seed, uint64_t ops) {
        Sizes sizes;
        sizes.fds = 48;
        sizes.ops = 40;
        sizes.addresses = 6;
        sizes.paths = 4;
        sizes.buffers = 8;
        sizes.buffer_bytes = 512;
        before_ = open_fds();
        open(sizes);
        random_ = tina_prng_make(seed, 6, 1);
        twice_ = pattern(kPatternBytes);
        twice_ += twice_ + twice_;
        file_name_ = path("pattern");
        prepare();
        for (size_t i = 0; i < kOwners; i++) {
            lives_.push_back(born());
        }
        while (submitted_ < ops && !HasFailure()) {
            step();
        }
        end();
    }

  private:
    size_t below(size_t limit) {
        return static_cast<size_t>(tina_prng_below(&random_, limit));
    }
    std::unique_ptr<Life> born() {
        auto life = std::make_unique<Life>();
        life->owner.token = ++tokens_;
        return life;
    }

    void prepare() {
        tina_reactor_owner owner = owner_of(UINT64_MAX);
        tina_fd fd = file(&owner, "pattern", TINA_OPEN_WRITE | TINA_OPEN_CREATE);
        for (uint32_t at = 0; at < kFileBytes; at += kPatternBytes) {
            EXPECT_EQ(write(&owner, fd, at, pattern(kPatternBytes)),
                      static_cast<int32_t>(kPatternBytes));
        }
        EXPECT_EQ(closed(&owner, fd), 0);
        far_datagram_ = tina_address_ipv4(127, 0, 0, 1, 0);
        far_socket_ = rig->far->bind(&far_datagram_);
        far_door_at_ = tina_address_ipv4(127, 0, 0, 1, 0);
        far_door_ = rig->far->listen(&far_door_at_);
    }

    void step() {
        Life &life = *lives_[below(kOwners)];
        size_t dice = below(100);
        if (dice < 12) {
            birth(life);
        } else if (dice < 62) {
            work(life);
        } else if (dice < 70) {
            cancel(life);
        } else if (dice < 74) {
            close(life);
        } else if (dice < 84) {
            far_side(life);
        } else if (dice < 85 && below(20) == 0) {
            die(below(kOwners));
        } else {
            turn();
        }
    }

    bool submit(Life &life, const tina_io_op &op, std::unique_ptr<tina_file_stat> stat = nullptr) {
        tina_io_id id = {};
        int32_t result = tina_reactor_submit(rig->reactor, &life.owner, &op, &id);
        if (result != 0) {
            EXPECT_TRUE(result == TINA_IO_BUSY || result == TINA_IO_OPS_FULL ||
                        result == TINA_IO_NO_RIGHT)
                << result << " kind " << int(op.kind);
            return false;
        }
        submitted_++;
        Flight flight = {op.kind, op.fd, op.offset, std::move(stat)};
        EXPECT_TRUE(life.flights.emplace(id.bits, std::move(flight)).second);
        return true;
    }

    // Something to work with; opened and accepted things come by completions.
    void birth(Life &life) {
        if (rig->count().fds_in_use > 40) {
            return;
        }
        tina_fd fd;
        tina_reactor *r = rig->reactor;
        tina_address address = tina_address_ipv4(127, 0, 0, 1, 0);
        switch (below(5)) {
        case 0: {
            uint32_t how = 1 + static_cast<uint32_t>(below(3));
            submit(life, tina_op_open(file_name_.c_str(), how, 0600));
            break;
        }
        case 1:
            ASSERT_EQ(
                tina_reactor_socket(r, &life.owner, TINA_ADDRESS_IPV4, TINA_SOCKET_DATAGRAM, &fd),
                0);
            ASSERT_EQ(tina_reactor_bind(r, &life.owner, fd, &address), 0);
            life.things.push_back({Type::kDatagram, fd});
            break;
        case 2:
            if (below(4) == 0) {
                life.things.push_back({Type::kListener, rig->listener(&life.owner, &address)});
            }
            break;
        default:
            ASSERT_EQ(
                tina_reactor_socket(r, &life.owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
            life.things.push_back({Type::kStream, fd});
            submit(life, tina_op_connect(fd, &far_door_at_));
            break;
        }
    }

    Thing *any(Life &life, Type type) {
        size_t start = below(life.things.size() + 1);
        for (size_t i = 0; i < life.things.size(); i++) {
            Thing &thing = life.things[(start + i) % life.things.size()];
            if (thing.type == type) {
                return &thing;
            }
        }
        return nullptr;
    }

    const char *from_pattern(uint64_t offset) const {
        return twice_.data() + offset % kPatternBytes;
    }

    void work(Life &life) {
        if (life.things.empty()) {
            paths(life);
            return;
        }
        Thing &thing = life.things[below(life.things.size())];
        uint32_t bytes = 1 + static_cast<uint32_t>(below(below(4) == 0 ? 8000 : 300));
        uint64_t offset = below(kFileBytes);
        tina_fd fd = thing.fd;
        if (below(10) == 0) {
            uint32_t what = below(2) == 0 ? TINA_POLL_READ : TINA_POLL_WRITE;
            submit(life, tina_op_poll(fd, what));
            return;
        }
        switch (thing.type) {
        case Type::kStream:
            stream(life, fd, bytes);
            break;
        case Type::kDatagram:
            datagram(life, fd, bytes % 1000);
            break;
        case Type::kListener:
            submit(life, below(2) == 0 ? tina_op_accept(fd) : tina_op_accept_multishot(fd));
            break;
        case Type::kFile:
            on_file(life, fd, offset, bytes);
            break;
        }
        if (below(8) == 0) {
            paths(life);
        }
    }

    void stream(Life &life, tina_fd fd, uint32_t bytes) {
        Thing *source = any(life, Type::kFile);
        switch (below(5)) {
        case 0:
            submit(life, tina_op_recv(fd, bytes));
            break;
        case 1:
            submit(life, tina_op_recv_multishot(fd));
            break;
        case 2:
            submit(life, tina_op_send(fd, twice_.data(), bytes));
            break;
        case 3:
            submit(life, tina_op_send_some(fd, twice_.data(), bytes));
            break;
        default:
            if (source != nullptr) {
                submit(life, tina_op_sendfile(fd, source->fd, below(kFileBytes), bytes));
            }
        }
    }

    void datagram(Life &life, tina_fd fd, uint32_t bytes) {
        if (below(2) == 0) {
            submit(life, tina_op_recvfrom(fd, 1 + bytes));
        } else {
            submit(life, tina_op_sendto(fd, twice_.data(), bytes, &far_datagram_));
        }
    }

    void on_file(Life &life, tina_fd fd, uint64_t offset, uint32_t bytes) {
        uint32_t room = kFileBytes - static_cast<uint32_t>(offset);
        uint32_t fits = bytes < room ? bytes : room;
        auto stat = std::make_unique<tina_file_stat>();
        tina_file_stat *into = stat.get();
        switch (below(4)) {
        case 0:
            submit(life, tina_op_write(fd, offset, from_pattern(offset), fits));
            break;
        case 1:
            submit(life, tina_op_stat(fd, into), std::move(stat));
            break;
        case 2:
            below(10) == 0 ? (void)submit(life, tina_op_fsync(fd)) : (void)0;
            break;
        default:
            submit(life, tina_op_read(fd, offset, bytes));
        }
    }

    void paths(Life &life) {
        std::string one = path("n" + std::to_string(below(3)));
        std::string other = path("n" + std::to_string(below(3)));
        auto stat = std::make_unique<tina_file_stat>();
        tina_file_stat *into = stat.get();
        uint32_t create = TINA_OPEN_READ | TINA_OPEN_CREATE;
        switch (below(4)) {
        case 0:
            submit(life, tina_op_open(one.c_str(), create, 0600));
            break;
        case 1:
            submit(life, tina_op_rename(one.c_str(), other.c_str()));
            break;
        case 2:
            submit(life, tina_op_unlink(one.c_str()));
            break;
        default:
            submit(life, tina_op_stat_path(one.c_str(), into), std::move(stat));
        }
    }

    void cancel(Life &life) {
        if (!life.flights.empty()) {
            auto at = life.flights.begin();
            std::advance(at, static_cast<long>(below(life.flights.size())));
            canceled_ += tina_reactor_cancel(rig->reactor, {at->first},
                                             below(2) == 0 ? TINA_IO_CANCELED : TINA_IO_TIMED_OUT);
        }
    }

    void close(Life &life) {
        if (life.things.empty()) {
            return;
        }
        size_t at = below(life.things.size());
        if (submit(life, tina_op_close(life.things[at].fd))) {
            life.things.erase(life.things.begin() + static_cast<long>(at));
        }
    }

    void far_side(Life &life) {
        static char sink[65536];
        tina_address from;
        int knocking = rig->far->accept(far_door_);
        if (knocking >= 0) {
            far_ends_.push_back(knocking);
        }
        Thing *door = any(life, Type::kListener);
        tina_address at;
        if (door != nullptr && far_ends_.size() < 20 && door->knocks++ < 100 &&
            tina_reactor_local_address(rig->reactor, &life.owner, door->fd, &at) == 0) {
            int end = rig->far->connect(at);
            if (end >= 0) {
                far_ends_.push_back(end);
            }
        }
        (void)rig->far->recvfrom(far_socket_, sink, sizeof sink, &from);
        Thing *datagrams = any(life, Type::kDatagram);
        if (datagrams != nullptr &&
            tina_reactor_local_address(rig->reactor, &life.owner, datagrams->fd, &at) == 0) {
            (void)rig->far->sendto(far_socket_, twice_.data(), static_cast<uint32_t>(below(900)),
                                   at);
        }
        for (size_t i = 0; i < far_ends_.size();) {
            (void)rig->far->send(far_ends_[i], twice_.data(), static_cast<uint32_t>(below(900)));
            int got = rig->far->recv(far_ends_[i], sink, sizeof sink);
            bool over = got == 0 || (got < 0 && got != -EAGAIN);
            if (over || below(60) == 0) {
                below(2) == 0 ? rig->far->close(far_ends_[i]) : rig->far->reset(far_ends_[i]);
                far_ends_.erase(far_ends_.begin() + static_cast<long>(i));
            } else {
                i++;
            }
        }
    }

    void die(size_t index) {
        uint64_t token = lives_[index]->owner.token;
        if (!tina_reactor_release(rig->reactor, &lives_[index]->owner)) {
            dying_[token] = std::move(lives_[index]);
        }
        lives_[index] = born();
    }

    void turn(uint64_t wait_ns = 50000) {
        rig->reap_capacity = 1 + static_cast<uint32_t>(below(8));
        ASSERT_EQ(tina_reactor_wait(rig->reactor, 0, below(4) == 0 ? wait_ns : 0), 0);
        rig->reap();
        for (Completion &c : rig->completions) {
            completed(c);
        }
        rig->completions.clear();
        for (uint64_t token : rig->drained) {
            ASSERT_EQ(dying_.erase(token), 1u);
        }
        rig->drained.clear();
    }

    Life &life_of(uint64_t token) {
        for (auto &life : lives_) {
            if (life->owner.token == token) {
                return *life;
            }
        }
        ADD_FAILURE() << "a completion for the dead";
        return *lives_[0];
    }

    void completed(const Completion &c) {
        Life &life = life_of(c.owner);
        auto at = life.flights.find(c.id.bits);
        ASSERT_TRUE(at != life.flights.end()) << "completed twice";
        const Flight &flight = at->second;
        ASSERT_EQ(flight.kind, c.kind);
        ASSERT_NE(c.result, -ENOBUFS);
        ASSERT_NE(c.result, -EBADF);
        ASSERT_NE(c.result, -EINTR);
        ASSERT_NE(c.result, -ECANCELED);
        if (c.kind == TINA_OP_READ && c.result > 0) {
            ASSERT_EQ(memcmp(c.data.data(), from_pattern(flight.offset), c.bytes), 0);
        } else if (c.kind == TINA_OP_READ) {
            ASSERT_TRUE(c.result < 0 || flight.offset >= kFileBytes || is_scratch(c.fd))
                << c.result;
        } else if (c.kind == TINA_OP_STAT && c.result == 0) {
            ASSERT_LE(flight.stat->bytes, kFileBytes);
        } else if (c.kind == TINA_OP_ACCEPT && c.result >= 0) {
            life.things.push_back({Type::kStream, c.fd});
        } else if (c.kind == TINA_OP_OPEN && c.result >= 0) {
            life.things.push_back({Type::kFile, c.fd});
        }
        if ((c.flags & TINA_IO_MORE) == 0) {
            life.flights.erase(at);
        }
    }

    // A file of another name than the pattern's is empty, and opened for reading only.
    static bool is_scratch(tina_fd fd) {
        return (fd.bits >> 54 & 3) == 1;
    }

    void end() {
        for (size_t i = 0; i < kOwners; i++) {
            die(i);
        }
        rig->far->close(far_socket_);
        rig->far->close(far_door_);
        for (int end : far_ends_) {
            rig->far->close(end);
        }
        for (int i = 0; i < 1000 && !dying_.empty(); i++) {
            turn(10000000); // an fsync takes as long as the disk has other work
        }
        EXPECT_TRUE(dying_.empty());
        expect_empty();
        EXPECT_EQ(rig->count().submitted, rig->count().completed);
        EXPECT_EQ(rig->count().stale, 0u);
        if (getenv("TINA_LONG") != nullptr || getenv("TINA_SEED") != nullptr) {
            const tina_reactor_counters &n = rig->count();
            std::cout << n.completed << " ops, " << n.canceled << " canceled of " << canceled_
                      << " asked to, " << n.multishot_results << " multishot results, "
                      << n.buffers_awaited << " waits for a buffer, " << n.fds_dropped
                      << " fds dropped, " << tokens_ << " owners\n";
        }
        rig.reset();
        EXPECT_EQ(open_fds(), before_);
    }

    tina_prng random_ = {};
    std::string twice_;
    std::string file_name_;
    std::vector<std::unique_ptr<Life>> lives_;
    std::map<uint64_t, std::unique_ptr<Life>> dying_;
    std::vector<int> far_ends_;
    tina_address far_datagram_ = {}, far_door_at_ = {};
    int far_socket_ = -1, far_door_ = -1;
    uint64_t tokens_ = 0;
    uint64_t submitted_ = 0;
    uint64_t canceled_ = 0;
    size_t before_ = 0;
};

TEST_P(Soak, NothingIsLeft) {
    const char *chosen = getenv("TINA_SEED");
    uint64_t seed = chosen != nullptr ? strtoull(chosen, nullptr, 0) : 1;
    SCOPED_TRACE("TINA_SEED=" + std::to_string(seed));
    run(seed, getenv("TINA_LONG") != nullptr ? 1000000 : 10000);
}

INSTANTIATE_TEST_SUITE_P(All, Soak, every_variant(), variant_name);

} // namespace
