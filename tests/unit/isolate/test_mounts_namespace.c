/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configured mounts that depend on namespaces: in a user namespace, and of control groups with and without a cgroup
 * namespace.
 */
#include "mounts.h"

/* Without a group of its own a user namespace cannot have gid=5 on devpts; with it, it must. */
static void userns(void)
{
	struct err err_ = ERR_INIT;
	struct err e = ERR_INIT;
	struct fixture f;

	fixture_root(&f);
	f.in.userns = true;
	add_standard(&f);
	f.config.n_mounts--; /* sysfs: below */
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(fs_type(f.in.root_fd, "dev/pts") == DEVPTS_SUPER_MAGIC);
	f.in.proc_fd = -1;
	f.config.n_mounts = 0;
	add_mount(&f, "/pts", "devpts", "devpts", "gid=5");
	add_mount(&f, "/pts2", "devpts", "devpts", "gid=0,mode=620");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(strstr(read_mountinfo(), ",gid=0,mode=620"));
	f.config.n_mounts = 0;
	add_mount(&f, "/sys", "sysfs", "sysfs", "ro");
	CHECK(inside_mounts(&f.in, &e) == -EPERM);
	CHECK_TEXT(e.hint, "network namespace");
}

static void test_user_namespace(void **state)
{
	(void)state;
	run_private(userns, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID);
}

/* proc needs to be seen whole outside before a user namespace may mount its own. */
static void masked_outer(void)
{
	struct err e = ERR_INIT;
	struct fixture f;

	fixture_root(&f);
	f.in.userns = true;
	f.config.ns[ISO_NS_PID].mode = ISO_NS_NEW;
	add_mount(&f, "/proc", "proc", "proc", "");
	CHECK(inside_mounts(&f.in, &e) == -EPERM);
	CHECK_TEXT(e.hint, "masked");
}

static void masked_then_userns(void)
{
	CHECK(mount("mask", "/proc/sys", "tmpfs", MS_RDONLY, NULL) == 0);
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) == 0);
	in_child(masked_outer);
}

static void test_masked_outer_proc(void **state)
{
	(void)state;
	run_private(masked_then_userns, 0);
}

/* This host's hierarchies: whichever of the two names is mounted. */
static int hierarchy_fd(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", name);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static struct iso_cgroup_mount hierarchies[] = {
	{(char *)"pids,x", (char *)"cgroup", (char *)"pids", -1},
	{(char *)"memory", (char *)"cgroup", (char *)"memory", -1},
};

static void cgroup(bool cgroupns)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	char link[32] = "";

	CHECK(unshare(CLONE_NEWNS) == 0);
	if (cgroupns)
		CHECK(unshare(CLONE_NEWCGROUP) == 0);
	fixture_root(&f);
	f.in.cgroupns = cgroupns;
	f.params.cgroup_mounts = hierarchies;
	f.params.n_cgroup_mounts = 2;
	add_mount(&f, "/cg", "cgroup", "cgroup", cgroupns ? "nosuid noexec nodev" : "nosuid");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(fs_type(f.in.root_fd, "cg/pids,x") == CGROUP_SUPER_MAGIC);
	CHECK(fs_type(f.in.root_fd, "cg/memory") == CGROUP_SUPER_MAGIC);
	CHECK(readlinkat(f.in.root_fd, "cg/pids", link, sizeof(link)) > 0 && STREQ(link, "pids,x"));
	CHECK(flags_at(f.in.root_fd, "cg/memory") & ST_NOSUID);
	CHECK(!!(flags_at(f.in.root_fd, "cg/memory") & ST_RDONLY) == !cgroupns);
	CHECK(!!(flags_at(f.in.root_fd, "cg") & ST_RDONLY) == !cgroupns);
	if (!cgroupns) {
		CHECK(faccessat(f.in.root_fd, "cg/memory/tasks", W_OK, 0) < 0 && errno == EROFS);
		/* the host's own mount is as it was */
		CHECK(!(flags_at(AT_FDCWD, "/sys/fs/cgroup/memory") & ST_RDONLY));
	}
}

static void cgroup_bound(void)
{
	cgroup(false);
}

static void cgroup_namespaced(void)
{
	cgroup(true);
}

/* The descriptors are of an older namespace than the mounts are made in, as with a real creator. */
static void open_hierarchies(void)
{
	hierarchies[0].group_fd = hierarchy_fd("pids");
	hierarchies[1].group_fd = hierarchy_fd("memory");
	if (hierarchies[0].group_fd < 0 || hierarchies[1].group_fd < 0)
		_exit(CHILD_SKIP); /* a host with cgroup version 2 only */
}

static void cgroup_without_namespace(void)
{
	open_hierarchies();
	in_child(cgroup_bound);
}

static void cgroup_namespace(void)
{
	open_hierarchies();
	in_child(cgroup_namespaced);
}

static void test_cgroup_readonly_without_namespace(void **state)
{
	(void)state;
	run_private(cgroup_without_namespace, 0);
}

static void test_cgroup_namespace(void **state)
{
	(void)state;
	run_private(cgroup_namespace, 0);
}

static void cgroup_unified(void)
{
	struct iso_cgroup_mount one = {(char *)"", (char *)"cgroup2", NULL, -1};
	struct err err_ = ERR_INIT;
	struct err e = ERR_INIT;
	struct fixture f;

	CHECK(mkdir("v2", 0755) == 0);
	if (mount("cgroup2", "v2", "cgroup2", 0, NULL) < 0)
		_exit(CHILD_SKIP); /* a kernel or a place without cgroup version 2 */
	one.group_fd = open("v2", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fixture_root(&f);
	f.params.cgroup_mounts = &one;
	f.params.n_cgroup_mounts = 1;
	add_mount(&f, "/a", "cgroup", "cgroup", "nosuid");
	add_mount(&f, "/b", "cgroup2", "cgroup", "");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(fs_type(f.in.root_fd, "a") == CGROUP2_SUPER_MAGIC);
	CHECK(flags_at(f.in.root_fd, "a") & ST_RDONLY);
	CHECK(flags_at(f.in.root_fd, "b") & ST_RDONLY);
	CHECK(unshare(CLONE_NEWCGROUP) == 0);
	f.in.cgroupns = true;
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(!(flags_at(f.in.root_fd, "a") & ST_RDONLY) &&
	      (flags_at(f.in.root_fd, "a") & ST_NOSUID));
	/* no group, no namespace: nothing that could be shown */
	f.in.cgroupns = false;
	one.group_fd = -1;
	CHECK(inside_mounts(&f.in, &e) == -ENOTSUP);
}

static void test_cgroup_unified(void **state)
{
	(void)state;
	run_private(cgroup_unified, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_namespace),
		cmocka_unit_test(test_masked_outer_proc),
		cmocka_unit_test(test_cgroup_readonly_without_namespace),
		cmocka_unit_test(test_cgroup_namespace),
		cmocka_unit_test(test_cgroup_unified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
