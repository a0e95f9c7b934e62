#!/usr/bin/env bash
# Requests per second and p99 of a unit in server mode against the same routes by hand in axum, and the time from exec to
# the first 200. Needs wrk (Debian's package). Rounds alternate, so that a busy machine troubles both alike.
#
#   tests/benches/http.sh [rounds] [seconds]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rounds="${1:-5}" seconds="${2:-5}"

cargo build --quiet --release -p updraft-tests --bin depot --bin by_hand --bin first_answer
target="${CARGO_TARGET_DIR:-target}/release"
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

"$target/first_answer" --binding >"$work/binding.json"
export UPDRAFT_BINDING="$work/binding.json" UPDRAFT_UNIT=plain UPDRAFT_FACE=public UPDRAFT_LOG=warn
PORT=18081 "$target/depot" &
PORT=18082 "$target/by_hand" &
sleep 1
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
    done | tee "$work/rounds" | sed "s|^|$case  |"
    awk -v case="$case" '{n[$1]++; all[$1] = all[$1] " " $2}
        function median(text,   list, i, j, swap) { i = split(text, list, " ")
            for (j = 1; j < i; j++) for (k = 1; k <= i - j; k++) if (list[k] + 0 > list[k+1] + 0) { swap = list[k]; list[k] = list[k+1]; list[k+1] = swap }
            return list[int((i + 1) / 2)] }
        END { u = median(all["updraft"]); h = median(all["by_hand"]); printf "%s  median requests/s: updraft %d, by hand %d, ratio %.3f\n", case, u, h, u / h }' "$work/rounds"
done
kill $(jobs -p); wait 2>/dev/null || true
unset UPDRAFT_LOG

for program in depot by_hand depot by_hand; do
    "$target/first_answer" "$target/$program" 40
done
