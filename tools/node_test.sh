#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs a test that is a script for node, with the npm packages that tools/setup installs.
set -euo pipefail

modules=/usr/local/lib/tina/node_modules
for needed in "$(command -v node || echo node)" "$modules"; do
    [ -e "$needed" ] || {
        echo "$needed is missing; tools/setup installs it." >&2
        exit 1
    }
done
TINA_NODE_MODULES=$modules exec node "$@"
