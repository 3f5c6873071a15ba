/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of layers as they came, kept beside what was extracted from them: so an image is pushed and saved with the digests that it
 * was pulled with, and a download that broke goes on where it did, also in another process.
 *
 * What a layer is extracted from is written to a part file on its way. The part gets its name, the digest of its bytes, before the layer
 * gets its own, and the layer's record says which it is; so a layer that is there has its bytes, and nobody but the one who extracted
 * them can say that they belong together. The next one finds a part by the digest that is wanted, feeds what is there from its beginning
 * (all of it is hashed again), and asks the source only for the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "store.h"

#define PART_PREFIX  ".part-"
#define PART_AGE_SEC (7 * 24 * 3600) /* nobody comes back for it */

/* ---- what is there ---------------------------------------------------------------------------------- */

int blob_open(const struct img_store *s, const char *digest, uint64_t *ret_size, struct err *e)
{
	_cleanup_close_ int fd =
		path_open_in_root(s->blobs, digest_hex(digest), O_RDONLY | O_NOFOLLOW, 0, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "kept blob");
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	return TAKE_FD(fd);
}

/* ---- keeping one -------------------------------------------------------------------------------------- */

/* The part of that digest, locked. Who has it is dying, or extracts the same bytes for other ids: each waits for a part with the lock of one
 * layer at most, which who has the part does not want. */
static int open_part(struct keeping *k, struct err *e)
{
	struct stat st;
	int r;

	k->fd = store_lock_file(k->store->blobs, k->part, true, e);
	if (k->fd < 0)
		return k->fd;
	if (fstat(k->fd, &st) < 0)
		return err_sys(e, errno, "part of a blob");
	k->have = (uint64_t)st.st_size;
	if (k->have > 0 && k->have <= k->from->size_bytes && k->from->skip)
		return k->have < k->from->size_bytes ? k->from->skip(k->from->arg, k->have, e) : 0;
	k->have = 0;
	r = ftruncate(k->fd, 0);
	return r < 0 ? err_sys(e, errno, "part of a blob") : 0;
}

/* Bytes that an earlier process wrote. */
static int read_part(struct keeping *k, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	ssize_t n = pread(k->fd, buf, len < k->have - k->at ? len : (size_t)(k->have - k->at),
			  (off_t)k->at);

	if (n <= 0)
		return err_sys(e, n < 0 ? errno : EIO, "part of a blob");
	*ret_len = (size_t)n;
	return 0;
}

static int read_source(struct keeping *k, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	const struct blob *from = k->from;
	struct err why = ERR_INIT;
	int r = blob_read(from, k->at, buf, len, ret_len, &why);

	if (r < 0) {
		/* What a network does is no reason to throw away what came. */
		k->broken = why.kind != ERR_INVALID;
		if (e)
			*e = why;
		return r;
	}
	if (k->fd >= 0 && *ret_len > 0) {
		/* Nothing writes there but us, so the place is where the last write ended. */
		if (k->at == k->have && lseek(k->fd, (off_t)k->at, SEEK_SET) < 0)
			return err_sys(e, errno, "keep the layer's bytes");
		r = FAULT("blob-write", e);
		if (r == 0)
			r = fd_write_all(k->fd, buf, *ret_len, "the layer's bytes", e);
	}
	return r;
}

static int keep_read(void *arg, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	struct keeping *k = arg;
	int r = 0;

	if (!k->begun) {
		k->begun = true;
		r = open_part(k, e);
	}
	if (r == 0)
		r = k->at < k->have ? read_part(k, buf, len, ret_len, e)
				    : read_source(k, buf, len, ret_len, e);
	if (r < 0)
		return r;
	k->at += *ret_len;
	if (!k->from->digest)
		digest_add(&k->hash, buf, *ret_len);
	return 0;
}

int keep_begin(struct img_store *s, const struct blob *from, struct keeping *k, struct blob *ret,
	       struct err *e)
{
	uint64_t random;

	*k = (struct keeping){.store = s, .from = from, .fd = -1};
	if (from->digest) {
		snprintf(k->part, sizeof(k->part), PART_PREFIX "%s", digest_hex(from->digest));
	} else {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return err_sys(e, errno, "random number");
		snprintf(k->part, sizeof(k->part), PART_PREFIX "import-%016llx",
			 (unsigned long long)random);
		digest_init(&k->hash);
	}
	*ret = (struct blob){.fd = -1,
			     .size_bytes = from->size_bytes,
			     .digest = from->digest,
			     .read = keep_read,
			     .arg = k};
	return 0;
}

int keep_publish(struct keeping *k, struct kept_blob *ret, struct err *e)
{
	struct stat st;
	int r;

	*ret = (struct kept_blob){.size_bytes = k->at};
	if (k->from->digest)
		memcpy(ret->digest, k->from->digest, DIGEST_MAX);
	else
		digest_text(&k->hash, ret->digest);
	/* An empty one was never read. */
	if (k->fd < 0) {
		if (fstatat(k->store->blobs, digest_hex(ret->digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
			*ret->digest = '\0';
		return 0;
	}
	r = FAULT("blob-publish", e);
	if (r < 0)
		return r;
	if (renameat(k->store->blobs, k->part, k->store->blobs, digest_hex(ret->digest)) < 0)
		return err_sys(e, errno, "keep the layer's bytes");
	k->fd = fd_close(k->fd);
	return 0;
}

void keep_done(struct keeping *k)
{
	if (k->fd < 0)
		return;
	/* Only a download can be taken up. */
	if (k->broken && k->from->skip && k->at > 0)
		k->fd = fd_close(k->fd);
	else
		store_unlock_file(k->store->blobs, k->part, k->fd);
	k->fd = -1;
}

/* ---- sweeping ------------------------------------------------------------------------------------------- */

static bool is_old(const struct img_store *s, const char *name)
{
	struct stat st;

	return fstatat(s->blobs, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       time(NULL) - st.st_mtime > PART_AGE_SEC;
}

void blob_sweep_unused(struct img_store *s, char *const *used, bool parts)
{
	_cleanup_strv_ char **all = NULL;

	if (store_read_dir(s->blobs, "", &all, NULL) < 0)
		return;
	for (char **v = all; v && *v; v++) {
		bool keep = false;

		if (str_has_prefix(*v, PART_PREFIX))
			keep = !parts && !str_has_prefix(*v, PART_PREFIX "import-") &&
			       !is_old(s, *v);
		for (char *const *u = used; !keep && u && *u; u++)
			keep = STREQ(digest_hex(*u), *v);
		if (!keep)
			path_unlink_at(s->blobs, *v, NULL);
	}
}
