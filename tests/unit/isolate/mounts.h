/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of configured mounts share (test_mounts*.c).
 */
#pragma once

#include <sys/statfs.h>

#include <linux/magic.h>

#include "base/path.h"
#include "base/str.h"
#include "private_ns.h"

static inline long fs_type(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_PATH | O_CLOEXEC);
	struct statfs st;

	CHECK(fd >= 0 && fstatfs(fd, &st) == 0);
	close(fd);
	return (long)st.f_type;
}

static inline const char *in_scratch(const char *name)
{
	static char path[8][128];
	static unsigned i;

	i = (i + 1) % 8;
	snprintf(path[i], sizeof(path[i]), "%s/%s", scratch, name);
	return path[i];
}

static inline void add_standard(struct fixture *f)
{
	add_mount(f, "/proc", "proc", "proc", "");
	add_mount(f, "/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k");
	add_mount(f, "/dev/pts", "devpts", "devpts",
		  "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5");
	add_mount(f, "/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=65536k");
	add_mount(f, "/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev");
	add_mount(f, "/sys", "sysfs", "sysfs", "nosuid noexec nodev ro");
}

static inline int one_mount(const char *destination, const char *type, const char *source,
			    const char *options, struct err *e)
{
	struct fixture f;
	int r;

	fixture_root(&f);
	add_mount(&f, destination, type, source, options);
	r = inside_mounts(&f.in, e);
	CHECK(umount2("root", MNT_DETACH) == 0);
	return r;
}
