/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: who a user text names, by passwd and group files that an image made up. Whatever they
 * hold, the result is an id below 2^32-1 and an absolute home, or an error with a reason that leaves
 * the caller's value alone; and nobody becomes root unless the text or a line of the files says 0.
 *
 * Input: the text, a newline, the passwd file, a NUL, the group file (which is absent without the NUL).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "isolate/process.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#define SPEC_MAX  256
#define UNTOUCHED 77

static char dir[] = "/tmp/insula-fuzz-XXXXXX";
static int root, etc;

static void remove_dir(void)
{
	struct err e = ERR_INIT;
	int tmp = path_open_dir("/tmp", &e);

	(void)path_remove_tree_at(tmp, strrchr(dir, '/') + 1, &e);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	MUST(mkdtemp(dir) && atexit(remove_dir) == 0);
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	MUST(root >= 0 && mkdirat(root, "etc", 0755) == 0);
	etc = openat(root, "etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	MUST(etc >= 0);
	return 0;
}

static void put(const char *name, const uint8_t *text, size_t len)
{
	_cleanup_close_ int fd = openat(etc, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	MUST(fd >= 0 && write(fd, text, len) == (ssize_t)len);
}

/* Does any field of the file read as the number 0? */
static bool has_zero_field(const uint8_t *text, size_t len)
{
	bool only_zeros = false, start = true;

	for (size_t i = 0; i <= len; i++) {
		uint8_t c = i < len ? text[i] : '\n';

		/* The reader's text ends at a NUL. */
		if (c == ':' || c == '\n' || c == '\0') {
			if (only_zeros && !start)
				return true;
			start = true;
			only_zeros = false;
			continue;
		}
		only_zeros = (start || only_zeros) && c == '0';
		start = false;
	}
	return false;
}

static bool is_zero_text(const char *s, size_t len)
{
	return len > 0 && strspn(s, "0") >= len;
}

static void look(const char *spec, bool zero_in_passwd, const struct iso_user *u, const char *home)
{
	size_t user_len = strcspn(spec, ":");

	MUST(u->uid != UINT32_MAX && u->gid != UINT32_MAX && home && home[0] == '/');
	MUST(user_len > 0 && spec[strlen(spec) - 1] != ':');
	if (u->uid == 0)
		MUST(zero_in_passwd || is_zero_text(spec, user_len));
	for (size_t i = 0; i < u->n_additional_gids; i++) {
		MUST(u->additional_gids[i] != UINT32_MAX);
		for (size_t j = 0; j < i; j++)
			MUST(u->additional_gids[i] != u->additional_gids[j]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = memchr(data, '\n', size), *nul;
	struct iso_user u = {.uid = UNTOUCHED, .gid = UNTOUCHED};
	_cleanup_free_ char *home = NULL;
	struct err e = ERR_INIT;
	char spec[SPEC_MAX];
	size_t len;

	if (!line || line - data >= SPEC_MAX || memchr(data, '\0', (size_t)(line - data)))
		return 0;
	len = (size_t)(line - data);
	memcpy(spec, data, len);
	spec[len] = '\0';
	line++;
	size -= len + 1;
	nul = memchr(line, '\0', size);
	len = nul ? (size_t)(nul - line) : size;
	put("passwd", line, len);
	if (nul)
		put("group", nul + 1, size - len - 1);
	else
		(void)!unlinkat(etc, "group", 0);

	if (iso_user_resolve(root, spec, &u, &home, &e) < 0) {
		MUST(e.kind != ERR_NONE && e.text[0] && !home && !u.additional_gids);
		MUST(u.uid == UNTOUCHED && u.gid == UNTOUCHED);
		return 0;
	}
	look(spec, has_zero_field(line, len), &u, home);
	free(u.additional_gids);
	return 0;
}
