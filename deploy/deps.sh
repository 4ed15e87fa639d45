#!/bin/bash
# Install the Debian packages of deploy/packages/NAME.txt: deps.sh build runtime test
#
# Quick and silent about it when all are there. No daemon is started and no question asked; sudo is used when not
# root. The lists of the package manager are fetched only when they do not know a package or lead to a file that
# is no longer there.
set -eu
cd "$(dirname "$0")/packages"

POLICY=/usr/sbin/policy-rc.d
MARK='mailweir deploy/deps.sh: no daemon starts while packages are installed'
LOCK_WAIT_S=600

say() { echo "deps: $*"; }

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		say "cannot become root to run: $*" >&2
		return 1
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -q -y \
		-o DPkg::Lock::Timeout="$LOCK_WAIT_S" -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@" </dev/null
}

# Lines of the lists without comments.
wanted() {
	local list
	for list in "$@"; do
		sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$list.txt"
	done | sort -u
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
known() { [ -n "$(apt-cache show --no-all-versions "$1" 2>/dev/null)" ]; }

# Of a line "a|b": nothing when one of them is installed, else the first that the lists know, else the first.
pick() {
	local names name
	IFS='|' read -r -a names <<<"$1"
	for name in "${names[@]}"; do
		installed "$name" && return 0
	done
	for name in "${names[@]}"; do
		known "$name" && { echo "$name"; return 0; }
	done
	echo "${names[0]}"
}

# No process substitution here and below: a bare chroot has no /dev/fd.
missing() {
	local line
	wanted "$@" | while read -r line; do
		pick "$line"
	done
}

all_known() {
	local name
	for name in "$@"; do
		known "$name" || return 1
	done
}

# ---- no daemon starts: invoke-rc.d and deb-systemd-invoke both ask policy-rc.d (exit 101: forbidden)
SAVED=
hold_daemons() {
	# Of a run that was killed: ours, not the admin's.
	if grep -qsF "$MARK" "$POLICY"; then
		as_root rm -f "$POLICY"
		as_root sh -c "[ ! -e '$POLICY.mailweir-saved' ] || mv '$POLICY.mailweir-saved' '$POLICY'"
	fi
	if [ -e "$POLICY" ]; then
		as_root mv "$POLICY" "$POLICY.mailweir-saved"
		SAVED=yes
	fi
	printf '#!/bin/sh\n# %s\nexit 101\n' "$MARK" | as_root tee "$POLICY" >/dev/null
	as_root chmod 755 "$POLICY"
	trap release_daemons EXIT
}

release_daemons() {
	as_root rm -f "$POLICY"
	[ -z "$SAVED" ] || as_root mv "$POLICY.mailweir-saved" "$POLICY"
}

install() {
	apt install --no-install-recommends "$@"
}

main() {
	local list names want_npm=

	for list in "$@"; do
		[ -r "$list.txt" ] || { say "no list of that name: $list" >&2; return 1; }
	done
	case " $* " in *' test '*) command -v npm >/dev/null || want_npm=yes ;; esac
	read -r -a names <<<"$(missing "$@" | tr "\n" " ")"
	if [ ${#names[@]} -eq 0 ] && [ -z "$want_npm" ]; then
		say "$*: all packages are installed"
		return 0
	fi
	hold_daemons
	if [ ${#names[@]} -gt 0 ]; then
		if ! all_known "${names[@]}"; then
			apt update
			read -r -a names <<<"$(missing "$@" | tr "\n" " ")"
		fi
		say "installing ${names[*]}"
		install "${names[@]}" || { apt update; install "${names[@]}"; }
	fi
	# npm may come from elsewhere and then conflicts with Debian's: only when there is none, and without it only the
	# test on the mail corpus is skipped.
	if [ -n "$want_npm" ]; then
		known npm || apt update || true
		install npm || say "npm could not be installed: tests on the mail corpus will be skipped"
	fi
	say "$*: done; no daemon was started"
}

[ $# -gt 0 ] || { echo "usage: deps.sh build|runtime|test ..." >&2; exit 2; }
main "$@"
