// SPDX-License-Identifier: Apache-2.0
//
// For tests of examples: each runs as a user runs it, on each backend.

#ifndef TINA_EXAMPLES_EXAMPLE_TEST_H
#define TINA_EXAMPLES_EXAMPLE_TEST_H

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/process.h"

class Example : public testing::TestWithParam<const char *> {
  protected:
    static std::string program(const std::string &name) {
        return ProgramPath("examples/" + name);
    }
    std::vector<std::string> with_backend(std::vector<std::string> arguments) const {
        arguments.push_back("--backend");
        arguments.push_back(GetParam());
        return arguments;
    }
    // From "... listening on 127.0.0.1:8080 (io_uring)".
    static uint16_t port_of(Process &process) {
        std::string line = process.error_line();
        std::string before = "listening on 127.0.0.1:";
        size_t at = line.find(before);
        EXPECT_NE(at, std::string::npos) << line;
        return at == std::string::npos
                   ? 0
                   : static_cast<uint16_t>(std::stoi(line.substr(at + before.size())));
    }
};

inline auto every_backend() {
    return testing::Values("io_uring", "epoll");
}

inline std::string backend_name(const testing::TestParamInfo<const char *> &info) {
    return info.param;
}

// An exit status and a sentence that says what is wrong.
inline void ExpectRefused(const std::string &program, const std::vector<std::string> &arguments,
                          const std::string &words) {
    Process process(program, arguments);
    EXPECT_NE(process.errors().find(words), std::string::npos) << words;
    EXPECT_EQ(process.stop(0), 1);
}

#endif
