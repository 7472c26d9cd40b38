#!/bin/sh
# build.sh [NAME]        builds the image NAME (default trunkline/ari-proxy)
# build.sh --tags [NAME] prints the tags it gives, one a line
#
# The tags follow the version in Cargo.toml: 1.2.3 gives 1.2.3, 1.2, 1 and latest; a version before 1.0
# has no tag of its major number alone, a pre-release (1.2.3-rc.1) has its full version only.
#
# CONTAINERFILE names another file than the ARI proxy's.
# ENGINE names what builds: docker, podman or buildah; unless set the first of them that is installed. Where
# there is no daemon and no user namespace, as in many CI jobs: ENGINE=buildah BUILDAH_ISOLATION=chroot
# STORAGE_DRIVER=vfs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
version=${VERSION:-$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)}
[ -n "$version" ] || { echo "build.sh: no version in $root/Cargo.toml" >&2; exit 1; }
only_tags=
if [ "${1:-}" = --tags ]; then only_tags=1; shift; fi
name=${1:-trunkline/ari-proxy}

tags() {
  echo "$name:$version"
  case $version in *-*) return ;; esac
  minor=${version%.*}
  echo "$name:$minor"
  [ "${minor%.*}" = 0 ] || echo "$name:${minor%.*}"
  echo "$name:latest"
}

if [ -n "$only_tags" ]; then tags; exit 0; fi
engine=$(command -v ${ENGINE:-docker} || { [ -z "${ENGINE:-}" ] && { command -v podman || command -v buildah; }; }) ||
  { echo "build.sh: no ${ENGINE:-docker, podman or buildah}" >&2; exit 1; }
set --
for tag in $(tags); do set -- "$@" --tag "$tag"; done
exec "$engine" build --file "${CONTAINERFILE:-$here/Containerfile}" --build-arg "VERSION=$version" "$@" "$root"
