/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of a tar that we write.
 */
#include "tar_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "tar_header.h"

#define OCTAL_SIZE_MAX UINT64_C(077777777777)

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[6], version[2], uname[32], gname[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "one block");

static void put_size(char field[12], uint64_t size)
{
	char text[16];

	if (size <= OCTAL_SIZE_MAX) {
		snprintf(text, sizeof(text), "%011llo", (unsigned long long)size);
		memcpy(field, text, 12);
		return;
	}
	field[0] = (char)0x80;
	for (int i = 11; i > 3; i--, size >>= 8)
		field[i] = (char)(size & 0xff);
}

int tar_write_header(int fd, const char *name, uint64_t size_bytes, struct err *e)
{
	struct ustar h = {.type = '0'};
	unsigned sum = 0;
	char text[16];

	if (strlen(name) > sizeof(h.name))
		return err_set(e, ERR_INTERNAL, ENAMETOOLONG, "a name of %zu bytes", strlen(name));
	memcpy(h.name, name, strlen(name));
	memcpy(h.mode, "0000644", 8);
	memcpy(h.uid, "0000000", 8);
	memcpy(h.gid, "0000000", 8);
	put_size(h.size, size_bytes);
	memcpy(h.mtime, "00000000000", 12);
	memset(h.checksum, ' ', sizeof(h.checksum));
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((const unsigned char *)&h)[i];
	snprintf(text, sizeof(text), "%06o", sum & 0777777);
	memcpy(h.checksum, text, 7);
	return fd_write_all(fd, &h, sizeof(h), "the archive", e);
}

int tar_write_pad(int fd, uint64_t size_bytes, struct err *e)
{
	static const char zeros[TAR_BLOCK];
	size_t over = (size_t)(size_bytes % TAR_BLOCK);

	return over ? fd_write_all(fd, zeros, TAR_BLOCK - over, "the archive", e) : 0;
}

int tar_write_end(int fd, struct err *e)
{
	static const char zeros[2 * TAR_BLOCK];

	return fd_write_all(fd, zeros, sizeof(zeros), "the archive", e);
}
