#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# README.md's snippets are what readme_test compiles and runs.
set -eu
compare() {
    quoted=$(sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" sim/README.md | sed '1d;$d')
    run=$(sed -n '/^\/\/ README begins$/,/^\/\/ README ends$/p' "$2" | sed '1d;$d')
    test -n "$quoted"
    if [ "$quoted" != "$run" ]; then
        echo "README.md's snippet differs from $2" >&2
        exit 1
    fi
}
compare c sim/readme_scenario.c
compare cpp sim/readme_test.cc
