/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows about files, sockets and descriptors; part of hostile-host.c.
 */
#pragma once

#include <sys/inotify.h>

#include "hostile-host.h"

static enum verdict other_home(void)
{
	return look_for_mark(fact("other"), 4);
}

static enum verdict own_keys(void)
{
	return look_for_mark(fact("home"), 5);
}

static enum verdict shadow(void)
{
	return look_for_mark("/etc/shadow", 1);
}

static enum verdict root_home(void)
{
	return look_for_mark("/root", 4);
}

static enum verdict host_keys(void)
{
	return look_for_mark("/etc/ssh", 2);
}

static enum verdict run_files(void)
{
	return look_for_mark("/run", 5);
}

static enum verdict mail_and_cron(void)
{
	return look_for_mark("/var/spool", 4);
}

static enum verdict tmp_files(void)
{
	return look_for_mark("/tmp", 4);
}

static enum verdict posix_shm(void)
{
	return look_for_mark("/dev/shm", 2);
}

#define SOCKET_ROW(name)                        \
	static enum verdict socket_##name(void) \
	{                                       \
		return connect_to(fact(#name)); \
	}
SOCKET_ROW(agent)
SOCKET_ROW(gpg)
SOCKET_ROW(systembus)
SOCKET_ROW(userbus)
SOCKET_ROW(abstractbus)
SOCKET_ROW(x11)
SOCKET_ROW(abstractx11)
SOCKET_ROW(wayland)
SOCKET_ROW(pipewire)
SOCKET_ROW(docker)
SOCKET_ROW(podman)
SOCKET_ROW(systemd)
SOCKET_ROW(journal)

static enum verdict xauthority(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/.Xauthority", fact("home"));
	return look_for_mark(path, 1);
}

static enum verdict environment(void)
{
	extern char **environ;

	for (char **v = environ; *v; v++)
		if (holds(*v, strlen(*v), fact("mark")))
			return breach("%.40s", *v);
	return REFUSED;
}

static enum verdict descriptors(void)
{
	for (int fd = 3; fd < 1024; fd++) {
		int below;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		below = openat(fd, "secret", O_RDONLY | O_CLOEXEC);
		return breach("descriptor %d is open%s", fd,
			      below >= 0 ? ", and the secret below it" : "");
	}
	return REFUSED;
}

/* Up from everywhere: the working directory, what is inherited, through links of /proc. */
static enum verdict working_directory(void)
{
	static const char *const ways[] = {"/proc/self/cwd", "/proc/self/fd/9", "/proc/self/fd/0",
					   "/proc/self/root", "."};
	char up[4096];

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		snprintf(up, sizeof(up), "%s/../../../../../../../../../../..%s", ways[i],
			 fact("otherfile"));
		if (has_mark(up))
			return breach("%s", ways[i]);
		snprintf(up, sizeof(up), "%s/secret", ways[i]);
		if (has_mark(up))
			return breach("%s", up);
	}
	return REFUSED;
}

static enum verdict chroot_escape_child(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	char path[256];

	snprintf(path, sizeof(path), "/tmp/hostile-%d", (int)getpid());
	if (mkdir(path, 0700) < 0 || chroot(path) < 0)
		return refused("chroot");
	if (fd < 0 || fchdir(fd) < 0)
		return refused("fchdir");
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			break;
	if (chroot(".") < 0)
		return refused("chroot out");
	return look_for_mark(fact("otherfile"), 1);
}

static enum verdict chroot_escape(void)
{
	return in_child(chroot_escape_child);
}

/* "shocker": any file of a file system by its number; 2 is the root directory of many. */
static enum verdict by_handle(void)
{
	struct {
		struct file_handle h;
		unsigned char bytes[128];
	} f = {.h.handle_bytes = 128};
	int mount_id, fd = open("/", O_RDONLY | O_DIRECTORY), opened;

	if (name_to_handle_at(AT_FDCWD, "/etc", &f.h, &mount_id, 0) < 0) {
		f.h.handle_bytes = 8;
		f.h.handle_type = 1;
		memcpy(f.h.f_handle, "\2\0\0\0\0\0\0\0", 8);
	}
	opened = (int)syscall(SYS_open_by_handle_at, fd, &f.h, O_RDONLY);
	return kernel_call("open_by_handle_at", opened);
}

/* The kernel's memory by a node made here, and every block device of the host. */
static enum verdict make_nodes(void)
{
	static const struct {
		mode_t type;
		dev_t dev;
	} nodes[] = {{S_IFCHR, 0x101},
		     {S_IFCHR, 0x10b},
		     {S_IFBLK, 0x700},
		     {S_IFBLK, 0x800},
		     {S_IFBLK, 0xfe00}};
	static const char *const dirs[] = {"/tmp", "/dev", "/dev/shm", "."};
	char path[256];

	for (size_t d = 0; d < sizeof(dirs) / sizeof(*dirs); d++) {
		for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
			int fd;

			snprintf(path, sizeof(path), "%s/hostile-node-%zu", dirs[d], i);
			unlink(path);
			if (mknod(path, nodes[i].type | 0600, nodes[i].dev) < 0) {
				refused("mknod");
				continue;
			}
			fd = open(path, O_RDONLY | O_NONBLOCK);
			if (fd >= 0 || errno == ENXIO || errno == ENODEV)
				return breach("a node of device %#x can be opened in %s",
					      (unsigned)nodes[i].dev, dirs[d]);
			refused(path);
			unlink(path);
		}
	}
	return REFUSED;
}

static enum verdict device_nodes(void)
{
	static const char *const paths[] = {
		"/dev/mem",           "/dev/kmem",      "/dev/port", "/dev/loop0",
		"/dev/loop-control",  "/dev/sda",       "/dev/vda",  "/dev/kvm",
		"/dev/fuse",          "/dev/net/tun",   "/dev/tty1", "/dev/input/event0",
		"/dev/snd/controlC0", "/dev/dri/card0", NULL};

	for (const char *const *p = paths; *p; p++)
		if (open(*p, O_RDONLY | O_NONBLOCK | O_CLOEXEC) >= 0)
			return breach("%s", *p);
	return REFUSED;
}

static enum verdict watch_files(void)
{
	int fd = inotify_init1(IN_CLOEXEC);
	const char *what = fact("otherfile");

	if (fd >= 0 && *what && inotify_add_watch(fd, what, IN_ALL_EVENTS) >= 0)
		return breach("told of changes to %s", what);
	return refused("inotify_add_watch");
}

/* ---- staying there: what the outside looks at ---------------------------------------------------- */

static void make_parents(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

static bool plant(const char *dir, const char *name)
{
	char path[4096];
	int fd;
	bool done;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	make_parents(path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0755);
	done = fd >= 0 && write(fd, "# planted\n", 10) == 10;
	if (fd >= 0)
		close(fd);
	return done;
}

static enum verdict plant_all(const char *dir, const char *const *names)
{
	int n = 0;

	for (; *names; names++)
		n += plant(dir, *names);
	snprintf(detail, sizeof(detail), "%d written in here", n);
	return n > 0 ? TRIED : REFUSED;
}

static enum verdict persist_at_home(void)
{
	static const char *const names[] = {".bashrc",
					    ".profile",
					    ".config/autostart/planted.desktop",
					    ".local/bin/planted",
					    ".config/systemd/user/planted.service",
					    ".ssh/authorized_keys",
					    ".gitconfig",
					    NULL};

	return plant_all(fact("home"), names);
}

static enum verdict persist_in_system(void)
{
	static const char *const names[] = {"etc/passwd",
					    "etc/cron.d/planted",
					    "etc/ld.so.preload",
					    "opt/planted",
					    "etc/systemd/system/planted.service",
					    "var/spool/cron/crontabs/planted",
					    "var/spool/cron/atjobs/planted",
					    NULL};

	return plant_all("", names);
}

static enum verdict shared_places(void)
{
	static const char *const names[] = {"tmp/planted", "var/tmp/planted", "dev/shm/planted",
					    NULL};

	return plant_all("", names);
}

static enum verdict destroy(void)
{
	int n = unlink(fact("otherfile")) == 0;

	n += truncate(fact("ownfile"), 0) == 0;
	n += chmod("/opt", 0777) == 0;
	n += rename("/opt/hostile", "/opt/gone") == 0;
	snprintf(detail, sizeof(detail), "%d done in here", n);
	return n ? TRIED : REFUSED;
}
