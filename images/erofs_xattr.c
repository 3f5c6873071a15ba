/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: what may be kept, and how it lies on the disk. The rules are those of setxattr(2) on a disk of the host:
 * both ways of keeping layers leave the same attributes out.
 *
 * Spec: kernel fs/erofs/erofs_fs.h; include/uapi/linux/{capability,posix_acl,posix_acl_xattr}.h.
 */
#include "erofs_xattr.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "erofs_format.h"

/* As many as a 16-bit count of 4-byte units says, and the header. */
#define XATTRS_MAX (sizeof(struct erofs_xattr_header) + 4 * (UINT16_MAX - 1))

void erofs_xattrs_clear(struct erofs_xattrs *x)
{
	x->len = 0;
}

void erofs_xattrs_done(struct erofs_xattrs *x)
{
	free(x->data);
	*x = (struct erofs_xattrs){0};
}

static int reserve(struct erofs_xattrs *x, size_t len, struct err *e)
{
	uint8_t *more;

	if (len <= x->cap)
		return 0;
	more = realloc(x->data, len * 2);
	if (!more)
		return err_nomem(e);
	x->data = more;
	x->cap = len * 2;
	return 0;
}

int erofs_xattrs_copy(struct erofs_xattrs *x, const uint8_t *data, size_t len, struct err *e)
{
	int r = reserve(x, len, e);

	if (r < 0)
		return r;
	memcpy(x->data, data, len);
	x->len = len;
	return 0;
}

/* ---- values ------------------------------------------------------------------------------------- */

/* Spec: capabilities(7) "File capability extended attribute versioning". Version 1 cannot be set any more. */
static bool is_capability(const void *value, size_t len)
{
	uint32_t magic;

	if (len < sizeof(magic))
		return false;
	memcpy(&magic, value, sizeof(magic));
	magic = le32toh(magic) & VFS_CAP_REVISION_MASK;
	return (magic == VFS_CAP_REVISION_2 && len == XATTR_CAPS_SZ_2) ||
	       (magic == VFS_CAP_REVISION_3 && len == XATTR_CAPS_SZ_3);
}

struct acl {
	uint32_t mode; /* that it stands for */
	bool is_more;  /* than a mode */
};

/* Which may come after which; a mask is a must with named users and groups. */
static bool may_follow(uint16_t last, uint16_t tag)
{
	switch (tag) {
	case ACL_USER_OBJ:
		return last == 0;
	case ACL_USER:
		return last == ACL_USER_OBJ || last == ACL_USER;
	case ACL_GROUP_OBJ:
		return last == ACL_USER_OBJ || last == ACL_USER;
	case ACL_GROUP:
		return last == ACL_GROUP_OBJ || last == ACL_GROUP;
	case ACL_MASK:
		return last == ACL_GROUP_OBJ || last == ACL_GROUP;
	case ACL_OTHER:
		return last == ACL_GROUP_OBJ || last == ACL_MASK || last == ACL_GROUP;
	}
	return false;
}

static void add_permission(struct acl *a, uint16_t tag, uint16_t perm)
{
	switch (tag) {
	case ACL_USER_OBJ:
		a->mode |= (uint32_t)perm << 6;
		break;
	case ACL_GROUP_OBJ:
		a->mode |= (uint32_t)perm << 3;
		break;
	case ACL_OTHER:
		a->mode |= perm;
		break;
	case ACL_MASK:
		a->mode = (a->mode & ~(uint32_t)070) | (uint32_t)perm << 3;
		a->is_more = true;
		break;
	case ACL_USER:
	case ACL_GROUP:
		a->is_more = true;
		break;
	}
}

/* 0: none. */
static int read_acl(const uint8_t *value, size_t len, struct acl *ret)
{
	struct posix_acl_xattr_header header;
	bool named = false, masked = false;
	uint16_t last = 0;

	*ret = (struct acl){0};
	if (len < sizeof(header) || (len - sizeof(header)) % sizeof(struct posix_acl_xattr_entry))
		return 0;
	memcpy(&header, value, sizeof(header));
	if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION)
		return 0;
	for (size_t at = sizeof(header); at < len; at += sizeof(struct posix_acl_xattr_entry)) {
		struct posix_acl_xattr_entry n;
		uint16_t tag, perm;

		memcpy(&n, value + at, sizeof(n));
		tag = le16toh(n.e_tag);
		perm = le16toh(n.e_perm);
		if (perm > 7 || !may_follow(last, tag))
			return 0;
		named |= tag == ACL_USER || tag == ACL_GROUP;
		masked |= tag == ACL_MASK;
		if ((tag == ACL_USER || tag == ACL_GROUP) && n.e_id == UINT32_MAX)
			return 0;
		add_permission(ret, tag, perm);
		last = tag;
	}
	/* An empty one is how one is taken away. */
	return last == 0 || (last == ACL_OTHER && (masked || !named));
}

/* ---- entries ------------------------------------------------------------------------------------ */

static int add(struct erofs_xattrs *x, enum erofs_prefix prefix, const char *name,
	       const void *value, size_t len, const char **ret_why, struct err *e)
{
	const struct erofs_xattr_entry entry = {.name_len = (uint8_t)strlen(name),
						.prefix = (uint8_t)prefix,
						.value_len = htole16((uint16_t)len)};
	size_t at = x->len ?: sizeof(struct erofs_xattr_header);
	size_t bytes = (sizeof(entry) + strlen(name) + len + 3) / 4 * 4;
	int r;

	if (strlen(name) > UINT8_MAX || len > UINT16_MAX || at + bytes > XATTRS_MAX) {
		*ret_why = "larger than EROFS has room for";
		return 0;
	}
	r = reserve(x, at + bytes, e);
	if (r < 0)
		return r;
	if (x->len == 0)
		memset(x->data, 0, at);
	memset(x->data + at, 0, bytes);
	memcpy(x->data + at, &entry, sizeof(entry));
	memcpy(x->data + at + sizeof(entry), name, strlen(name));
	if (len)
		memcpy(x->data + at + sizeof(entry) + strlen(name), value, len);
	x->len = at + bytes;
	return 1;
}

static int take_acl(struct erofs_xattrs *x, bool directory, bool is_default, const void *value,
		    size_t len, uint32_t *mode, const char **ret_why, struct err *e)
{
	struct acl acl;

	if (!read_acl(value, len, &acl) || (is_default && !directory)) {
		*ret_why = strerror(EINVAL);
		return 0;
	}
	if (len == sizeof(struct posix_acl_xattr_header))
		return 1;
	if (is_default)
		return add(x, EROFS_PREFIX_ACL_DEFAULT, "", value, len, ret_why, e);
	*mode = (*mode & ~(uint32_t)0777) | acl.mode;
	return acl.is_more ? add(x, EROFS_PREFIX_ACL_ACCESS, "", value, len, ret_why, e) : 1;
}

int erofs_xattrs_take(struct erofs_xattrs *x, bool directory, const char *name, const void *value,
		      size_t len, uint32_t *mode, const char **ret_why, struct err *e)
{
	if (STREQ(name, "system.posix_acl_access") || STREQ(name, "system.posix_acl_default"))
		return take_acl(x, directory, STREQ(name, "system.posix_acl_default"), value, len,
				mode, ret_why, e);
	if (STREQ(name, "security.capability") && is_capability(value, len))
		return add(x, EROFS_PREFIX_SECURITY, name + strlen("security."), value, len,
			   ret_why, e);
	if (str_has_prefix(name, "user.") && name[strlen("user.")])
		return add(x, EROFS_PREFIX_USER, name + strlen("user."), value, len, ret_why, e);
	*ret_why = strerror(EINVAL);
	return 0;
}
