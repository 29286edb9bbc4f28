// SPDX-License-Identifier: Apache-2.0
//
// The real thing: threads, signals, the kernel's I/O and loopback TCP. Every run of tina_run is a
// process of its own (googletest's EXPECT_EXIT), whose status and stderr are the result.

#include "sched/allocation.h"
#include "sched/ctx.h"
#include "sched/one_life.h"
#include "sched/spec.h"
#include "sched/system.h"
#include "sched/test_backend.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

std::atomic<pid_t> shard_thread{0};

struct Echo {
    tina_fd fd;
    uint8_t buffer[4096];
};

tina_effect EchoInit(tina_ctx *, void *self_, tina_bytes args) {
    Echo *self = static_cast<Echo *>(self_);
    std::memcpy(&self->fd, args.data, sizeof self->fd);
    return tina_io_recv(self->fd, sizeof self->buffer);
}

tina_effect EchoHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Echo *self = static_cast<Echo *>(self_);
    switch (m->tag) {
    case TINA_IO_RECV_DONE:
        if (m->io.result <= 0)
            return tina_io_close(self->fd);
        std::memcpy(self->buffer, tina_io_data(ctx, m), static_cast<size_t>(m->io.result));
        return tina_io_send(self->fd, self->buffer, static_cast<size_t>(m->io.result));
    case TINA_IO_SEND_DONE:
        return m->io.result < 0 ? tina_io_close(self->fd) : tina_io_recv(self->fd, 4096);
    default:
        return tina_done();
    }
}

const tina_isolate_type echo_type = {"echo", EchoInit, EchoHandle, sizeof(Echo), 0, 0, 0, 0};

struct Options {
    uint16_t port;
    bool seccomp;        // kills the process when the shard's thread maps memory after this
    bool stubborn;       // does not end when told
    bool loud;           // signals its own process as it ends
    int report_fd;       // the port is written there
    const char *backend; // must be this one; NULL: the test's
};

struct Listener {
    tina_fd fd;
    const Options *options;
};

tina_effect ListenerInit(tina_ctx *ctx, void *self_, tina_bytes args) {
    Listener *self = static_cast<Listener *>(self_);
    std::memcpy(&self->options, args.data, sizeof self->options);
    tina_address address = tina_address_ipv4(127, 0, 0, 1, self->options->port);
    int32_t result = tina_listen(ctx, &address, 64, &self->fd);
    if (result < 0) {
        tina_log(ctx, TINA_LOG_ERROR, "cannot listen: %s", tina_io_error_text(result));
        return tina_crash(1);
    }
    shard_thread = static_cast<pid_t>(syscall(SYS_gettid));
    const char *backend = tina_backend_name(ctx);
    if (self->options->backend ? std::strcmp(backend, self->options->backend) != 0
                               : !IsTestBackend(backend))
        _exit(88);
    tina_address bound;
    EXPECT_EQ(tina_socket_local_address(ctx, self->fd, &bound), 0);
    if (self->options->report_fd > 0 &&
        write(self->options->report_fd, &bound.port, sizeof bound.port) != sizeof bound.port)
        return tina_crash(2);
    on_shard = true;
    if (self->options->seccomp)
        ForbidMapping();
    return tina_io_accept(self->fd);
}

tina_effect ListenerHandle(tina_ctx *ctx, void *self_, const tina_message *m) {
    Listener *self = static_cast<Listener *>(self_);
    if (m->tag == TINA_IO_ACCEPT_DONE && m->io.result == 0) {
        tina_bytes args = {&m->io.fd, sizeof m->io.fd};
        if (tina_spawn_with_fd(ctx, &echo_type, args, m->io.fd, nullptr) != TINA_SPAWN_OK)
            return tina_io_close(m->io.fd);
        return tina_io_accept(self->fd);
    }
    if (m->tag == TINA_SHUTDOWN && self->options->loud) {
        kill(getpid(), SIGTERM);
        kill(getpid(), SIGINT);
    }
    if (m->tag == TINA_SHUTDOWN && !self->options->stubborn)
        return tina_done();
    return tina_receive();
}

const tina_isolate_type listener_type = {
    "listener", ListenerInit, ListenerHandle, sizeof(Listener), 0, 0, 0, 0};

int RunSystem(const Options *options, uint64_t shutdown_timeout_ns = 0) {
    tina_type_slots types[] = {{&listener_type, 1}, {&echo_type, 64}};
    tina_child children[] = {tina::OneLife(&listener_type, {&options, sizeof options})};
    tina_spec spec = {};
    spec.name = "system_test";
    spec.types = types;
    spec.type_count = 2;
    spec.root.children = children;
    spec.root.child_count = 1;
    spec.shutdown_timeout_ns = shutdown_timeout_ns;
    spec.backend = options->backend ? TINA_BACKEND_AUTO : TestBackend();
    return tina_run(&spec);
}

int Connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
        _exit(90);
    return fd;
}

void Exchange(int fd, size_t bytes) {
    char out[1000], in[1000];
    std::memset(out, 'e', sizeof out);
    if (send(fd, out, bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes) ||
        recv(fd, in, bytes, MSG_WAITALL) != static_cast<ssize_t>(bytes) ||
        std::memcmp(out, in, bytes) != 0)
        _exit(91);
}

uint16_t ReadPort(int fd) {
    uint16_t port;
    if (read(fd, &port, sizeof port) != sizeof port)
        _exit(92);
    return port;
}

// What happens while tina_run runs, on a thread beside it that allocates nothing.
struct Drive {
    int report_fd;
    void (*act)(uint16_t port);
};

void *DriveMain(void *argument) {
    const Drive *drive = static_cast<const Drive *>(argument);
    drive->act(ReadPort(drive->report_fd));
    return nullptr;
}

int RunDriven(Options options, void (*act)(uint16_t port), uint64_t shutdown_timeout_ns = 0) {
    int report[2];
    if (pipe(report) != 0)
        return 93;
    options.report_fd = report[1];
    // Signals are for tina_run's thread alone, as its contract says.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    Drive drive = {report[0], act};
    pthread_t thread;
    if (pthread_create(&thread, nullptr, DriveMain, &drive) != 0)
        return 94;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    int status = RunSystem(&options, shutdown_timeout_ns);
    pthread_join(thread, nullptr);
    return status;
}

void Terminate() {
    kill(getpid(), SIGTERM);
}

class SystemTest : public testing::Test {
  protected:
    void SetUp() override {
        testing::FLAGS_gtest_death_test_style = "threadsafe";
    }
};

TEST_F(SystemTest, ServesAndDrainsOnSigterm) {
    EXPECT_EXIT(std::exit(RunDriven({},
                                    [](uint16_t port) {
                                        int fd = Connect(port);
                                        for (int i = 0; i < 100; i++)
                                            Exchange(fd, 1000);
                                        Terminate();
                                        char byte;
                                        if (recv(fd, &byte, 1, 0) > 0)
                                            _exit(95);
                                    })),
                testing::ExitedWithCode(0), "");
}

TEST_F(SystemTest, DrainsOnSigintToo) {
    EXPECT_EXIT(std::exit(RunDriven({}, [](uint16_t) { kill(getpid(), SIGINT); })),
                testing::ExitedWithCode(0), "");
}

TEST_F(SystemTest, TheUnwillingAreForcedAfterTheDeadlineAndTheStatusSaysSo) {
    Options options = {};
    options.stubborn = true;
    EXPECT_EXIT(std::exit(RunDriven(
                    options, [](uint16_t) { Terminate(); }, 20000000)),
                testing::ExitedWithCode(3), "listener 0.1 outlived the shutdown deadline");
}

TEST_F(SystemTest, ASecondSignalForcesAtOnce) {
    Options options = {};
    options.stubborn = true;
    // The deadline is an hour: only the second signal can end this in time.
    EXPECT_EXIT(std::exit(RunDriven(
                    options,
                    [](uint16_t) {
                        // A second signal of a kind that is pending would be merged with it.
                        kill(getpid(), SIGTERM);
                        kill(getpid(), SIGINT);
                    },
                    UINT64_C(3600000000000))),
                testing::ExitedWithCode(3), "");
}

// On one processor, with the main thread waiting behind the shard's, the shard has ended before the
// signals that it sent are looked at.
int RunLoud() {
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &here);
    if (sched_setaffinity(0, sizeof here, &here) != 0)
        return 79;
    Options options = {};
    options.loud = true;
    return RunDriven(options, [](uint16_t) {
        sched_param none = {};
        if (sched_setscheduler(getpid(), SCHED_IDLE, &none) != 0)
            _exit(78);
        Terminate();
    });
}

// Signals that are pending when the last isolate ends must not strike when tina_run lifts its mask.
TEST_F(SystemTest, ASignalThatComesTooLateEndsNothing) {
    EXPECT_EXIT(std::exit(RunLoud()), testing::ExitedWithCode(0), "");
}

// Serves on epoll, chosen by itself, or returns what tells why not.
int ServeWithoutIoUring(unsigned error) {
    ForbidIoUring(error);
    Options options = {};
    options.backend = "epoll";
    return RunDriven(options, [](uint16_t port) {
        int fd = Connect(port);
        for (int i = 0; i < 100; i++)
            Exchange(fd, 1000);
        close(fd);
        Terminate();
    });
}

TEST_F(SystemTest, WhereIoUringIsRefusedItRunsOnEpollAndSaysSo) {
    EXPECT_EXIT(std::exit(ServeWithoutIoUring(EPERM)), testing::ExitedWithCode(0),
                "^system_test: io_uring is forbidden here .EPERM; by seccomp or the sysctl "
                "kernel.io_uring_disabled.; running on epoll\n$");
    EXPECT_EXIT(std::exit(ServeWithoutIoUring(ENOSYS)), testing::ExitedWithCode(0),
                "^system_test: io_uring is not in this kernel .ENOSYS.; running on epoll\n$");
}

int RunForced(tina_backend backend) {
    ForbidIoUring(EPERM);
    tina_type_slots types[] = {{&listener_type, 1}};
    tina_child children[] = {tina::OneLife(&listener_type)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    spec.backend = backend;
    return tina_run(&spec);
}

TEST_F(SystemTest, ABackendThatIsWantedAndRefusedIsOneSentenceAndStatusOne) {
    EXPECT_EXIT(std::exit(RunForced(TINA_BACKEND_URING)), testing::ExitedWithCode(1),
                "^tina: io_uring is forbidden here .io_uring_setup: EPERM.: .*choose another "
                "backend\n$");
    EXPECT_EXIT(std::exit(RunForced(static_cast<tina_backend>(3))), testing::ExitedWithCode(1),
                "^tina: backend is 3, which is none");
}

TEST_F(SystemTest, APortInUseIsOneSentenceAndStatusOne) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr *>(&address), length), 0);
    ASSERT_EQ(listen(fd, 1), 0);
    ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length), 0);
    Options options = {};
    options.port = ntohs(address.sin_port);
    EXPECT_EXIT(std::exit(RunSystem(&options)), testing::ExitedWithCode(1),
                "cannot listen: Address already in use");
    close(fd);
}

TEST_F(SystemTest, ASpecThatCannotFitIsOneSentenceAndStatusOne) {
    tina_type_slots types[] = {{&listener_type, TINA_SLOT_COUNT_MAX + 1}};
    tina_child children[] = {tina::OneLife(&listener_type)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    EXPECT_EXIT(std::exit(tina_run(&spec)), testing::ExitedWithCode(1),
                "slot_count is 1048577, but a handle has room for 1048576");
    types[0].slot_count = 1;
    spec.fd_count = 4000000;
    EXPECT_EXIT(std::exit(tina_run(&spec)), testing::ExitedWithCode(1),
                "fd_count is 4000000, but this process may open [0-9]+ files");
}

#ifndef SANITIZED
TEST_F(SystemTest, AllocatesNothingAfterBoot) {
    EXPECT_EXIT(std::exit(RunDriven({},
                                    [](uint16_t port) {
                                        armed = true;
                                        for (int round = 0; round < 50; round++) {
                                            int fd = Connect(port);
                                            for (int i = 0; i < 20; i++)
                                                Exchange(fd, 777);
                                            close(fd);
                                        }
                                        armed = false;
                                        if (allocations != 0)
                                            _exit(96);
                                        Terminate();
                                    })),
                testing::ExitedWithCode(0), "");
}

// The canary of the test above: an allocation on the shard's thread is seen.
TEST_F(SystemTest, AnAllocationOnTheShardWouldBeSeen) {
    on_shard = armed = true;
    void *volatile memory = malloc(1);
    free(memory);
    on_shard = armed = false;
    EXPECT_EQ(allocations, 2);
    allocations = 0;
}

TEST_F(SystemTest, MapsNothingAfterBoot) {
    Options options = {};
    options.seccomp = true;
    // Closing the ring unmaps it, so the run ends by _exit, while serving.
    EXPECT_EXIT(std::exit(RunDriven(options,
                                    [](uint16_t port) {
                                        for (int round = 0; round < 50; round++) {
                                            int fd = Connect(port);
                                            for (int i = 0; i < 20; i++)
                                                Exchange(fd, 777);
                                            close(fd);
                                        }
                                        _exit(42);
                                    })),
                testing::ExitedWithCode(42), "");
}
#endif

uint64_t Switches() {
    char text[4096], path[64];
    std::snprintf(path, sizeof path, "/proc/self/task/%ld/status",
                  static_cast<long>(shard_thread.load()));
    FILE *file = std::fopen(path, "r");
    if (!file)
        _exit(98);
    size_t bytes = std::fread(text, 1, sizeof text - 1, file);
    text[bytes] = 0;
    std::fclose(file);
    const char *line = std::strstr(text, "\nvoluntary_ctxt_switches:");
    return line ? std::strtoull(line + 25, nullptr, 10) : 0;
}

TEST_F(SystemTest, SleepsWhenThereIsNothingToDo) {
    EXPECT_EXIT(std::exit(RunDriven({},
                                    [](uint16_t port) {
                                        int fd = Connect(port);
                                        Exchange(fd, 1);
                                        poll(nullptr, 0, 50);
                                        uint64_t before = Switches();
                                        poll(nullptr, 0, getenv("TINA_LONG") ? 10000 : 500);
                                        if (Switches() != before)
                                            _exit(97);
                                        Terminate();
                                    })),
                testing::ExitedWithCode(0), "");
}

tina_effect TalkerInit(tina_ctx *, void *, tina_bytes) {
    return tina_yield();
}

tina_effect TalkerHandle(tina_ctx *ctx, void *self, const tina_message *) {
    uint32_t *ticks = static_cast<uint32_t *>(self);
    for (int i = 0; i < 100; i++)
        tina_log(ctx, TINA_LOG_INFO, "line %d of tick %u, and more words", i, *ticks);
    return ++*ticks < 1000 ? tina_yield() : tina_done();
}

// Returns 82 when a program that logs to a full pipe ends well, and its pipe is as blocking as
// before.
int TalkToNobody() {
    int silent[2];
    if (pipe(silent) != 0 || dup2(silent[1], STDERR_FILENO) < 0)
        return 80;
    static const tina_isolate_type talker = {
        "talker", TalkerInit, TalkerHandle, sizeof(uint32_t), 0, 0, 0, 0};
    tina_type_slots types[] = {{&talker, 1}};
    tina_child children[] = {tina::OneLife(&talker)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    int status = tina_run(&spec);
    if (status != 0)
        return status;
    return fcntl(silent[1], F_GETFL) & O_NONBLOCK ? 81 : 82;
}

TEST_F(SystemTest, AStderrThatNobodyReadsBlocksNothing) {
    EXPECT_EXIT(std::exit(TalkToNobody()), testing::ExitedWithCode(82), "");
}

TEST_F(SystemTest, PrintsWhereEveryByteGoes) {
    tina_type_slots types[] = {{&listener_type, 1}, {&echo_type, 64}};
    tina_child children[] = {tina::OneLife(&listener_type)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 2;
    spec.root.children = children;
    spec.root.child_count = 1;
    int out[2];
    ASSERT_EQ(pipe(out), 0);
    EXPECT_TRUE(tina_spec_print(&spec, out[1]));
    close(out[1]);
    std::string text(8192, 0);
    text.resize(static_cast<size_t>(read(out[0], &text[0], text.size())));
    close(out[0]);
    EXPECT_NE(text.find("64 × structs of echo"), std::string::npos) << text;
    EXPECT_NE(text.find("bytes a shard"), std::string::npos) << text;
}

TEST_F(SystemTest, AShutdownTimeoutWithoutEndForcesNobody) {
    EXPECT_EXIT(std::exit(RunDriven(
                    {}, [](uint16_t) { Terminate(); }, UINT64_MAX)),
                testing::ExitedWithCode(0), "");
}

TEST_F(SystemTest, PrintsALongNameCut) {
    std::string name(1000, 'n');
    tina_isolate_type type = listener_type;
    type.name = name.c_str();
    tina_type_slots types[] = {{&type, 1}};
    tina_child children[] = {tina::OneLife(&type)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    int out[2];
    ASSERT_EQ(pipe(out), 0);
    EXPECT_TRUE(tina_spec_print(&spec, out[1]));
    close(out[1]);
    std::string text(8192, 0);
    text.resize(static_cast<size_t>(read(out[0], &text[0], text.size())));
    close(out[0]);
    for (size_t at = 0, end; at < text.size(); at = end + 1) {
        end = text.find('\n', at);
        ASSERT_NE(end, std::string::npos);
        EXPECT_LT(end - at, 400u);
        EXPECT_EQ(text.substr(at, end - at).find('\0'), std::string::npos);
    }
}

int RunHopeless(uint32_t rebuild_max) {
    tina_isolate_type hopeless = {};
    hopeless.name = "hopeless";
    hopeless.init = [](tina_ctx *, void *, tina_bytes) { return tina_yield(); };
    hopeless.handle = [](tina_ctx *, void *, const tina_message *) { return tina_crash(1); };
    tina_type_slots types[] = {{&hopeless, 1}};
    tina_child children[] = {{}};
    children[0].type = &hopeless;
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    spec.rebuild_max = rebuild_max;
    return tina_run(&spec);
}

TEST_F(SystemTest, AShardWhoseRootGivesUpIsRebuiltSoOftenAndThenEnds) {
    EXPECT_EXIT(std::exit(RunHopeless(0)), testing::ExitedWithCode(4),
                "rebuilt .rebuilds within 60 s: 1 of 3.*: 3 of 3.*no shard is left that works");
    EXPECT_EXIT(std::exit(RunHopeless(TINA_INTENSITY_NONE)), testing::ExitedWithCode(4),
                "no shard is left that works, and the process ends .rebuilds within 60 s: 0 of 0");
}

TEST_F(SystemTest, ARunThatDoesNotStartLeavesNoFd) {
    tina_isolate_type type = listener_type;
    type.working_bytes = 1u << 30;
    tina_type_slots types[] = {{&type, TINA_SLOT_COUNT_MAX}};
    tina_child children[] = {tina::OneLife(&type)};
    tina_spec spec = {};
    spec.types = types;
    spec.type_count = 1;
    spec.root.children = children;
    spec.root.child_count = 1;
    // The log opens a pipe anew, but not a file.
    int errors[2];
    ASSERT_EQ(pipe(errors), 0);
    int before = dup(STDERR_FILENO);
    dup2(errors[1], STDERR_FILENO);
    int status = tina_run(&spec);
    int next = dup(STDERR_FILENO);
    dup2(before, STDERR_FILENO);
    EXPECT_EQ(status, 1);
    EXPECT_EQ(next, before + 1);
    char text[256] = {};
    EXPECT_GT(read(errors[0], text, sizeof text - 1), 0);
    EXPECT_NE(std::strstr(text, "bytes of address space"), nullptr) << text;
    for (int fd : {errors[0], errors[1], before, next})
        close(fd);
}

} // namespace
