#!/bin/bash
# install.sh [TARGET [EXTRA_PACKAGE...]]
# TARGET defaults to the cache folder that home.sh names.  Puts a private, relocatable Asterisk into TARGET from the Debian archive the system
# is already configured for.  No root, no chroot, no change to the system's packages or
# apt sources: apt (with its own state folder) resolves, downloads and verifies the
# packages, dpkg-deb unpacks them, and a wrapper starts each program through the
# unpacked C library, so a newer suite's binaries run on an older Debian.
# SUITES: suites to try in order (default "sid bullseye").  FORCE=1: install again.
set -euo pipefail
T=${1:-$("$(dirname "${BASH_SOURCE[0]}")/home.sh")}; shift || true
SUITES=${SUITES:-sid bullseye}
mkdir -p "$T"; T=$(cd "$T" && pwd)
WANT="asterisk asterisk-modules asterisk-core-sounds-en-gsm $*"
if [ -z "${FORCE:-}" ] && [ "$(cat "$T/.installed" 2>/dev/null)" = "$SUITES|$WANT" ] \
   && "$T/bin/asterisk" -V >/dev/null 2>&1; then "$T/bin/asterisk" -V; exit 0; fi

exec 9>"$T/.lock"; flock 9
. /etc/os-release
archives() { apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages'; }
# the system's own main archive (its codename exactly, not -updates or -security)
BASE=$(archives | awk -v c="$VERSION_CODENAME" '$2==c && $1 !~ /security/ {print $1; exit}')
if [ -z "$BASE" ]; then                    # lists not fetched yet: read the sources
  BASE=$( { cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '/^URIs:/{print $2}'
            cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
            awk '$1=="deb"{for(i=2;i<=NF;i++) if($i ~ /:\/\//){print $i; break}}'; } |
          grep -v security | head -1)
fi
[ -n "$BASE" ] || { echo "no Debian archive in apt's sources" >&2; exit 1; }
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

S="$T/.apt"; ROOT="$T/root"
APT=(apt-get -qq -o "Dir::Etc::sourcelist=$S/sources.list" -o "Dir::Etc::sourceparts=$S/none"
     -o "Dir::Etc::preferencesparts=$S/none" -o "Dir::State=$S" -o "Dir::State::lists=$S/lists"
     -o "Dir::State::status=$S/status" -o "Dir::Cache=$S/cache" -o APT::Sandbox::User=root
     -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Install-Recommends=false)
[ "$(id -u)" = 0 ] || APT+=(-o APT::Sandbox::User=)
ok=
for suite in $SUITES; do
  rm -rf "$S"; mkdir -p "$S/none" "$S/lists/partial" "$S/cache/archives/partial"; : >"$S/status"
  echo "deb [signed-by=$KEYRING] $BASE $suite main" >"$S/sources.list"
  if "${APT[@]}" update && "${APT[@]}" -y --download-only install $WANT; then ok=$suite; break; fi
  echo "suite $suite did not give: $WANT" >&2
done
[ -n "$ok" ] || exit 1

# Programs of the packaging system, and what only res_snmp needs, are left out.
SKIP='^(perl|libperl|libsnmp|adduser|passwd|login|base-passwd|debconf|libdebconf|cdebconf|gnupg|gpg|dirmngr|pinentry|tzdata|pci\.ids|libc-gconv-modules-extra|libpam-)'
rm -rf "$ROOT"; mkdir -p "$ROOT"
for d in "$S"/cache/archives/*.deb; do
  n=${d##*/}; [[ ${n%%_*} =~ $SKIP ]] || dpkg-deb --fsys-tarfile "$d" |
    tar -x --keep-directory-symlink --no-same-owner -C "$ROOT" \
        --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*'
done
rm -rf "$S"
# what a maintainer script would have linked: the default language's sounds
snd="$ROOT/usr/share/asterisk/sounds"
[ -e "$snd/en" ] || ln -s en_US_f_Allison "$snd/en"

LD=$(find "$ROOT" -name 'ld-linux-*.so.*' -print -quit)
TRIPLET=$(basename "$(dirname "$(find "$ROOT" -name 'libcrypto.so.*' -print -quit)")")
mkdir -p "$T/bin"
for p in asterisk rasterisk astcanary astdb2sqlite3 sipp nats-server rtpengine; do
  for dir in usr/sbin usr/bin; do
    [ -f "$ROOT/$dir/$p" ] || continue
    cat >"$T/bin/$p" <<WRAP
#!/bin/sh
R='$ROOT'
exec '$LD' --library-path "\$R/usr/lib/$TRIPLET:\$R/lib/$TRIPLET:\$R/usr/lib:\$R/usr/lib/$TRIPLET/pulseaudio" "\$R/$dir/$p" "\$@"
WRAP
    chmod 755 "$T/bin/$p"
  done
done
cat >"$T/env.sh" <<ENV
AST_HOME='$T'
AST_BIN='$T/bin/asterisk'
AST_MODULES='$(dirname "$(find "$ROOT" -name chan_iax2.so -print -quit)")'
AST_DATA='$ROOT/usr/share/asterisk'
AST_SAMPLES='$ROOT/etc/asterisk'
AST_SUITE='$ok'
ENV
echo "$SUITES|$WANT" >"$T/.installed"
"$T/bin/asterisk" -V
