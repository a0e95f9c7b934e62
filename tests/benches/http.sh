#!/usr/bin/env bash
# The small application of tests/speed as `cargo updraft build` makes it, against the same routes by hand in axum under the
# same profile and flags: bare, and careful (limits on time and size, panics caught, an end that loses nothing, all of which
# Updraft gives anyway). Requests per second and p99, from exec to the first 200, a function call, idle memory. Needs wrk
# (Debian's package). Rounds alternate, so that a busy machine troubles all alike.
#
#   tests/benches/http.sh [rounds] [seconds]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rounds="${1:-5}" seconds="${2:-5}"

target="${CARGO_TARGET_DIR:-$PWD/target}"
triple=$(rustc -vV | sed -n 's/^host: //p')
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

cargo run --quiet -p cargo-updraft -- updraft build --quiet --target knative -p updraft-speed --out "$work/manifests"
profile=(--profile updraft-release)
for key in 'inherits="release"' 'opt-level=3' 'lto="fat"' 'codegen-units=1' 'panic="unwind"' 'strip="symbols"' 'debug=false' 'incremental=false'; do
    profile+=(--config "profile.updraft-release.$key")
done
RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --quiet -p updraft-speed --bin by_hand --target "$triple" "${profile[@]}"
cargo build --quiet --release -p updraft-speed --bin first_answer
programs="$target/$triple/updraft-release"
sed -n 's/^    //p' "$work/manifests/20-binding.yaml" | sed -n '/^{/,$p' >"$work/binding.json"

export UPDRAFT_BINDING="$work/binding.json" UPDRAFT_UNIT=web UPDRAFT_FACE=public UPDRAFT_LOG=warn
PORT=18081 "$programs/updraft-speed" &
updraft=$!
PORT=18082 "$programs/by_hand" &
by_hand=$!
CAREFUL=1 PORT=18083 "$programs/by_hand" &
careful=$!
sleep 1
resident() {
    awk '/^VmRSS/ {all=$2} /^RssAnon/ {anonymous=$2} END {print all " KiB resident, " anonymous " KiB of it anonymous"}' "/proc/$1/status"
}
for name in updraft by_hand careful; do
    echo "idle  $name  $(resident "${!name}")"
done
cat >"$work/echo.lua" <<'LUA'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"name":"one","act":"ok","region":"eu"}'
LUA

measure() { # port, path, script -> "requests/s p99"
    wrk -t1 -c32 -d"${seconds}s" --latency ${3:+-s "$3"} "http://127.0.0.1:$1$2" |
        awk '/Requests\/sec/ {rps=$2} /99%/ {p99=$2} /Non-2xx/ {bad=1} END {if (bad) exit 1; print rps, p99}'
}

for case in "/hello/you" "/echo"; do
    script=""
    [ "$case" = "/echo" ] && script="$work/echo.lua"
    for _ in $(seq "$rounds"); do
        echo "updraft $(measure 18081 "$case" "$script")"
        echo "by_hand $(measure 18082 "$case" "$script")"
        echo "careful $(measure 18083 "$case" "$script")"
    done | tee "$work/rounds" | sed "s|^|$case  |"
    python3 - "$case" "$work/rounds" <<'PY'
import statistics, sys
rate, late = {}, {}
for line in open(sys.argv[2]):
    name, rps, p99 = line.split()
    unit = 1 if p99.endswith("ms") else 1e-3 if p99.endswith("us") else 1e3
    rate.setdefault(name, []).append(float(rps))
    late.setdefault(name, []).append(float(p99.rstrip("mus")) * unit)
rate, late = ({name: statistics.median(all) for name, all in of.items()} for of in (rate, late))
for name in ("by_hand", "careful"):
    print(f"{sys.argv[1]}  medians: {rate['updraft']:.0f} requests/s : {name} {rate[name]:.0f} = {rate['updraft'] / rate[name]:.3f}; "
          f"p99 {late['updraft']:.2f} ms : {late[name]:.2f} ms = {late['updraft'] / late[name]:.2f}")
PY
done
for _ in 1 2 3; do
    echo "a function call and a plain one, ns: $(exec 3<>/dev/tcp/127.0.0.1/18081; printf 'GET /calls/1000000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n' >&3; tail -n1 <&3)"
done
kill $(jobs -p); wait 2>/dev/null || true
unset UPDRAFT_LOG

for _ in 1 2; do
    for program in updraft-speed by_hand; do
        "$target/release/first_answer" "$programs/$program" 40
    done
done
ls -l "$programs/updraft-speed" "$programs/by_hand" | awk '{print $5 " bytes  " $NF}'
