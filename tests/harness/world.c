/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The surroundings of an integration test: temporary directory, root file system, and looking for what was left.
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

void build_path(const char *name, char *buf, size_t size)
{
	char exe[400];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	assert_true(n > 0);
	exe[n] = '\0';
	/* …/build/tests/integration/test_x */
	for (int i = 0; i < 3; i++)
		*strrchr(exe, '/') = '\0';
	snprintf(buf, size, "%s/%s", exe, name);
}

const char *vm_missing(void)
{
	char path[512];

	build_path("guest/vmlinuz", path, sizeof(path));
	if (access(path, R_OK) < 0)
		return "no guest kernel; run 'make guest'";
	if (access("/usr/bin/qemu-system-x86_64", X_OK) < 0)
		return "qemu-system-x86_64 is not installed";
	return NULL;
}

void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	size_t len = strlen(text);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

char *read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;

	if (!f)
		return NULL;
	/* No file here holds a NUL. */
	if (getdelim(&text, &cap, '\0', f) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(f);
	return text;
}

static void copy_program(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
}

static const char *const rootfs_dirs[] = {"bin", "etc", "tmp",  "proc", "sys", "dev",
					  "run", "var", "root", "home", "data"};

/* Applets that the scenarios use; "sh" and friends are links to one busybox. */
static const char *const applets[] = {
	"sh",     "cat",   "echo",  "true", "false", "id",       "pwd", "env",  "sleep",    "ls",
	"touch",  "head",  "wc",    "tty",  "stty",  "kill",     "ps",  "test", "hostname", "uname",
	"md5sum", "mkdir", "mount", "grep", "seq",   "readlink", "rm",  "ip",   "stat",     "dd",
};

void make_rootfs(const char *root)
{
	char path[512], from[512];

	assert_int_equal(mkdir(root, 0755), 0);
	for (size_t i = 0; i < sizeof(rootfs_dirs) / sizeof(*rootfs_dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, rootfs_dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
		assert_int_equal(chmod(path, strcmp(rootfs_dirs[i], "tmp") ? 0755 : 01777), 0);
	}
	snprintf(path, sizeof(path), "%s/bin/busybox", root);
	copy_program("/bin/busybox", path);
	for (size_t i = 0; i < sizeof(applets) / sizeof(*applets); i++) {
		snprintf(path, sizeof(path), "%s/bin/%s", root, applets[i]);
		assert_int_equal(symlink("busybox", path), 0);
	}
	static const char *const helpers[] = {"probe"};

	for (size_t i = 0; i < sizeof(helpers) / sizeof(*helpers); i++) {
		snprintf(path, sizeof(path), "tests/helpers/%s", helpers[i]);
		build_path(path, from, sizeof(from));
		snprintf(path, sizeof(path), "%s/bin/%s", root, helpers[i]);
		copy_program(from, path);
	}
	snprintf(path, sizeof(path), "%s/etc/passwd", root);
	write_file(path, "root:x:0:0:root:/root:/bin/sh\nada:x:1815:1815:Ada:/home:/bin/sh\n",
		   0644);
	snprintf(path, sizeof(path), "%s/etc/group", root);
	write_file(path, "root:x:0:\nada:x:1815:\nmath:x:1843:ada\n", 0644);
	snprintf(path, sizeof(path), "%s/etc/plain", root);
	write_file(path, "just text\n", 0644);
}

/* What others on the machine mount meanwhile is not seen, and what a sandbox lets escape is: the mounts are shared
 * as they are on an ordinary host, but only among the programs of this test. */
static int enter_private_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0) {
		fprintf(stderr, "a private mount namespace: %s\n", strerror(errno));
		return -1;
	}
	return 0;
}

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	strcpy(w->dir, "/tmp/insula-test.XXXXXX");
	if (!mkdtemp(w->dir) || chmod(w->dir, 0755) < 0)
		return -1;
	snprintf(w->state, sizeof(w->state), "%s/state", w->dir);
	snprintf(w->rootfs, sizeof(w->rootfs), "%s/rootfs", w->dir);
	snprintf(w->id, sizeof(w->id), "t-%s", strrchr(w->dir, '.') + 1);
	build_path("insula", w->insula, sizeof(w->insula));
	build_path("insula-oci", w->oci, sizeof(w->oci));
	build_path("faults/insula-oci", w->faults_oci, sizeof(w->faults_oci));
	if (access(w->faults_oci, X_OK) < 0)
		w->faults_oci[0] = '\0';
	make_rootfs(w->rootfs);
	if (mkdir(w->state, 0700) < 0 || enter_private_mounts() < 0)
		return -1;
	w->ids = ids_watch(w->state);
	*state = w;
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int delete_left_over(const struct world *w)
{
	DIR *d = opendir(w->state);
	int n = 0;

	for (struct dirent *entry; d && (entry = readdir(d));) {
		if (entry->d_name[0] == '.')
			continue;
		n++;
		fprintf(stderr, "left over: sandbox %s\n", entry->d_name);
		struct run_result r =
			run(&(struct run_spec){.argv = ARGV(w->oci, "--root", w->state, "delete",
							    "--force", entry->d_name),
					       .user = w->user});

		run_result_done(&r);
	}
	if (d)
		closedir(d);
	return n;
}

int world_teardown(void **state)
{
	struct world *w = *state;
	int left = delete_left_over(w) + users_delete_left_over(w);

	users_free(w);
	/* FTW_MOUNT: never walk into something that is still mounted. */
	nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	ids_free(w->ids);
	free(w);
	return left ? -1 : 0;
}
