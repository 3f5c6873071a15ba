/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory for one test, removed with all that is in it.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/path.h"

struct scratch {
	char path[64];
};

/* Whatever hangs ends its test as a failure, so that the tear-down still happens. */
static inline void time_is_up(int sig)
{
	(void)sig;
	fail_msg("time is up");
}

static inline void limit_time(unsigned seconds)
{
	signal(SIGALRM, time_is_up);
	alarm(seconds);
}

/* fork() whose child does not outlive the test program. */
static inline pid_t fork_tied(void)
{
	pid_t pid = fork();

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return pid;
}

static inline struct scratch *scratch_new(void)
{
	struct scratch *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->path, "/tmp/insula-test-XXXXXX");
	assert_non_null(mkdtemp(s->path));
	return s;
}

static inline void scratch_free(struct scratch *s)
{
	int tmp = path_open_dir("/tmp", NULL);

	if (tmp >= 0) {
		(void)path_remove_tree_at(tmp, strrchr(s->path, '/') + 1, NULL);
		close(tmp);
	}
	free(s);
}

/* PATH/rest in a buffer that lives until the next call with the same slot. */
static inline const char *scratch_path(const struct scratch *s, int slot, const char *rest)
{
	static char buf[4][256];

	snprintf(buf[slot], sizeof(buf[slot]), "%s/%s", s->path, rest);
	return buf[slot];
}

static inline void write_file(const char *path, const char *text, unsigned mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fchmod(fileno(f), mode), 0);
	assert_int_equal(fclose(f), 0);
}

static inline char *read_file(const char *path)
{
	char *text = NULL;

	if (path_read_file_at(-100 /* AT_FDCWD */, path, 1 << 20, &text, NULL, NULL) < 0)
		return NULL;
	return text;
}
