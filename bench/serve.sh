#!/bin/sh
# Starts the exchange in the foreground for bench.py. Everything comes from the environment it sets
# (README.md, "Server contract"); the rest is the ordinary configuration in trunkline.yaml.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=${BENCH_RUNDIR:?}
python3 "$here/resources.py" "$run/resources"
# Every key in the environment overrides the file's.
export TRUNKLINE_SIP_UDP="${BENCH_HOST:?}:${BENCH_PORT:?}" TRUNKLINE_SIP_TCP="$BENCH_HOST:$BENCH_PORT"
export TRUNKLINE_WORKERS="${BENCH_WORKERS:-1}" TRUNKLINE_STORE="sqlite:$run/trunkline.db" TRUNKLINE_RESOURCES="$run/resources"
[ "${BENCH_PROFILE:?}" = stateless ] && export TRUNKLINE_STATELESS=true
exec "${TRUNKLINE_BIN:-$here/../target/release/trunkline}" serve --config "$here/trunkline.yaml"
