/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox could leave behind on the host, as sorted text that two moments can be compared by.
 */
#include "harness.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Groups of sandboxes. The parent of them all, "insula", is made once and stays. */
static void add_cgroups(struct lines *l)
{
	char *paths[] = {(char *)"/sys/fs/cgroup", NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);

	for (FTSENT *entry; fts && (entry = fts_read(fts));)
		if (entry->fts_info == FTS_D && strstr(entry->fts_path, "/insula/"))
			add(l, "cgroup", entry->fts_path);
	if (fts)
		fts_close(fts);
}

/* Processes whose command line is ours. Bare names: pids would differ by themselves. */
static void add_processes(struct lines *l, const struct world *w)
{
	DIR *d = opendir("/proc");

	for (struct dirent *entry; d && (entry = readdir(d));) {
		char path[300], text[2048];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		ssize_t n = read(fd, text, sizeof(text) - 1);

		close(fd);
		for (ssize_t i = 0; i < n; i++)
			if (text[i] == '\0')
				text[i] = ' ';
		text[n > 0 ? n : 0] = '\0';
		if (atoi(entry->d_name) != getpid() &&
		    (strstr(text, w->dir) || strstr(text, "insula-vmm")))
			add(l, "process", text);
	}
	if (d)
		closedir(d);
}

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

	add_mounts(&l);
	add_cgroups(&l);
	add_processes(&l, w);
	add_state(&l, w);
	qsort(l.v, l.n, sizeof(*l.v), by_text);
	assert_non_null(f);
	for (size_t i = 0; i < l.n; i++) {
		fprintf(f, "%s\n", l.v[i]);
		free(l.v[i]);
	}
	free(l.v);
	fclose(f);
	return s;
}

static void print_missing(const char *what, const char *from, const char *in)
{
	char *copy = strdup(from), *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strstr(in, line))
			fprintf(stderr, "%s: %s\n", what, line);
	free(copy);
}

void snapshot_compare(struct snapshot *before, struct snapshot *after)
{
	bool same = strcmp(before->text, after->text) == 0;

	if (!same) {
		print_missing("gone", before->text, after->text);
		print_missing("left behind", after->text, before->text);
	}
	free(before->text);
	free(after->text);
	before->text = after->text = NULL;
	assert_true(same);
}
