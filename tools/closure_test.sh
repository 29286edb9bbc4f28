#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# closure_test.sh QUERY_RESULT TARGET EXPECTED...: see closure.bzl.
set -euo pipefail

reached=$(sort -u "$1")
target=$2
shift 2
expected=$(printf '%s\n' "$@" | sort -u)

new=$(comm -13 <(echo "$expected") <(echo "$reached"))
gone=$(comm -23 <(echo "$expected") <(echo "$reached"))
for arrow in $new; do
    echo "NEW ARROW: $target reaches $arrow, which its closure test does not allow."
done
for arrow in $gone; do
    echo "GONE ARROW: $target does not reach $arrow, though its closure test says so."
done
[ -z "$new$gone" ] && echo "$target reaches what it should."
