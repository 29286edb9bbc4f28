// SPDX-License-Identifier: Apache-2.0

#include "reactor/rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "reactor/os_socket.h"
#include "reactor/scripted.h"
#include "reactor/uring.h"

uint64_t monotonic_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

size_t open_fds() {
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != nullptr) {
        count++;
    }
    closedir(dir);
    return count;
}

namespace {

class ScriptedFar : public Far {
  public:
    explicit ScriptedFar(tina_scripted *scripted) : scripted_(scripted) {}
    int connect(const tina_address &address) override {
        return tina_scripted_connect(scripted_, &address).socket;
    }
    int listen(tina_address *address) override {
        return tina_scripted_listen(scripted_, address).socket;
    }
    int accept(int listener) override {
        return tina_scripted_accept(scripted_, {listener}).socket;
    }
    int send(int peer, const void *data, uint32_t bytes) override {
        return tina_scripted_peer_send(scripted_, {peer}, data, bytes);
    }
    int recv(int peer, void *data, uint32_t bytes) override {
        return tina_scripted_peer_recv(scripted_, {peer}, data, bytes);
    }
    int bind(tina_address *address) override {
        return tina_scripted_bind(scripted_, address).socket;
    }
    int sendto(int peer, const void *data, uint32_t bytes, const tina_address &to) override {
        return tina_scripted_peer_sendto(scripted_, {peer}, data, bytes, &to);
    }
    int recvfrom(int peer, void *data, uint32_t bytes, tina_address *from) override {
        return tina_scripted_peer_recvfrom(scripted_, {peer}, data, bytes, from);
    }
    void shutdown(int peer) override {
        tina_scripted_peer_shutdown(scripted_, {peer});
    }
    void close(int peer) override {
        tina_scripted_peer_close(scripted_, {peer});
    }
    void reset(int peer) override {
        tina_scripted_peer_reset(scripted_, {peer});
    }

  private:
    tina_scripted *scripted_;
};

int or_errno(ssize_t result) {
    return result < 0 ? -errno : static_cast<int>(result);
}

// The machine's own sockets, of any family.
class LoopbackFar : public Far {
  public:
    int connect(const tina_address &address) override {
        tina_os_address to;
        socklen_t bytes = tina_os_address_of(&address, &to);
        int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int small = 32768; // so that little makes a connection full
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        if (::connect(fd, &to.any, bytes) < 0) {
            ::close(fd);
            return -1;
        }
        return nonblocking(fd);
    }
    int listen(tina_address *address) override {
        int fd = bound(address, SOCK_STREAM);
        EXPECT_EQ(::listen(fd, 16), 0);
        return nonblocking(fd);
    }
    int bind(tina_address *address) override {
        return nonblocking(bound(address, SOCK_DGRAM));
    }
    int sendto(int peer, const void *data, uint32_t bytes, const tina_address &to) override {
        tina_os_address at;
        socklen_t at_bytes = tina_os_address_of(&to, &at);
        return or_errno(::sendto(peer, data, bytes, MSG_NOSIGNAL, &at.any, at_bytes));
    }
    int recvfrom(int peer, void *data, uint32_t bytes, tina_address *from) override {
        tina_os_address at;
        socklen_t at_bytes = sizeof at;
        int result = or_errno(::recvfrom(peer, data, bytes, 0, &at.any, &at_bytes));
        if (result >= 0) {
            tina_os_address_from(&at, at_bytes, from);
        }
        return result;
    }
    int accept(int listener) override {
        int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        return fd < 0 ? fd : nonblocking(fd);
    }
    int send(int peer, const void *data, uint32_t bytes) override {
        return or_errno(::send(peer, data, bytes, MSG_NOSIGNAL));
    }
    int recv(int peer, void *data, uint32_t bytes) override {
        return or_errno(::recv(peer, data, bytes, 0));
    }
    void shutdown(int peer) override {
        ::shutdown(peer, SHUT_WR);
    }
    void close(int peer) override {
        ::close(peer);
    }
    void reset(int peer) override {
        linger hard = {1, 0};
        setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        ::close(peer);
    }

  private:
    static int bound(tina_address *address, int type) {
        tina_os_address at;
        socklen_t bytes = tina_os_address_of(address, &at);
        int fd = socket(at.any.sa_family, type | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::bind(fd, &at.any, bytes), 0) << strerror(errno);
        bytes = sizeof at;
        EXPECT_EQ(getsockname(fd, &at.any, &bytes), 0);
        tina_os_address_from(&at, bytes, address);
        return fd;
    }
    static int nonblocking(int fd) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        return fd;
    }
};

// A backend on this machine's sockets.
template <class Options> class OsKind : public Kind {
  public:
    OsKind(const tina_reactor_backend &backend, const Options &options)
        : backend_(backend), options_(options) {}
    void *options() override {
        return &options_;
    }
    const char *name() const override {
        return backend_.name;
    }
    const tina_reactor_backend *backend() override {
        return &backend_;
    }
    std::unique_ptr<Far> far() override {
        return std::make_unique<LoopbackFar>();
    }
    uint32_t large_bytes() const override {
        return 1 << 20;
    }
    uint32_t file_bytes() const override {
        return (1 << 20) + 17;
    }
    std::string directory() override {
        return directory_.path();
    }

  private:
    const tina_reactor_backend &backend_;
    Options options_;
    Directory directory_;
};

} // namespace

const char *ScriptedKind::name() const {
    return "scripted";
}

const tina_reactor_backend *ScriptedKind::backend() {
    return &tina_reactor_scripted;
}

void *ScriptedKind::options() {
    return &settings;
}

std::unique_ptr<Far> ScriptedKind::far() {
    *tina_scripted_control(scripted) = controls;
    return std::make_unique<ScriptedFar>(scripted);
}

uint32_t ScriptedKind::large_bytes() const {
    return 1 << 16;
}

uint32_t ScriptedKind::file_bytes() const {
    return 10000;
}

std::string ScriptedKind::directory() {
    return ".";
}

bool ScriptedKind::is_kernel() const {
    return false;
}

void ScriptedKind::limit_file(uint32_t bytes) {
    settings.file_bytes = bytes;
}

Directory::Directory() {
    std::string name = "/tmp/tina_XXXXXX"; // not TEST_TMPDIR: too long for a socket's address
    EXPECT_NE(mkdtemp(&name[0]), nullptr) << strerror(errno);
    path_ = name;
}

Directory::~Directory() {
    DIR *dir = opendir(path_.c_str());
    for (dirent *entry = readdir(dir); entry != nullptr; entry = readdir(dir)) {
        std::string name = entry->d_name;
        if (name != "." && name != "..") {
            unlink((path_ + "/" + name).c_str());
        }
    }
    closedir(dir);
    rmdir(path_.c_str());
}

std::unique_ptr<Kind> uring_kind(const tina_reactor_uring_options &options) {
    return std::make_unique<OsKind<tina_reactor_uring_options>>(tina_reactor_uring, options);
}

std::unique_ptr<Kind> epoll_kind(const tina_reactor_epoll_options &options) {
    return std::make_unique<OsKind<tina_reactor_epoll_options>>(tina_reactor_epoll, options);
}

Rig::Rig(Kind &kind, Sizes sizes) {
    tina_reactor_config config = {};
    config.backend = kind.backend();
    config.backend_options = kind.options();
    config.shard = 7;
    config.fd_count = sizes.fds;
    config.op_count = sizes.ops;
    config.address_count = sizes.addresses;
    config.path_count = sizes.paths;
    config.buffer_count = sizes.buffers;
    config.buffer_bytes = sizes.buffer_bytes;
    uint64_t bytes = tina_reactor_bytes(&config);
    EXPECT_GT(bytes, 0u);
    memory_ = aligned_alloc(128, bytes);
    memset(memory_, 0xA5, bytes); // nothing may rest on zeroed memory
    char error[256] = "";
    int failed = tina_reactor_open(&config, memory_, &reactor, error, sizeof error);
    if (failed != 0) {
        ADD_FAILURE() << kind.name() << ": " << failed << ", " << error;
        abort();
    }
    far = kind.far();
}

Rig::~Rig() {
    tina_reactor_close(reactor);
    free(memory_);
}

void Rig::turn() {
    uint64_t now = monotonic_ns();
    tina_reactor_flush(reactor);
    ASSERT_EQ(tina_reactor_wait(reactor, now, now + 10000000), 0);
    reap();
}

void Rig::reap() {
    std::vector<tina_reactor_event> events(reap_capacity);
    for (;;) {
        uint32_t count = tina_reactor_reap(reactor, events.data(), reap_capacity);
        for (uint32_t i = 0; i < count; i++) {
            if (events[i].news == TINA_REACTOR_DRAINED) {
                drained.push_back(events[i].token);
                continue;
            }
            take(events[i].owner, take_max);
        }
        tina_reactor_verify(reactor);
        if (count < reap_capacity) {
            return;
        }
    }
}

void Rig::take(tina_reactor_owner *owner, uint32_t most) {
    Completion c = {};
    while (most-- > 0 && tina_reactor_next(reactor, owner, &c)) {
        c.owner = owner->token;
        c.from = c.kind == TINA_OP_RECVFROM ? *tina_reactor_sender(reactor) : tina_address();
        if (c.buffer != TINA_IO_NO_BUFFER) {
            c.data.assign(static_cast<const char *>(tina_reactor_buffer(reactor, c.buffer)),
                          c.bytes);
            if (!keep_buffers) {
                give(c);
            }
        }
        completions.push_back(c);
        c.data.clear();
    }
}

void Rig::until(const std::function<bool()> &done) {
    int patience = testing::Test::HasFailure() ? 10 : 1000;
    for (int turns = 0; turns < patience; turns++) {
        if (done()) {
            return;
        }
        turn();
    }
    ADD_FAILURE() << "what the test waits for did not happen in " << patience << " turns";
}

tina_io_id Rig::submit(tina_reactor_owner *owner, const tina_io_op &op) {
    tina_io_id id = {};
    EXPECT_EQ(tina_reactor_submit(reactor, owner, &op, &id), 0);
    return id;
}

int32_t Rig::refused(tina_reactor_owner *owner, const tina_io_op &op) {
    tina_io_id id = {};
    int32_t result = tina_reactor_submit(reactor, owner, &op, &id);
    EXPECT_EQ(id.bits, 0u);
    return result;
}

bool Rig::has(tina_io_id id) const {
    for (const Completion &c : completions) {
        if (c.id.bits == id.bits) {
            return true;
        }
    }
    return false;
}

Completion Rig::result(tina_io_id id) {
    until([&] { return has(id); });
    for (size_t i = 0; i < completions.size(); i++) {
        if (completions[i].id.bits == id.bits) {
            Completion c = completions[i];
            completions.erase(completions.begin() + static_cast<long>(i));
            return c;
        }
    }
    return Completion();
}

void Rig::give(Completion &c) {
    if (c.buffer != TINA_IO_NO_BUFFER) {
        tina_reactor_give_buffer(reactor, c.buffer);
        c.buffer = TINA_IO_NO_BUFFER;
    }
}

tina_fd Rig::listener(tina_reactor_owner *owner, tina_address *address) {
    tina_fd fd = tina_fd_none();
    *address = tina_address_ipv4(127, 0, 0, 1, 0);
    EXPECT_EQ(tina_reactor_socket(reactor, owner, TINA_ADDRESS_IPV4, TINA_SOCKET_STREAM, &fd), 0);
    EXPECT_EQ(tina_reactor_set_option(reactor, owner, fd, TINA_OPTION_SEND_BUFFER, 32768), 0);
    EXPECT_EQ(tina_reactor_bind(reactor, owner, fd, address), 0);
    EXPECT_EQ(tina_reactor_listen(reactor, owner, fd, 128), 0);
    EXPECT_EQ(tina_reactor_local_address(reactor, owner, fd, address), 0);
    EXPECT_NE(address->port, 0);
    return fd;
}

tina_fd Rig::pair(tina_reactor_owner *owner, int *peer) {
    tina_address address;
    tina_fd door = listener(owner, &address);
    *peer = far->connect(address);
    EXPECT_GE(*peer, 0);
    Completion accepted = result(submit(owner, tina_op_accept(door)));
    EXPECT_EQ(accepted.result, 0);
    EXPECT_EQ(result(submit(owner, tina_op_close(door))).result, 0);
    return accepted.fd;
}

void Rig::far_send(int peer, const std::string &bytes) {
    size_t sent = 0;
    until([&] {
        int result =
            far->send(peer, bytes.data() + sent, static_cast<uint32_t>(bytes.size() - sent));
        sent += result > 0 ? static_cast<size_t>(result) : 0;
        return sent == bytes.size();
    });
}

std::string Rig::far_recv(int peer, size_t bytes) {
    std::string got;
    std::vector<char> some(65536);
    until([&] {
        int result = 1;
        while (got.size() < bytes && result > 0) {
            size_t most = std::min(some.size(), bytes - got.size());
            result = far->recv(peer, some.data(), static_cast<uint32_t>(most));
            got.append(some.data(), result > 0 ? static_cast<size_t>(result) : 0);
        }
        return got.size() == bytes || (result <= 0 && result != -EAGAIN);
    });
    return got;
}

int Rig::far_recv_result(int peer) {
    char byte;
    int result = -EAGAIN;
    until([&] {
        result = far->recv(peer, &byte, 1);
        return result != -EAGAIN;
    });
    return result;
}
