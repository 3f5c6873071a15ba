/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing ourselves in place (base/self.h), without a second execution. Theory of operation:
 *
 * What leads from a process to its program on disk is the link /proc/PID/exe and the file mappings (/proc/PID/map_files).
 * Each part of the program that the kernel mapped is copied to anonymous memory, and the copy is moved over the
 * mapping: the same bytes at the same address, so that we go on running in the copy. What was not written to since is read
 * from the file and not through the mapping, so that its pages do not become resident beside their copies. Then no mapping is of the file, and
 * the kernel lets us exchange the link (PR_SET_MM_MAP, which wants just that) for an empty sealed memfd. Whoever gets
 * hold of /proc/PID/exe has an empty file that nobody can write.
 *
 * The exchange needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in our user namespace. An ordinary user gets it in
 * the user namespace of the sandbox, so there each process does it as it comes in, by struct self_link: prepared while
 * /proc is still the host's, exchanged before anybody of the sandbox can see it.
 *
 * Spec: PR_SET_MM(2const), kernel/sys.c (prctl_set_mm_map).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/self.h"
#include "base/str.h"
#include "self_internal.h"

#define PARTS_MAX 16
#define HUGE_PAGE \
	((size_t)2 << 20) /* elsewhere than on x86-64 and aarch64 only a hint that does nothing */
#define STAT_MAX 4096

/* ---- the program's own mappings ----------------------------------------------------------------------- */

struct part {
	uintptr_t start, end;
	int prot;
	bool written; /* it may differ from the file */
	off_t offset;
};

struct parts {
	struct part v[PARTS_MAX];
	size_t n, bytes;
};

/* Made by the linker: where the file's first byte is mapped. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static int add_part(struct parts *p, const struct part *part)
{
	if (part->start >= part->end)
		return 0;
	if (p->n == PARTS_MAX)
		return -E2BIG;
	p->v[p->n++] = *part;
	p->bytes += part->end - part->start;
	return 0;
}

static int prot_of(const ElfW(Phdr) * ph)
{
	return (ph->p_flags & PF_R ? PROT_READ : 0) | (ph->p_flags & PF_W ? PROT_WRITE : 0) |
	       (ph->p_flags & PF_X ? PROT_EXEC : 0);
}

/* A mapping each. libc made the beginning of the data read-only when it had relocated it. */
static int add_segment(struct parts *p, const ElfW(Phdr) * ph, const ElfW(Phdr) * relro,
		       uintptr_t bias)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = bias + ph->p_vaddr, end = start + ph->p_filesz, middle;
	struct part part = {.written = ph->p_flags & PF_W};
	int r;

	middle = start &= ~(page - 1);
	end = (end + page - 1) & ~(page - 1);
	part.offset = (off_t)(ph->p_offset & ~(uint64_t)(page - 1));
	if (relro && ph->p_vaddr <= relro->p_vaddr && relro->p_vaddr < ph->p_vaddr + ph->p_memsz)
		middle = (bias + relro->p_vaddr + relro->p_memsz) & ~(page - 1);
	part.start = start;
	part.end = middle < end ? middle : end;
	part.prot = PROT_READ;
	r = add_part(p, &part);
	if (r < 0)
		return r;
	part.offset += (off_t)(middle - start);
	part.start = middle;
	part.end = end;
	part.prot = prot_of(ph);
	return add_part(p, &part);
}

static int find_parts(struct parts *p)
{
	const uintptr_t base = (uintptr_t)&__ehdr_start;
	const ElfW(Phdr) *ph = (const ElfW(Phdr) *)(base + __ehdr_start.e_phoff), *relro = NULL;
	uintptr_t bias = base;
	int r = 0;

	for (size_t i = 0; i < __ehdr_start.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset == 0)
			bias = base - ph[i].p_vaddr;
		if (ph[i].p_type == PT_GNU_RELRO)
			relro = &ph[i];
	}
	for (size_t i = 0; i < __ehdr_start.e_phnum && r == 0; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_filesz > 0)
			r = add_segment(p, &ph[i], relro, bias);
	return r < 0 ? r : p->n > 0 ? 0 : -ENOEXEC;
}

/* ---- copies of them ----------------------------------------------------------------------------------- */

struct copies {
	char *region, *memory;
	size_t region_bytes;
};

static void copies_done(struct copies *c)
{
	if (c->region)
		(void)!munmap(c->region, c->region_bytes);
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Anonymous memory has no file to remove from, and of a private mapping nothing is removed either: it is only a question. */
static bool is_of_file(const struct part *part)
{
	return madvise((void *)part->start, part->end - part->start, MADV_REMOVE) < 0 &&
	       errno == EACCES;
}

/* Pages of the file that we have used so far leave our memory, and what is needed comes again: or our peak would be two programs.
 * Never pages of a copy, in who left the file before and could not exchange the link: they would be lost. */
static void forget_file_pages(const struct parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->v[i].written && is_of_file(&p->v[i]))
			(void)!madvise((void *)p->v[i].start, p->v[i].end - p->v[i].start,
				       MADV_DONTNEED);
}

/* Anonymous memory for all of them. One huge page costs a quarter of the single pages' time; what is left over of it is given
 * back at once. */
static int copies_init(struct copies *c, const struct parts *p)
{
	const size_t room = max_size(p->bytes, HUGE_PAGE);
	char *end;

	c->region_bytes = room + HUGE_PAGE;
	c->region = mmap(NULL, c->region_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->region == MAP_FAILED) {
		c->region = NULL;
		return -errno;
	}
	c->memory = (char *)(((uintptr_t)c->region + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	/* Best effort: without, pages come one by one as they are written. All of it, or a part would lie in two mappings, which
	 * mremap(2) moves at once only since Linux 6.17. */
	(void)!madvise(c->memory, room, MADV_HUGEPAGE);
	forget_file_pages(p);
	(void)!madvise(c->memory, p->bytes, MADV_POPULATE_WRITE);
	end = c->memory + p->bytes;
	if (munmap(end, (size_t)(c->region + c->region_bytes - end)) == 0)
		c->region_bytes = (size_t)(end - c->region);
	return 0;
}

static int copy_part(int file, const struct part *part, char *to)
{
	const size_t bytes = part->end - part->start;

	if (part->written) {
		memcpy(to, (const void *)part->start, bytes);
		return 0;
	}
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pread(file, to + done, bytes - done, part->offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* The last part is our data. Nothing is written there between copy and move: libc's errno is in the thread's memory. */
static int move_part(int file, const struct part *part, char *to)
{
	const size_t bytes = part->end - part->start;
	int r = copy_part(file, part, to);

	if (r < 0)
		return r;
	if (part->prot != (PROT_READ | PROT_WRITE) && mprotect(to, bytes, part->prot) < 0)
		return -errno;
	if (mremap(to, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, part->start) == MAP_FAILED)
		return -errno;
	return 0;
}

int self_leave_file(int file)
{
	_cleanup_(copies_done) struct copies copies = {.region = NULL};
	struct parts p = {.n = 0};
	int r = find_parts(&p);
	char *to;

	if (r == 0)
		r = copies_init(&copies, &p);
	to = copies.memory;
	for (size_t i = 0; i < p.n && r == 0; i++) {
		r = move_part(file, &p.v[i], to);
		to += p.v[i].end - p.v[i].start;
	}
	return r;
}

/* ---- the link ----------------------------------------------------------------------------------------- */

/* Numbers of /proc/PID/stat, by their places in proc_pid_stat(5). */
enum {
	FIRST_AFTER_NAME = 3,
	START_CODE = 26,
	END_CODE,
	START_STACK,
	START_DATA = 45,
	END_DATA,
	START_BRK,
	ARG_START,
	ARG_END,
	ENV_START,
	ENV_END,
	STAT_FIELDS
};

static int read_layout(struct prctl_mm_map *map, struct err *e)
{
	unsigned long long v[STAT_FIELDS] = {0};
	_cleanup_free_ char *text = NULL;
	char *at;
	int r = path_read_file_at(AT_FDCWD, "/proc/self/stat", STAT_MAX, &text, NULL, e);

	if (r < 0)
		return r;
	at = strrchr(text, ')'); /* the name may have spaces */
	if (!at || at[1] != ' ' || !at[2])
		return err_sys(e, EPROTO, "read '/proc/self/stat'");
	at += strlen(") X");
	for (int i = FIRST_AFTER_NAME + 1; i < STAT_FIELDS; i++)
		v[i] = strtoull(at, &at, 10);
	*map = (struct prctl_mm_map){
		.start_code = v[START_CODE],
		.end_code = v[END_CODE],
		.start_data = v[START_DATA],
		.end_data = v[END_DATA],
		.start_brk = v[START_BRK],
		.start_stack = v[START_STACK],
		.arg_start = v[ARG_START],
		.arg_end = v[ARG_END],
		.env_start = v[ENV_START],
		.env_end = v[ENV_END],
	};
	return 0;
}

/* Sanitizers want a dynamic program, whose libraries and shadow memory are not ours to move. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SANITIZED)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool self_can_exchange_link(void)
{
	unsigned size = 0;

	if (SANITIZED)
		return false;
	/* Kernels without CONFIG_CHECKPOINT_RESTORE do not know it. */
	return prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) == 0 &&
	       size == sizeof(struct prctl_mm_map);
}

int self_link_prepare(struct self_link *link, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	link->fd = -1;
	if (!getenv(SELF_ENV))
		return 0;
	fd = self_open_exe(e);
	if (fd < 0)
		return fd;
	if (self_is_sealed(fd) || !self_can_exchange_link())
		return 0;
	r = read_layout(&link->map, e);
	if (r < 0)
		return r;
	link->fd = self_empty_sealed(e);
	return link->fd < 0 ? link->fd : 0;
}

int self_link_exchange(struct self_link *link, struct err *e)
{
	_cleanup_close_ int fd = TAKE_FD(link->fd);

	if (fd < 0)
		return 0;
	link->map.exe_fd = (unsigned)fd;
	/* Of this moment: malloc() and free() move it, and with another the heap would go on with a hole. */
	link->map.brk = (uintptr_t)sbrk(0);
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &link->map, sizeof(link->map), 0) == 0)
		return 0;
	return err_sys(e, errno, "take '%s' off the program", SELF_EXE);
}
