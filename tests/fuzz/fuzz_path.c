/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: paths in a root. The input builds a small tree of directories, files and symlinks, and
 * then a path in it, which is resolved by openat2 and by the walk. Both must find the same file or
 * fail with the same error, and nothing outside the root may ever be opened.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Ibase/include -Ibase \
 *		tests/fuzz/fuzz_path.c base/[a-z]*.c -ljson-c -o fuzz_path
 *
 * Input: lines. "d NAME" makes a directory, "f NAME" a file, "l NAME TARGET" a symlink, all below the
 * root by plain means (a name with ".." or a link in it is left out); any other line is a path to open.
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
#include "path_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#define INPUT_MAX 4096

static bool is_inside(int root, const char *name)
{
	_cleanup_close_ int fd = -EBADF;
	char parent[INPUT_MAX + 4];
	char *slash;

	if (*name == '\0' || strstr(name, "..") || *name == '/')
		return false;
	snprintf(parent, sizeof(parent), "./%s", name);
	slash = strrchr(parent, '/');
	*slash = '\0';
	fd = path_resolve_by_kernel(root, parent, O_PATH | O_DIRECTORY, 0);
	return fd >= 0;
}

static void build(int root, char *line)
{
	char kind = line[0], *name = line + 2, *target;

	if (kind == 'l') {
		target = strchr(name, ' ');
		if (!target)
			return;
		*target++ = '\0';
		if (*target && is_inside(root, name))
			(void)!symlinkat(target, root, name);
	} else if (is_inside(root, name)) {
		if (kind == 'd')
			(void)!mkdirat(root, name, 0755);
		else
			(void)!mknodat(root, name, S_IFREG | 0644, 0);
	}
}

static void compare(int root, const char *path, int flags, dev_t dev)
{
	_cleanup_close_ int kernel = path_resolve_by_kernel(root, path, flags, 0);
	_cleanup_close_ int walk = path_resolve_by_walk(root, path, flags, 0);
	struct stat a, b;

	/* The walk keeps what is left to do, and where it stands, in buffers of bounded size. */
	if (walk == -ENAMETOOLONG || kernel == -ENAMETOOLONG)
		return;
	if (kernel < 0 || walk < 0) {
		MUST(kernel == walk);
		return;
	}
	MUST(fstat(kernel, &a) == 0 && fstat(walk, &b) == 0);
	MUST(a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_dev == dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char base[] = "/tmp/insula-fuzz-XXXXXX", text[INPUT_MAX + 1], *save = NULL, *name;
	_cleanup_close_ int dir = -EBADF, root = -EBADF, tmp = -EBADF;
	_cleanup_free_ char *normal = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	if (size > INPUT_MAX)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	MUST(path_normalize(text, &normal) == 0 && *normal);
	MUST(mkdtemp(base));
	dir = path_open_dir(base, &e);
	MUST(dir >= 0 && mkdirat(dir, "root", 0755) == 0);
	root = openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	MUST(root >= 0 && fstat(root, &st) == 0);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strchr("dfl", line[0]) && line[1] == ' ') {
			build(root, line);
			continue;
		}
		compare(root, line, O_PATH, st.st_dev);
		compare(root, line, O_PATH | O_NOFOLLOW, st.st_dev);
		compare(root, line, O_RDONLY | O_DIRECTORY, st.st_dev);
	}
	tmp = path_open_dir("/tmp", &e);
	name = strrchr(base, '/') + 1;
	MUST(path_remove_tree_at(tmp, name, &e) == 0);
	return 0;
}
