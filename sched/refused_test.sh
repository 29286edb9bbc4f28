#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the compiler can know to be a bad message does not compile; its good neighbour does.
set -u

compiles() {
    printf '#include "sched/ctx.h"\nvoid f(tina_ctx *ctx, tina_handle to, const void *p, int n);\n%s\n' \
        "void f(tina_ctx *ctx, tina_handle to, const void *p, int n) { (void)n; (void)$1; }" |
        "${CC:-gcc}" -x c -std=gnu17 -iquote . -c -o /dev/null - 2>"$TEST_TMPDIR/errors"
}

failed=0
accept() {
    compiles "$1" || { echo "does not compile: $1"; cat "$TEST_TMPDIR/errors"; failed=1; }
}
refuse() {
    if compiles "$1"; then
        echo "compiles: $1"
        failed=1
    elif ! grep -q "$2" "$TEST_TMPDIR/errors"; then
        echo "$1: refused, but not for \"$2\":"
        cat "$TEST_TMPDIR/errors"
        failed=1
    fi
}

accept 'tina_send(ctx, to, 0, p, 96)'
accept 'tina_send(ctx, to, n, p, (size_t)n)'
accept 'tina_call(ctx, to, 1, p, 96, 0)'
refuse 'tina_send(ctx, to, 0, p, 97)' 'at most TINA_PAYLOAD_BYTES_MAX'
refuse 'tina_send(ctx, to, -1, p, 8)' "tags below 0 are the runtime's"
refuse 'tina_call(ctx, to, 1, p, sizeof(char[200]), 0)' 'at most TINA_PAYLOAD_BYTES_MAX'
refuse 'tina_call(ctx, to, TINA_TIMER, p, 8, 0)' "tags below 0 are the runtime's"
exit $failed
