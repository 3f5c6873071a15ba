/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading /proc/self/mountinfo: one line per mount,
 *	36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 * with space, tab, newline and backslash in names as octal escapes. Lines come whole from the
 * kernel; one that does not have this form is an error, not skipped.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "mountinfo.h"

/* A hundred thousand mounts (the kernel's own default limit) with long names. */
#define MOUNTINFO_MAX_BYTES (64u << 20)

static const struct {
	const char *name;
	uint64_t attr;
} attr_words[] = {
	{"ro", MOUNT_ATTR_RDONLY},
	{"nosuid", MOUNT_ATTR_NOSUID},
	{"nodev", MOUNT_ATTR_NODEV},
	{"noexec", MOUNT_ATTR_NOEXEC},
	{"noatime", MOUNT_ATTR_NOATIME},
	{"nodiratime", MOUNT_ATTR_NODIRATIME},
	{"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW},
};

void mountinfo_done(struct mountinfo *info)
{
	for (size_t i = 0; i < info->n; i++) {
		free(info->v[i].mountpoint);
		free(info->v[i].fstype);
	}
	free(info->v);
	*info = (struct mountinfo){0};
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3])) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

static uint64_t parse_attrs(char *options)
{
	uint64_t attrs = 0;
	char *save = NULL;

	for (char *w = strtok_r(options, ",", &save); w; w = strtok_r(NULL, ",", &save))
		for (size_t i = 0; i < ARRAY_SIZE(attr_words); i++)
			if (STREQ(w, attr_words[i].name))
				attrs |= attr_words[i].attr;
	return attrs;
}

static int parse_line(char *line, struct mountinfo_entry *ret)
{
	char *save = NULL, *f[6], *w;
	struct mountinfo_entry entry = {0};

	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		f[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!f[i])
			return -EBADMSG;
	}
	/* Optional fields, then a lone "-". */
	do
		w = strtok_r(NULL, " ", &save);
	while (w && !STREQ(w, "-"));
	w = strtok_r(NULL, " ", &save);
	if (!w || parse_u64(f[0], &entry.id) < 0 || parse_u64(f[1], &entry.parent) < 0)
		return -EBADMSG;
	unescape(f[4]);
	entry.attrs = parse_attrs(f[5]);
	entry.mountpoint = strdup(f[4]);
	entry.fstype = strdup(w);
	if (!entry.mountpoint || !entry.fstype) {
		free(entry.mountpoint);
		free(entry.fstype);
		return -ENOMEM;
	}
	*ret = entry;
	return 0;
}

int mountinfo_parse(char *text, struct mountinfo *ret, struct err *e)
{
	size_t lines = 1;
	char *save = NULL;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	ret->v = calloc(lines, sizeof(*ret->v));
	if (!ret->v)
		return err_nomem(e);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = parse_line(line, &ret->v[ret->n]);

		if (r < 0) {
			mountinfo_done(ret);
			return err_sys(e, r, "read line of /proc/self/mountinfo");
		}
		ret->n++;
	}
	return 0;
}

int mountinfo_read(struct mountinfo *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int r;

	r = path_read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX_BYTES, &text, NULL,
			      e);
	if (r < 0)
		return r;
	return mountinfo_parse(text, ret, e);
}

const struct mountinfo_entry *mountinfo_by_id(const struct mountinfo *info, uint64_t id)
{
	for (size_t i = 0; i < info->n; i++)
		if (info->v[i].id == id)
			return &info->v[i];
	return NULL;
}
