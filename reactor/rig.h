// SPDX-License-Identifier: Apache-2.0
//
// For tests: a reactor on one of the backends, and the far side of its connections under one
// interface, so that a test reads the same whether bytes cross memory or the loopback.

#ifndef TINA_REACTOR_RIG_H
#define TINA_REACTOR_RIG_H

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reactor/backend.h"
#include "reactor/epoll.h"
#include "reactor/io.h"
#include "reactor/reactor.h"
#include "reactor/scripted.h"
#include "reactor/uring.h"

// The far side, driven by the test: calls return what non-blocking system calls would.
class Far {
  public:
    virtual ~Far() = default;
    virtual int connect(const tina_address &address) = 0; // below 0: refused
    virtual int listen(tina_address *address) = 0;
    virtual int accept(int listener) = 0; // below 0: none yet
    virtual int send(int peer, const void *data, uint32_t bytes) = 0;
    virtual int recv(int peer, void *data, uint32_t bytes) = 0;
    // Datagrams: *address with port 0 is replaced.
    virtual int bind(tina_address *address) = 0;
    virtual int sendto(int peer, const void *data, uint32_t bytes, const tina_address &to) = 0;
    virtual int recvfrom(int peer, void *data, uint32_t bytes, tina_address *from) = 0;
    virtual void shutdown(int peer) = 0;
    virtual void close(int peer) = 0;
    virtual void reset(int peer) = 0;
};

class Kind {
  public:
    virtual ~Kind() = default;
    virtual const char *name() const = 0;
    virtual const tina_reactor_backend *backend() = 0;
    virtual void *options() {
        return nullptr;
    }
    virtual std::unique_ptr<Far> far() = 0;   // after open
    virtual uint32_t large_bytes() const = 0; // more than one connection holds
    virtual uint32_t file_bytes() const = 0;  // many, and a file of so many is possible
    virtual std::string directory() = 0;      // for files of a test's, empty
    virtual bool is_kernel() const {
        return true;
    }
    // Before open: so long may a file become, where that is the backend's to say.
    virtual void limit_file(uint32_t) {}
};

// A backend in one shape, for tests that run on several.
struct Variant {
    const char *name;
    std::unique_ptr<Kind> (*make)();
};

// A directory of this machine, which goes with the object.
class Directory {
  public:
    Directory();
    ~Directory();
    Directory(const Directory &) = delete;
    Directory &operator=(const Directory &) = delete;
    const std::string &path() const {
        return path_;
    }

  private:
    std::string path_;
};

std::unique_ptr<Kind> uring_kind(const tina_reactor_uring_options &options = {});
std::unique_ptr<Kind> epoll_kind(const tina_reactor_epoll_options &options = {});

class ScriptedKind : public Kind {
  public:
    const char *name() const override;
    const tina_reactor_backend *backend() override;
    void *options() override;
    std::unique_ptr<Far> far() override;
    uint32_t large_bytes() const override;
    uint32_t file_bytes() const override;
    std::string directory() override;
    bool is_kernel() const override;
    void limit_file(uint32_t bytes) override;

    // Before open: sizes, and what the controls are to be; after it: the backend.
    tina_scripted_options settings = {&scripted, 0, 0, 0};
    tina_scripted_controls controls = {};
    tina_scripted *scripted = nullptr;
};

struct Completion : tina_io_completion {
    uint64_t owner;
    std::string data;
    tina_address from; // recvfrom
};

struct Sizes {
    uint32_t fds = 64;
    uint32_t ops = 128;
    uint32_t addresses = 8;
    uint32_t paths = 4;
    uint32_t buffers = 64;
    uint32_t buffer_bytes = 1024;
};

class Rig {
  public:
    explicit Rig(Kind &kind, Sizes sizes = Sizes());
    ~Rig();
    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;

    // One turn of a shard's loop: flush, wait (10 ms at most), reap.
    void turn();
    void reap();
    // Turns until done() or until many turns were in vain, and then fails the test.
    void until(const std::function<bool()> &done);

    tina_io_id submit(tina_reactor_owner *owner, const tina_io_op &op);
    int32_t refused(tina_reactor_owner *owner, const tina_io_op &op);
    // The completion of an op, after as many turns as it takes; it leaves `completions`.
    Completion result(tina_io_id id);
    bool has(tina_io_id id) const;

    tina_fd listener(tina_reactor_owner *owner, tina_address *address);
    // A connection: our end's fd, owned by owner, and the far end.
    tina_fd pair(tina_reactor_owner *owner, int *peer);
    // Sends and receives all of it from the far side, with turns in between.
    void far_send(int peer, const std::string &bytes);
    std::string far_recv(int peer, size_t bytes);
    int far_recv_result(int peer); // of a recv that is not EAGAIN

    tina_reactor *reactor = nullptr;
    std::unique_ptr<Far> far;
    std::vector<Completion> completions;
    std::vector<uint64_t> drained;
    bool keep_buffers = false; // completions keep their buffers until give()
    uint32_t reap_capacity = 16;
    uint32_t take_max = UINT32_MAX; // completions taken of an owner when a reap names it
    // Takes at most so many; the others stay until the next call, or until there is news.
    void take(tina_reactor_owner *owner, uint32_t most = UINT32_MAX);
    void give(Completion &completion);
    const tina_reactor_counters &count() const {
        return *tina_reactor_count(reactor);
    }

  private:
    void *memory_ = nullptr;
};

uint64_t monotonic_ns();
size_t open_fds();

#endif
