#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# shrunk_test.sh SHRUNK (PROGRAM SCENARIO)...: the first failure of each planted bug is shrunk to at
# most a tenth of its events, or proven 1-minimal, and the command printed shows it.
set -euo pipefail

shrunk=$1
shift
failed=0
while (($# > 0)); do
    read -r seed before after _ _ proof _ < <("$shrunk" "$1" "$2") || { exit 1; }
    if ((10 * after <= before)); then
        how="a tenth"
    elif [[ $proof != - ]]; then
        how="1-minimal by $proof runs"
    else
        how="neither a tenth nor proven 1-minimal"
        failed=1
    fi
    echo "$1, seed $seed: from $before events to $after: $how"
    shift 2
done
exit "$failed"
