/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices: the default ones, those of linux.devices, the links in /dev (config-linux.md, Devices, Default Devices;
 * runtime-linux.md), network devices.
 */
#include "suite.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* clang-format off */
static const char *const defaults[] = {
	"process.args",
	"[\"/inspect\", \"stat\", \"/dev/null\", \"stat\", \"/dev/zero\", \"stat\", \"/dev/full\", \"stat\", \"/dev/random\","
	" \"stat\", \"/dev/urandom\", \"stat\", \"/dev/tty\", \"stat\", \"/dev/ptmx\", \"stat\", \"/dev/pts/ptmx\","
	" \"read\", \"/dev/zero\", \"write\", \"/dev/null\", \"read\", \"/dev/urandom\","
	" \"link\", \"/dev/fd\", \"link\", \"/dev/stdin\", \"link\", \"/dev/stdout\", \"link\", \"/dev/stderr\"]",
	NULL,
};
#define DEVICE(path, type, rest) "{\"path\": \"" path "\", \"type\": \"" type "\"" rest "}"
static const char *const configured[] = {
	"linux.devices",
	"[" DEVICE("/dev/fuse2", "c", ", \"major\": 10, \"minor\": 229, \"fileMode\": 432, \"uid\": 11, \"gid\": 12") ","
	DEVICE("/work/deep/block", "b", ", \"major\": 7, \"minor\": 3, \"fileMode\": 384") ","
	DEVICE("/dev/unbuffered", "u", ", \"major\": 1, \"minor\": 5, \"fileMode\": 438") ","
	DEVICE("/dev/pipe", "p", ", \"fileMode\": 420") "]",
	"linux.resources.devices", "[{\"allow\": true, \"access\": \"rwm\"}]",
	"process.args",
	"[\"/inspect\", \"stat\", \"/dev/fuse2\", \"stat\", \"/work/deep/block\", \"stat\", \"/dev/unbuffered\", \"stat\", \"/dev/pipe\"]",
	NULL,
};
/* clang-format on */

static void is_already_there(const struct check *c)
{
	struct box b;
	char path[256];
	bool same = strcmp(c->arg, "same") == 0;

	box_bundle(&b,
		   LIST("linux.devices[]",
			DEVICE("/work/dev", "c", ", \"major\": 1, \"minor\": 3, \"fileMode\": 438"),
			"process.args", "[\"/inspect\", \"stat\", \"/work/dev\"]"));
	snprintf(path, sizeof(path), "%s/work/dev", b.rootfs);
	if (same && mknod(path, S_IFCHR | 0666, makedev(1, 3)) < 0)
		check_skip("devices cannot be made here: %s", strerror(errno));
	if (!same)
		put_file(path, "a file\n", 0644);
	int code = runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id));

	if (same && code != 0)
		check_fail("run failed: %s", complaint(b.id));
	if (same)
		report_want(text_of(b.id, "out"), LIST("number /work/dev=1:3"));
	if (!same && code == 0)
		check_fail("accepted");
}

/* ---- network devices ---------------------------------------------------------------------- */

/* A device of the check's own network namespace. */
static void make_link(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		check_fail("fixture: unshare: %s", strerror(errno));
	if (system("ip link add ocisuite0 type veth peer name ocisuite1 2>/dev/null || "
		   "ip link add ocisuite0 type dummy 2>/dev/null") != 0)
		check_skip("this kernel has neither veth nor dummy devices");
	if (system("ip addr add 192.0.2.7/24 dev ocisuite0 && ip addr add 2001:db8::7/64 dev "
		   "ocisuite0 nodad") != 0)
		check_skip("addresses cannot be set");
}

static void moved_link(const struct check *c)
{
	struct box b;
	char *text;

	make_link();
	box_started(&b, LIST("linux.netDevices", c->config[0], "process.args",
			     "[\"/inspect\", \"hold\"]"));
	box_await_line(&b, "ready");
	if (system("ip link show ocisuite0 >/dev/null 2>&1") == 0)
		check_fail("the device is still the host's");
	char command[256];

	snprintf(command, sizeof(command), "nsenter -t %d -n ip addr show %s >%s/addresses 2>&1",
		 box_pid(&b), c->arg, env.dir);
	if (system(command) != 0)
		check_fail("there is no %s inside", c->arg);
	text = slurp("%s/addresses", env.dir);
	for (size_t i = 0; c->want[i]; i++)
		if (!strstr(text, c->want[i]))
			check_fail("'%s' is not said of the device", c->want[i]);
}

static void missing_link(const struct check *c)
{
	struct box b;

	(void)c;
	box_bundle(&b, LIST("linux.netDevices", "{\"nosuchdev0\": {}}"));
	if (box_create(&b) == 0)
		check_fail("accepted");
	box_must_be_gone(&b);
}

static void taken_name(const struct check *c)
{
	struct box b;

	(void)c;
	make_link();
	box_bundle(&b, LIST("linux.netDevices", "{\"ocisuite0\": {\"name\": \"lo\"}}"));
	if (box_create(&b) == 0)
		check_fail("accepted");
	if (system("ip link show ocisuite0 >/dev/null 2>&1") != 0)
		check_fail("the device is lost to the host");
}

#define DEFAULT(name, number)                                                        \
	{                                                                            \
		"devices.default." name, "DefaultDevices",                           \
			"/dev/" name " is " number ", open to all", defaults,        \
			LIST("stat /dev/" name "=c", "number /dev/" name "=" number, \
			     "mode /dev/" name "=0666")                              \
	}
#define LINK(name, target)                                           \
	{                                                            \
		"devices.link." name, "DefaultRuntimeLinuxSymlinks", \
			"/dev/" name " leads to " target, defaults,  \
			LIST("link /dev/" name "=" target)           \
	}

static const struct check device_checks[] = {
	DEFAULT("null", "1:3"),
	DEFAULT("zero", "1:5"),
	DEFAULT("full", "1:7"),
	DEFAULT("random", "1:8"),
	DEFAULT("urandom", "1:9"),
	DEFAULT("tty", "5:0"),
	{"devices.default.ptmx", "DefaultDevices", "/dev/ptmx is that of /dev/pts", defaults,
	 LIST("stat /dev/ptmx=c", "number /dev/ptmx=5:2", "number /dev/pts/ptmx=5:2")},
	{"devices.default.usable", "DefaultDevices", "they can be read and written", defaults,
	 LIST("read /dev/zero=something", "write /dev/null=ok", "read /dev/urandom=something")},
	LINK("fd", "/proc/self/fd"),
	LINK("stdin", "/proc/self/fd/0"),
	LINK("stdout", "/proc/self/fd/1"),
	LINK("stderr", "/proc/self/fd/2"),
	{"linux.devices.character", "DevicesAvailable", "a character device", configured,
	 LIST("stat /dev/fuse2=c", "number /dev/fuse2=10:229")},
	{"linux.devices.block", "DevicesAvailable",
	 "a block device outside of /dev, in directories that are made", configured,
	 LIST("stat /work/deep/block=b", "number /work/deep/block=7:3")},
	{"linux.devices.unbuffered", "DevicesAvailable", "type u is a character device", configured,
	 LIST("stat /dev/unbuffered=c", "number /dev/unbuffered=1:5")},
	{"linux.devices.fifo", "DevicesAvailable", "type p is a fifo, without numbers", configured,
	 LIST("stat /dev/pipe=p")},
	{"linux.devices.fileMode", "configLinuxDevices", "fileMode", configured,
	 LIST("mode /dev/fuse2=0660", "mode /work/deep/block=0600", "mode /dev/unbuffered=0666",
	      "mode /dev/pipe=0644")},
	{"linux.devices.owner", "configLinuxDevices", "uid and gid", configured,
	 LIST("owner /dev/fuse2=11:12")},
	{"linux.devices.same", "DevicesAvailable", "the same device is already there: no error",
	 .run = is_already_there, .arg = "same"},
	{"linux.devices.other", "DevicesFileNotMatch", "another file is already there: refused",
	 .run = is_already_there, .arg = "other"},
	{"linux.devices.numbers", "DevicesMajMinRequired",
	 "a character device without numbers is refused",
	 LIST("linux.devices[]", DEVICE("/dev/x", "c", "")), .refused = true},
	{"linux.devices.type", "ValidValues", "another type is refused",
	 LIST("linux.devices[]", DEVICE("/dev/x", "z", ", \"major\": 1, \"minor\": 3")),
	 .refused = true},
	{"linux.netDevices", "configLinuxNetworkDevices",
	 "the device is inside, and no more outside", .run = moved_link,
	 .config = LIST("{\"ocisuite0\": {}}"), .arg = "ocisuite0", .want = LIST("ocisuite0")},
	{"linux.netDevices.name", "configLinuxNetworkDevices", "under its new name",
	 .run = moved_link, .config = LIST("{\"ocisuite0\": {\"name\": \"inner0\"}}"),
	 .arg = "inner0", .want = LIST("inner0")},
	{"linux.netDevices.addresses", "configLinuxNetworkDevices", "with its global addresses",
	 .run = moved_link, .config = LIST("{\"ocisuite0\": {}}"), .arg = "ocisuite0",
	 .want = LIST("192.0.2.7/24", "2001:db8::7/64")},
	{"linux.netDevices.up", "configLinuxNetworkDevices", "and up", .run = moved_link,
	 .config = LIST("{\"ocisuite0\": {}}"), .arg = "ocisuite0", .want = LIST("UP")},
	{"linux.netDevices.template", "configLinuxNetworkDevices",
	 "'%d' in the name: the kernel picks one", .run = moved_link,
	 .config = LIST("{\"ocisuite0\": {\"name\": \"pick%d\"}}"), .arg = "pick0",
	 .want = LIST("pick0")},
	{"linux.netDevices.missing", "configLinuxNetworkDevices",
	 "a device that is not there is refused", .run = missing_link},
	{"linux.netDevices.taken", "configLinuxNetworkDevices",
	 "a name that is taken inside is refused, the host keeps its device", .run = taken_name},
};
CHECKS(device_checks);
