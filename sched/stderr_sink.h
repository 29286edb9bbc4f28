// SPDX-License-Identifier: Apache-2.0
//
// Writing to stderr without ever blocking on it, whatever it is, and without changing it for the
// processes that share it.

#ifndef TINA_SCHED_STDERR_SINK_H
#define TINA_SCHED_STDERR_SINK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tina_stderr_sink {
    int fd;
    bool own;    // to be closed
    bool socket; // to be sent to
} tina_stderr_sink;

// tina_stderr_sink_open chooses how to write to fd (2, but for tests). O_NONBLOCK on fd itself
// would be seen by the user's shell, so terminals and pipes are opened anew through /proc/self/fd.
// A regular file is written to as it is: it never blocks for want of a reader, and a second opening
// would have an offset of its own.
void tina_stderr_sink_open(tina_stderr_sink *sink, int fd);
void tina_stderr_sink_close(tina_stderr_sink *sink);

// tina_stderr_sink_write is a tina_log_write. What an error makes impossible to write counts as
// taken: there is nowhere left to say so.
size_t tina_stderr_sink_write(void *sink, const char *text, size_t bytes);

#endif
