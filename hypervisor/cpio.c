/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newc writer: a header of 110 ASCII characters, the name, the data, the last two each padded
 * so that the next part starts at a multiple of four from the header's start.
 */
#include "cpio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"

#define CPIO_HEADER_BYTES 110
#define CPIO_NAME_MAX     255

struct entry {
	const char *name;
	uint32_t ino, mode, nlink;
	unsigned rdev_major, rdev_minor;
	const void *data;
	size_t len;
};

static size_t padding(size_t n)
{
	return -n & 3;
}

static int write_entry(struct cpio *c, const struct entry *x, struct err *e)
{
	static const char zeroes[4];
	char header[CPIO_HEADER_BYTES + CPIO_NAME_MAX + 1 + sizeof(zeroes)] = {0};
	size_t name_len = strlen(x->name), head_len = CPIO_HEADER_BYTES + name_len + 1;
	int r;

	if (name_len == 0 || name_len > CPIO_NAME_MAX || x->name[0] == '/')
		return err_invalid(e, "cpio: '%s' cannot be an entry's name", x->name);
	if (x->len > UINT32_MAX)
		return err_set(e, ERR_INVALID, EFBIG, "cpio: '%s' is too big for the format",
			       x->name);
	/* magic ino mode uid gid nlink mtime filesize dev(2) rdev(2) namesize check */
	snprintf(header, sizeof(header),
		 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s", x->ino, x->mode, 0,
		 0, x->nlink, 0, (unsigned)x->len, 0, 0, x->rdev_major, x->rdev_minor,
		 (unsigned)name_len + 1, 0, x->name);
	r = fd_write_all(c->fd, header, head_len + padding(head_len), x->name, e);
	if (r == 0 && x->len > 0)
		r = fd_write_all(c->fd, x->data, x->len, x->name, e);
	if (r == 0 && padding(x->len) > 0)
		r = fd_write_all(c->fd, zeroes, padding(x->len), x->name, e);
	return r;
}

int cpio_add_dir(struct cpio *c, const char *name, mode_t mode, struct err *e)
{
	return write_entry(
		c,
		&(struct entry){
			.name = name, .ino = ++c->last_ino, .mode = S_IFDIR | mode, .nlink = 2},
		e);
}

int cpio_add_file(struct cpio *c, const char *name, mode_t mode, const void *data, size_t len,
		  struct err *e)
{
	return write_entry(c,
			   &(struct entry){.name = name,
					   .ino = ++c->last_ino,
					   .mode = S_IFREG | mode,
					   .nlink = 1,
					   .data = data,
					   .len = len},
			   e);
}

int cpio_add_char_device(struct cpio *c, const char *name, mode_t mode, unsigned dev_major,
			 unsigned dev_minor, struct err *e)
{
	return write_entry(c,
			   &(struct entry){.name = name,
					   .ino = ++c->last_ino,
					   .mode = S_IFCHR | mode,
					   .nlink = 1,
					   .rdev_major = dev_major,
					   .rdev_minor = dev_minor},
			   e);
}

int cpio_finish(struct cpio *c, struct err *e)
{
	return write_entry(c, &(struct entry){.name = "TRAILER!!!", .nlink = 1}, e);
}
