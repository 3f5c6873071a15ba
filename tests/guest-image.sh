#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# guest-image.sh: print the path of a raw disk with an unmodified Debian 12 with systemd, whose root has no password, as one
# ext4 file system. Made once by mmdebstrap and kept in $TEST_GUEST_CACHE (default: /var/tmp/insula-test-guests).
set -eu
dir=${TEST_GUEST_CACHE:-/var/tmp/insula-test-guests}
disk=$dir/debian-12.img
[ -s "$disk" ] && { echo "$disk"; exit 0; }
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is not installed" >&2; exit 1; }
mkdir -p -m 0700 "$dir"
work=$(mktemp -d "$dir/make.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
mkdir "$work/root"
mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,udev,dbus,kmod,iproute2 \
	--customize-hook='chroot "$1" passwd -d root' bookworm "$work/root.tar" >"$work/log" 2>&1 || {
	tail -n 3 "$work/log" >&2
	echo "mmdebstrap failed" >&2
	exit 1
}
tar -C "$work/root" -xf "$work/root.tar"
truncate -s 1G "$work/disk"
mkfs.ext4 -q -F -E root_owner=0:0 -d "$work/root" "$work/disk"
mv "$work/disk" "$disk"
echo "$disk"
