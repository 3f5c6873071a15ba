/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system (config.md, Root), paths that are masked or read-only, kernel parameters, the propagation of
 * the root (config-linux.md).
 */
#include "suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const readonly_root[] = {
	"root.readonly", "true", "process.args",
	"[\"/inspect\", \"write\", \"/etc\", \"write\", \"/etc/plain\", \"write\", \"/dev/shm\"]",
	NULL};
static const char *const writable_root[] = {
	"process.args", "[\"/inspect\", \"write\", \"/etc\", \"cat\", \"/etc/plain\"]", NULL};
static const char *const absolute_root[] = {"root.path", "\"@ROOTFS@\"", "process.args",
					    "[\"/inspect\", \"cat\", \"/etc/plain\"]", NULL};

/* What is below the root before and behind; masks must not reach further than asked for. */
static const char *const masks[] = {
	"linux.maskedPaths",
	"[\"/proc/version\", \"/etc/plain\", \"/usr\", \"/nowhere/at/all\"]",
	"linux.readonlyPaths",
	"[\"/proc/sys\", \"/work\", \"/nowhere/at/all\"]",
	"process.args",
	"[\"/inspect\", \"read\", \"/proc/version\", \"read\", \"/etc/plain\", \"read\", \"/usr\", "
	"\"write\", \"/work\","
	" \"write\", \"/proc/sys/kernel/domainname\", \"read\", \"/bin\", \"write\", \"/tmp\", "
	"\"read\", \"/proc/sys/kernel\"]",
	NULL,
};

static const char *const parameters[] = {
	"linux.sysctl",
	"{\"kernel.msgmax\": \"4321\", \"net.ipv4.ip_forward\": \"1\", "
	"\"net.ipv4.conf.lo.forwarding\": \"1\"}",
	"process.args",
	"[\"/inspect\", \"cat\", \"/proc/sys/kernel/msgmax\", \"cat\", "
	"\"/proc/sys/net/ipv4/ip_forward\", \"cat\","
	" \"/proc/sys/net/ipv4/conf/lo/forwarding\"]",
	NULL,
};

static void host_parameter_stays(const struct check *c)
{
	char *before = slurp("/proc/sys/kernel/msgmax");
	struct box b;

	(void)c;
	box_run(&b, LIST("linux.sysctl", "{\"kernel.msgmax\": \"4321\"}"));
	if (strcmp(before, slurp("/proc/sys/kernel/msgmax")) != 0)
		check_fail("the host's kernel.msgmax changed");
}

/* The bundle's mount on the host is a peer group, so that what the root is inside shows. */
static void root_propagation(const struct check *c)
{
	struct box b;
	char value[32], *report, *peers;

	snprintf(value, sizeof(value), "\"%s\"", c->arg);
	box_bundle(&b, LIST("linux.rootfsPropagation", value));
	if (runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id)) != 0)
		check_fail("run failed: %s", complaint(b.id));
	report = text_of(b.id, "out");
	peers = report_get(report, "mount /:peers");
	if (!peers)
		check_fail("the root is no mount");
	if (strcmp(c->arg, "shared") == 0 && !strstr(peers, "shared"))
		check_fail("the root's peers: '%s', wanted shared", peers);
	if (strcmp(c->arg, "slave") == 0 && (!strstr(peers, "master") || strstr(peers, "shared")))
		check_fail("the root's peers: '%s', wanted master", peers);
	if (strcmp(c->arg, "private") == 0 && *peers)
		check_fail("the root's peers: '%s', wanted none", peers);
	if (strcmp(c->arg, "unbindable") == 0 && strcmp(peers, "unbindable") != 0)
		check_fail("the root's peers: '%s', wanted unbindable", peers);
}

static bool mount_is_seen(const void *arg)
{
	char *text = slurp("/proc/%d/mountinfo", *(const pid_t *)arg);
	bool seen = text && strstr(text, " /work ");

	free(text);
	return seen;
}

/* A mount that the host makes below the root later comes in through a slave, and only there. */
static void mounts_of_the_host(const struct check *c)
{
	struct box b;
	char path[256];
	pid_t pid;
	bool seen;

	box_created(&b, LIST("linux.rootfsPropagation", c->arg));
	pid = box_pid(&b);
	snprintf(path, sizeof(path), "%s/work", b.rootfs);
	if (mount("late", path, "tmpfs", 0, NULL) < 0)
		check_fail("fixture: mount");
	seen = mount_is_seen(&pid);
	umount2(path, MNT_DETACH);
	if (seen != (strcmp(c->arg, "\"slave\"") == 0))
		check_fail("the host's mount is %sseen inside", seen ? "" : "not ");
}

static void missing_root(const struct check *c)
{
	struct box b;
	char path[200], away[200];

	(void)c;
	box_bundle(&b, NULL);
	snprintf(path, sizeof(path), "%s/rootfs", b.bundle);
	snprintf(away, sizeof(away), "%s/away", b.bundle);
	rename(path, away);
	if (box_create(&b) == 0)
		check_fail("accepted");
	box_must_be_gone(&b);
	put_file(path, "a file\n", 0755);
	if (box_create(&b) == 0)
		check_fail("accepted, with a file in its place");
}

static const struct check file_checks[] = {
	{"root.path.relative", "configRootPath", "relative to the bundle", writable_root,
	 LIST("cat /etc/plain=just text")},
	{"root.path.absolute", "configRootPath", "an absolute path", absolute_root,
	 LIST("cat /etc/plain=just text")},
	{"root.path.missing", "RootPathExist",
	 "no directory there, or a file: refused, and nothing is left", .run = missing_root},
	{"root.missing", "RootOnNonWindowsRequired", "no root is refused", LIST("root", "null"),
	 .refused = true},
	{"root.readonly", "RootReadonlyImplement", "nothing can be written below it", readonly_root,
	 LIST("write /etc=EROFS", "write /etc/plain=EROFS")},
	{"root.readonly.mounts", "RootReadonlyImplement", "mounts on it stay writable",
	 readonly_root, LIST("write /dev/shm=ok")},
	{"root.readonly.absent", "RootReadonlyImplement", "writable by default", writable_root,
	 LIST("write /etc=ok")},
	{"linux.rootfsPropagation.shared", "configLinuxRootfsMountPropagation",
	 "the root is of a peer group", .run = root_propagation, .arg = "shared"},
	{"linux.rootfsPropagation.slave", "configLinuxRootfsMountPropagation",
	 "the root is a slave", .run = root_propagation, .arg = "slave"},
	{"linux.rootfsPropagation.private", "configLinuxRootfsMountPropagation",
	 "the root is private", .run = root_propagation, .arg = "private"},
	{"linux.rootfsPropagation.unbindable", "configLinuxRootfsMountPropagation",
	 "the root is unbindable", .run = root_propagation, .arg = "unbindable"},
	{"linux.rootfsPropagation.slave.receives", "configLinuxRootfsMountPropagation",
	 "a later mount of the host appears inside a slave", .run = mounts_of_the_host,
	 .arg = "\"slave\""},
	{"linux.rootfsPropagation.private.receives", "configLinuxRootfsMountPropagation",
	 "and not in a private root", .run = mounts_of_the_host, .arg = "\"private\""},
	{"linux.rootfsPropagation.unknown", "ValidValues", "another word is refused",
	 LIST("linux.rootfsPropagation", "\"around\""), .refused = true},
	{"linux.maskedPaths.file", "configLinuxMaskedPaths", "a masked file has nothing to read",
	 masks, LIST("read /etc/plain=nothing", "read /proc/version=nothing")},
	{"linux.maskedPaths.directory", "configLinuxMaskedPaths", "a masked directory is empty",
	 masks, LIST("read /usr=nothing")},
	{"linux.maskedPaths.others", "configLinuxMaskedPaths",
	 "what is not named stays, an absent path is no error", masks, LIST("read /bin=something")},
	{"linux.maskedPaths.relative", "MaskedPathsAbs", "a relative path is refused",
	 LIST("linux.maskedPaths", "[\"etc/plain\"]"), .refused = true},
	{"linux.readonlyPaths", "configLinuxReadonlyPaths",
	 "a directory and a tree of /proc cannot be written", masks,
	 LIST("write /work=EROFS", "write /proc/sys/kernel/domainname=EROFS",
	      "read /proc/sys/kernel=something")},
	{"linux.readonlyPaths.others", "configLinuxReadonlyPaths",
	 "what is not named stays writable", masks, LIST("write /tmp=ok")},
	{"linux.readonlyPaths.relative", "ReadonlyPathsAbs", "a relative path is refused",
	 LIST("linux.readonlyPaths", "[\"etc\"]"), .refused = true},
	{"linux.sysctl.ipc", "configLinuxSysctl", "a parameter of the IPC namespace", parameters,
	 LIST("cat /proc/sys/kernel/msgmax=4321")},
	{"linux.sysctl.net", "configLinuxSysctl", "parameters of the network namespace", parameters,
	 LIST("cat /proc/sys/net/ipv4/ip_forward=1",
	      "cat /proc/sys/net/ipv4/conf/lo/forwarding=1")},
	{"linux.sysctl.host", "configLinuxSysctl", "the host's parameters stay",
	 .run = host_parameter_stays},
	{"linux.sysctl.unknown", "PropApplyFailGenError",
	 "a parameter that is not there is refused",
	 LIST("linux.sysctl", "{\"net.ipv4.no_such_thing\": \"1\"}"), .refused = true},
	{"linux.sysctl.of-the-host", "ValidValues", "a parameter of the whole machine is refused",
	 LIST("linux.sysctl", "{\"vm.swappiness\": \"60\"}"), .refused = true},
	{"linux.sysctl.shared-namespace", "ValidValues",
	 "one of a namespace that is the host's is refused",
	 LIST("linux.sysctl", "{\"kernel.msgmax\": \"4321\"}", "linux.namespaces",
	      "[{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"network\"}, {\"type\": "
	      "\"uts\"}]"),
	 .refused = true},
};
CHECKS(file_checks);
