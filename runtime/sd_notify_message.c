/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a container's word to the service manager is handed on. The manager believes what comes from us, so only fields
 * that speak about the service itself pass: none that names processes of the host, stores descriptors, changes who may
 * speak, or moves the time limits that the unit was given. Spec: sd_notify(3).
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "sd_notify.h"

#define NUMBER_DIGITS_MAX 20
#define TEXT_MAX          1024

static bool is_one(const char *v, size_t n)
{
	return n == 1 && v[0] == '1';
}

static bool is_number(const char *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] < '0' || v[i] > '9')
			return false;
	return n > 0 && n <= NUMBER_DIGITS_MAX;
}

static bool is_watchdog(const char *v, size_t n)
{
	return is_one(v, n) || (n == 7 && memcmp(v, "trigger", 7) == 0);
}

/* A name of D-Bus or Varlink: letters, digits, dots and underscores. */
static bool is_name(const char *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._",
			    v[i]) ||
		    !v[i])
			return false;
	return n > 0 && n <= 255;
}

/* People read it in their terminal. */
static bool is_text(const char *v, size_t n)
{
	char copy[TEXT_MAX + 1];

	if (n > TEXT_MAX)
		return false;
	memcpy(copy, v, n);
	copy[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)copy[i] < ' ' || copy[i] == 0x7f)
			return false;
	return utf8_is_valid(copy, n);
}

static const struct {
	const char *name;
	bool (*is_value)(const char *v, size_t n);
} fields[] = {
	{"READY", is_one},         {"RELOADING", is_one},     {"STOPPING", is_one},
	{"STATUS", is_text},       {"ERRNO", is_number},      {"BUSERROR", is_name},
	{"VARLINKERROR", is_name}, {"WATCHDOG", is_watchdog}, {"MONOTONIC_USEC", is_number},
};

static bool passes(const char *line, size_t n, bool *ret_ready)
{
	const char *eq = memchr(line, '=', n);
	size_t name_len = eq ? (size_t)(eq - line) : 0;

	for (size_t i = 0; eq && i < ARRAY_SIZE(fields); i++) {
		if (strlen(fields[i].name) != name_len ||
		    memcmp(line, fields[i].name, name_len) != 0)
			continue;
		if (!fields[i].is_value(eq + 1, n - name_len - 1))
			return false;
		*ret_ready |= i == 0;
		return true;
	}
	return false;
}

size_t sd_notify_filter(const char *data, size_t len, pid_t main_pid, char *out, bool *ret_ready)
{
	const size_t room = SD_NOTIFY_MAX + 64;
	char pid[48] = "";
	size_t used = 0, head;

	*ret_ready = false;
	for (size_t start = 0; start < len && len <= SD_NOTIFY_MAX;) {
		const char *end = memchr(data + start, '\n', len - start);
		size_t n = end ? (size_t)(end - data) - start : len - start;

		/* Each line is no longer than it came: all of them fit. */
		if (passes(data + start, n, ret_ready)) {
			if (used)
				out[used++] = '\n';
			memcpy(out + used, data + start, n);
			used += n;
		}
		start += n + 1;
	}
	if (*ret_ready && main_pid > 0)
		snprintf(pid, sizeof(pid), "MAINPID=%d\n", (int)main_pid);
	head = strlen(pid);
	if (used + head < room) {
		memmove(out + head, out, used);
		memcpy(out, pid, head);
		used += head;
	}
	out[used] = '\0';
	return used;
}
