/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load order of modules. A kernel package that was unpacked but not installed has no modules.dep
 * (depmod writes it at installation), so dependencies come from where depmod itself gets them
 * nearly all: the `depends` line that the kernel's build puts into each module's .modinfo section.
 * File names come from modules.order, and modules.builtin tells what needs no module.
 */
#include "modules.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"

#define LIST_BYTES_MAX   (4u << 20)
#define MODULE_BYTES_MAX (32u << 20)
#define DEPTH_MAX        16
#define MODULES_MAX      64

/* Packages compress modules with xz if at all; reading that is left to the xz program, which every
 * such system has. */
static const char xz_program[] = "/usr/bin/xz";

void kernel_modules_done(struct kernel_modules *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].name);
		free(m->v[i].path);
		free(m->v[i].data);
	}
	free(m->v);
	*m = (struct kernel_modules){0};
}

/* ---- .modinfo -------------------------------------------------------------------------------- */

static int bad_module(struct err *e, const char *why)
{
	return err_set(e, ERR_INVALID, EBADMSG, "not a usable kernel module: %s", why);
}

/* Is [offset, offset + size) inside len bytes? */
static bool in_file(uint64_t offset, uint64_t size, size_t len)
{
	return offset <= len && size <= len - offset;
}

/* Find a section by name; headers are copied, as nothing in a file is aligned for us. */
static int find_section(const char *ko, size_t len, const char *name, Elf64_Shdr *ret,
			struct err *e)
{
	Elf64_Ehdr h;
	Elf64_Shdr names, s;

	if (len < sizeof(h))
		return bad_module(e, "too short");
	memcpy(&h, ko, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB)
		return bad_module(e, "not 64-bit little-endian ELF");
	if (h.e_shentsize != sizeof(s) || h.e_shstrndx >= h.e_shnum ||
	    !in_file(h.e_shoff, (uint64_t)h.e_shnum * sizeof(s), len))
		return bad_module(e, "section table outside the file");
	memcpy(&names, ko + h.e_shoff + (size_t)h.e_shstrndx * sizeof(s), sizeof(names));
	if (!in_file(names.sh_offset, names.sh_size, len))
		return bad_module(e, "section names outside the file");

	for (size_t i = 0; i < h.e_shnum; i++) {
		memcpy(&s, ko + h.e_shoff + i * sizeof(s), sizeof(s));
		if (!in_file(s.sh_name, strlen(name) + 1, names.sh_size) ||
		    memcmp(ko + names.sh_offset + s.sh_name, name, strlen(name) + 1) != 0)
			continue;
		if (!in_file(s.sh_offset, s.sh_size, len))
			return bad_module(e, "section outside the file");
		*ret = s;
		return 0;
	}
	return bad_module(e, "no .modinfo section");
}

int kernel_module_depends(const char *ko, size_t len, char **ret, struct err *e)
{
	static const char key[] = "depends=";
	Elf64_Shdr s = {0};
	const char *p, *end;
	char *value;
	int r;

	r = find_section(ko, len, ".modinfo", &s, e);
	if (r < 0)
		return r;
	p = ko + s.sh_offset;
	end = p + s.sh_size;
	while (p < end) {
		size_t n = strnlen(p, (size_t)(end - p));

		if (n >= strlen(key) && memcmp(p, key, strlen(key)) == 0) {
			value = strndup(p + strlen(key), n - strlen(key));
			if (!value)
				return err_nomem(e);
			*ret = value;
			return 0;
		}
		p += n + 1;
	}
	return bad_module(e, "it does not say what it depends on");
}

/* ---- files ----------------------------------------------------------------------------------- */

/* `xz -dc` from one descriptor into a memory file, which is then read within the bound. */
static int decompress_xz(int file, char **ret, size_t *ret_len, struct err *e)
{
	static char *const argv[] = {(char *)xz_program, (char *)"-dc",
				     (char *)"--memlimit-decompress=256MiB", NULL};
	static char *const env[] = {(char *)"LC_ALL=C", NULL};
	_cleanup_close_ int plain = -EBADF;
	struct proc_fd_map fds[2];
	struct proc_spawn spawn = {.argv = argv,
				   .env = env,
				   .fds = fds,
				   .n_fds = ARRAY_SIZE(fds),
				   .death_signal = SIGKILL,
				   .cgroup_fd = -1};
	int r;

	if (access(xz_program, X_OK) < 0) {
		err_set(e, ERR_NOT_FOUND, ENOENT, "%s: not installed", xz_program);
		return err_hint(e, "install xz-utils");
	}
	plain = memfd_create("module", MFD_CLOEXEC);
	if (plain < 0)
		return err_sys(e, errno, "memfd_create");
	fds[0] = (struct proc_fd_map){.from = file, .to = STDIN_FILENO};
	fds[1] = (struct proc_fd_map){.from = plain, .to = STDOUT_FILENO};
	r = proc_run(&spawn, NULL, 0, 60000, "xz", e);
	if (r < 0)
		return r;
	if (lseek(plain, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "rewind");
	return fd_read_all(plain, MODULE_BYTES_MAX, ret, ret_len, "the module", e);
}

/* Read a module that is there as `path` or compressed. -ENOENT if in no known form. */
static int read_module(int dirfd, const char *path, struct kernel_module *m, struct err *e)
{
	static const struct {
		const char *suffix;
		int (*decompress)(int file, char **ret, size_t *ret_len, struct err *e);
	} forms[] = {{"", NULL}, {".xz", decompress_xz}};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_cleanup_close_ int file = -EBADF;
		_cleanup_free_ char *name = NULL;

		if (str_printf(&name, "%s%s", path, forms[i].suffix) < 0)
			return err_nomem(e);
		file = path_open_in_root(dirfd, name, O_RDONLY, 0, e);
		if (file == -ENOENT) {
			err_clear(e);
			continue;
		}
		if (file < 0)
			return file;
		r = forms[i].decompress
			    ? forms[i].decompress(file, &m->data, &m->len, e)
			    : fd_read_all(file, MODULE_BYTES_MAX, &m->data, &m->len, name, e);
		if (r < 0)
			return err_wrap(e, "module '%s'", name);
		m->path = TAKE_PTR(name);
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND, ENOENT, "module '%s': no such file, plain or as .xz",
		       path);
}

/* ---- order ----------------------------------------------------------------------------------- */

struct collect {
	int dirfd;
	char *order, *builtin; /* the lists: a path per line */
	struct kernel_modules found;
	const char *working_on[DEPTH_MAX]; /* names being resolved, against cycles; borrowed */
	size_t depth;
};

/* The kernel takes '-' and '_' in module names for the same. */
static char canonical(char c)
{
	return c == '-' ? '_' : c;
}

static bool same_name(const char *a, const char *b, size_t b_len)
{
	size_t i = 0;

	for (; i < b_len && a[i]; i++)
		if (canonical(a[i]) != canonical(b[i]))
			return false;
	return i == b_len && a[i] == '\0';
}

/* The line of a list whose file is NAME.ko, into a fresh string; NULL if none (or no memory). */
static char *list_find(const char *list, const char *name)
{
	while (*list) {
		size_t len = strcspn(list, "\n");
		const char *base = memrchr(list, '/', len);
		size_t base_len;

		base = base ? base + 1 : list;
		base_len = len - (size_t)(base - list);
		if (base_len > 3 && memcmp(base + base_len - 3, ".ko", 3) == 0 &&
		    same_name(name, base, base_len - 3))
			return strndup(list, len);
		list += len + (list[len] == '\n');
	}
	return NULL;
}

static int append(struct kernel_modules *m, struct kernel_module *x, const char *name)
{
	struct kernel_module *v;

	v = realloc(m->v, (m->n + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	m->v = v;
	x->name = strdup(name);
	if (!x->name)
		return -ENOMEM;
	for (char *p = x->name; *p; p++)
		*p = canonical(*p);
	v[m->n++] = *x;
	*x = (struct kernel_module){0};
	return 0;
}

static void module_donep(struct kernel_module *x)
{
	free(x->path);
	free(x->data);
}

static int resolve(struct collect *c, const char *name, bool optional, struct err *e);

static int resolve_depends(struct collect *c, const char *name, const char *depends, struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	int r = 0;

	if (strv_split(depends, ',', &v) < 0)
		return err_nomem(e);
	if (c->depth == DEPTH_MAX)
		return bad_module(e, "dependencies nest too deep");
	for (size_t i = 0; i < c->depth; i++)
		if (same_name(c->working_on[i], name, strlen(name)))
			return bad_module(e, "its dependencies go round in a circle");
	c->working_on[c->depth++] = name;
	for (size_t i = 0; r == 0 && v && v[i]; i++)
		if (v[i][0])
			r = resolve(c, v[i], false, e);
	c->depth--;
	return r;
}

static int resolve(struct collect *c, const char *name, bool optional, struct err *e)
{
	_cleanup_(module_donep) struct kernel_module m = {0};
	_cleanup_free_ char *path = NULL, *depends = NULL, *builtin = NULL;
	int r;

	for (size_t i = 0; i < c->found.n; i++)
		if (same_name(c->found.v[i].name, name, strlen(name)))
			return 0;
	builtin = list_find(c->builtin, name);
	if (builtin)
		return 0;
	path = list_find(c->order, name);
	if (!path && optional)
		return 0;
	if (!path)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "module '%s': this kernel has none", name);
	if (c->found.n == MODULES_MAX)
		return err_invalid(e, "module '%s': more than %d modules", name, MODULES_MAX);
	r = read_module(c->dirfd, path, &m, e);
	if (r < 0)
		return r;
	r = kernel_module_depends(m.data, m.len, &depends, e);
	if (r == 0)
		r = resolve_depends(c, name, depends, e);
	if (r < 0)
		return err_wrap(e, "module '%s'", name);
	return append(&c->found, &m, name) < 0 ? err_nomem(e) : 0;
}

int kernel_modules_collect(int dirfd, const struct kernel_module_want *want, size_t n,
			   struct kernel_modules *ret, struct err *e)
{
	struct collect c = {.dirfd = dirfd};
	int r;

	r = path_read_file_at(dirfd, "modules.order", LIST_BYTES_MAX, &c.order, NULL, e);
	if (r == 0)
		r = path_read_file_at(dirfd, "modules.builtin", LIST_BYTES_MAX, &c.builtin, NULL,
				      e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = resolve(&c, want[i].name, want[i].optional, e);
	free(c.order);
	free(c.builtin);
	if (r < 0) {
		kernel_modules_done(&c.found);
		return r;
	}
	*ret = c.found;
	return 0;
}
