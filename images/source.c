/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of layouts and archives. A compressed archive is decompressed by the worker into a file without a name
 * first, so that its blobs can be read where they lie, as those of any other.
 */
#include "source.h"

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
#include "worker_call.h"

#define LINK_HOPS_MAX     8
#define ARCHIVE_MAX_BYTES (UINT64_C(1) << 38) /* decompressed: 256 GiB */
#define SETTLED_MSEC      50 /* some ticks of the slowest clock that stamps files */
#define INDEX_FILE        "index.json"

void source_done(struct source *src)
{
	src->fd = fd_close(src->fd);
	free(src->list);
	free(src->entries);
	*src = (struct source){.fd = -1};
}

/* ---- opening a file that may be anything ---------------------------------------------------------- */

/* O_NONBLOCK: a FIFO must not make us wait. */
static int open_regular(int dirfd, const char *name, struct stat *ret, struct err *e)
{
	_cleanup_close_ int fd =
		path_open_in_root(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, e);

	if (fd < 0)
		return fd;
	if (fstat(fd, ret) < 0)
		return err_sys(e, errno, "look at '%s'", name);
	if (!S_ISREG(ret->st_mode))
		return err_invalid(e, "'%s' is not a file", name);
	return TAKE_FD(fd);
}

static int root_dir(int *ret, struct err *e)
{
	*ret = path_open_dir("/", e);
	return *ret < 0 ? *ret : 0;
}

static int identity_of(const struct stat *st, char **ret, struct err *e)
{
	return str_printf(ret, "%llu:%llu:%llu:%lld.%09ld:%lld.%09ld",
			  (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
			  (unsigned long long)st->st_size, (long long)st->st_mtim.tv_sec,
			  st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec,
			  st->st_ctim.tv_nsec) < 0
		       ? err_nomem(e)
		       : 0;
}

static int real_path(const struct img_reference *r, char **ret, struct err *e)
{
	*ret = realpath(r->path, NULL);
	if (*ret)
		return 0;
	if (errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "'%s' does not exist", r->path);
	return err_sys(e, errno, "'%s'", r->path);
}

/* A file that changed just now may change again without another time: it cannot be told by its identity yet. */
static bool is_settled(const struct stat *st)
{
	struct timespec now;
	int64_t age_msec;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return false;
	age_msec = (int64_t)(now.tv_sec - st->st_ctim.tv_sec) * 1000 +
		   (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000;
	return age_msec > SETTLED_MSEC;
}

int source_identify(const struct img_reference *r, char **ret_path, char **ret_identity,
		    bool *ret_settled, struct err *e)
{
	_cleanup_free_ char *path = NULL, *file = NULL;
	_cleanup_close_ int root = -1, fd = -1;
	struct stat st;
	int x = real_path(r, &path, e);

	if (x == 0)
		x = root_dir(&root, e);
	if (x < 0)
		return x;
	if (str_printf(&file, "%s%s", path, r->transport == IMG_OCI_LAYOUT ? "/" INDEX_FILE : "") <
	    0)
		return err_nomem(e);
	fd = path_open_in_root(root, file, O_PATH, 0, e);
	if (fd == -ENOENT || fd == -ENOTDIR) {
		err_set(e, ERR_INVALID, EINVAL, "'%s' is no OCI layout: it has no " INDEX_FILE,
			r->path);
		return err_hint(e, "for a root file system use --rootfs; for a file, oci-archive: "
				   "or docker-archive:");
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "'%s'", r->path);
	if (S_ISDIR(st.st_mode) && r->transport != IMG_OCI_LAYOUT) {
		err_invalid(e, "'%s' is a directory, not an archive", r->path);
		return err_hint(e, "oci:%s, if it is an OCI layout", r->path);
	}
	if (!S_ISREG(st.st_mode))
		return err_invalid(e, "'%s' is not a file", r->path);
	x = identity_of(&st, ret_identity, e);
	*ret_settled = is_settled(&st);
	if (x == 0)
		*ret_path = TAKE_PTR(path);
	return x;
}

/* ---- archives ------------------------------------------------------------------------------------ */

static bool is_compressed(const unsigned char *magic, size_t n)
{
	return (n >= 2 && magic[0] == 0x1f && magic[1] == 0x8b) ||
	       (n >= 4 && memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0);
}

/* Copy what comes, up to the bound. */
static int copy_out(int from, int to, struct err *e)
{
	_cleanup_free_ char *buf = malloc(1 << 18);
	uint64_t done = 0;

	if (!buf)
		return err_nomem(e);
	for (;;) {
		ssize_t n = read(from, buf, 1 << 18);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read the decompressed archive");
		if (n == 0)
			return 0;
		done += (uint64_t)n;
		if (done > ARCHIVE_MAX_BYTES)
			return err_set(e, ERR_INVALID, EFBIG, "it decompresses to more than %s",
				       "256 GiB");
		r = fd_write_all(to, buf, (size_t)n, "temporary file", e);
		if (r < 0)
			return r;
	}
}

/* Replace the archive's descriptor by that of a nameless file with what is in it. */
static int inflate(struct img_store *s, struct source *src, struct err *e)
{
	_cleanup_close_ int file =
		path_open_in_root(s->fd, ".", O_TMPFILE | O_RDWR | O_EXCL, 0600, e);
	struct worker_call call;
	int out[2], r, done;

	if (file < 0)
		return file;
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	r = worker_start(s, IMG_WORKER_INFLATE, NULL, (int[]){src->fd, out[1]}, 2, 2, &call, e);
	fd_close(out[1]);
	if (r < 0) {
		fd_close(out[0]);
		return r;
	}
	r = copy_out(out[0], file, e);
	fd_close(out[0]);
	if (r < 0) {
		worker_abandon(&call);
		return r;
	}
	done = worker_finish(&call, NULL, e);
	if (done < 0)
		return done;
	fd_close(src->fd);
	src->fd = TAKE_FD(file);
	return 0;
}

/* The next string of a list, or NULL when it ends in the middle. */
static const char *next_field(char **p, const char *end)
{
	char *start = *p, *nul = memchr(start, '\0', (size_t)(end - start));

	if (!nul)
		return NULL;
	*p = nul + 1;
	return start;
}

static int parse_entry(char **p, const char *end, uint64_t archive_bytes, struct archive_entry *ret)
{
	const char *field[5];
	struct archive_entry a;

	for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
		field[i] = next_field(p, end);
		if (!field[i])
			return -EPROTO;
	}
	a = (struct archive_entry){.kind = field[0][0], .name = field[3], .target = field[4]};
	if (!a.kind || field[0][1] || !strchr("fsh", a.kind) ||
	    parse_u64(field[1], &a.offset) < 0 || parse_u64(field[2], &a.size_bytes) < 0 ||
	    a.offset > archive_bytes || a.size_bytes > archive_bytes - a.offset)
		return -EPROTO;
	*ret = a;
	return 0;
}

/* What the worker says is bounded by the archive's own size here, whatever the archive says. */
static int parse_list(struct source *src, size_t len, struct err *e)
{
	char *p = src->list, *end = src->list + len;
	size_t cap = 0;
	struct stat st;

	if (fstat(src->fd, &st) < 0)
		return err_sys(e, errno, "look at the archive");
	while (p < end) {
		if (src->n_entries == IMG_WORKER_LIST_MAX_ENTRIES)
			return err_invalid(e, "it has more than %u files",
					   IMG_WORKER_LIST_MAX_ENTRIES);
		if (src->n_entries == cap) {
			struct archive_entry *more;

			cap = cap ? cap * 2 : 64;
			more = reallocarray(src->entries, cap, sizeof(*more));
			if (!more)
				return err_nomem(e);
			src->entries = more;
		}
		if (parse_entry(&p, end, (uint64_t)st.st_size, &src->entries[src->n_entries]) < 0)
			return err_set(e, ERR_INTERNAL, EPROTO,
				       IMG_WORKER_PROGRAM " gave a list that makes no sense");
		src->n_entries++;
	}
	return 0;
}

static int list(struct img_store *s, struct source *src, struct err *e)
{
	struct worker_call call;
	int out[2], r, done;
	size_t len = 0;

	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	r = worker_start(s, IMG_WORKER_LIST, NULL, (int[]){src->fd, out[1]}, 2, 2, &call, e);
	fd_close(out[1]);
	if (r < 0) {
		fd_close(out[0]);
		return r;
	}
	r = fd_read_all(out[0], IMG_WORKER_LIST_MAX_BYTES, &src->list, &len, "list of the archive",
			e);
	fd_close(out[0]);
	if (r < 0) {
		worker_abandon(&call);
		return r;
	}
	done = worker_finish(&call, NULL, e);
	return done < 0 ? done : parse_list(src, len, e);
}

static int open_archive(struct img_store *s, const char *path, struct source *src, struct err *e)
{
	_cleanup_close_ int root = -1;
	unsigned char magic[4];
	struct stat st;
	ssize_t n;
	int r = root_dir(&root, e);

	if (r < 0)
		return r;
	src->fd = open_regular(root, path, &st, e);
	if (src->fd < 0)
		return src->fd;
	n = pread(src->fd, magic, sizeof(magic), 0);
	if (n < 0)
		return err_sys(e, errno, "read");
	if (is_compressed(magic, (size_t)n)) {
		r = inflate(s, src, e);
		if (r < 0)
			return err_wrap(e, "decompress");
	}
	return list(s, src, e);
}

int source_open(struct img_store *s, const struct img_reference *r, struct source *ret,
		struct err *e)
{
	struct source src = {.fd = -1, .is_layout = r->transport == IMG_OCI_LAYOUT};
	_cleanup_free_ char *path = NULL;
	int x = real_path(r, &path, e);

	if (x < 0)
		return x;
	if (src.is_layout) {
		src.fd = path_open_dir(path, e);
		x = src.fd < 0 ? src.fd : 0;
	} else {
		x = open_archive(s, path, &src, e);
	}
	if (x < 0) {
		source_done(&src);
		return err_wrap(e, "%s '%s'", src.is_layout ? "layout" : "archive", r->path);
	}
	*ret = src;
	return 0;
}

/* ---- finding files ------------------------------------------------------------------------------- */

/* The last of a name counts, as tar has it. */
static const struct archive_entry *find_entry(const struct source *src, const char *name)
{
	for (size_t i = src->n_entries; i-- > 0;)
		if (STREQ(src->entries[i].name, name))
			return &src->entries[i];
	return NULL;
}

/* A symlink's target is relative to its directory; ".." cannot leave the archive's top. */
static int link_target(const struct archive_entry *a, char **ret)
{
	_cleanup_free_ char *joined = NULL, *flat = NULL;
	const char *slash = strrchr(a->name, '/');
	int r;

	if (a->kind == 'h' || a->target[0] == '/')
		r = str_printf(&joined, "/%s", a->target);
	else
		r = str_printf(&joined, "/%.*s/%s", slash ? (int)(slash - a->name) : 0, a->name,
			       a->target);
	if (r < 0 || path_normalize(joined, &flat) < 0)
		return -ENOMEM;
	return str_printf(ret, "%s", flat + strspn(flat, "/"));
}

static int follow(const struct source *src, const char *name, const struct archive_entry **ret,
		  struct err *e)
{
	const struct archive_entry *a = find_entry(src, name);

	for (int hops = 0; a && a->kind != 'f'; hops++) {
		_cleanup_free_ char *target = NULL;

		if (hops == LINK_HOPS_MAX)
			return err_invalid(e, "'%s': too many links", name);
		if (link_target(a, &target) < 0)
			return err_nomem(e);
		a = find_entry(src, target);
	}
	if (!a)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "'%s' is not in it", name);
	*ret = a;
	return 0;
}

bool source_has(const struct source *src, const char *name)
{
	struct stat st;
	int fd;

	if (!src->is_layout)
		return find_entry(src, name) != NULL;
	fd = open_regular(src->fd, name, &st, NULL);
	fd_close(fd);
	return fd >= 0;
}

int source_find(const struct source *src, const char *name, struct blob *ret, int *ret_fd,
		struct err *e)
{
	const struct archive_entry *a = NULL;
	struct stat st;
	int fd, r;

	if (!src->is_layout) {
		r = follow(src, name, &a, e);
		if (r < 0)
			return r;
		*ret = (struct blob){.fd = src->fd,
				     .seekable = true,
				     .offset = a->offset,
				     .size_bytes = a->size_bytes};
		*ret_fd = -1;
		return 0;
	}
	fd = open_regular(src->fd, name, &st, e);
	if (fd == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "'%s' is not in it", name);
	if (fd < 0)
		return fd;
	*ret = (struct blob){.fd = fd, .seekable = true, .size_bytes = (uint64_t)st.st_size};
	*ret_fd = fd;
	return 0;
}

int source_read(const struct source *src, const char *name, size_t max_bytes, char **ret,
		size_t *ret_len, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	struct blob blob;
	size_t done = 0;
	int r = source_find(src, name, &blob, &fd, e);

	if (r < 0)
		return r;
	if (blob.size_bytes > max_bytes)
		return err_set(e, ERR_INVALID, EFBIG, "'%s' has %llu bytes, more than %zu", name,
			       (unsigned long long)blob.size_bytes, max_bytes);
	text = malloc(blob.size_bytes + 1);
	if (!text)
		return err_nomem(e);
	while (done < blob.size_bytes) {
		ssize_t n = pread(blob.fd, text + done, blob.size_bytes - done,
				  (off_t)(blob.offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read '%s'", name);
		if (n == 0)
			return err_invalid(e, "'%s' ends too early", name);
		done += (size_t)n;
	}
	text[done] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = done;
	return 0;
}

int source_blob_name(const char *digest, char **ret)
{
	return str_printf(ret, "blobs/sha256/%s", digest_hex(digest));
}

int source_read_blob(const struct source *src, const char *digest, uint64_t size_bytes, char **ret,
		     size_t *ret_len, struct err *e)
{
	_cleanup_free_ char *name = NULL, *text = NULL;
	char have[DIGEST_MAX];
	size_t len;
	int r;

	if (source_blob_name(digest, &name) < 0)
		return err_nomem(e);
	r = source_read(src, name, IMG_JSON_MAX, &text, &len, e);
	if (r < 0)
		return r;
	if (len != size_bytes)
		return err_invalid(e, "'%s' has %zu bytes, and its descriptor says %llu", name, len,
				   (unsigned long long)size_bytes);
	digest_of(text, len, have);
	if (!STREQ(have, digest))
		return err_invalid(e, "'%s' is damaged: its digest is %s", name, have);
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}
