#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make demo: the main job on real input, in both kinds, timed. The input is this host's own system: an
# application of it (here: gzip, sha256sum and sort over its package database) runs sandboxed.
set -eu
build=${1:-build}
state=$(mktemp -d /tmp/insula-demo.XXXXXX)
cleanup() {
	for id in $("$build/insula" --root "$state/state" ps -aq 2>/dev/null); do
		"$build/insula" --root "$state/state" --store "$state/store" rm -f "$id" >/dev/null
	done
	rm -rf "$state"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
timed() {
	start=$(date +%s%N)
	rc=0
	"$@" || rc=$?
	end=$(date +%s%N)
	echo "  -> exit code $rc, $(((end - start) / 1000000)) ms"
}
insula() { "$build/insula" --root "$state/state" "$@"; }
job='
	echo "kernel:     $(uname -r), up $(cut -d. -f1 /proc/uptime) s"
	echo "process:    $$ of $(ls -d /proc/[0-9]* | wc -l), user $(id -un), network $(ls /sys/class/net | tr "\n" " ")"
	echo "packages:   $(grep -c ^Package: /var/lib/dpkg/status), $(gzip -c /var/lib/dpkg/status | wc -c) bytes packed"
	echo "digest:     $(sha256sum /var/lib/dpkg/status | cut -c1-16)"
	rm -rf /usr/lib/apt && echo "vandalism:  /usr/lib/apt is gone, for me"
	cat /etc/shadow >/dev/null 2>&1 && [ -s /etc/shadow ] && echo "secret:     readable!" || echo "secret:     /etc/shadow is hidden"
'

say "1. An application of this host's own system, in a container: changes are thrown away"
timed insula run --rm --memory 256m --cpus 1 --rootfs / sh -c "$job"

say "2. The same command line with --vm: it runs under a kernel of its own"
timed insula run --vm --rm --memory 512m --cpus 1 --rootfs / sh -c "$job"

say "3. The host is as it was"
[ -d /usr/lib/apt ] && echo "/usr/lib/apt is there; digest $(sha256sum /var/lib/dpkg/status | cut -c1-16)"

say "4. Exit codes and signals are the same in both kinds"
for vm in "" --vm; do
	# shellcheck disable=SC2086
	timed insula run $vm --rm --rootfs / sh -c 'exit 42'
done

say "5. The same bundle through the OCI command line, as engines call it"
mkdir -p "$state/bundle/rootfs/bin"
cp /bin/sh /bin/echo /bin/uname "$state/bundle/rootfs/bin/" 2>/dev/null
for lib in $(ldd /bin/sh /bin/echo /bin/uname | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
	mkdir -p "$state/bundle/rootfs$(dirname "$lib")"
	cp -L "$lib" "$state/bundle/rootfs$lib"
done
"$build/insula-oci" spec --print | sed -e 's/"terminal": *true/"terminal": false/' \
	-e 's/"sh"/"sh", "-c", "echo hello from $(uname -r)"/' >"$state/bundle/config.json"
for kind in container vm; do
	timed "$build/insula-oci" --root "$state/state" --isolation $kind run -b "$state/bundle" demo-$kind
done

say "6. An image at hand: what other tools wrote, here a root file system's tar, stored once"
tar -C "$state/bundle/rootfs" -cf "$state/app.tar" .
images() { "$build/insula" --root "$state/state" --store "$state/store" "$@"; }
timed images import -c 'CMD ["sh", "-c", "echo hello from the image $NAME"]' -c 'ENV NAME=app' "$state/app.tar" app
timed images run --rm app

say "7. Detached: it runs on, its output is kept, its end is noted"
timed images run -d --name demo app sh -c 'echo working; exit 3'
echo "  exit code noted: $(images wait demo)"
echo "  log: $(images logs demo)"
images rm demo >/dev/null
