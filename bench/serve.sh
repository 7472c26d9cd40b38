#!/bin/sh
# Starts the exchange in the foreground for bench.py. Everything comes from the environment it sets
# (README.md, "Server contract"); the rest is the ordinary configuration in trunkline.yaml.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=${BENCH_RUNDIR:?}
trunkline=${TRUNKLINE_BIN:-$here/../target/release/trunkline}
python3 "$here/resources.py" "$run/resources"
# Every key in the environment overrides the file's.
export TRUNKLINE_LISTEN_UDP="${BENCH_HOST:?}:${BENCH_PORT:?}" TRUNKLINE_LISTEN_TCP="$BENCH_HOST:$BENCH_PORT"
export TRUNKLINE_LISTEN_TLS= TRUNKLINE_LISTEN_WS= TRUNKLINE_LISTEN_WSS= TRUNKLINE_HTTP_ADDR="${TRUNKLINE_HTTP_ADDR:-off}"
if [ -n "${BENCH_TLS_PORT:-}" ]; then
    export TRUNKLINE_LISTEN_TLS="$BENCH_HOST:$BENCH_TLS_PORT" TRUNKLINE_LISTEN_WSS="$BENCH_HOST:$BENCH_WSS_PORT"
    export TRUNKLINE_TLS_CERT="$BENCH_CERT" TRUNKLINE_TLS_KEY="$BENCH_KEY"
fi
export TRUNKLINE_GRPC_ADDR=off TRUNKLINE_GRPC_EXTERNAL_ADDR=off
export TRUNKLINE_DATA="sqlite:$run/resources.db" TRUNKLINE_DATABASE="$run/trunkline.db"
export TRUNKLINE_WORKERS="${BENCH_WORKERS:-1}"
if [ "${BENCH_PROFILE:?}" = stateless ]; then export TRUNKLINE_STATELESS=true; fi
# Another process reads the files: what that takes of memory is not the exchange's.
"$trunkline" import --config "$here/trunkline.yaml" "$run/resources" > /dev/null
rm -r "$run/resources"
# BENCH_UNDER is a program to run it under (instructions.py).
exec ${BENCH_UNDER:-} "$trunkline" serve --config "$here/trunkline.yaml"
