/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the lifecycle tests share: a busybox root file system, bundles, and a look at everything
 * that a container could leave behind. Each test program includes it once.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "runtime/runtime.h"
#include "scratch_dir.h"

struct fixture {
	struct scratch *dir;
	struct rt_ctx ctx;
	char root[128], bundle[128], id[32], group[64];
	int out[2]; /* pipe: the workload's standard output */
};

struct bundle {
	const char *args;   /* JSON array */
	const char *hooks;  /* JSON object or NULL */
	const char *limits; /* JSON object of linux.resources or NULL */
	const char *mounts; /* further elements, each with a comma in front, or NULL */
	const char *extra;  /* members of linux, each with a comma in front, or NULL */
	const char *rootfs; /* or NULL */
	bool terminal;
};

static inline void make_rootfs(const struct fixture *f)
{
	static const char *const dirs[] = {"bundle",
					   "bundle/rootfs",
					   "bundle/rootfs/bin",
					   "bundle/rootfs/proc",
					   "bundle/rootfs/dev",
					   "bundle/rootfs/tmp"};
	static const char *const links[] = {"sh", "sleep", "true", "cat", "stty", "tty", "kill"};
	_cleanup_free_ char *busybox = NULL;
	size_t len;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdir(scratch_path(f->dir, 1, dirs[i]), 0755), 0);
	assert_int_equal(
		path_read_file_at(AT_FDCWD, "/bin/busybox", 16 << 20, &busybox, &len, NULL), 0);
	fd = open(scratch_path(f->dir, 1, "bundle/rootfs/bin/busybox"), O_WRONLY | O_CREAT, 0755);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, busybox, len), len);
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		char path[128];

		snprintf(path, sizeof(path), "bundle/rootfs/bin/%s", links[i]);
		assert_int_equal(symlink("busybox", scratch_path(f->dir, 1, path)), 0);
	}
}

static inline void write_bundle(const struct fixture *f, const struct bundle *b)
{
	char *text = NULL;

	assert_int_equal(
		str_printf(&text,
			   "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"%s\"},"
			   "\"process\":{\"args\":%s,\"cwd\":\"/\",\"terminal\":%s,"
			   "\"env\":[\"PATH=/bin\"],\"user\":{\"uid\":0,\"gid\":0}},"
			   "\"annotations\":{\"a.b\":\"c=d\"},"
			   "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","
			   "\"source\":\"proc\"},{\"destination\":\"/dev\",\"type\":\"tmpfs\","
			   "\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"mode=755\"]},"
			   "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":"
			   "\"devpts\",\"options\":[\"newinstance\",\"ptmxmode=0666\"]}%s],"
			   "\"hooks\":%s,"
			   "\"linux\":{\"cgroupsPath\":\"%s/%s\",\"resources\":%s,"
			   "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},"
			   "{\"type\":\"ipc\"},{\"type\":\"uts\"}]%s}}",
			   b->rootfs ? b->rootfs : "rootfs", b->args,
			   b->terminal ? "true" : "false", b->mounts ? b->mounts : "",
			   b->hooks ? b->hooks : "{}", f->group, f->id,
			   b->limits ? b->limits : "{}", b->extra ? b->extra : ""),
		0);
	write_file(scratch_path(f->dir, 1, "bundle/config.json"), text, 0644);
	free(text);
}

static inline int fixture_setup(void **state)
{
	static int number;
	struct fixture *f = calloc(1, sizeof(*f));

	f->dir = scratch_new();
	snprintf(f->root, sizeof(f->root), "%s/state", f->dir->path);
	snprintf(f->bundle, sizeof(f->bundle), "%s/bundle", f->dir->path);
	snprintf(f->id, sizeof(f->id), "t%d", ++number);
	snprintf(f->group, sizeof(f->group), "/insula-test-%d", (int)getpid());
	make_rootfs(f);
	assert_int_equal(rt_ctx_init(&f->ctx, f->root, NULL, NULL), 0);
	assert_int_equal(pipe2(f->out, O_CLOEXEC), 0);
	/* What a killed creator leaves behind comes to us. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	limit_time(120);
	*state = f;
	return 0;
}

/* The group that all of one program's containers share; in each hierarchy. */
static inline void remove_parent_group(struct fixture *f)
{
	struct cg_host *host;

	if (rt_cgroups(&f->ctx, &host, NULL) == 0)
		(void)cg_remove(host, f->group, true, NULL);
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_strv_ char **ids = NULL;

	alarm(0);
	unsetenv("INSULA_FAULT");
	(void)state_list(f->root, &ids, NULL);
	for (char **id = ids; id && *id; id++)
		(void)rt_delete(&f->ctx, *id, true, NULL);
	remove_parent_group(f);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	close(f->out[0]);
	close(f->out[1]);
	rt_ctx_done(&f->ctx);
	scratch_free(f->dir);
	free(f);
	return 0;
}

static inline struct rt_create_request request_of(const struct fixture *f)
{
	return (struct rt_create_request){
		.id = f->id,
		.bundle = f->bundle,
		.io = {.fds = {-1, f->out[1], -1}, .console_socket = -1},
	};
}

static inline struct sandbox *create_ok(struct fixture *f, const struct bundle *b)
{
	struct rt_create_request r = request_of(f);
	struct err e = ERR_INIT;
	struct sandbox *s;

	write_bundle(f, b);
	if (rt_create(&f->ctx, &r, &s, &e) < 0)
		fail_msg("%s (hint: %s)", e.text, e.hint);
	return s;
}

static inline void start_ok(struct sandbox *s)
{
	struct err e = ERR_INIT;

	if (rt_start(s, &e) < 0)
		fail_msg("%s (hint: %s)", e.text, e.hint);
}

static inline enum rt_status status_of(struct fixture *f)
{
	struct sandbox *s;
	enum rt_status status;

	assert_int_equal(rt_open(&f->ctx, f->id, false, &s, NULL), 0);
	status = state_status(&s->dir, &s->state);
	rt_close(s);
	return status;
}

/* Wait for a line of the workload's output that holds the word. */
static inline void await_output(struct fixture *f, const char *word)
{
	char buf[4096];
	size_t n = 0;

	while (n < sizeof(buf) - 1) {
		struct pollfd p = {.fd = f->out[0], .events = POLLIN};
		ssize_t got;

		if (poll(&p, 1, 20000) <= 0)
			fail_msg("no '%s' in the output", word);
		got = read(f->out[0], buf + n, sizeof(buf) - 1 - n);
		assert_true(got > 0);
		n += (size_t)got;
		buf[n] = '\0';
		if (strstr(buf, word))
			return;
	}
	fail_msg("no '%s' in the output: %s", word, buf);
}

/* ---- what is left ----------------------------------------------------------------------- */

static inline int count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	if (!d)
		return 0;
	for (struct dirent *de; (de = readdir(d));)
		n += de->d_name[0] != '.';
	closedir(d);
	return n;
}

/* Directories of the group in any hierarchy. */
static inline int count_groups(const struct fixture *f)
{
	static const char top[] = "/sys/fs/cgroup";
	DIR *d = opendir(top);
	char path[512];
	int n = 0;

	assert_non_null(d);
	snprintf(path, sizeof(path), "%s%s/%s", top, f->group, f->id);
	n += access(path, F_OK) == 0;
	for (struct dirent *de; (de = readdir(d));) {
		struct stat st;

		/* Links name the same hierarchy again. */
		snprintf(path, sizeof(path), "%s/%s", top, de->d_name);
		if (de->d_name[0] == '.' || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		snprintf(path, sizeof(path), "%s/%.64s%s/%s", top, de->d_name, f->group, f->id);
		n += access(path, F_OK) == 0;
	}
	closedir(d);
	return n;
}

struct around {
	int fds;
	char *mounts;
};

static inline struct around look_around(void)
{
	return (struct around){count_entries("/proc/self/fd"), read_file("/proc/self/mountinfo")};
}

/* Nothing of the container is there, and we are as before. */
static inline void assert_nothing_left(struct fixture *f, struct around *before)
{
	struct around now = look_around();

	assert_int_equal(count_entries(f->root), 0);
	assert_int_equal(count_groups(f), 0);
	/* Every child was reaped by whom it concerned. */
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		fail_msg("a process is left");
	assert_int_equal(now.fds, before->fds);
	assert_string_equal(now.mounts, before->mounts);
	free(now.mounts);
	free(before->mounts);
	before->mounts = NULL;
}
