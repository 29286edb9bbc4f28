// SPDX-License-Identifier: Apache-2.0
//
// Entry points for fuzzers: each takes any bytes, returns 0, and asserts what must hold whatever
// they are. fuzz_main.c makes a libFuzzer program of each, fuzz_test.cc runs all on what it makes
// up.
//
//     bazel build --config=fuzz //http:fuzz_parse && .bazel/bin/http/fuzz_parse -runs=10000000

#ifndef TINA_HTTP_FUZZ_H
#define TINA_HTTP_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int http_fuzz_parse(const uint8_t *data, size_t bytes);
int http_fuzz_chunked(const uint8_t *data, size_t bytes);
int http_fuzz_router(const uint8_t *data, size_t bytes);
int http_fuzz_query(const uint8_t *data, size_t bytes);
int http_fuzz_range(const uint8_t *data, size_t bytes);
int http_fuzz_condition(const uint8_t *data, size_t bytes);
int http_fuzz_cookie(const uint8_t *data, size_t bytes);
int http_fuzz_proxy(const uint8_t *data, size_t bytes);
int http_fuzz_json(const uint8_t *data, size_t bytes);
int http_fuzz_quote(const uint8_t *data, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
