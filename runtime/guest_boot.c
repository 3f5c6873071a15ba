/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the kernel's hands to a system in which containers can be made.
 *
 *	basics		/proc, /sys, /dev, standard streams: what copying ourselves needs
 *	modules		/modules/<name>, in the order of /modules/order
 *	channel		the virtio-serial port with the agent's name; now errors reach the host
 *	system		shared tree, control groups, loopback, and a root that is not the initramfs
 *
 * The root: pivot_root(2) refuses the initramfs, which is the root of the mount tree and has no
 * parent. So the system moves to a tmpfs mounted over it, as switch_root programs do; from then on
 * a container here is made exactly as on a host.
 */
#include "guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "vm_share.h"

#define MODULES_DIR            "/modules"
#define PORTS_DIR              "/sys/class/virtio-ports"
#define NEW_ROOT               "/newroot"
#define PORT_TIMEOUT_MSEC      60000 /* per event; the host limits the whole boot */
#define MODULE_INIT_COMPRESSED 4     /* linux/module.h, Linux 5.17 */

struct boot_mount {
	const char *source, *target, *fstype;
	unsigned long flags;
	const char *data;
};

static const struct boot_mount basics[] = {
	{"proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
	{"sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
	{"devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"},
};

static const struct boot_mount system_mounts[] = {
	{"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666,gid=5"},
	{"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"},
	{VM_SHARE_TAG, VM_SHARE_DIR, "virtiofs", 0, NULL},
	{"cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
};

static int make_mount(const struct boot_mount *m, struct err *e)
{
	int r = path_mkdir_p(m->target, 0755, e);

	if (r < 0)
		return r;
	/* EBUSY: the same file system is there already, from before an exec of ourselves. */
	if (mount(m->source, m->target, m->fstype, m->flags, m->data) < 0 && errno != EBUSY)
		return err_sys(e, errno, "mount '%s' on '%s'", m->source, m->target);
	return 0;
}

int guest_boot_basics(struct err *e)
{
	int console;

	for (size_t i = 0; i < ARRAY_SIZE(basics); i++) {
		int r = make_mount(&basics[i], e);

		if (r < 0)
			return r;
	}
	/* An initramfs without /dev/console leaves init without streams; what we print there is
	 * for the host's ring of the guest's last words. */
	console = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
	for (int fd = 0; console >= 0 && fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			dup2(console, fd);
	if (console > 2)
		close(console);
	return fd_sanitize_stdio(e);
}

/* ---- modules ---------------------------------------------------------------------------- */

static int load_module(int dirfd, const char *name, struct err *e)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	int flags = str_has_suffix(name, ".ko") ? 0 : MODULE_INIT_COMPRESSED;

	if (fd < 0)
		return err_sys(e, errno, "open module '%s'", name);
	if (syscall(SYS_finit_module, fd, "", flags) < 0 && errno != EEXIST)
		return err_sys(e, errno, "load module '%s'", name);
	return 0;
}

int guest_boot_modules(struct err *e)
{
	_cleanup_close_ int dirfd = open(MODULES_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int rootfd = -EBADF;
	_cleanup_free_ char *order = NULL;
	_cleanup_strv_ char **names = NULL;
	int r;

	if (dirfd < 0)
		return errno == ENOENT ? 0 /* all built in */
				       : err_sys(e, errno, "open '%s'", MODULES_DIR);
	r = path_read_file_at(dirfd, "order", 64 << 10, &order, NULL, e);
	if (r < 0)
		return r;
	if (strv_split(order, '\n', &names) < 0)
		return err_nomem(e);
	for (size_t i = 0; names && names[i]; i++) {
		if (!*names[i])
			continue;
		r = load_module(dirfd, names[i], e);
		if (r < 0)
			return r;
	}
	rootfd = path_open_dir("/", e);
	if (rootfd < 0)
		return rootfd;
	return path_remove_tree_at(rootfd, &MODULES_DIR[1], e);
}

/* ---- the channel ------------------------------------------------------------------------ */

/* The kernel tells of new devices here; a port gets its name by a message after it appeared. */
static int open_uevents(struct err *e)
{
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = 1};

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(e, errno, "listen to device events");
	return TAKE_FD(fd);
}

static bool port_is_ours(int portsfd, const char *port)
{
	_cleanup_free_ char *path = NULL, *name = NULL;

	if (str_printf(&path, "%s/name", port) < 0 ||
	    path_read_file_at(portsfd, path, 4096, &name, NULL, NULL) < 0)
		return false;
	name[strcspn(name, "\n")] = '\0';
	return STREQ(name, AGENT_PORT_NAME);
}

/* -ENOENT while it is not there. */
static int try_port(struct err *e)
{
	_cleanup_closedir_ DIR *ports = opendir(PORTS_DIR);
	const struct dirent *entry;

	while (ports && (entry = readdir(ports))) {
		_cleanup_free_ char *node = NULL;
		int fd;

		if (entry->d_name[0] == '.' || !port_is_ours(dirfd(ports), entry->d_name))
			continue;
		if (str_printf(&node, "/dev/%s", entry->d_name) < 0)
			return err_nomem(e);
		fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		return fd >= 0 ? fd : err_sys(e, errno, "open '%s'", node);
	}
	return -ENOENT;
}

int guest_boot_channel(struct err *e)
{
	_cleanup_close_ int events = open_uevents(e);

	if (events < 0)
		return events;
	for (;;) {
		struct pollfd p = {.fd = events, .events = POLLIN};
		char buf[4096];
		int fd = try_port(e);

		if (fd != -ENOENT)
			return fd;
		if (poll(&p, 1, PORT_TIMEOUT_MSEC) == 0)
			return err_set(e, ERR_SYSTEM, ETIMEDOUT,
				       "no virtio port with the name " AGENT_PORT_NAME);
		while (recv(events, buf, sizeof(buf), 0) > 0)
			;
	}
}

/* ---- the system ------------------------------------------------------------------------- */

static int loopback_up(struct err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		return err_sys(e, errno, "set the loopback device up");
	return 0;
}

static int move_mount_below(const char *path, struct err *e)
{
	_cleanup_free_ char *target = NULL;
	int r;

	if (str_printf(&target, NEW_ROOT "%s", path) < 0)
		return err_nomem(e);
	r = path_mkdir_p(target, 0755, e);
	if (r < 0)
		return r;
	if (mount(path, target, NULL, MS_MOVE, NULL) < 0)
		return err_sys(e, errno, "move '%s' to '%s'", path, target);
	return 0;
}

/* The process's directory is changed here and nowhere else: chroot(2) needs it. */
static int leave_initramfs(struct err *e)
{
	static const char *const moved[] = {"/dev", "/proc", "/sys", "/run"};
	const struct boot_mount root = {"tmpfs", NEW_ROOT, "tmpfs", 0, "mode=0755"};
	int r = make_mount(&root, e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(moved); i++)
		r = move_mount_below(moved[i], e);
	if (r == 0)
		r = path_mkdir_p(NEW_ROOT "/tmp", 01777, e);
	if (r < 0)
		return r;
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return err_sys(e, errno, "make the tmpfs the root");
	return 0;
}

int guest_boot_system(struct err *e)
{
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(system_mounts); i++) {
		r = make_mount(&system_mounts[i], e);
		if (r < 0)
			return r;
	}
	r = loopback_up(e);
	return r < 0 ? r : leave_initramfs(e);
}

_Noreturn void guest_power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	/* Not allowed only where we are not really init; then the end of init is the end. */
	_exit(0);
}
