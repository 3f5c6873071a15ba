#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh build|run|test|engines|aarch64|bench…: install what these need from Debian 12, or print the line when we are not root.
# What is installed already costs nothing: apt is only asked for what is missing.
set -eu
list() {
	case $1 in
	build) echo gcc make pkg-config libc6-dev libseccomp-dev libcap-dev libcgroup-dev libjson-c-dev nettle-dev \
		libisal-dev libzstd-dev libcurl4-openssl-dev libsystemd-dev linux-libc-dev ca-certificates ;;
	# the engine, the file server, the guest kernel's unpacking and its modules' order; user namespaces of ordinary users
	run) echo qemu-system-x86 qemu-system-common dpkg kmod uidmap libcurl4 ca-certificates ;;
	test) echo mmdebstrap qemu-utils ovmf libcmocka-dev acpica-tools busybox-static cpio e2fsprogs xz-utils zstd umoci skopeo criu docker-registry apache2-utils openssl libarchive-tools iproute2 erofs-utils clang clang-format libclang-rt-14-dev llvm ;;
	# and what their tests call: script, ip, ps
	engines) echo podman conmon buildah containerd docker.io uidmap iproute2 procps bsdutils util-linux ;;
	# the cross-compiler, the machine, its Debian (tests/aarch64/run)
	aarch64) echo gcc-aarch64-linux-gnu qemu-system-arm qemu-system-common mmdebstrap kmod ;;
	# the runtimes beside which ours is validated, and what the suite itself calls
	oci) echo crun runc busybox-static iproute2 util-linux ;;
	bench) echo crun runc bubblewrap podman ;;
	# the Debian of tests/lab/systemd
	systemd) echo mmdebstrap ;;
	# who runs the hostile program beside us (tests/hostile/compare)
	rivals) echo bubblewrap podman firejail crun uidmap ;;
	*) echo "deps.sh: unknown group '$1'" >&2; exit 1 ;;
	esac
}
missing=
for group in "$@"; do
	for p in $(list "$group"); do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	done
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "these packages are missing; as root run:" >&2
	echo "  apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
try() { apt-get install -y --no-install-recommends $missing >"$log" 2>&1; }
apt-get update -q=2 >"$log" 2>&1 || :
try || { tail -n 20 "$log" >&2; echo "deps.sh: apt-get failed" >&2; exit 1; }
