// SPDX-License-Identifier: Apache-2.0
//
// A command as a user gives it: what it says, and its exit code.

#ifndef TINA_SIM_SHELL_H
#define TINA_SIM_SHELL_H

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace tina_test {

struct Result {
    int code;         // -1: it was killed
    std::string text; // stdout and stderr
};

inline Result Shell(const std::string &command) {
    Result result = {-1, ""};
    FILE *out = popen(("(" + command + ") 2>&1").c_str(), "r");
    char buffer[4096];
    for (size_t got; out && (got = fread(buffer, 1, sizeof buffer, out)) > 0;)
        result.text.append(buffer, got);
    int status = out ? pclose(out) : -1;
    if (status != -1 && WIFEXITED(status))
        result.code = WEXITSTATUS(status);
    return result;
}

} // namespace tina_test

#endif
