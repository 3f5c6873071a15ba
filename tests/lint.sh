#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The rules of docs and style that a compiler does not know: which library a folder may speak to, who
# may open files by name, print, end the process, or know whether a sandbox is a container or a VM.
#
#	tests/lint.sh [folder]
#
# prints "file:line: rule: reason" for each finding and fails if there is one. Comments and the inside
# of strings are not looked at (but for the driver names). A rule is bent by a row of the table below,
# with its reason; a row that nothing needs any more is a finding, too.
#
# That no `default:` hides a value of an own enum is left to the compilers' -Wswitch.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2

ROOMS='base isolate cgroups images hypervisor vio runtime cli'

# file (a trailing * matches the rest), rule, call (or *), reason
allowances() {
	cat <<'TABLE'
base/path*.c                path    *         the path helpers themselves
base/fd.c                   path    open      /dev/null for closed standard streams; /proc/self/fd without allocation
base/self.c                 path    open      /proc/self/exe: ourselves
base/proc.c                 exit    _exit     proc_exit_as(): the one way to die as somebody else died
base/spawn.c                exit    _exit     the child of proc_spawn() before its exec
cgroups/file.c              path    openat    the one accessor of cgroup files: one plain name, O_NOFOLLOW, in a group that is held open
cgroups/freeze.c            path    openat    cgroup.events, kept open for its notifications
cgroups/watch.c             path    openat    memory.oom_control, kept open for its notifications
cgroups/path.c              path    openat    a group below the hierarchy's root, in which there are no symlinks
cgroups/mounts.c            path    open      mount points of the host's cgroup file systems, from mountinfo
cgroups/create.c            path    mkdirat   a group is made by mkdir(2) in cgroupfs, in a group that is held open
cgroups/remove.c            path    unlinkat  a group is removed by rmdir(2) alone: its files cannot be unlinked
cli/run_parts.c            driver  *         the option that picks the driver: --vm
cli/oci_create.c            driver  *         the option that picks the driver: --isolation, or the name insula-oci-vm
hypervisor/agent_stream.c   path    open      a descriptor of ours once more, by its number
images/store_layer.c        path    renameat  publishes a layer: both names are ours, in a directory of the store that is held open
images/store_blob.c         path    renameat  publishes a blob: both names are ours, in a directory of the store that is held open
hypervisor/kvm_launch.c     path    open      /dev/kvm, and the operator's kernel and initramfs, handed to the VMM's process
hypervisor/kvm_probe.c      path    open      /dev/kvm
hypervisor/kvm_probe.c      path    openat    its cache file, looked at by descriptor before it is believed
hypervisor/kernel_install.c path    openat    new files in a directory of ours, written as they come
hypervisor/kvm_probe.c      exit    _exit     the child that runs the trial guest
images/layer_dir_walk.c     path    openat    one plain component of a layer below a held directory, O_NOFOLLOW; where openat2(2) is forbidden
images/layer_dir_walk.c     path    mkdirat   one plain component of a layer below a held directory
runtime/image_worker.c      path    open      the program of a helper, which its ids could not get to by path
isolate/command.c           path    open      the first line of the workload's script, inside its root, for the error text
isolate/exec.c              path    fchdir    to the held root, before chroot(2)
isolate/identity.c          path    fchdir    to the workload's working directory, which was opened and checked
isolate/jail.c              path    open      the old root, held while it is left, and the new one
isolate/jail.c              path    fchdir    pivot_root(2) works on the current directory
isolate/jail.c              path    mount     makes the jail's own mount namespace private
isolate/live_mounts.c       path    fchdir    to the caller's /proc, where umount2(2) finds a held mount by the name of its descriptor
isolate/live_mounts.c       exit    _exit     the helper that works in the container's namespaces
isolate/mountfd.c           path    open      finds what is held again by its own path; device and inode are compared
isolate/notify.c            exit    _exit     the helper that sends the descriptor of a filter
isolate/mounts_classic.c    path    mount     kernels without the new mount calls; the target is named by descriptor
isolate/namespace.c         path    open      namespaces by the operator's path or in /proc
isolate/pivot.c             path    fchdir    pivot_root(2) works on the current directory
isolate/pivot.c             path    mount     where pivot_root(2) is refused (a ramfs root), and to cover what stays visible
isolate/pivot.c             path    open      the old root, held while it is left
isolate/rootfs.c            path    open      the bundle's root directory: the operator's path
isolate/rootfs.c            path    openat    its parents, to find the mount it is on
isolate/rootfs_layers.c      path    mount     kernels that take lower layers only as one string; the target is named by descriptor
isolate/rootfs_throwaway.c  path    open      the host's mount points, from mountinfo, to see which one shows
isolate/restorer.c          exit    _exit     the child between clone3() and exec
isolate/spawn.c             exit    _exit     the children between clone3() and exec
isolate/timens.c            path    open      the own time namespace in /proc
isolate/userns.c            exit    _exit     the child that works in another user namespace
runtime/info.c              driver  *         tells people which guest kernel microVMs would get; asks no sandbox for its kind
runtime/guest_root.c        path    *         PID 1 of a guest: it makes the disk the root
runtime/guest_boot.c        path    *         PID 1 of a guest: nothing but our initramfs is there yet
runtime/guest_boot.c        exit    _exit     PID 1 of a guest
runtime/guest_system.c      path    open      disks of a guest system: the operator's paths
runtime/guest_system.c      path    openat    new files in the sandbox's own storage, which is held open
runtime/kvm_jail.c          path    mount     makes the VMM's own mount namespace private
runtime/kvm_jail.c          path    fchdir    to the empty root, for pivot_root(2)
runtime/kvm_jail.c          path    chdir     out of the old root
runtime/programs/*          print   stdio     a program without a command line of its own: main() tells its error on stderr
runtime/log_read.c          path    openat    the log's files: names of ours in a directory that is held
runtime/log_write.c         path    openat    the same, for appending
runtime/log_write.c         path    renameat  rotation: names of ours in a directory that is held
runtime/monitor_start.c     path    chdir     the monitor keeps no directory busy
runtime/monitor_start.c     exit    _exit     the copies of the caller that become a monitor
runtime/vmm_isolate.c       path    open      namespaces by the operator's path
runtime/vmm_isolate.c       path    mount     makes the monitor's own mount namespace private
runtime/vmm_share.c         path    mount     the tmpfs of a share, in the monitor's own mount namespace
runtime/vmm_share.c         path    open      the directory of the shares, made a moment before
TABLE
}

files=$(
	for room in $ROOMS tests; do
		[ -d "$room" ] && find "$room" -name '*.[ch]' -type f
	done | LC_ALL=C sort
)
[ -n "$files" ] || { echo "lint: no sources below $PWD" >&2; exit 2; }

table=$(mktemp) || exit 2
trap 'rm -f "$table"' EXIT INT TERM
allowances >"$table"

# shellcheck disable=SC2086 # file names without blanks, one per word
LC_ALL=C awk -v table="$table" '
function finding(rule, text)
{
	printf "%s:%d: %s: %s\n", FILENAME, FNR, rule, text
	bad++
}

# Is this excused? Remembers that the row was needed.
function allowed(rule, call,   i)
{
	for (i = 1; i <= rows; i++) {
		if (row_rule[i] != rule || (row_call[i] != "*" && row_call[i] != call))
			continue
		if (row_file[i] ~ /\*/ ? matches(FILENAME, row_file[i]) : FILENAME == row_file[i]) {
			row_used[i] = 1
			return 1
		}
	}
	return 0
}

# "dir/name*.c": what is before and behind the one star.
function matches(name, pattern,   star, head, tail)
{
	star = index(pattern, "*")
	head = substr(pattern, 1, star - 1)
	tail = substr(pattern, star + 1)
	return length(name) >= length(head) + length(tail) && substr(name, 1, length(head)) == head &&
		substr(name, length(name) - length(tail) + 1) == tail
}

# The line without comments; `code` also without what is in strings and characters.
function strip(line,   i, c, two)
{
	plain = code = ""
	quote = ""
	for (i = 1; i <= length(line); i++) {
		c = substr(line, i, 1)
		two = substr(line, i, 2)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				i++
			}
			continue
		}
		if (quote != "") {
			plain = plain c
			if (c == "\\") {
				i++
				plain = plain substr(line, i, 1)
			} else if (c == quote) {
				quote = ""
				code = code c
			}
			continue
		}
		if (two == "/*") {
			in_comment = 1
			i++
			plain = plain " "
			code = code " "
			continue
		}
		if (two == "//")
			return
		plain = plain c
		code = code c
		if (c == "\"" || c == "\047")
			quote = c
	}
}

# Is there a call of `name`, as a word of its own and not as a member (ops->open())?
function calls(name,   at, rest, before, two)
{
	rest = " " code
	while (match(rest, name "[ \t]*\\(")) {
		at = RSTART
		before = substr(rest, at - 1, 1)
		two = substr(rest, at - 2, 2)
		if (before !~ /[A-Za-z0-9_.]/ && two != "->")
			return 1
		rest = " " substr(rest, at + length(name))
	}
	return 0
}

function includes(header)
{
	return plain ~ ("^[ \t]*#[ \t]*include[ \t]*[<\"]" header)
}

function check_list(rule, n, list, reason,   i)
{
	for (i = 1; i <= n; i++)
		if (calls(list[i]) && !allowed(rule, list[i]))
			finding(rule, list[i] "(): " reason)
}

BEGIN {
	while ((getline line < table) > 0) {
		rows++
		split(line, field, /[ \t]+/)
		row_file[rows] = field[1]
		row_rule[rows] = field[2]
		row_call[rows] = field[3]
	}
	n_path = split("open openat open64 creat fopen freopen mount mkdir mkdirat symlink symlinkat " \
		       "unlink unlinkat rename renameat rmdir chdir fchdir", path_calls, " ")
	n_unsafe = split("system popen sprintf vsprintf strcpy stpcpy strcat alloca gets", unsafe_calls, " ")
	n_print = split("printf vprintf puts putchar putc perror", print_calls, " ")
	n_exit = split("exit _exit _Exit quick_exit abort", exit_calls, " ")
}

FNR == 1 {
	in_comment = 0
	room = FILENAME
	sub(/\/.*/, "", room)
	is_test = room == "tests"
	is_main = FILENAME ~ /^runtime\/programs\// || room == "cli"
	is_cli = room == "cli"
	if ($0 !~ /^\/\* SPDX-License-Identifier: Apache-2\.0 \*\/$/)
		finding("licence", "the first line must be the SPDX line: it goes with every copy of the file")
}
FNR == 2 && $0 !~ /^\/\*/ {
	finding("purpose", "no opening comment: a file says what it is for before anything else")
}

{ strip($0) }

!is_test {
	if (includes("json-c/") && FILENAME != "base/json.c")
		finding("library", "json-c is for base/json.c alone: all else reads JSON through the strict reader")
	if (includes("seccomp\\.h") && FILENAME !~ /^isolate\/seccomp[a-z_]*\.c$/)
		finding("library", "libseccomp is for isolate/seccomp*.c: filters are made in one place")
	if (includes("sys/capability\\.h") && FILENAME !~ /^isolate\/caps[a-z_]*\.c$/)
		finding("library", "libcap is for isolate/caps*.c: capabilities are set in one place")
	if (includes("libcgroup") && room != "cgroups")
		finding("library", "libcgroup is for cgroups/: only it knows a cgroup version")
	if (includes("nettle/") && FILENAME != "images/digest.c")
		finding("library", "nettle is for images/digest.c alone: digests are made in one place")
	if (includes("isa-l") && FILENAME != "images/inflate_gzip.c")
		finding("library", "libisal is for images/inflate_gzip.c alone: only insula-layer links it")
	if (includes("zstd\\.h") && FILENAME != "images/inflate_zstd.c")
		finding("library", "libzstd is for images/inflate_zstd.c alone: only insula-layer links it")
	if (includes("systemd/") && FILENAME !~ /^runtime\/systemd_(bus|message)\.[ch]$/)
		finding("library", "libsystemd is for runtime/systemd_bus.*, systemd_message.* alone: only insula-systemd links it")
	if (includes("curl/") && FILENAME != "images/fetch_http.c")
		finding("library", "libcurl is for images/fetch_http.c alone: only insula-fetch links it, the process that speaks to registries")

	check_list("path", n_path, path_calls, \
		"only base/path*.c opens, makes and removes by name: paths may be a container'"'"'s")
	check_list("unsafe", n_unsafe, unsafe_calls, \
		"a shell, or a write without a bound: use proc_spawn(), strbuf or snprintf()")
	if (!is_cli) {
		check_list("print", n_print, print_calls, \
			"only cli/ prints: a library returns an error or writes to its log sink")
		if (code ~ /(^|[^A-Za-z0-9_])f(printf|puts|putc|write)[ \t]*\(/ && code ~ /(^|[^A-Za-z0-9_])std(err|out)([^A-Za-z0-9_]|$)/ && \
		    !allowed("print", "stdio"))
			finding("print", "stderr, stdout: only cli/ prints: a library returns an error or writes to its log sink")
	}
	if (!is_main)
		check_list("exit", n_exit, exit_calls, \
			"only main() and children of ours end a process: a library returns an error")
	if (FILENAME !~ /^runtime\/driver[a-z_]*\.c$/ && FILENAME !~ /\.h$/ && !allowed("driver", "*") && \
	    (plain ~ /(^|[^A-Za-z0-9_])(DRIVER_VM|DRIVER_CONTAINER|driver_vm|driver_container)([^A-Za-z0-9_]|$)/ || \
	     plain ~ /(STREQ|strcmp|strcasecmp|streq)[ \t]*\(.*"(vm|container)"/))
		finding("driver", "only runtime/driver*.c knows whether it is a container or a VM: ask the driver")
}

END {
	for (i = 1; i <= rows; i++)
		if (!row_used[i]) {
			printf "tests/lint.sh: stale: no need any more to allow %s in %s\n", row_call[i], row_file[i]
			bad++
		}
	if (bad)
		printf "%d finding%s\n", bad, bad == 1 ? "" : "s"
	exit bad > 0
}
' $files
