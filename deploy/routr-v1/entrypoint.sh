#!/bin/sh
# The entry point of the Routr v1 image.
#
# Where nothing says otherwise the resources are in Redis: one that runs in the container, with its data in data/, unless
# a provider is named. LOCALNETS is the container's own network unless it is set. The exchange is started again when it
# ends with 123, as POST /system/status/restarting makes it. SIGTERM and SIGINT end it; the exit code is 0 then.
set -eu

# ROUTR_HOME and TRUNKLINE_BIN are other places of the same, for tests.
home=${ROUTR_HOME:-/opt/routr}
trunkline=${TRUNKLINE_BIN:-trunkline}
cd "$home"
export TRUNKLINE_DATABASE="${TRUNKLINE_DATABASE:-$home/data/trunkline.db}"
export SALT_FILE="${SALT_FILE:-$home/data/.routr.salt}"
mkdir -p data

say() { echo "entrypoint: $*" >&2; }

stopped=
redis=
exchange=

stop() {
  stopped=1
  if [ -n "$exchange" ]; then kill -TERM "$exchange" 2>/dev/null || true; fi
}
trap stop TERM INT

# Waits for a child and gives its exit code: a signal ends `wait`, not the child.
finish() {
  code=0
  wait "$1" || code=$?
  while kill -0 "$1" 2>/dev/null; do
    code=0
    wait "$1" || code=$?
  done
  return "$code"
}

# The configuration: the one that is named, else the folder's, else the image's own, which a volume may hide.
config=${ROUTR_CONFIG_FILE:-${CONFIG_FILE:-}}
for name in config/config.yml config/config.yaml default.yml; do
  if [ -z "$config" ] && [ -f "$name" ]; then config=$name; fi
done
export TRUNKLINE_CONFIG="$config"

# Does the configuration have this key? What it says is not overruled.
has() { grep -q "^[^#]*$1:" "$config" 2>/dev/null; }

# Four bytes as /proc/net/route has them, the last one first: 0011A8C0 is 192.168.17.0.
dotted() {
  for at in 7-8 5-6 3-4 1-2; do printf '%d ' "0x$(echo "$1" | cut -c "$at")"; done | sed 's/ $//; s/ /./g'
}

# The networks of the interface that leads out of the container, as NETWORK/MASK with commas between.
own_networks() {
  way_out=$(awk '$2 == "00000000" && $8 == "00000000" { print $1; exit }' /proc/net/route)
  awk -v interface="${way_out:-eth0}" \
    '$1 == interface && $3 == "00000000" && $8 != "00000000" { print $2, $8 }' /proc/net/route |
    while read -r network mask; do echo "$(dotted "$network")/$(dotted "$mask")"; done | paste -s -d , -
}

if [ -z "${ROUTR_LOCALNETS:-}${LOCALNETS:-}" ] && ! has localnets; then
  networks=$(own_networks)
  if [ -n "$networks" ]; then export ROUTR_LOCALNETS="$networks"; fi
fi
if [ -z "${ROUTR_EXTERN_ADDR:-}${EXTERN_ADDR:-}" ] && ! has externAddr; then
  say "ROUTR_EXTERN_ADDR is not set: phones outside the container's network see an address that they cannot reach"
fi

answers() { redis-cli -h 127.0.0.1 ping 2>/dev/null | grep -q -e PONG -e NOAUTH; }

start_redis() {
  if answers; then return; fi
  redis-server --bind 127.0.0.1 --port 6379 --dir "$home/data" --appendonly yes --save '' --logfile redis.log &
  redis=$!
  tries=0
  until answers; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || [ -n "$stopped" ] || ! kill -0 "$redis" 2>/dev/null; then
      say "Redis does not start: see $home/data/redis.log"
      exit 1
    fi
    sleep 0.1
  done
}

if [ -z "${ROUTR_DS_PROVIDER:-}${DATA_SOURCE_PROVIDER:-}" ]; then
  export ROUTR_DEFAULT_DS_PROVIDER=redis_data_provider
  if [ -z "${ROUTR_DS_PARAMETERS:-}${DATA_SOURCE_PARAMETERS:-}" ]; then
    case $("$trunkline" serve --print-config 2>/dev/null | grep '^data: ' || true) in
      *-redis:localhost:6379*) start_redis ;;
    esac
  fi
fi

while :; do
  "$trunkline" serve "$@" &
  exchange=$!
  if [ -n "$stopped" ]; then stop; fi
  finish "$exchange" && code=0 || code=$?
  exchange=
  if [ "$code" != 123 ] || [ -n "$stopped" ]; then break; fi
  say "the exchange starts again"
done
# Last, so that what the exchange writes at its end is kept.
if [ -n "$redis" ]; then
  kill -TERM "$redis" 2>/dev/null || true
  finish "$redis" || true
fi
# Told to end before it could listen to that.
if [ -n "$stopped" ] && [ "$code" = 143 ]; then code=0; fi
exit "$code"
