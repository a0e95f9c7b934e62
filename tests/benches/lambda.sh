#!/usr/bin/env bash
# Functions of AWS Lambda: the small application of tests/speed as `cargo updraft build --target aws-lambda` makes it, against
# the same routes by hand on `lambda_runtime` (and careful: with a signal at the end, which Updraft has anyway); and
# tests/speed/aws against AWS's own clients. Same profile, same flags; with `panic = "abort"` too, to see what that is worth.
# Program and zip, from exec until an event is asked for, the first event and those after it, against a played Runtime API;
# writes and sends against MiniStack, which must be on the PATH.
#
#   tests/benches/lambda.sh [starts] [events]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
starts="${1:-40}" events="${2:-1000}"

target="${CARGO_TARGET_DIR:-$PWD/target}"
triple=x86_64-unknown-linux-gnu
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

for app in updraft-speed updraft-speed-aws; do
    cargo run --quiet -p cargo-updraft -- updraft build --quiet --target aws-lambda -p "$app" --out "$work/$app"
    python3 -m zipfile -e "$work/$app/code.zip" "$work/$app"
    chmod +x "$work/$app/bootstrap"
    mv "$work/$app/bootstrap" "$work/$app/$app"
done
by_hand() { # panic, program, features
    panic="$1" program="$2"
    shift 2
    profile=(--profile updraft-release)
    for key in 'inherits="release"' 'opt-level=3' 'lto="fat"' 'codegen-units=1' "panic=\"$panic\"" 'strip="symbols"' 'debug=false' 'incremental=false'; do
        profile+=(--config "profile.updraft-release.$key")
    done
    RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --quiet --manifest-path tests/speed/lambda/Cargo.toml --bin "$program" "$@" \
        --target "$triple" --target-dir "$target/by-hand" "${profile[@]}"
    mkdir -p "$work/$panic"
    cp "$target/by-hand/$triple/updraft-release/$program" "$work/$panic"
}
by_hand unwind plain
by_hand unwind sdk --features sdk
by_hand abort plain
rustc --edition 2024 -O -o "$work/first_event" tests/speed/src/bin/first_event.rs # it needs nothing but std
play="$work/first_event"

size() { # program, more files
    python3 - "$@" <<'PY'
import io, os, sys, zipfile
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
    for path in sys.argv[1:]:
        file.write(path, os.path.basename(path))
print(f"{os.path.basename(sys.argv[1])}: {os.path.getsize(sys.argv[1])} bytes, {len(packed.getvalue())} in a zip")
PY
}
for app in updraft-speed updraft-speed-aws; do
    size "$work/$app/$app" "$work/$app/binding.json"
done
for program in unwind/plain unwind/sdk abort/plain; do
    echo "by hand, panic = ${program%/*}"
    size "$work/$program"
done

ours=(UPDRAFT_BINDING="$work/updraft-speed/binding.json" UPDRAFT_UNIT=web "$work/updraft-speed/updraft-speed")
hand=("$work/unwind/plain" CAREFUL=1 "$work/unwind/plain")
for event in 'GET /hello/you' 'POST /echo {"name":"one","act":"ok","region":"eu"}'; do
    echo "$event"
    "$play" "$starts" "$events" "$event" "${ours[@]}" "${hand[@]}"
done

export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_ENDPOINT_URL=http://127.0.0.1:18090
GATEWAY_PORT=18090 SERVICES=dynamodb,sqs ministack >/dev/null 2>&1 &
ask() { # service, target, content
    curl --silent --fail "$AWS_ENDPOINT_URL/" -H "x-amz-target: $2" -H 'content-type: application/x-amz-json-1.0' \
        -H "authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/$1/aws4_request" -d "$3"
}
until ask sqs AmazonSQS.ListQueues '{}' >/dev/null 2>&1; do sleep 0.2; done
ask dynamodb DynamoDB_20120810.CreateTable '{"TableName":"items","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"B"}]}' >/dev/null
queue=$(ask sqs AmazonSQS.CreateQueue '{"QueueName":"jobs"}' | python3 -c 'import json,sys; print(json.load(sys.stdin)["QueueUrl"])')
resources="{\"store/items\":\"items\",\"queue/jobs\":\"$queue\",\"dead-letters/updraft_speed_aws::work\":\"$queue\"}"
ours=(UPDRAFT_BINDING="$work/updraft-speed-aws/binding.json" UPDRAFT_UNIT=web UPDRAFT_RESOURCES="$resources" "$work/updraft-speed-aws/updraft-speed-aws")
hand=(TABLE=items QUEUE="$queue" "$work/unwind/sdk")
for event in 'POST /items/1' 'POST /jobs/1'; do
    echo "$event"
    "$play" "$starts" 100 "$event" "${ours[@]}" "${hand[@]}"
done
for event in 'POST /items/1000' 'POST /jobs/1000'; do
    echo "$event"
    "$play" 3 2 "$event" "${ours[@]}" "${hand[@]}"
done
