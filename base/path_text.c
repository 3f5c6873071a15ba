/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as text: what can be said about them without asking a file system, and the name of an open
 * descriptor.
 */
#include "path_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

bool path_is_plain(const char *name)
{
	return *name != '\0' && !strchr(name, '/') && !STREQ(name, ".") && !STREQ(name, "..");
}

const char *path_of_fd(int fd, char buf[PATH_FD_MAX])
{
	snprintf(buf, PATH_FD_MAX, "/proc/self/fd/%d", fd);
	return buf;
}

bool path_next_component(const char **at, const char **ret, size_t *ret_len)
{
	const char *start = *at + strspn(*at, "/");

	*ret_len = strcspn(start, "/");
	*ret = start;
	*at = start + *ret_len;
	return *ret_len > 0;
}

/* Take the last component off `out`. False if there is none that could be taken off. */
static bool drop_last(char *out, size_t *len, size_t root_len)
{
	size_t start = *len;

	if (start == root_len)
		return false;
	while (start > root_len && out[start - 1] != '/')
		start--;
	if (*len - start == 2 && memcmp(out + start, "..", 2) == 0)
		return false;
	*len = start > root_len ? start - 1 : start; /* with its slash, but not the root's */
	return true;
}

int path_normalize(const char *path, char **ret)
{
	size_t root_len = *path == '/', len = root_len, n;
	const char *name;
	char *out;

	out = malloc(strlen(path) + 2);
	if (!out)
		return -ENOMEM;
	out[0] = '/';
	while (path_next_component(&path, &name, &n)) {
		if (n == 1 && name[0] == '.')
			continue;
		if (n == 2 && name[0] == '.' && name[1] == '.' &&
		    (drop_last(out, &len, root_len) || root_len))
			continue;
		if (len > root_len)
			out[len++] = '/';
		memcpy(out + len, name, n);
		len += n;
	}
	if (len == 0)
		out[len++] = '.';
	out[len] = '\0';
	*ret = out;
	return 0;
}
