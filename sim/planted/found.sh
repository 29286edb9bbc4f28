#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a program with a planted bug, which says how many seeds it took to find it.
exec "$@"
