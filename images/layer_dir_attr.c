/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What files are besides their content: owner, mode, extended attributes, time.
 *
 * Order: the kernel takes setuid bits and file capabilities away when the owner changes, and capabilities when
 * something is written. So: data, owner, mode, attributes, time.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layer_dir_internal.h"

int layer_dir_hide_lower(struct layer_dir *d, int fd, struct err *e)
{
	if (fsetxattr(fd, d->params.opaque_xattr, "y", 1, 0) == 0)
		return 0;
	err_sys(e, errno, "set %s", d->params.opaque_xattr);
	if (errno == EOPNOTSUPP)
		err_hint(e, "the store's file system has no extended attributes; keep it on ext4, "
			    "xfs or btrfs");
	return err_wrap(e, "hide what lower layers have");
}

static bool owner_differs(struct layer_dir *d, const struct layer_meta *m, bool inherited)
{
	if (d->params.keep_owners)
		return inherited || m->uid != d->uid || m->gid != d->gid;
	if (m->uid != d->uid || m->gid != d->gid) {
		d->report->owners_left++;
		layer_note(d->report, "files of other users than root belong to you: there are no "
				      "subordinate ids for them");
	}
	return false;
}

static int explain_owner(const struct layer_meta *m, int errnum, struct err *e)
{
	err_sys(e, errnum, "give it to %u:%u", m->uid, m->gid);
	if (errnum == EINVAL)
		err_hint(e, "the user's ranges in /etc/subuid and /etc/subgid are too small for "
			    "this image");
	return -errnum;
}

/* Not possible for this file, file system or namespace; not a failure of the machine. */
static bool is_refusal(int errnum)
{
	return errnum == EPERM || errnum == EACCES || errnum == EOPNOTSUPP || errnum == EINVAL;
}

static int apply_xattrs(struct layer_dir *d, int fd, const struct layer_meta *m, struct err *e)
{
	for (size_t i = 0; i < m->n_xattrs; i++) {
		const struct tar_xattr *x = &m->xattrs[i];

		if (fsetxattr(fd, x->name, x->value, x->len, 0) == 0)
			continue;
		if (!is_refusal(errno))
			return err_sys(e, errno, "set the extended attribute %s", x->name);
		d->report->xattrs_left++;
		layer_note(d->report, "the attribute %s: %s", x->name, strerror(errno));
	}
	return 0;
}

int layer_dir_apply(struct layer_dir *d, int fd, const struct layer_meta *m, bool inherited,
		    bool mode_is_set, struct err *e)
{
	bool chown = owner_differs(d, m, inherited);

	if (chown && fchown(fd, m->uid, m->gid) < 0)
		return explain_owner(m, errno, e);
	if ((!mode_is_set || (m->mode & 07000)) && fchmod(fd, m->mode & 07777) < 0)
		return err_sys(e, errno, "set its mode");
	return m->n_xattrs ? apply_xattrs(d, fd, m, e) : 0;
}

int layer_dir_apply_at(struct layer_dir *d, const char *name, const struct layer_meta *m,
		       bool symlink, struct err *e)
{
	const struct timespec times[2] = {m->mtime, m->mtime};
	const struct layer_level *here = layer_dir_here(d);

	if (owner_differs(d, m, here->setgid) &&
	    fchownat(here->fd, name, m->uid, m->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return explain_owner(m, errno, e);
	/* Follows nothing: it was made a moment ago and nobody else is here. */
	if (!symlink && fchmodat(here->fd, name, m->mode & 07777, 0) < 0)
		return err_sys(e, errno, "set its mode");
	if (utimensat(here->fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "set its time");
	if (m->n_xattrs) {
		d->report->xattrs_left += m->n_xattrs;
		layer_note(d->report,
			   "'%s': extended attributes of what is neither file nor directory", name);
	}
	return 0;
}
