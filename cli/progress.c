/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress of unpacking, on standard error when that is a terminal: one line per layer, rewritten in place at most ten times a
 * second.
 */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define INTERVAL_MSEC 100
#define NAME_DIGITS   12

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void show(void *arg, const char *digest, uint64_t done_bytes, uint64_t total_bytes)
{
	const char *name = str_has_prefix(digest, "sha256:") ? digest + strlen("sha256:") : digest;
	char done[STR_SIZE_MAX], total[STR_SIZE_MAX];
	struct progress *p = arg;
	int64_t now = now_msec();
	bool other = strncmp(p->shown, name, NAME_DIGITS) != 0;

	if (other && p->open)
		fputc('\n', stderr);
	if (!other && now - p->last_msec < INTERVAL_MSEC && done_bytes != total_bytes)
		return;
	snprintf(p->shown, sizeof(p->shown), "%.*s", NAME_DIGITS, name);
	p->last_msec = now;
	p->open = true;
	fprintf(stderr, "\rlayer %s: %s%s%s\033[K", p->shown, str_size(done_bytes, done),
		total_bytes ? " of " : "", total_bytes ? str_size(total_bytes, total) : "");
	fflush(stderr);
}

void progress_init(struct progress *p, bool quiet)
{
	*p = (struct progress){0};
	p->calls.arg = p;
	if (!quiet && isatty(STDERR_FILENO))
		p->calls.layer = show;
}

void progress_done(struct progress *p)
{
	if (p->open)
		fputc('\n', stderr);
	p->open = false;
}
