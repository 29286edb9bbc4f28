#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# README.md's snippet is what readme_site.c compiles and runs.
set -eu
quoted=$(sed -n '/^```c$/,/^```$/p' http/README.md | sed '1d;$d')
run=$(sed -n '/^\/\/ README begins$/,/^\/\/ README ends$/p' http/readme_site.c | sed '1d;$d')
test -n "$quoted"
if [ "$quoted" != "$run" ]; then
    echo "README.md's snippet differs from readme_site.c" >&2
    exit 1
fi
