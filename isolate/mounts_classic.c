/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount by mount(2), for the one thing that fsconfig(2) cannot do: an option value of more than
 * 255 bytes, such as the layer paths that engines give to overlayfs. The target is the open
 * descriptor by its name in /proc/self/fd (the host's procfs, as we are before the pivot), so
 * nothing of the container's is walked here either, and all attributes are in force from the first
 * moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "mountfd.h"
#include "mounts.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

/* What mount(2) copies: a page, with the terminator. */
#define CLASSIC_DATA_MAX 4095

static const struct {
	uint64_t attr;
	unsigned long flag;
} classic_flags[] = {
	{MOUNT_ATTR_RDONLY, MS_RDONLY},         {MOUNT_ATTR_NOSUID, MS_NOSUID},
	{MOUNT_ATTR_NODEV, MS_NODEV},           {MOUNT_ATTR_NOEXEC, MS_NOEXEC},
	{MOUNT_ATTR_NOATIME, MS_NOATIME},       {MOUNT_ATTR_STRICTATIME, MS_STRICTATIME},
	{MOUNT_ATTR_NODIRATIME, MS_NODIRATIME}, {MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW},
};

bool mounts_needs_classic(const char *data)
{
	for (const char *p = data; p && *p;) {
		const char *end = strchrnul(p, ','), *value = memchr(p, '=', (size_t)(end - p));

		if (value && end - value - 1 > MOUNTFD_VALUE_MAX)
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

int mounts_classic(const struct inside *in, const struct iso_mount *m, const char *data,
		   int target_fd, struct err *e)
{
	_cleanup_free_ char *all = NULL;
	_cleanup_close_ int mnt_fd = -1;
	const char *label = in->config->mount_label;
	uint64_t attrs = mounts_attrs(m);
	unsigned long flags = 0;
	char link[PATH_FD_MAX];
	bool labelled = label && *label;

	for (size_t i = 0; i < ARRAY_SIZE(classic_flags); i++)
		if (attrs & classic_flags[i].attr)
			flags |= classic_flags[i].flag;
	if (str_printf(&all, "%s%s%s%s", data, labelled ? ",context=\"" : "", labelled ? label : "",
		       labelled ? "\"" : "") < 0)
		return err_nomem(e);
	if (strlen(all) > CLASSIC_DATA_MAX)
		return err_invalid(e, "the options are longer than %d bytes", CLASSIC_DATA_MAX);
	if (mount(m->source, path_of_fd(target_fd, link), m->type, flags, all) < 0)
		return err_sys(e, errno, "options '%.200s...'", all);
	if (!m->propagation)
		return 0;
	mnt_fd = path_open_in_root(in->root_fd, m->destination, O_PATH | O_DIRECTORY, 0, e);
	return mnt_fd < 0 ? mnt_fd : mountfd_spread(mnt_fd, m->propagation, e);
}
