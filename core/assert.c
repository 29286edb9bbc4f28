// SPDX-License-Identifier: Apache-2.0

#include "core/assert.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t append(char *line, size_t at, size_t capacity, const char *text) {
    while (*text && at < capacity)
        line[at++] = *text++;
    return at;
}

void tina_assert_failed(const char *condition, const char *file, int line) {
    char digits[12] = {0};
    size_t first = sizeof digits - 1;
    unsigned rest = (unsigned)line;
    do {
        digits[--first] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest && first);

    char text[512];
    size_t bytes = append(text, 0, sizeof text - 1, file);
    bytes = append(text, bytes, sizeof text - 1, ":");
    bytes = append(text, bytes, sizeof text - 1, digits + first);
    bytes = append(text, bytes, sizeof text - 1, ": assertion failed: ");
    bytes = append(text, bytes, sizeof text - 1, condition);
    text[bytes++] = '\n';
    // Nothing is left to do about a failed write on the way to abort.
    ssize_t written = write(STDERR_FILENO, text, bytes);
    (void)written;
    // Not by abort, whose frames a trace cannot pass; it is there for a SIGABRT that is ignored.
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGABRT);
    abort();
}
