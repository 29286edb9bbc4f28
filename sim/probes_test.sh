#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every probe is reached by one of these campaigns: all scenarios as they are, one in which
# listeners crash while connections are on their way to them, and one with a disk that is often
# stuck.
set -u
explore=$1
campaign() {
    "$explore" --probes "$@" 2>/dev/null
}
all=$(campaign --seeds 40)
echo "$all"
listeners=$(campaign --scenario echo --seeds 1000 \
    --set crash_before_ppm=50000,crash_after_ppm=50000,io_ns=5000000)
disk=$(campaign --scenario copy --seeds 200 \
    --set disk_stuck_ppm=100000,disk_stuck_ns=30000000000,crash_after_ppm=30000,death_ppm=5000)
grep -q ' 0 failed' <<< "$all" || exit 1
grep -q ' 0 failed' <<< "$listeners" || { echo "$listeners"; exit 1; }
grep -q ' 0 failed' <<< "$disk" || { echo "$disk"; exit 1; }
never() {
    sed -n 's/^ *0  \(.*\)  <- never$/\1/p' <<< "$1" | sort
}
missed=$(comm -12 <(never "$all") <(never "$listeners") | comm -12 - <(never "$disk"))
[ -z "$missed" ] || { echo "never reached: $missed"; exit 1; }
grep -q '^[0-9]* of [1-9][0-9]* probes' <<< "$all"
