#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-kernel.sh META TREE: download the kernel package that the meta-package META stands for now, and unpack
# it to TREE. Nothing is installed; an ordinary user can do it.
set -eu
meta=$1 tree=$2

fail() {
	echo "fetch-kernel: $1" >&2
	[ -z "${2-}" ] || echo "fetch-kernel: $2" >&2
	exit 1
}

[ -n "$meta" ] || fail "no Debian cloud kernel is known for this architecture"
for tool in apt-get apt-cache dpkg; do
	command -v $tool >/dev/null || fail "$tool is not installed; this needs a Debian system" \
		"elsewhere: unpack any kernel package and run insula-mkguest by hand"
done

# linux-image-R-cloud-ARCH, signed or (where a mirror has no signed one) -unsigned.
package=$(LC_ALL=C apt-cache depends "$meta" 2>/dev/null |
	sed -n 's/^ *|*Depends: *\(linux-image-[^ <>]*\)$/\1/p' | head -n 1)
[ -n "$package" ] || fail "apt knows no package behind $meta" "run 'apt-get update' as root first"

mkdir -p "$(dirname "$tree")"
work=$(mktemp -d "$tree.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
# As root, apt would download as user _apt, who may not write here.
user=
[ "$(id -u)" -ne 0 ] || user='-o APT::Sandbox::User=root'

download() {
	# shellcheck disable=SC2086
	(cd "$work" && apt-get -q=2 $user download "$1" >log 2>&1)
}
download "$package" || download "$package-unsigned" || {
	tail -n 5 "$work/log" >&2
	fail "cannot download $package" "run 'apt-get update' as root, and check the network"
}
dpkg -x "$work"/*.deb "$work/tree" || fail "cannot unpack $package"
ls "$work"/tree/boot/vmlinuz-* >/dev/null 2>&1 || fail "$package holds no kernel"
chmod 755 "$work/tree"
rm -rf "$tree"
mv "$work/tree" "$tree"
