// SPDX-License-Identifier: Apache-2.0
//
// What the loads have in common: a clock, and connections to a port of 127.0.0.1.

#ifndef TINA_BENCH_CLIENT_H
#define TINA_BENCH_CLIENT_H

#include <stdint.h>

#define SECOND_NS INT64_C(1000000000)

// client_fail says what failed, and with which errno, and ends the process with 1.
void client_fail(const char *program, const char *what);

// client_now_ns reads CLOCK_MONOTONIC.
int64_t client_now_ns(void);

// client_connect returns a connected socket, blocking, without Nagle's algorithm; or -1 and errno.
int client_connect(int port);

#endif
