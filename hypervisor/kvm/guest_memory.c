/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory is one memfd, mapped in at most two pieces: below and above the gap where MMIO lives.
 * It is shared, since file servers (vhost-user) map it as well, and sealed in size, so that none of
 * those who hold it can cut it under the others' feet (SIGBUS). It is not reserved: the cgroup's limit,
 * not the host's overcommit, says how much of it may be touched.
 */
#include "guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "layout.h"

static int make_file(uint64_t bytes, struct err *e)
{
	_cleanup_close_ int fd = memfd_create("guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_sys(e, errno, "guest memory: memfd_create");
	if (ftruncate(fd, (off_t)bytes) < 0)
		return err_sys(e, errno, "guest memory: set its size to %ju bytes",
			       (uintmax_t)bytes);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return err_sys(e, errno, "guest memory: seal its size");
	return TAKE_FD(fd);
}

static int map_region(struct guest_memory *m, uint64_t start, uint64_t file_offset, uint64_t bytes,
		      struct err *e)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, m->fd,
		       (off_t)file_offset);

	if (p == MAP_FAILED)
		return err_sys(e, errno, "guest memory: map %ju bytes", (uintmax_t)bytes);
	/* A core of ours tells about us, not about the guest. */
	madvise(p, bytes, MADV_DONTDUMP);
	m->region[m->n_regions++] = (struct guest_region){
		.start = start, .bytes = bytes, .host = p, .file_offset = file_offset};
	return 0;
}

int guest_memory_create(uint64_t bytes, struct guest_memory *ret, struct err *e)
{
	struct guest_memory m = {.fd = -1};
	uint64_t low = bytes < GUEST_GAP_START ? bytes : GUEST_GAP_START;
	int r;

	if (bytes == 0 || bytes % GUEST_PAGE_BYTES || bytes > GUEST_MEMORY_MAX_BYTES)
		return err_invalid(e, "guest memory: %ju bytes are not whole pages up to %ju GiB",
				   (uintmax_t)bytes, (uintmax_t)GUEST_MEMORY_MAX_BYTES >> 30);
	m.fd = make_file(bytes, e);
	if (m.fd < 0)
		return m.fd;
	r = map_region(&m, 0, 0, low, e);
	if (r == 0 && bytes > low)
		r = map_region(&m, GUEST_HIGH_START, low, bytes - low, e);
	if (r < 0) {
		guest_memory_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void guest_memory_done(struct guest_memory *m)
{
	/* Without a file the regions are a test's own. */
	for (unsigned i = 0; m->fd >= 0 && i < m->n_regions; i++)
		munmap(m->region[i].host, m->region[i].bytes);
	fd_close(m->fd);
	*m = (struct guest_memory){.fd = -1};
}

void *guest_range(const struct guest_memory *m, gpa_t at, uint64_t bytes)
{
	if (bytes == 0)
		return NULL;
	for (unsigned i = 0; i < m->n_regions; i++) {
		const struct guest_region *g = &m->region[i];

		if (at.v < g->start || at.v - g->start >= g->bytes)
			continue;
		if (bytes > g->bytes - (at.v - g->start))
			return NULL;
		return g->host + (at.v - g->start);
	}
	return NULL;
}

int guest_read(const struct guest_memory *m, gpa_t at, void *to, size_t bytes)
{
	const void *p = guest_range(m, at, bytes);

	if (!p)
		return bytes ? -EFAULT : 0;
	memcpy(to, p, bytes);
	return 0;
}

int guest_write(const struct guest_memory *m, gpa_t at, const void *from, size_t bytes)
{
	void *p = guest_range(m, at, bytes);

	if (!p)
		return bytes ? -EFAULT : 0;
	memcpy(p, from, bytes);
	return 0;
}
