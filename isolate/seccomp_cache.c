/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled filters, kept. Compiling takes milliseconds (seccomp.c), with foreign architectures tens of
 * them, for each creation and each exec; the programs are few, since engines hand the same profile to
 * every container.
 *
 * A file holds the whole input of the compiler in a canonical form, and the program it became. The
 * input is compared byte by byte, so the hash that names the file need not be a strong one: with two
 * inputs of the same name one of them is compiled each time. That nobody else can plant a file is the
 * directory's business: it and its files belong to us and are closed to others, or they are not used.
 * A damaged file is as none and is replaced. Nothing here is an error to the caller: without a cache
 * the filter is compiled.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "isolate/seccomp.h"
#include "seccomp_internal.h"

#define CACHE_MAGIC     0x31667062756c7369u /* "islupbf1" */
#define CACHE_INPUT_MAX (96u << 10)
#define CACHE_FILES_MAX 32 /* so at most 4 MiB in all */
#define NAME_SIZE       24

struct header {
	uint64_t magic;
	uint64_t program_hash;
	uint32_t input_len;
	uint32_t n_insns;
};

#define CACHE_FILE_MAX \
	(sizeof(struct header) + CACHE_INPUT_MAX + BPF_MAXINSNS * sizeof(struct sock_filter))

/* FNV-1a. Against accidents, not against malice: see above. */
static uint64_t hash(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* ---- the input -------------------------------------------------------------------------------- */

/* Names go with their terminator and lists with their length, so that no two inputs look alike. */
static void add_rule(struct strbuf *b, const struct iso_seccomp_rule *r)
{
	size_t n = r->names ? strv_len(r->names) : 0;
	const uint64_t head[] = {r->action, r->has_errno_ret, r->has_errno_ret ? r->errno_ret : 0,
				 n, r->n_args};

	strbuf_add_len(b, head, sizeof(head));
	for (size_t i = 0; i < n; i++)
		strbuf_add_len(b, r->names[i], strlen(r->names[i]) + 1);
	for (size_t i = 0; i < r->n_args; i++) {
		const struct iso_seccomp_arg *a = &r->args[i];
		const uint64_t arg[] = {a->index, (uint64_t)a->op, a->value, a->value_two};

		strbuf_add_len(b, arg, sizeof(arg));
	}
}

static int input_of(const struct iso_seccomp *s, char **ret, size_t *ret_len)
{
	char compiler[SECCOMP_COMPILER_MAX];
	struct strbuf b = {0};
	struct utsname host;
	size_t len;

	if (uname(&host) < 0)
		return -errno;
	seccomp_compiler_id(compiler);
	strbuf_addf(&b, "insula %s, %s, %s %s %s\n", INSULA_VERSION, compiler, host.release,
		    host.version, host.machine);
	strbuf_addf(&b, "default %" PRIx32 " %d %" PRIx32 " flags %" PRIx32 "\n", s->default_action,
		    s->has_default_errno_ret, s->has_default_errno_ret ? s->default_errno_ret : 0,
		    s->flags);
	strbuf_addf(&b, "listener %d %d\n", s->listener_path != NULL, s->listener_metadata != NULL);
	for (size_t i = 0; i < s->n_arches; i++)
		strbuf_addf(&b, "arch %" PRIx32 "\n", s->arches[i]);
	for (size_t i = 0; i < s->n_rules; i++)
		add_rule(&b, &s->rules[i]);
	len = b.len;
	if (len > CACHE_INPUT_MAX) {
		strbuf_done(&b);
		return -EFBIG;
	}
	*ret_len = len;
	return strbuf_take(&b, ret);
}

/* ---- looking ---------------------------------------------------------------------------------- */

static bool is_private(int fd, mode_t type, struct stat *st)
{
	return fstat(fd, st) == 0 && (st->st_mode & S_IFMT) == type && st->st_uid == geteuid() &&
	       (st->st_mode & 077) == 0;
}

/* Is this file the one for this input, and whole? */
static bool is_entry(const char *file, size_t len, const char *input, size_t input_len)
{
	struct header h;
	size_t program_len;

	if (len < sizeof(h))
		return false;
	memcpy(&h, file, sizeof(h));
	if (h.magic != CACHE_MAGIC || h.input_len != input_len || h.n_insns == 0 ||
	    h.n_insns > BPF_MAXINSNS)
		return false;
	program_len = h.n_insns * sizeof(struct sock_filter);
	return len == sizeof(h) + input_len + program_len &&
	       memcmp(file + sizeof(h), input, input_len) == 0 &&
	       hash(file + sizeof(h) + input_len, program_len) == h.program_hash;
}

static bool look(int dirfd, const char *name, const char *input, size_t input_len,
		 struct iso_bpf *ret)
{
	_cleanup_close_ int fd = path_open_in_root(
		dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, NULL);
	_cleanup_free_ char *file = NULL;
	size_t len, program_len;
	struct stat st;
	void *insns;

	if (fd < 0 || !is_private(fd, S_IFREG, &st) ||
	    fd_read_all(fd, CACHE_FILE_MAX, &file, &len, name, NULL) < 0 ||
	    !is_entry(file, len, input, input_len))
		return false;
	program_len = len - sizeof(struct header) - input_len;
	insns = malloc(program_len);
	if (!insns)
		return false;
	memcpy(insns, file + sizeof(struct header) + input_len, program_len);
	ret->insns = insns;
	ret->n = (uint16_t)(program_len / sizeof(struct sock_filter));
	return true;
}

/* ---- keeping ---------------------------------------------------------------------------------- */

/* Remove the oldest until there is room for one more. Leftovers of writers that died count too. */
static void make_room(int dirfd)
{
	for (int attempts = 0; attempts < CACHE_FILES_MAX; attempts++) {
		int fd = path_open_dir_at(dirfd, ".", NULL);
		_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
		char oldest[NAME_MAX + 1] = "";
		struct timespec since = {0};
		struct dirent *d;
		size_t n = 0;

		if (!dir) {
			fd_close(fd);
			return;
		}
		while ((d = readdir(dir))) {
			struct stat st;

			if (STREQ(d->d_name, ".") || STREQ(d->d_name, "..") ||
			    fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
				continue;
			if (n++ == 0 || st.st_mtim.tv_sec < since.tv_sec ||
			    (st.st_mtim.tv_sec == since.tv_sec &&
			     st.st_mtim.tv_nsec < since.tv_nsec)) {
				since = st.st_mtim;
				snprintf(oldest, sizeof(oldest), "%s", d->d_name);
			}
		}
		if (n < CACHE_FILES_MAX || path_unlink_at(dirfd, oldest, NULL) < 0)
			return;
	}
}

static void keep(int dirfd, const char *name, const char *input, size_t input_len,
		 const struct iso_bpf *b)
{
	size_t program_len = b->n * sizeof(struct sock_filter);
	struct header h = {.magic = CACHE_MAGIC,
			   .program_hash = hash(b->insns, program_len),
			   .input_len = (uint32_t)input_len,
			   .n_insns = b->n};
	size_t len = sizeof(h) + input_len + program_len;
	_cleanup_free_ char *file = malloc(len);

	if (!file)
		return;
	memcpy(file, &h, sizeof(h));
	memcpy(file + sizeof(h), input, input_len);
	memcpy(file + sizeof(h) + input_len, b->insns, program_len);
	make_room(dirfd);
	(void)path_replace_file_at(dirfd, name, file, len, 0600, false, NULL);
}

int iso_seccomp_compile_cached(const struct iso_seccomp *s, int cache_dirfd, struct iso_bpf *ret,
			       struct err *e)
{
	struct iso_bpf bpf = {.flags = s->flags};
	_cleanup_free_ char *input = NULL;
	char name[NAME_SIZE];
	struct stat st;
	size_t len = 0;
	int r;

	if (!s->present || cache_dirfd < 0 || !is_private(cache_dirfd, S_IFDIR, &st) ||
	    input_of(s, &input, &len) < 0)
		return iso_seccomp_compile(s, ret, e);
	snprintf(name, sizeof(name), "%016" PRIx64, hash(input, len));
	if (look(cache_dirfd, name, input, len, &bpf)) {
		*ret = bpf;
		return 0;
	}
	r = iso_seccomp_compile(s, &bpf, e);
	if (r < 0)
		return r;
	if (bpf.n > 0 && !bpf.wants_notify)
		keep(cache_dirfd, name, input, len, &bpf);
	*ret = bpf;
	return 0;
}
