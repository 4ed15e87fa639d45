#!/bin/bash
# Make the base image debian:CODENAME-slim where no image registry can be reached: debootstrap from the mirrors that
# this machine's own apt uses, then `docker import`. Needs root, a Debian host, debootstrap and a running engine.
#
#   deploy/base-image.sh [TAG]      TAG: debian:bookworm-slim
#   MIRROR=URI                      take this mirror instead of apt's
#   ROOTFS=FILE.tar                 keep the root file system there and use it when it exists already
set -eu

CODENAME=${CODENAME:-bookworm}
TAG=${1:-debian:$CODENAME-slim}
DOCKER=${DOCKER:-docker}

say() { echo "base-image: $*"; }
die() { say "$*" >&2; exit 1; }

# "URI suite" of every binary archive of this release's main that apt is set up with.
archives() {
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v c="$CODENAME" '$3 == "main" && ($2 == c || $2 == c "-updates" || $2 == c "-security") { print $1, $2 }' |
		sort -u
}

# What containers need to reach the same archives: sources, proxy and certificates of this machine.
write_apt_config() {
	local root=$1 uri suite https= value

	: >"$root/etc/apt/sources.list"
	while read -r uri suite; do
		echo "deb $uri $suite main" >>"$root/etc/apt/sources.list"
		case $uri in https:*) https=yes ;; esac
	done
	apt-config dump | grep -E '^Acquire::https?::Proxy ' >"$root/etc/apt/apt.conf.d/01-proxy" || rm -f "$root/etc/apt/apt.conf.d/01-proxy"
	if [ -n "$https" ]; then
		mkdir -p "$root/etc/ssl/certs"
		cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
	fi
	# As in the published slim images: small, and no daemon starts.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	value='path-exclude /usr/share/%s/*\n'
	for dir in doc man locale info lintian; do
		# shellcheck disable=SC2059
		printf "$value" "$dir"
	done >"$root/etc/dpkg/dpkg.cfg.d/docker"
	echo 'Acquire::Languages "none";' >"$root/etc/apt/apt.conf.d/docker-no-languages"
	echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };' >"$root/etc/apt/apt.conf.d/docker-clean"
}

shrink() {
	local root=$1 dir
	rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/log/*.log
	for dir in doc man locale info lintian; do
		rm -rf "$root/usr/share/$dir"
		mkdir -p "$root/usr/share/$dir"
	done
	# This machine's name servers are not the container's.
	rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
}

# Twice at most: a mirror's hiccup ends debootstrap, and it does not go on from where it was.
bootstrap() {
	rm -rf --one-file-system "$WORK/root"
	debootstrap --variant=minbase "$CODENAME" "$WORK/root" "$1" >"$WORK/log" 2>&1
}

make_rootfs() {
	local out=$1 list mirror proxy=

	[ "$(id -u)" -eq 0 ] || die "must be root for debootstrap"
	command -v debootstrap >/dev/null || die "debootstrap is not installed"
	list=$(archives)
	mirror=${MIRROR:-$(awk -v c="$CODENAME" '$2 == c { print $1; exit }' <<<"$list")}
	[ -n "$mirror" ] || die "apt on this machine knows no archive of Debian $CODENAME: set MIRROR=URI"
	[ -z "${MIRROR:-}" ] || list="$MIRROR $CODENAME"
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	[ -z "$proxy" ] || export http_proxy="${http_proxy:-$proxy}"

	WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/mailweir-base.XXXXXX")
	trap 'rm -rf --one-file-system "$WORK"' EXIT
	say "debootstrap of $CODENAME (minbase)"
	bootstrap "$mirror" || bootstrap "$mirror" || { tail -n 20 "$WORK/log" >&2; die "debootstrap failed"; }
	write_apt_config "$WORK/root" <<<"$list"
	shrink "$WORK/root"
	tar -C "$WORK/root" --numeric-owner --one-file-system -cf "$out.part" .
	mv "$out.part" "$out"
}

tar_file=${ROOTFS:-}
if [ -z "$tar_file" ]; then
	TMP_TAR=$(mktemp -d "${TMPDIR:-/var/tmp}/mailweir-tar.XXXXXX")
	tar_file=$TMP_TAR/root.tar
fi
[ -s "$tar_file" ] || ( make_rootfs "$tar_file" )
"$DOCKER" import --change 'CMD ["bash"]' "$tar_file" "$TAG" >/dev/null
[ -z "${TMP_TAR:-}" ] || rm -rf "$TMP_TAR"
say "$TAG is made"
