# SPDX-License-Identifier: Apache-2.0
# Sourced by the engines' tests: a world of their own for an engine and its containers, which ends with the test. Own
# mount, pid, network, cgroup, IPC and UTS namespaces; own groups, and only those mounted at /sys/fs/cgroup, in this
# host's layout; fresh /run, /etc/containers and /etc/subuid; nothing of the machine changes.
# Needs BUILD. Tests are functions test_*; each prints its own reason and returns 1 when it fails.
set -u
WORLD_SELF=$(readlink -f "$0")

world_skip() { # REASON: the whole program
	echo "1..1"
	echo "not ok 1 # SKIP $1"
	exit 0
}

world_groups() { # VERB: make, join (the calling shell) or remove our group of every hierarchy
	local mount
	for mount in $(awk '$9 ~ /^cgroup/ || $10 ~ /^cgroup/ { print $5 }' /proc/self/mountinfo); do
		case $1 in
		make)
			mkdir -p "$mount/$WORLD_GROUP" 2>/dev/null || continue
			[ ! -e "$mount/cpuset.mems" ] || for file in cpuset.cpus cpuset.mems; do
				cat "$mount/$file" >"$mount/$WORLD_GROUP/$file"
			done
			[ ! -e "$mount/cgroup.controllers" ] ||
				for c in $(cat "$mount/cgroup.controllers"); do
					echo "+$c" >"$mount/cgroup.subtree_control" 2>/dev/null
				done
			;;
		join) echo $$ >"$mount/$WORLD_GROUP/cgroup.procs" 2>/dev/null ;;
		remove)
			find "$mount/$WORLD_GROUP" -depth -type d -exec rmdir {} + 2>/dev/null
			;;
		esac
	done
}

world_mount_cgroups() { # inside, where the root of each hierarchy is our group
	local mounts mount type options
	mounts=$(awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) ~ /^cgroup/) print $5, $(i + 1), $(i + 3) }' \
		/proc/self/mountinfo)
	umount -R /sys/fs/cgroup
	case $mounts in
	"/sys/fs/cgroup cgroup2"*) mount -t cgroup2 cgroup /sys/fs/cgroup ;;
	*)
		mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
		echo "$mounts" | while read -r mount type options; do
			mkdir -p "$mount"
			options=$(echo "$options" | tr , '\n' | grep -vxE 'rw|ro|relatime|seclabel|release_agent=.*' | paste -sd,)
			mount -t "$type" ${options:+-o "$options"} cgroup "$mount"
		done
		;;
	esac
}

world_enter() { # "$@" of the test: returns inside
	local dir rc
	if [ -n "${WORLD_DIR:-}" ]; then
		mount --make-rprivate /
		mount -t tmpfs -o mode=755 tmpfs /run
		world_mount_cgroups
		mkdir -p "$WORLD_DIR/etc-containers"
		[ ! -d /etc/containers ] || mount --bind "$WORLD_DIR/etc-containers" /etc/containers
		ip link set lo up
		return
	fi
	[ "$(id -u)" -eq 0 ] || world_skip "needs root"
	dir=$(mktemp -d /tmp/insula-engine.XXXXXX) || exit 1
	WORLD_GROUP=insula-engine-$$
	world_groups make
	# The namespaces' first process is in the groups before they become its roots.
	export WORLD_DIR=$dir WORLD_GROUP
	bash -c ". '$WORLD_LIB'; world_groups join; exec unshare --mount --pid --fork --kill-child --net --cgroup \
		--ipc --uts --mount-proc \"\$0\" \"\$@\"" "$WORLD_SELF" "$@"
	rc=$?
	world_groups remove
	rm -rf --one-file-system "$dir"
	exit $rc
}

world_run() { # all functions test_*, in the order of the file
	local names name n=0 failed=0
	names=$(sed -n 's/^\(test_[a-z0-9_]*\)() {.*/\1/p' "$WORLD_SELF" | grep -e "${TEST_ONLY:-.}")
	echo "1..$(echo "$names" | wc -w)"
	for name in $names; do
		n=$((n + 1))
		if ("$name") >"$WORLD_DIR/log" 2>&1; then
			echo "ok $n - ${name#test_}"
		else
			failed=1
			sed 's/^/# /' "$WORLD_DIR/log"
			echo "not ok $n - ${name#test_}"
		fi
	done
	return $failed
}

# ---- what a test says -------------------------------------------------------------------------

fail() { echo "failed: $*"; exit 1; }

expect() { # WHAT WANTED COMMAND…: exit code 0 and exactly that on standard output
	local what=$1 wanted=$2 out rc
	shift 2
	out=$("$@" 2>"$WORLD_DIR/stderr") && rc=0 || rc=$?
	[ $rc -eq 0 ] || fail "$what: exit code $rc: $(cat "$WORLD_DIR/stderr")"
	[ "$out" = "$wanted" ] || fail "$what: '$out', expected '$wanted'"
}

expect_code() { # WHAT CODE COMMAND…
	local what=$1 wanted=$2 rc
	shift 2
	"$@" >"$WORLD_DIR/stdout" 2>"$WORLD_DIR/stderr" && rc=0 || rc=$?
	[ $rc -eq "$wanted" ] || fail "$what: exit code $rc, expected $wanted: $(cat "$WORLD_DIR/stdout" "$WORLD_DIR/stderr")"
}

await() { # SECONDS COMMAND…: until it succeeds
	local until=$(($(date +%s) + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $until ] || fail "waited in vain for: $*"
		sleep 0.1
	done
}

on_terminal() { # COMMAND…: on a pseudo-terminal; its output on ours. Its input stays open, or script(1) would not wait
	[ -p "$WORLD_DIR/open" ] || mkfifo "$WORLD_DIR/open"
	script -qec "$(printf '%q ' "$@")" /dev/null 9<>"$WORLD_DIR/open" <&9
}

make_rootfs() { # DIR: a small root file system of busybox
	mkdir -p "$1/bin" "$1/etc" "$1/tmp" "$1/proc" "$1/sys" "$1/dev" "$1/root" "$1/var"
	chmod 1777 "$1/tmp"
	cp /bin/busybox "$1/bin/"
	for a in $(/bin/busybox --list | grep -vx busybox); do ln -sf busybox "$1/bin/$a"; done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
	echo 'app:x:1000:1000:app:/home/app:/bin/sh' >>"$1/etc/passwd"
	printf 'root:x:0:\napp:x:1000:\n' >"$1/etc/group"
}
