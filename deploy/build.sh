#!/bin/sh
# build.sh [NAME]        builds the image NAME (default trunkline/trunkline) with docker, podman or buildah
# build.sh --tags [NAME] prints the tags it gives, one a line
#
# Tags are those of deploy/ari-proxy/build.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tags=
if [ "${1:-}" = --tags ]; then tags=$1; shift; fi
export CONTAINERFILE="$here/Containerfile"
exec "$here/ari-proxy/build.sh" $tags "${1:-trunkline/trunkline}"
