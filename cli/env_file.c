/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environment variables as flags and files give them, by docker's rules: a value is all behind the first "=", with
 * its quotes and blanks.
 */
#include "env_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

#define FILE_BYTES_MAX (1u << 20)

extern char **environ;

static int push_callers(const char *name, char ***v, struct err *e)
{
	const char *value = getenv(name);
	_cleanup_free_ char *assignment = NULL;

	if (!value)
		return 0;
	if (str_printf(&assignment, "%s=%s", name, value) < 0 || strv_push(v, assignment) < 0)
		return err_nomem(e);
	return 0;
}

static int push(const char *word, char ***v, struct err *e)
{
	return strv_push(v, word) < 0 ? err_nomem(e) : 0;
}

static int take_line(const char *line, bool caller, char ***v, struct err *e)
{
	size_t n = strcspn(line, "=");

	if (n == 0)
		return err_invalid(e, "'%s': a variable needs a name", line);
	for (size_t i = 0; i < n; i++)
		if (isspace((unsigned char)line[i]))
			return err_invalid(e, "'%s': a blank in a variable's name", line);
	return line[n] || !caller ? push(line, v, e) : push_callers(line, v, e);
}

int env_file_read(const char *path, bool caller, char ***v, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **lines = NULL;
	size_t len;
	int r = path_read_file_at(AT_FDCWD, path, FILE_BYTES_MAX, &text, &len, e);

	if (r < 0)
		return r;
	if (strlen(text) != len)
		return err_invalid(e, "'%s' is not a text: it has NUL bytes", path);
	/* Editors of another system begin a file with a byte order mark. */
	if (strv_split(str_has_prefix(text, "\xef\xbb\xbf") ? text + 3 : text, '\n', &lines) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < strv_len(lines); i++) {
		char *line = lines[i] + strspn(lines[i], " \t");
		size_t n = strlen(line);

		if (n > 0 && line[n - 1] == '\r')
			line[n - 1] = '\0';
		if (*line == '\0' || *line == '#')
			continue;
		r = take_line(line, caller, v, e);
		if (r < 0)
			return err_wrap(e, "'%s', line %zu", path, i + 1);
	}
	return 0;
}

/* "LC_*" */
static int push_matching(const char *pattern, char ***v, struct err *e)
{
	size_t n = strlen(pattern) - 1;
	int r = 0;

	for (char **x = environ; x && *x && r == 0; x++)
		if (strncmp(*x, pattern, n) == 0 && strcspn(*x, "=") >= n && strchr(*x, '='))
			r = push(*x, v, e);
	return r;
}

int env_take_flag(const char *flag, char ***v, struct err *e)
{
	size_t n = strcspn(flag, "=");

	if (n == 0)
		return err_invalid(e, "-e '%s': a variable needs a name", flag);
	if (flag[n])
		return push(flag, v, e);
	if (flag[n - 1] == '*')
		return push_matching(flag, v, e);
	return getenv(flag) ? push_callers(flag, v, e) : push(flag, v, e);
}

int env_take_all(bool host, char *const *files, char *const *flags, char ***v, struct err *e)
{
	int r = host ? push_matching("*", v, e) : 0;

	for (; files && *files && r == 0; files++) {
		r = env_file_read(*files, true, v, e);
		if (r < 0)
			err_wrap(e, "--env-file");
	}
	for (; flags && *flags && r == 0; flags++)
		r = env_take_flag(*flags, v, e);
	return r;
}
