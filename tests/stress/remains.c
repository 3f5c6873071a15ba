/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left when all clients have ended: it can be listed, it can be deleted, and then there is nothing.
 */
#include "stress.h"

#include <ctype.h>
#include <dirent.h>
#include <fts.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of processes that were killed a moment ago. */
#define ENDING_SEC 60

static bool fails(const char *what, struct run_result *r)
{
	fprintf(stderr, "at the end: %s: exit code %d\n stdout: %s\n stderr: %s\n", what, r->code,
		r->out, r->err);
	run_result_done(r);
	return false;
}

static bool delete_all(const struct world *w, const char *ids)
{
	char *copy = strdup(ids), *save = NULL;
	bool ok = copy != NULL;

	for (char *id = copy ? strtok_r(copy, "\n", &save) : NULL; id;
	     id = strtok_r(NULL, "\n", &save)) {
		struct run_result r = run_oci(w, ARGV("delete", "--force", id));

		if (r.code != 0)
			ok = fails(id, &r);
		else
			run_result_done(&r);
	}
	free(copy);
	return ok;
}

/* Every process of this namespace but its first and ourselves. */
static unsigned others(char *text, size_t size)
{
	DIR *d = opendir("/proc");
	unsigned n = 0;

	text[0] = '\0';
	for (struct dirent *entry; d && (entry = readdir(d));) {
		char path[300], *line;
		size_t len = strlen(text);

		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == 1 ||
		    atoi(entry->d_name) == getpid())
			continue;
		n++;
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		line = read_file(path);
		snprintf(text + len, size - len, "  %.60s\n", line ? line : "(ended)");
		free(line);
	}
	if (d)
		closedir(d);
	return n;
}

static bool are_gone(void *arg)
{
	char text[4096];

	(void)arg;
	return others(text, sizeof(text)) == 0;
}

bool remains_delete(const struct stress *s)
{
	struct run_result table = run_oci(s->world, ARGV("list")),
			  json = run_oci(s->world, ARGV("list", "--format", "json")),
			  ids = run_oci(s->world, ARGV("list", "--quiet"));
	bool ok = true;
	char text[4096];

	if (table.code != 0 || table.err[0])
		ok = fails("list", &table);
	if (json.code != 0 || json.err[0])
		ok = fails("list --format json", &json);
	if (ids.code != 0)
		return fails("list --quiet", &ids);
	ok = delete_all(s->world, ids.out) && ok;
	run_result_done(&ids);
	ids = run_oci(s->world, ARGV("list", "--quiet"));
	if (ids.code != 0 || ids.out[0])
		ok = fails("list, after all was deleted", &ids);
	if (!eventually(are_gone, NULL, ENDING_SEC)) {
		others(text, sizeof(text));
		fprintf(stderr, "at the end: processes are left:\n%s", text);
		ok = false;
	}
	return ok;
}

/* ---- files ---------------------------------------------------------------------------------------------- */

/* What stays: the caches of compiled filters and of the look at KVM, and the parents of storages, with names of 16 digits in them. Anything else was left by
 * somebody who died. */
static bool is_kept(const FTSENT *entry)
{
	if (entry->fts_level == 1)
		return strcmp(entry->fts_name, ".seccomp") == 0 ||
		       strcmp(entry->fts_name, ".kvm-probe") == 0 ||
		       strcmp(entry->fts_name, "sandboxes") == 0;
	return entry->fts_level == 2 && entry->fts_namelen == 16 &&
	       strspn(entry->fts_name, "0123456789abcdef") == 16;
}

static void add_files(FILE *f, const char *root)
{
	char *paths[] = {(char *)root, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);

	for (FTSENT *entry; fts && (entry = fts_read(fts));)
		if (entry->fts_info != FTS_DP && entry->fts_level > 0 && !is_kept(entry))
			fprintf(f, "file %s\n", entry->fts_path);
	if (fts)
		fts_close(fts);
}

struct snapshot remains_take(const struct stress *s)
{
	struct snapshot plain = snapshot_take(s->world), all = {NULL};
	char path[160];
	size_t size;
	FILE *f = open_memstream(&all.text, &size);

	assert_non_null(f);
	fputs(plain.text, f);
	free(plain.text);
	add_files(f, s->world->state);
	add_files(f, "/run");
	snprintf(path, sizeof(path), "%s/store", s->world->dir);
	add_files(f, path);
	fclose(f);
	return all;
}
