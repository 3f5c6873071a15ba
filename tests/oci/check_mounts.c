/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts: order, destinations, sources, every option that the specification lists, propagation, id maps (config.md,
 * Mounts, Linux mount options, POSIX-platform Mounts).
 */
#include "suite.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define TMPFS(dest, options)        \
	"{\"destination\": \"" dest \
	"\", \"type\": \"tmpfs\", \"source\": \"x\", \"options\": [" options "]}"
#define BIND(dest, source, options)                                                 \
	"{\"destination\": \"" dest "\", \"type\": \"none\", \"source\": \"" source \
	"\", \"options\": [" options "]}"

/* ---- trees on the host ------------------------------------------------------------------- */

/* BUNDLE/tree is a mount with a mount below it. In a mount namespace of the check, so that they end with it. */
static void make_tree(const struct box *b, bool shared)
{
	char path[256];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		check_fail("fixture: unshare: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/tree", b->bundle);
	mkdir(path, 0755);
	mount("tree", path, "tmpfs", 0, NULL);
	snprintf(path, sizeof(path), "%s/tree/sub", b->bundle);
	mkdir(path, 0755);
	if (mount("sub", path, "tmpfs", 0, NULL) < 0)
		check_fail("fixture: mount: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/tree", b->bundle);
	if (mount(NULL, path, NULL, MS_REC | (shared ? MS_SHARED : MS_PRIVATE), NULL) < 0)
		check_fail("fixture: propagation: %s", strerror(errno));
}

/* A recursive bind of a tree with the options of `arg` (JSON words) shows what is wanted. */
static void tree_is_mounted(const struct check *c)
{
	char value[256];
	struct box b;

	snprintf(value, sizeof(value), BIND("/m", "@BUNDLE@/tree", "%s"), c->arg);
	box_bundle(&b, LIST("mounts[]", value));
	make_tree(&b, true);
	if (runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id)) != 0)
		check_fail("run failed: %s", complaint(b.id));
	report_want(text_of(b.id, "out"), c->want);
}

/* ---- sources ----------------------------------------------------------------------------- */

static void relative_source(const struct check *c)
{
	struct box b;
	char path[200];

	(void)c;
	box_bundle(&b, LIST("mounts[]", BIND("/work/seen", "here", "\"bind\""), "process.args",
			    "[\"/inspect\", \"cat\", \"/work/seen\"]"));
	snprintf(path, sizeof(path), "%s/here", b.bundle);
	put_file(path, "from the bundle\n", 0644);
	if (runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id)) != 0)
		check_fail("run failed: %s", complaint(b.id));
	report_want(text_of(b.id, "out"), LIST("cat /work/seen=from the bundle"));
}

/* The mount's own map, without a user namespace. */
static void mapped_ids(const struct check *c)
{
	struct box b;
	char path[256], value[512];

	snprintf(value, sizeof(value),
		 "{\"destination\": \"/m\", \"source\": \"@BUNDLE@/tree\", \"type\": \"none\", "
		 "\"options\": [%s],"
		 " \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 10}],"
		 " \"gidMappings\": [{\"containerID\": 0, \"hostID\": 2000, \"size\": 10}]}",
		 c->arg);
	box_bundle(&b, LIST("mounts[]", value, "process.args",
			    "[\"/inspect\", \"stat\", \"/m/file\", \"stat\", \"/m/sub/file\"]"));
	make_tree(&b, false);
	snprintf(path, sizeof(path), "%s/tree/file", b.bundle);
	put_file(path, "x", 0644);
	snprintf(path, sizeof(path), "%s/tree/sub/file", b.bundle);
	put_file(path, "x", 0644);
	if (runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id)) != 0)
		check_fail("run failed: %s", complaint(b.id));
	report_want(text_of(b.id, "out"), c->want);
	struct stat st;

	if (stat(path, &st) < 0 || st.st_uid != 0)
		check_fail("the file's owner on the host changed");
}

static void copied_up(const struct check *c)
{
	struct box b;

	(void)c;
	report_want(
		box_run(&b, LIST("mounts[]", TMPFS("/etc", "\"tmpcopyup\""), "process.args",
				 "[\"/inspect\", \"cat\", \"/etc/plain\", \"write\", \"/etc\"]")),
		LIST("mount /etc:type=tmpfs", "cat /etc/plain=just text", "write /etc=ok"));
}

/* ---- the options -------------------------------------------------------------------------- */

#define OPT(name, options, ...)                                                               \
	{                                                                                     \
		"mounts.option." name, "configLinuxMountOptions", "[" options "] on a tmpfs", \
			LIST("mounts[]", TMPFS("/m", options)), LIST(__VA_ARGS__)             \
	}
#define TREE(name, requirement, options, ...)                                             \
	{                                                                                 \
		"mounts.option." name, requirement, "[" options "] on a bind of a tree",  \
			.run = tree_is_mounted, .arg = options, .want = LIST(__VA_ARGS__) \
	}
#define MUST_OPT  "configLinuxMountOptions"
#define RECURSIVE "configLinuxMountOptionsRecursive"

/* clang-format off */
static const struct check mount_checks[] = {
	{"mounts.order.below", "MountsInOrder", "a mount below an earlier one is in it",
	 LIST("mounts[]", TMPFS("/m", ""), "mounts[]", TMPFS("/m/in", "\"nosuid\"")),
	 LIST("mount /m:type=tmpfs", "mount /m/in:options~nosuid")},
	{"mounts.order.over", "MountsInOrder", "a mount over an earlier one hides it",
	 LIST("mounts[]", TMPFS("/m/in", ""), "mounts[]", TMPFS("/m", ""), "process.args", "[\"/inspect\", \"stat\", \"/m/in\"]"),
	 LIST("stat /m/in=ENOENT")},
	{"mounts.destination.relative", "configMountsRelative", "'m' is /m", LIST("mounts[]", TMPFS("m", "")),
	 LIST("mount /m:type=tmpfs")},
	{"mounts.destination.made", "configMounts", "a destination that is not there is made",
	 LIST("mounts[]", TMPFS("/work/new/deep", "")), LIST("mount /work/new/deep:type=tmpfs")},
	{"mounts.destination.missing", "ValidValues", "no destination is refused",
	 LIST("mounts[]", "{\"type\": \"tmpfs\", \"source\": \"x\"}"), .refused = true},
	{"mounts.source.directory", "configMounts", "a directory of the host",
	 LIST("mounts[]", BIND("/m", "@BUNDLE@/rootfs/etc", "\"bind\""), "process.args", "[\"/inspect\", \"cat\", \"/m/plain\"]"),
	 LIST("cat /m/plain=just text")},
	{"mounts.source.file", "configMounts", "a file of the host",
	 LIST("mounts[]", BIND("/work/f", "@BUNDLE@/rootfs/etc/plain", "\"bind\""), "process.args",
	      "[\"/inspect\", \"cat\", \"/work/f\"]"),
	 LIST("cat /work/f=just text")},
	{"mounts.source.relative", "configMounts", "relative to the bundle", .run = relative_source},
	{"mounts.source.missing", "PropApplyFailGenError", "a source that is not there is refused",
	 LIST("mounts[]", BIND("/m", "@BUNDLE@/nowhere", "\"bind\"")), .refused = true},
	{"mounts.type.proc", "DefaultFilesystems", "/proc is a proc", LIST(NULL), LIST("mount /proc:type=proc")},
	{"mounts.type.sysfs", "DefaultFilesystems", "/sys is a sysfs", LIST(NULL), LIST("mount /sys:type=sysfs")},
	{"mounts.type.devpts", "DefaultFilesystems", "/dev/pts is a devpts", LIST(NULL), LIST("mount /dev/pts:type=devpts")},
	{"mounts.type.shm", "DefaultFilesystems", "/dev/shm is a tmpfs", LIST(NULL), LIST("mount /dev/shm:type=tmpfs")},
	{"mounts.type.mqueue", "configPOSIXMounts", "a mqueue", LIST("mounts[]",
	 "{\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\", \"options\": [\"nosuid\"]}"),
	 LIST("mount /dev/mqueue:type=mqueue")},
	{"mounts.type.unknown", "PropApplyFailGenError", "a type that the kernel does not know is refused",
	 LIST("mounts[]", "{\"destination\": \"/m\", \"type\": \"nosuchfs\", \"source\": \"x\"}"), .refused = true},
	{"mounts.option.data", "configLinuxMountOptionsUnknown", "size=1m reaches the tmpfs",
	 LIST("mounts[]", TMPFS("/m", "\"size=1m\"")), LIST("mount /m:super~size=1024k")},
	{"mounts.option.unknown", "configLinuxMountOptionsUnknown", "what the file system does not know is an error",
	 LIST("mounts[]", TMPFS("/m", "\"nosuchoption\"")), .refused = true},

	OPT("async", "\"sync\", \"async\"", "mount /m:super!sync"),
	OPT("atime", "\"noatime\", \"atime\"", "mount /m:options!noatime"),
	OPT("defaults", "\"defaults\"", "mount /m:options~rw", "mount /m:options!nosuid"),
	OPT("dev", "\"nodev\", \"dev\"", "mount /m:options!nodev"),
	OPT("diratime", "\"nodiratime\", \"diratime\"", "mount /m:options!nodiratime"),
	OPT("dirsync", "\"dirsync\"", "mount /m:super~dirsync"),
	OPT("exec", "\"noexec\", \"exec\"", "mount /m:options!noexec"),
	OPT("iversion", "\"iversion\"", "mount /m:type=tmpfs"),
	OPT("lazytime", "\"lazytime\"", "mount /m:super~lazytime"),
	OPT("loud", "\"silent\", \"loud\"", "mount /m:type=tmpfs"),
	OPT("noatime", "\"noatime\"", "mount /m:options~noatime"),
	OPT("nodev", "\"nodev\"", "mount /m:options~nodev"),
	OPT("nodiratime", "\"nodiratime\"", "mount /m:options~nodiratime"),
	OPT("noexec", "\"noexec\"", "mount /m:options~noexec"),
	OPT("noiversion", "\"noiversion\"", "mount /m:type=tmpfs"),
	OPT("nolazytime", "\"lazytime\", \"nolazytime\"", "mount /m:super!lazytime"),
	OPT("norelatime", "\"relatime\", \"norelatime\"", "mount /m:type=tmpfs"),
	OPT("nostrictatime", "\"strictatime\", \"nostrictatime\"", "mount /m:type=tmpfs"),
	OPT("nosuid", "\"nosuid\"", "mount /m:options~nosuid"),
	OPT("relatime", "\"relatime\"", "mount /m:options~relatime"),
	OPT("ro", "\"ro\"", "mount /m:options~ro"),
	OPT("rw", "\"ro\", \"rw\"", "mount /m:options~rw"),
	OPT("silent", "\"silent\"", "mount /m:type=tmpfs"),
	OPT("strictatime", "\"strictatime\"", "mount /m:options!relatime", "mount /m:options!noatime"),
	OPT("suid", "\"nosuid\", \"suid\"", "mount /m:options!nosuid"),
	OPT("sync", "\"sync\"", "mount /m:super~sync"),
	{"mounts.option.nosymfollow", RECURSIVE, "[nosymfollow] on a tmpfs",
	 LIST("mounts[]", TMPFS("/m", "\"nosymfollow\"")), LIST("mount /m:options~nosymfollow")},
	{"mounts.option.symfollow", RECURSIVE, "[nosymfollow, symfollow] on a tmpfs",
	 LIST("mounts[]", TMPFS("/m", "\"nosymfollow\", \"symfollow\"")), LIST("mount /m:options!nosymfollow")},
	{"mounts.option.remount", MUST_OPT, "[remount, ro] of an earlier entry",
	 LIST("mounts[]", TMPFS("/m", ""), "mounts[]", TMPFS("/m", "\"remount\", \"ro\"")), LIST("mount /m:options~ro")},
	{"mounts.option.remount.data", MUST_OPT, "[remount, size=2m] of an earlier entry",
	 LIST("mounts[]", TMPFS("/m", ""), "mounts[]", TMPFS("/m", "\"remount\", \"size=2m\"")), LIST("mount /m:super~size=2048k")},
	{"mounts.option.tmpcopyup", "configLinuxMountOptionsMay", "[tmpcopyup]: what was there is in the tmpfs", .run = copied_up},

	TREE("bind", MUST_OPT, "\"bind\"", "mount /m:source=tree", "!mount /m/sub:source"),
	TREE("bind.ro", MUST_OPT, "\"bind\", \"ro\"", "mount /m:options~ro"),
	TREE("bind.nosuid", MUST_OPT, "\"bind\", \"nosuid\", \"nodev\", \"noexec\"", "mount /m:options~nosuid",
	     "mount /m:options~nodev", "mount /m:options~noexec"),
	TREE("bind.noatime", MUST_OPT, "\"bind\", \"noatime\"", "mount /m:options~noatime"),
	TREE("rbind", MUST_OPT, "\"rbind\"", "mount /m:source=tree", "mount /m/sub:source=sub"),
	TREE("rbind.ro", MUST_OPT, "\"rbind\", \"ro\"", "mount /m:options~ro", "mount /m/sub:options~rw"),
	TREE("private", MUST_OPT, "\"rbind\", \"private\"", "mount /m:peers="),
	TREE("rprivate", MUST_OPT, "\"rbind\", \"rprivate\"", "mount /m:peers=", "mount /m/sub:peers="),
	TREE("shared", MUST_OPT, "\"rbind\", \"shared\"", "mount /m:peers~shared"),
	TREE("rshared", MUST_OPT, "\"rbind\", \"rshared\"", "mount /m:peers~shared", "mount /m/sub:peers~shared"),
	TREE("slave", MUST_OPT, "\"rbind\", \"slave\"", "mount /m:peers=master"),
	TREE("rslave", MUST_OPT, "\"rbind\", \"rslave\"", "mount /m:peers=master", "mount /m/sub:peers=master"),
	TREE("unbindable", MUST_OPT, "\"rbind\", \"unbindable\"", "mount /m:peers=unbindable"),
	TREE("runbindable", MUST_OPT, "\"rbind\", \"runbindable\"", "mount /m:peers=unbindable", "mount /m/sub:peers=unbindable"),
	TREE("rro", RECURSIVE, "\"rbind\", \"rro\"", "mount /m:options~ro", "mount /m/sub:options~ro"),
	TREE("rrw", RECURSIVE, "\"rbind\", \"rro\", \"rrw\"", "mount /m:options~rw", "mount /m/sub:options~rw"),
	TREE("rnosuid", RECURSIVE, "\"rbind\", \"rnosuid\"", "mount /m:options~nosuid", "mount /m/sub:options~nosuid"),
	TREE("rsuid", RECURSIVE, "\"rbind\", \"rnosuid\", \"rsuid\"", "mount /m/sub:options!nosuid"),
	TREE("rnodev", RECURSIVE, "\"rbind\", \"rnodev\"", "mount /m:options~nodev", "mount /m/sub:options~nodev"),
	TREE("rdev", RECURSIVE, "\"rbind\", \"rnodev\", \"rdev\"", "mount /m/sub:options!nodev"),
	TREE("rnoexec", RECURSIVE, "\"rbind\", \"rnoexec\"", "mount /m:options~noexec", "mount /m/sub:options~noexec"),
	TREE("rexec", RECURSIVE, "\"rbind\", \"rnoexec\", \"rexec\"", "mount /m/sub:options!noexec"),
	TREE("rnoatime", RECURSIVE, "\"rbind\", \"rnoatime\"", "mount /m:options~noatime", "mount /m/sub:options~noatime"),
	TREE("ratime", RECURSIVE, "\"rbind\", \"ratime\"", "mount /m/sub:options!noatime"),
	TREE("rnodiratime", RECURSIVE, "\"rbind\", \"rnodiratime\"", "mount /m:options~nodiratime", "mount /m/sub:options~nodiratime"),
	TREE("rdiratime", RECURSIVE, "\"rbind\", \"rnodiratime\", \"rdiratime\"", "mount /m/sub:options!nodiratime"),
	TREE("rrelatime", RECURSIVE, "\"rbind\", \"rrelatime\"", "mount /m:options~relatime", "mount /m/sub:options~relatime"),
	TREE("rnorelatime", RECURSIVE, "\"rbind\", \"rnorelatime\"", "mount /m/sub:source=sub"),
	TREE("rstrictatime", RECURSIVE, "\"rbind\", \"rstrictatime\"", "mount /m:options!relatime", "mount /m/sub:options!relatime"),
	TREE("rnostrictatime", RECURSIVE, "\"rbind\", \"rnostrictatime\"", "mount /m/sub:source=sub"),
	TREE("rnosymfollow", RECURSIVE, "\"rbind\", \"rnosymfollow\"", "mount /m:options~nosymfollow", "mount /m/sub:options~nosymfollow"),
	TREE("rsymfollow", RECURSIVE, "\"rbind\", \"rnosymfollow\", \"rsymfollow\"", "mount /m/sub:options!nosymfollow"),

	{"mounts.idmap", "configMountsIdMap", "[bind, idmap] with maps of its own: 0 is 1000:2000 inside, 0 on the host",
	 .run = mapped_ids, .arg = "\"bind\", \"idmap\"", .want = LIST("owner /m/file=1000:2000")},
	{"mounts.idmap.one-level", "configMountsIdMap", "[rbind, idmap] maps this mount alone", .run = mapped_ids,
	 .arg = "\"rbind\", \"idmap\"", .want = LIST("owner /m/file=1000:2000", "owner /m/sub/file=0:0")},
	{"mounts.ridmap", "configMountsIdMap", "[rbind, ridmap] maps those below, too", .run = mapped_ids,
	 .arg = "\"rbind\", \"ridmap\"", .want = LIST("owner /m/file=1000:2000", "owner /m/sub/file=1000:2000")},
	{"mounts.idmap.without-maps", "configMountsIdMapError", "idmap without maps and without a user namespace is refused",
	 LIST("mounts[]", BIND("/m", "@BUNDLE@/rootfs/etc", "\"bind\", \"idmap\"")), .refused = true},
	{"mounts.idmap.half", "configPOSIXMountsMappings", "uidMappings without gidMappings are refused",
	 LIST("mounts[]", "{\"destination\": \"/m\", \"source\": \"@BUNDLE@/rootfs/etc\", \"options\": [\"bind\", \"idmap\"],"
	      " \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 10}]}"), .refused = true},
};
/* clang-format on */
CHECKS(mount_checks);
