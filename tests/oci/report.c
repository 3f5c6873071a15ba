/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the inspector reported, against what a check wants; and small helpers for files.
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The last line of a key counts: a mount on top hides what is below. */
char *report_get(const char *report, const char *key)
{
	size_t len = strlen(key);
	char *value = NULL;

	for (const char *line = report; line && *line;) {
		const char *end = strchrnul(line, '\n');

		if (strncmp(line, key, len) == 0 && line[len] == '=') {
			free(value);
			value = strndup(line + len + 1, (size_t)(end - line) - len - 1);
		}
		line = *end ? end + 1 : end;
	}
	return value;
}

static bool list_has(const char *list, const char *item)
{
	size_t len = strlen(item);

	for (const char *at = list; at && *at;) {
		size_t n = strcspn(at, ",");

		if (n == len && strncmp(at, item, n) == 0)
			return true;
		at += n + (at[n] == ',');
	}
	return false;
}

static void want_one(const char *report, const char *want)
{
	size_t n = strcspn(want, "=~!");
	char key[256], *value;
	const char *expected = want[n] ? want + n + 1 : "";

	if (want[0] == '!') {
		value = report_get(report, want + 1);
		if (value)
			check_fail("%s: '%s', wanted: none", want + 1, value);
		return;
	}
	snprintf(key, sizeof(key), "%.*s", (int)n, want);
	value = report_get(report, key);
	if (!value)
		check_fail("%s is missing", key);
	if (want[n] == '=' && strcmp(value, expected) != 0)
		check_fail("%s: '%s', wanted '%s'", key, value, expected);
	if (want[n] == '~' && !list_has(value, expected))
		check_fail("%s: '%s' lacks '%s'", key, value, expected);
	if (want[n] == '!' && list_has(value, expected))
		check_fail("%s: '%s' has '%s'", key, value, expected);
	free(value);
}

void report_want(const char *report, const char *const *want)
{
	for (; want && *want; want++)
		want_one(report, *want);
}

char *slurp(const char *fmt, ...)
{
	char path[512], *text;
	size_t len = 0, cap = 65536;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	text = malloc(cap);
	for (;;) {
		ssize_t n = read(fd, text + len, cap - len - 1);

		if (n <= 0)
			break;
		len += (size_t)n;
		if (cap - len < 4096)
			text = realloc(text, cap *= 2);
	}
	text[len] = '\0';
	close(fd);
	return text;
}

void put_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		check_fail("fixture: %s: %s", path, strerror(errno));
	fchmod(fd, mode);
	close(fd);
}
