// SPDX-License-Identifier: Apache-2.0
//
// For tests: a server as a user runs it, its own process, and clients that talk to it.

#ifndef TINA_HTTP_PROCESS_H
#define TINA_HTTP_PROCESS_H

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

inline std::string ReadToEnd(int fd) {
    std::string text;
    char piece[4096];
    for (ssize_t count; (count = read(fd, piece, sizeof piece)) > 0;)
        text.append(piece, static_cast<size_t>(count));
    return text;
}

inline std::string LineOf(int fd) {
    std::string text;
    char byte;
    while (read(fd, &byte, 1) == 1 && byte != '\n')
        text += byte;
    return text;
}

inline std::string ProgramPath(const std::string &name) {
    return std::string(getenv("TEST_SRCDIR")) + "/tina/" + name;
}

class Process {
  public:
    Process(const std::string &program, std::vector<std::string> arguments,
            void (*before)() = nullptr) {
        int out[2];
        int err[2];
        EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
        EXPECT_EQ(pipe2(err, O_CLOEXEC), 0);
        arguments.insert(arguments.begin(), program);
        std::vector<char *> argv;
        for (std::string &argument : arguments)
            argv.push_back(&argument[0]);
        argv.push_back(nullptr);
        pid = fork();
        if (pid == 0) {
            dup2(out[1], STDOUT_FILENO);
            dup2(err[1], STDERR_FILENO);
            if (before != nullptr)
                before();
            execv(program.c_str(), argv.data());
            _exit(127);
        }
        close(out[1]);
        close(err[1]);
        out_ = out[0];
        err_ = err[0];
    }
    ~Process() {
        if (pid > 0)
            stop(SIGKILL);
        close(out_);
        close(err_);
    }
    Process(const Process &) = delete;
    Process &operator=(const Process &) = delete;

    std::string line() {
        return LineOf(out_);
    }
    std::string error_line() {
        return LineOf(err_);
    }
    std::string output() {
        return ReadToEnd(out_);
    }
    std::string errors() {
        return ReadToEnd(err_);
    }
    int error_fd() const {
        return err_;
    }
    int stop(int signal) {
        if (signal != 0)
            kill(pid, signal);
        int status = -1;
        waitpid(pid, &status, 0);
        pid = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    size_t fds() const {
        size_t count = 0;
        DIR *directory = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
        while (readdir(directory) != nullptr)
            count++;
        closedir(directory);
        return count;
    }

    pid_t pid;

  private:
    int out_;
    int err_;
};

// DialLoopback returns a connected socket that sends at once.
inline int DialLoopback(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address), 0)
        << strerror(errno);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

// SendAll gives up when the server is gone.
inline void SendAll(int fd, const std::string &bytes) {
    for (size_t at = 0; at < bytes.size();) {
        ssize_t sent = send(fd, &bytes[at], bytes.size() - at, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        at += static_cast<size_t>(sent);
    }
}

#endif
