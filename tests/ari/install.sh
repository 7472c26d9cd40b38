#!/bin/sh
# install.sh            installs what the ARI tests need and the system lacks
# install.sh --list     names the system's packages, one a line
#
# The packages are nats-server and SIPp; Asterisk 22 goes into a cache folder of its own
# (tests/asterisk/home.sh prints it), not into the system.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = --list ]; then printf 'nats-server\nsip-tester\n'; exit 0; fi
missing=
[ -x /usr/sbin/nats-server ] || command -v nats-server >/dev/null || missing="$missing nats-server"
command -v sipp >/dev/null || missing="$missing sip-tester"
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then apt-get install -y --no-install-recommends $missing
  else sudo apt-get install -y --no-install-recommends $missing
  fi
fi
SUITES=${SUITES:-sid} exec "$here/../asterisk/install.sh"
