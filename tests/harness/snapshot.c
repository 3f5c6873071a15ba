/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox could leave behind on the host, as sorted text that two moments can be compared by.
 *
 * Others may run sandboxes on the same machine meanwhile, and groups do not tell whose they are. A group is taken for
 * somebody else's while processes live in it that have nothing to do with the world's directory; one that is empty
 * gets a moment to vanish before it counts as left behind, since it may be another's that is being made or removed.
 */
#include "harness.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VANISH_SEC 3

struct lines {
	char **v;
	size_t n;
};

static void add(struct lines *l, const char *kind, const char *text)
{
	l->v = reallocarray(l->v, l->n + 1, sizeof(*l->v));
	assert_non_null(l->v);
	assert_true(asprintf(&l->v[l->n++], "%s %s", kind, text) > 0);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- whose process ------------------------------------------------------------------------ */

/* The file of /proc/PID as text with blanks for NULs; caller frees; never NULL. */
static char *proc_text(const char *pid, const char *file)
{
	char path[300];
	size_t size = 0, cap = 0;
	char *text = NULL;
	ssize_t n = -1;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	do {
		cap += 65536;
		text = realloc(text, cap);
		assert_non_null(text);
		n = fd < 0 ? 0 : read(fd, text + size, cap - size - 1);
		size += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	text[size] = '\0';
	return text;
}

static bool in_our_mount_namespace(const char *pid)
{
	char path[300], own[64] = "", other[64] = "";

	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	return readlink("/proc/self/ns/mnt", own, sizeof(own) - 1) > 0 &&
	       readlink(path, other, sizeof(other) - 1) > 0 && strcmp(own, other) == 0;
}

/* By its command line, or by a mount that comes from the world's directory. */
static bool is_of_world(const struct world *w, const char *pid)
{
	const char *name = strrchr(w->dir, '/') + 1;
	char *text = proc_text(pid, "cmdline");
	bool ours = strstr(text, name) != NULL;

	free(text);
	if (ours || in_our_mount_namespace(pid))
		return ours;
	text = proc_text(pid, "mountinfo");
	ours = strstr(text, name) != NULL;
	free(text);
	return ours;
}

/* ---- what is looked at -------------------------------------------------------------------- */

/* Mount point and type of every mount in our namespace; ids would differ by themselves. */
static void add_mounts(struct lines *l)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], point[2048], rest[2048];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*d %*d %*s %*s %2047s %2047[^\n]", point, rest) == 2)
			add(l, "mount", point);
	if (f)
		fclose(f);
}

static bool is_others_group(const struct world *w, const char *path)
{
	char file[PATH_MAX], pid[32];
	bool any = false, ours = false;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	FILE *f = fopen(file, "re");

	while (f && fgets(pid, sizeof(pid), f)) {
		pid[strcspn(pid, "\n")] = '\0';
		any = true;
		ours |= is_of_world(w, pid);
	}
	if (f)
		fclose(f);
	return any && !ours;
}

/* Groups of sandboxes. The parent of them all, "insula", is made once and stays. */
static void add_cgroups(struct lines *l, const struct world *w)
{
	char *paths[] = {(char *)"/sys/fs/cgroup", NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);

	for (FTSENT *entry; fts && (entry = fts_read(fts));)
		if (entry->fts_info == FTS_D && strstr(entry->fts_path, "/insula/") &&
		    !is_others_group(w, entry->fts_path))
			add(l, "cgroup", entry->fts_path);
	if (fts)
		fts_close(fts);
}

/* Command lines: pids would differ by themselves. */
static void add_processes(struct lines *l, const struct world *w)
{
	DIR *d = opendir("/proc");

	for (struct dirent *entry; d && (entry = readdir(d));) {
		const char *pid = entry->d_name;

		if (!isdigit((unsigned char)*pid) || atoi(pid) == getpid() || !is_of_world(w, pid))
			continue;
		char *text = proc_text(pid, "cmdline");

		/* One that ended while we looked at it has none. */
		if (*text)
			add(l, "process", text);
		free(text);
	}
	if (d)
		closedir(d);
}

static void add_descriptors(struct lines *l)
{
	DIR *d = opendir("/proc/self/fd");

	for (struct dirent *entry; d && (entry = readdir(d));)
		if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != dirfd(d))
			add(l, "descriptor", entry->d_name);
	if (d)
		closedir(d);
}

/* Files that begin with a dot are no sandboxes. */
static void add_state(struct lines *l, const struct world *w)
{
	DIR *d = opendir(w->state);

	for (struct dirent *entry; d && (entry = readdir(d));)
		if (entry->d_name[0] != '.')
			add(l, "state", entry->d_name);
	if (d)
		closedir(d);
}

struct snapshot snapshot_take(const struct world *w)
{
	struct lines l = {0};
	struct snapshot s = {.world = w};
	size_t size;
	FILE *f = open_memstream(&s.text, &size);

	assert_non_null(f);
	add_mounts(&l);
	add_cgroups(&l, w);
	add_processes(&l, w);
	add_descriptors(&l);
	add_state(&l, w);
	qsort(l.v, l.n, sizeof(*l.v), by_text);
	for (size_t i = 0; i < l.n; i++) {
		fprintf(f, "%s\n", l.v[i]);
		free(l.v[i]);
	}
	free(l.v);
	fclose(f);
	return s;
}

/* ---- comparing ---------------------------------------------------------------------------- */

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at += len)
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return true;
	return false;
}

/* How many lines of `from` are not in `in`; printed when asked for. */
static size_t count_missing(const char *what, const char *from, const char *in, bool print)
{
	char *copy = strdup(from), *save = NULL;
	size_t n = 0;

	assert_non_null(copy);
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (has_line(in, line))
			continue;
		/* Somebody else's, then: nothing here removes a group that was there before. */
		if (strcmp(what, "gone") == 0 && strncmp(line, "cgroup ", 7) == 0)
			continue;
		n++;
		if (print)
			fprintf(stderr, "%s: %s\n", what, line);
	}
	free(copy);
	return n;
}

struct comparison {
	const char *before;
	char *after;
	const struct world *world;
};

static bool same(void *arg)
{
	struct comparison *c = arg;

	if (count_missing("left behind", c->after, c->before, false) == 0)
		return true;
	free(c->after);
	c->after = snapshot_take(c->world).text;
	return count_missing("left behind", c->after, c->before, false) == 0;
}

/* Only groups can be another's; anything else that is left behind is left behind at once. */
static bool may_vanish(const char *after, const char *before)
{
	char *copy = strdup(after), *save = NULL;
	bool may = true;

	assert_non_null(copy);
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		may &= strncmp(line, "cgroup ", 7) == 0 || has_line(before, line);
	free(copy);
	return may;
}

void snapshot_compare(struct snapshot *before, struct snapshot *after)
{
	struct comparison c = {before->text, after->text, before->world};
	size_t different = count_missing("gone", before->text, after->text, true);

	if (may_vanish(c.after, c.before))
		(void)eventually(same, &c, VANISH_SEC);
	different += count_missing("left behind", c.after, c.before, true);
	free(before->text);
	free(c.after);
	before->text = after->text = NULL;
	assert_int_equal(different, 0);
}
