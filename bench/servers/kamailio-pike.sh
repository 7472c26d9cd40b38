#!/bin/sh
# The same Kamailio with pike and ratelimit; KAMAILIO_LIMIT: INVITEs a second.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export KAMAILIO_ARGS="-A WITH_PIKE -A RL_PIPE=\\\"0:TAILDROP:${KAMAILIO_LIMIT:-1000}\\\""
exec "$here/kamailio.sh"
