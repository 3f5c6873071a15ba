/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox could leave behind on the host, as sorted text that two moments can be compared by.
 *
 * Others may run sandboxes on the same machine meanwhile, and a group does not tell whose it is. So the ids that appear
 * in the world's state root are noted as they come (inotify), and only groups of such a name are looked at.
 */
#include "harness.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

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

/* ---- whose group -------------------------------------------------------------------------- */

struct ids {
	int watch;
	char **v;
	size_t n;
};

struct ids *ids_watch(const char *state_root)
{
	struct ids *ids = calloc(1, sizeof(*ids));

	assert_non_null(ids);
	ids->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(ids->watch >= 0);
	assert_true(inotify_add_watch(ids->watch, state_root, IN_CREATE | IN_MOVED_TO) >= 0);
	return ids;
}

void ids_free(struct ids *ids)
{
	for (size_t i = 0; ids && i < ids->n; i++)
		free(ids->v[i]);
	if (ids) {
		close(ids->watch);
		free(ids->v);
	}
	free(ids);
}

static bool ids_have(const struct ids *ids, const char *name)
{
	for (size_t i = 0; i < ids->n; i++)
		if (strcmp(ids->v[i], name) == 0)
			return true;
	return false;
}

void ids_note(struct ids *ids)
{
	char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(ids->watch, buf, sizeof(buf))) > 0)
		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			assert_false(event->mask & IN_Q_OVERFLOW);
			at += sizeof(*event) + event->len;
			if (event->len == 0 || ids_have(ids, event->name))
				continue;
			ids->v = reallocarray(ids->v, ids->n + 1, sizeof(*ids->v));
			assert_non_null(ids->v);
			ids->v[ids->n] = strdup(event->name);
			assert_non_null(ids->v[ids->n++]);
		}
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

static void add_cgroups(struct lines *l, const struct world *w)
{
	char *paths[] = {(char *)"/sys/fs/cgroup", NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);

	ids_note(w->ids);
	for (FTSENT *entry; fts && (entry = fts_read(fts));)
		if (entry->fts_info == FTS_D && ids_have(w->ids, entry->fts_name))
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
	struct snapshot s = {NULL};
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

/* How many lines of `from` are not in `in`; each is printed. */
static size_t count_missing(const char *what, const char *from, const char *in)
{
	char *copy = strdup(from), *save = NULL;
	size_t n = 0;

	assert_non_null(copy);
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (has_line(in, line))
			continue;
		n++;
		fprintf(stderr, "%s: %s\n", what, line);
	}
	free(copy);
	return n;
}

void snapshot_compare(struct snapshot *before, struct snapshot *after)
{
	size_t different = count_missing("gone", before->text, after->text) +
			   count_missing("left behind", after->text, before->text);

	free(before->text);
	free(after->text);
	before->text = after->text = NULL;
	assert_int_equal(different, 0);
}
