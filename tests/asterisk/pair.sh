#!/bin/bash
# pair.sh start|stop|status|cli A|B CMD...|kill A|B|revive A|B
#                                             two independent Asterisk instances on loopback
#
# AST_ENV   env.sh written by install.sh                 default: the one in the folder home.sh names
# RUN       scratch folder of the pair; start makes one when unset and prints it.
#           With XDG_RUNTIME_DIR set it defaults to $XDG_RUNTIME_DIR/trunkline-asterisk.
# PGHOST PGPORT PGDB PGUSER PGPASS    realtime database; without PGPORT the database is off
# ARIUSER ARIPASS AMIUSER AMIPASS IAXSECRET APP         defaults below
# IP_A IP_B                                             default 127.0.0.2 127.0.0.3
# Asterisk never runs as root: started by root, it runs as AST_USER (default nobody).
set -euo pipefail
umask 077
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
cmd=${1:-}; [ -n "$cmd" ] || usage; shift

if [ -z "${RUN:-}" ] && [ -n "${XDG_RUNTIME_DIR:-}" ]; then RUN=$XDG_RUNTIME_DIR/trunkline-asterisk; fi
if [ -z "${RUN:-}" ]; then
  [ "$cmd" = start ] || { echo "RUN is not set" >&2; exit 2; }
  RUN=$(mktemp -d "${TMPDIR:-/tmp}/trunkline-ast.XXXXXX")
fi
: "${AST_ENV:=$("$HERE/home.sh")/env.sh}"
[ -r "$AST_ENV" ] || { echo "no Asterisk at $AST_ENV: run tests/asterisk/install.sh first" >&2; exit 1; }
. "$AST_ENV"
: "${IP_A:=127.0.0.2}" "${IP_B:=127.0.0.3}"
: "${ARIUSER:=ari}" "${ARIPASS:=secret}" "${AMIUSER:=ami}" "${AMIPASS:=secret}"
: "${IAXSECRET:=fed-secret}" "${APP:=trunkline}"

# setpriv replaces itself, so the recorded process id stays Asterisk's own
AS_USER=()
if [ "$(id -u)" = 0 ]; then
  : "${AST_USER:=nobody}"
  AS_USER=(setpriv --reuid "$AST_USER" --regid "$(id -g "$AST_USER")" --clear-groups)
fi

make_cert() { # folder address
  [ -s "$1/cert.pem" ] && return 0
  command -v openssl >/dev/null || return 1
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$2" \
    -addext "subjectAltName=IP:$2" -keyout "$1/key.pem" -out "$1/cert.pem" >/dev/null 2>&1
}

start_one() { # name address entity-id peer-name peer-address rtp-first rtp-last
  local n=$1 ip=$2 eid=$3 peer=$4 peerip=$5 r1=$6 r2=$7 d=$RUN/$1 f
  if [ -s "$d/pid" ] && kill -0 "$(cat "$d/pid")" 2>/dev/null; then echo "$n already runs" >&2; return 1; fi
  rm -rf "$d/etc"; mkdir -p "$d"/{etc,run,log,spool/recording,var,cache,db,keys}
  for f in "$HERE"/conf/*.conf; do
    sed -e "s#@NAME@#$n#g; s#@IP@#$ip#g; s#@EID@#$eid#g; s#@PEER@#$peer#g; s#@PEERIP@#$peerip#g" \
        -e "s#@D@#$d#g; s#@MODULES@#$AST_MODULES#g; s#@DATA@#$AST_DATA#g; s#@APP@#$APP#g" \
        -e "s#@RTPSTART@#$r1#g; s#@RTPEND@#$r2#g; s#@IAXSECRET@#$IAXSECRET#g" \
        -e "s#@ARIUSER@#$ARIUSER#g; s#@ARIPASS@#$ARIPASS#g; s#@AMIUSER@#$AMIUSER#g; s#@AMIPASS@#$AMIPASS#g" \
        -e "s#@PGHOST@#${PGHOST:-127.0.0.1}#g; s#@PGPORT@#${PGPORT:-5432}#g; s#@PGDB@#${PGDB:-asterisk}#g" \
        -e "s#@PGUSER@#${PGUSER:-asterisk}#g; s#@PGPASS@#${PGPASS:-asterisk}#g" \
        "$f" >"$d/etc/${f##*/}"
  done
  make_cert "$d/keys" "$ip" || rm -f "$d/etc/pjsip_tls.conf" "$d/etc/http_tls.conf"
  if [ -z "${PGPORT:-}" ]; then # no database: no realtime, no driver
    rm -f "$d/etc/extconfig.conf" "$d/etc/res_pgsql.conf"
    sed -i -e 's/^preload = res_config_pgsql.so/noload = res_config_pgsql.so/' "$d/etc/modules.conf"
    sed -i -e '/^switch => Realtime/d' "$d/etc/extensions.conf"
  fi
  # -f stay in the foreground, -n no colours; the process id is ours to stop
  if [ "$(id -u)" = 0 ]; then chown -R "$AST_USER" "$RUN"; fi
  setsid "${AS_USER[@]}" "$AST_BIN" -C "$d/etc/asterisk.conf" -f -n >"$d/log/console" 2>&1 </dev/null &
  echo $! >"$d/pid"
}

cli() { local n=$1; shift; "${AS_USER[@]}" "$AST_BIN" -C "$RUN/$n/etc/asterisk.conf" -rx "$*"; }

wait_up() { # the control socket must exist first, then the command blocks until booted
  local n=$1 i
  for i in $(seq 300); do
    kill -0 "$(cat "$RUN/$n/pid")" 2>/dev/null || { echo "$n died:" >&2; tail -5 "$RUN/$n/log/console" >&2; return 1; }
    cli "$n" core waitfullybooted 2>/dev/null | grep -q 'fully booted' && return 0
    sleep 0.1
  done
  echo "$n did not come up" >&2; return 1
}

term_one() { local p; p=$(cat "$RUN/$1/pid" 2>/dev/null) || return 0; kill "$p" 2>/dev/null || true; }
stop_one() {
  local n=$1 p i; p=$(cat "$RUN/$n/pid" 2>/dev/null) || return 0
  term_one "$n"
  for i in $(seq 100); do kill -0 "$p" 2>/dev/null || break; sleep 0.1; done
  if kill -0 "$p" 2>/dev/null; then kill -9 "$p" 2>/dev/null || true; fi
  rm -f "$RUN/$n/pid"
}

start_named() {
  case $1 in
    A) start_one A "$IP_A" 02:00:00:00:00:0a B "$IP_B" 20000 20499 ;;
    B) start_one B "$IP_B" 02:00:00:00:00:0b A "$IP_A" 20500 20999 ;;
    *) usage ;;
  esac
}

case $cmd in
  start)
    start_named A
    start_named B
    if wait_up A && wait_up B; then echo "RUN=$RUN"; else stop_one A; stop_one B; exit 1; fi ;;
  stop)   term_one A; term_one B; stop_one A; stop_one B ;;
  status) for n in A B; do
            if kill -0 "$(cat "$RUN/$n/pid" 2>/dev/null || echo 0x)" 2>/dev/null; then echo "$n up"; else echo "$n down"; fi; done ;;
  kill)   [ $# = 1 ] || usage; kill -9 "$(cat "$RUN/$1/pid")"; rm -f "$RUN/$1/pid" "$RUN/$1/run/asterisk.ctl" ;;
  revive) [ $# = 1 ] || usage; start_named "$1"; wait_up "$1" ;;
  cli)    [ $# -ge 2 ] || usage; cli "$@" ;;
  *)      usage ;;
esac
