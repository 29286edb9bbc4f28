#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# sim/planted/shrunk.sh PROGRAM SCENARIO [OPTION...]: the first seed of a planted bug that fails,
# made smaller. Prints that seed, the events before and after, the decisions left, the runs that it
# took, of how many single reductions it is proven that none fails alike (or -), and what fails.
# Fails when the command printed does not show the same, with as many events.
set -euo pipefail

# of TEXT PATTERN prints what the first parentheses of the pattern match.
of() {
    sed -nE "s/$2/\1/p" <<<"$1" | head -1
}

program=$1
scenario=$2
out=$("$program" --scenario "$scenario" --expect-failure-within 10000 --jobs 1 "${@:3}" 2>/dev/null) ||
    true
seed=$(of "$out" '^scenario [a-z_]*, seed ([0-9]+): .*')
checker=$(of "$out" '^scenario [a-z_]*, seed [0-9]+: (.*)')
before=$(of "$out" '^shrunk from ([0-9]+) events to .*')
after=$(of "$out" '^shrunk from [0-9]+ events to ([0-9]+) .*')
decisions=$(of "$out" '^shrunk from .* decisions? to ([0-9]+) .*')
runs=$(of "$out" '^shrunk from .*, in ([0-9]+) runs.*')
if [[ -z $after ]]; then
    echo "$program: nothing was shrunk: $out" >&2
    exit 1
fi
proof=$(of "$out" '^shrunk from .*; 1-minimal: none of ([0-9]+) single reductions? fails alike .*')
command=$(grep -A1 '^shrunk from' <<<"$out" | tail -1)
trace=$(mktemp)
# shellcheck disable=SC2086 # the words of a command
again=$($command --trace "$trace" 2>&1) || true
rm -f "$trace"
if ! grep -qF "failed: $checker: " <<<"$again" || ! grep -q ": $after events, " <<<"$again"; then
    echo "$command: does not show \"$checker\" with $after events: $again" >&2
    exit 1
fi
echo "$seed $before $after $decisions $runs ${proof:--} $checker"
