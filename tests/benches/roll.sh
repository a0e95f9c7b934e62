#!/usr/bin/env bash
# Requests that a public unit loses while it is rolled (SIGTERM) again and again under load; there must be none, else it exits
# with 1. The shop in a played cluster, with Redis and an S3 server as the tests have them. Needs wrk (Debian's package).
#
#   tests/benches/roll.sh [seconds for each of two routes]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cargo build --quiet -p updraft-tests --example roll
exec "${CARGO_TARGET_DIR:-target}/debug/examples/roll" "${1:-10}"
