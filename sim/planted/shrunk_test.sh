#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# shrunk_test.sh SHRUNK (PROGRAM SCENARIO)...: the first failure of each planted bug is shrunk to at
# most a tenth of its events, and the command printed shows it.
set -euo pipefail

shrunk=$1
shift
failed=0
while (($# > 0)); do
    read -r seed before after rest < <("$shrunk" "$1" "$2") || { exit 1; }
    echo "$1, seed $seed: from $before events to $after"
    if ((10 * after > before)); then
        echo "that is more than a tenth"
        failed=1
    fi
    shift 2
done
exit "$failed"
