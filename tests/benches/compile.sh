#!/usr/bin/env bash
# How long the compiler takes, as whole processes: `check` and `build --preview` on the example shop and on generated
# programs of 10, 100 and 1,000 handlers; warm (cargo's answers remembered) beside cold. Needs hyperfine (Debian's package).
# With `link` as the argument, also links the shop and tells the sizes of binary and image.
#
#   tests/benches/compile.sh [link]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cargo build --quiet --release -p cargo-updraft
cargo build --quiet -p updraft-tests --bin generate
target="${CARGO_TARGET_DIR:-$PWD/target}"
updraft="$target/release/cargo-updraft"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

measure() { # name, manifest, arguments
    local name="$1" manifest="$2"
    shift 2
    local command="$updraft updraft $* -q --manifest-path $manifest"
    printf '%-34s' "$name"
    CARGO_TARGET_DIR="$work/target" hyperfine --shell=none --warmup 2 --runs 20 --export-json "$work/warm" "$command" >/dev/null 2>&1
    CARGO_TARGET_DIR="$work/target" hyperfine --shell=none --runs 5 --prepare "rm -rf $work/target/updraft" --export-json "$work/cold" "$command" >/dev/null 2>&1
    python3 - "$work" <<'PY'
import json, sys
of = lambda name: json.load(open(f"{sys.argv[1]}/{name}"))["results"][0]
warm, cold = of("warm"), of("cold")
print(f"warm {warm['median'] * 1e3:7.1f} ms (min {warm['min'] * 1e3:.1f})   cold {cold['median'] * 1e3:7.1f} ms")
PY
}

measure "shop check" examples/shop/Cargo.toml check
measure "shop build --preview" examples/shop/Cargo.toml build --target knative --preview
measure "shop, AWS Lambda" examples/shop/Cargo.toml build --target aws-lambda --preview
for handlers in 10 100 1000; do
    "$target/debug/generate" "$work/many$handlers" "$handlers"
    measure "$handlers handlers check" "$work/many$handlers/Cargo.toml" check
    measure "$handlers handlers build --preview" "$work/many$handlers/Cargo.toml" build --target knative --preview
done
# All after the first hundred are functions here: an API of AWS's has 300 routes. They take several stacks.
for handlers in 10 100 1000; do
    "$target/debug/generate" "$work/aws$handlers" "$handlers" functions
    measure "$handlers handlers, AWS Lambda" "$work/aws$handlers/Cargo.toml" build --target aws-lambda --env aws --preview
done

if [ "${1:-}" = link ]; then
    "$updraft" updraft build -q --target knative -p shop
    binary=$(find "$target" -path '*-linux-gnu/updraft-release/shop' | head -1)
    printf 'binary %s bytes, image %s bytes (%s)\n' "$(stat -c %s "$binary")" \
        "$(cat "$target"/updraft/image/blobs/sha256/* | wc -c)" "$binary"
fi
