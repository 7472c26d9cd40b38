#!/bin/sh
# home.sh    prints the folder of the private Asterisk: TRUNKLINE_ASTERISK when set, otherwise a
# cache folder outside the checkout.  For root that is one an ordinary user can read, because
# Asterisk itself never runs as root.
if [ -n "${TRUNKLINE_ASTERISK:-}" ]; then echo "$TRUNKLINE_ASTERISK"
elif [ "$(id -u)" = 0 ]; then echo /var/cache/trunkline/asterisk
else echo "${XDG_CACHE_HOME:-$HOME/.cache}/trunkline/asterisk"; fi
