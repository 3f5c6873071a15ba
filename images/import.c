/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root file system's tar as an image of one layer. Its configuration is made here; the image's id is its digest, as
 * of any other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "digest.h"
#include "manifest.h"
#include "store.h"

/* Standard input, or a file of the caller's. */
static int open_input(const char *path, struct blob *ret, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (STREQ(path, "-")) {
		fd = fd_dup_above_stdio(STDIN_FILENO);
		if (fd < 0)
			return err_sys(e, fd, "standard input");
		if (isatty(fd)) {
			err_invalid(e, "standard input is a terminal, not a tar");
			return err_hint(e, "tar -C DIR -c . | insula import - NAME");
		}
	} else {
		_cleanup_free_ char *real = realpath(path, NULL);
		_cleanup_close_ int root = path_open_dir("/", e);

		if (!real && errno == ENOENT)
			return err_set(e, ERR_NOT_FOUND, ENOENT, "'%s' does not exist", path);
		if (!real)
			return err_sys(e, errno, "'%s'", path);
		if (root < 0)
			return root;
		fd = path_open_in_root(root, real, O_RDONLY | O_NOCTTY, 0, e);
		if (fd < 0)
			return fd;
	}
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "'%s'", path);
	if (S_ISDIR(st.st_mode)) {
		err_unsupported(e, "'%s' is a directory", path);
		return err_hint(e, "tar -C %s -c . | insula import - NAME", path);
	}
	*ret = (struct blob){.size_bytes = UINT64_MAX};
	if (S_ISREG(st.st_mode) && !STREQ(path, "-")) {
		ret->seekable = true;
		ret->size_bytes = (uint64_t)st.st_size;
	}
	ret->fd = TAKE_FD(fd);
	return 0;
}

/* What the caller gave, and what every configuration has. */
static int make_config(const struct img_config *given, const char *diff_id, char **ret, size_t *len,
		       struct err *e)
{
	char *ids[] = {(char *)diff_id, NULL}, created[32];
	struct img_config c = given ? *given : (struct img_config){0};
	time_t now = time(NULL);
	struct tm tm;

	if (!gmtime_r(&now, &tm) || !strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return err_sys(e, EOVERFLOW, "the time");
	c.os = (char *)"linux";
	c.architecture = (char *)platform_host();
	c.variant = NULL;
	c.created = created;
	c.diff_ids = ids;
	return image_config_write(&c, ret, len) < 0 ? err_nomem(e) : 0;
}

static int add_image(struct img_store *s, const struct img_reference *name,
		     const struct img_config *given, const char *diff_id, char **ret_id,
		     struct err *e)
{
	_cleanup_free_ char *config = NULL;
	char digest[DIGEST_MAX];
	size_t len;
	int r = make_config(given, diff_id, &config, &len, e);

	if (r < 0)
		return r;
	digest_of(config, len, digest);
	r = image_add(s, digest_hex(digest),
		      &(struct image_text){.config = config, .config_len = len}, e);
	if (r == 0 && name)
		r = name_set(s, name->name, name->tag, digest_hex(digest), e);
	if (r < 0)
		return r;
	*ret_id = strdup(digest_hex(digest));
	return *ret_id ? 0 : err_nomem(e);
}

static int import(struct img_store *s, const char *path, const struct img_reference *name,
		  const struct img_config *config, const struct img_progress *p, char **ret_id,
		  struct err *e)
{
	_cleanup_free_ char *diff_id = NULL;
	struct blob from = {.fd = -1};
	int r = open_input(path, &from, e);

	if (r == 0)
		r = store_begin_adding(s, e);
	if (r == 0)
		r = layer_add(s, NULL, &from, p, &diff_id, e);
	fd_close(from.fd);
	if (r == 0)
		r = add_image(s, name, config, diff_id, ret_id, e);
	store_end_adding(s);
	return r < 0 ? err_wrap(e, "import '%s'", path) : 0;
}

int img_import(struct img_store *s, const char *path, const char *name,
	       const struct img_config *config, const struct img_progress *p, char **ret_id,
	       struct err *e)
{
	struct img_reference parsed = {0};
	int r = name ? img_reference_parse(name, &parsed, e) : 0;

	if (r == 0 && name && (parsed.transport != IMG_STORED || parsed.digest))
		r = err_invalid(e, "'%s' cannot name an image of the store", name);
	if (r == 0)
		r = import(s, path, name ? &parsed : NULL, config, p, ret_id, e);
	img_reference_done(&parsed);
	return r;
}
