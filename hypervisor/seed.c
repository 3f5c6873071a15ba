/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest ISO 9660 file system that holds two files in its root directory. Blocks of 2048 bytes:
 *
 *	0-15	nothing		18, 19	path tables (little- and big-endian)
 *	16	volume		20	root directory
 *	17	end of volumes	21	meta-data, then user-data
 *
 * Its file names have letters that level 1 does not allow, as those of cloud-init's own examples do; Linux shows them as
 * they are. Source: ECMA-119, sections 8.4 (volume), 9.1 (directory records), 9.4 (path tables).
 */
#include "hypervisor/seed.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define BLOCK      2048u
#define BLOCKS_MIN 32u /* some readers take nothing shorter for a volume */

enum { AT_VOLUME = 16, AT_END, AT_TABLE_LE, AT_TABLE_BE, AT_ROOT, AT_META };

/* Numbers stand in both byte orders. */
static void put_both_32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = p[7 - i] = (uint8_t)(v >> (8 * i));
}

static void put_both_16(uint8_t *p, uint16_t v)
{
	p[0] = p[3] = (uint8_t)v;
	p[1] = p[2] = (uint8_t)(v >> 8);
}

/* A directory record; names of one byte 0 and 1 are the directory itself and its parent. Returns its length. */
static size_t put_record(uint8_t *p, uint32_t block, uint32_t bytes, bool directory,
			 const char *name, size_t name_len)
{
	size_t len = 33 + name_len + (name_len % 2 == 0);

	p[0] = (uint8_t)len;
	put_both_32(p + 2, block);
	put_both_32(p + 10, bytes);
	/* 1 January 1980, so that the image is a function of its content. */
	p[18] = 80;
	p[19] = p[20] = 1;
	p[25] = directory ? 2 : 0;
	put_both_16(p + 28, 1);
	p[32] = (uint8_t)name_len;
	memcpy(p + 33, name, name_len);
	return len;
}

static void put_dates(uint8_t *p)
{
	for (int i = 0; i < 4; i++)
		memset(p + 17 * i, '0', 16); /* not given; the 17th byte is a time zone */
}

static void put_volume(uint8_t *p, uint32_t blocks)
{
	static const char label[] = "cidata";

	p[0] = 1;
	memcpy(p + 1, "CD001", 5);
	p[6] = 1;
	memset(p + 8, ' ', 64);
	memcpy(p + 40, label, strlen(label));
	put_both_32(p + 80, blocks);
	put_both_16(p + 120, 1);
	put_both_16(p + 124, 1);
	put_both_16(p + 128, BLOCK);
	put_both_32(p + 132, 10);
	p[140] = AT_TABLE_LE;
	p[151] = AT_TABLE_BE;
	put_record(p + 156, AT_ROOT, BLOCK, true, "", 1);
	memset(p + 190, ' ', 623);
	put_dates(p + 813);
	p[881] = 1;
}

static void put_end(uint8_t *p)
{
	p[0] = 255;
	memcpy(p + 1, "CD001", 5);
	p[6] = 1;
}

/* The root directory is the only one. */
static void put_tables(uint8_t *image)
{
	uint8_t *le = image + AT_TABLE_LE * BLOCK, *be = image + AT_TABLE_BE * BLOCK;

	le[0] = be[0] = 1;
	le[2] = be[5] = AT_ROOT;
	le[6] = be[7] = 1;
}

static void put_root(uint8_t *p, uint32_t meta_len, uint32_t user_block, uint32_t user_len)
{
	p += put_record(p, AT_ROOT, BLOCK, true, "", 1);
	p += put_record(p, AT_ROOT, BLOCK, true, "\1", 1);
	p += put_record(p, AT_META, meta_len, false, "meta-data", 9);
	put_record(p, user_block, user_len, false, "user-data", 9);
}

int vm_seed_write(int fd, const char *id, const void *user_data, size_t len, struct err *e)
{
	_cleanup_free_ char *meta = NULL;
	_cleanup_free_ uint8_t *image = NULL;
	uint32_t meta_len, user_block, blocks;

	if (str_printf(&meta, "instance-id: %s\nlocal-hostname: %s\n", id, id) < 0)
		return err_nomem(e);
	if (len > UINT32_MAX / 2)
		return err_invalid(e, "cloud-init: user-data of %zu bytes", len);
	meta_len = (uint32_t)strlen(meta);
	user_block = AT_META + (meta_len + BLOCK - 1) / BLOCK;
	blocks = user_block + ((uint32_t)len + BLOCK - 1) / BLOCK;
	if (blocks < BLOCKS_MIN)
		blocks = BLOCKS_MIN;
	image = calloc(blocks, BLOCK);
	if (!image)
		return err_nomem(e);
	put_volume(image + AT_VOLUME * BLOCK, blocks);
	put_end(image + AT_END * BLOCK);
	put_tables(image);
	put_root(image + AT_ROOT * BLOCK, meta_len, user_block, (uint32_t)len);
	memcpy(image + AT_META * BLOCK, meta, meta_len);
	memcpy(image + (size_t)user_block * BLOCK, user_data, len);
	return fd_write_all(fd, image, (size_t)blocks * BLOCK, "the cloud-init seed", e);
}
