#!/bin/bash
# Build the image mailweir:latest with the engine that DOCKER_HOST (or the default socket) leads to.
#
#   IMAGE=NAME:TAG      another name
#   BASE=NAME:TAG       another base image; made by deploy/base-image.sh when it is not here and no registry gives it
#   BUILD_NETWORK=host  network of the build's steps, for engines without a bridge
set -eu
cd "$(dirname "$0")/.."

IMAGE=${IMAGE:-mailweir:latest}
BASE=${BASE:-debian:bookworm-slim}
DOCKER=${DOCKER:-docker}
PULL_S=60

say() { echo "images: $*"; }

if ! "$DOCKER" version --format '{{.Server.Version}}' >/dev/null 2>&1; then
	say "no Docker engine answers (is it running, may you use it?)" >&2
	exit 1
fi
if ! "$DOCKER" image inspect "$BASE" >/dev/null 2>&1; then
	say "fetching $BASE"
	if ! timeout "$PULL_S" "$DOCKER" pull -q "$BASE" >/dev/null 2>&1; then
		say "no registry gave $BASE: making it here"
		deploy/base-image.sh "$BASE"
	fi
fi

# A proxy of this shell is the build's too; Docker keeps these arguments out of the image.
args=()
for name in http_proxy https_proxy no_proxy; do
	[ -z "${!name:-}" ] || args+=(--build-arg "$name=${!name}")
done
[ -z "${BUILD_NETWORK:-}" ] || args+=(--network "$BUILD_NETWORK")

# Debian's docker.io 20.10 has no buildx; the classic builder reads this Dockerfile.
DOCKER_BUILDKIT=0 "$DOCKER" build "${args[@]}" --build-arg BASE="$BASE" -f deploy/Dockerfile -t "$IMAGE" .
say "$IMAGE is built"
