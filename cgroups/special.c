/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of what few machines have: huge pages, RDMA, network classes and priorities; and two files of the cpu
 * controller that newer kernels have.
 * Source: Documentation/admin-guide/cgroup-v1/{hugetlb,rdma,net_cls,net_prio}.rst;
 * Documentation/scheduler/sched-bwc.rst "CFS Burst"; cgroup-v2.rst "cpu.idle".
 */
#include "backend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"

/* ---- cpu ------------------------------------------------------------------------------------- */

int cg_burst_set(const struct cg_dir *d, const char *file, const struct cg_limits *l, struct err *e)
{
	int r;

	if (l->cpu_burst_usec == CG_UNSET)
		return 0;
	r = cg_file_write_i64(d->fd, file, l->cpu_burst_usec, e);
	if (r == -ENOENT)
		return err_unsupported(e, "cpu burst: this kernel has no '%s'", file);
	if (r == -EINVAL)
		err_hint(e, "the burst must not be above the quota");
	return r;
}

int cg_idle_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int r = cg_file_write_i64(d->fd, "cpu.idle", l->cpu_idle, e);

	return r == -ENOENT ? err_unsupported(e, "cpu idle: this kernel has no 'cpu.idle'") : r;
}

/* ---- huge pages ------------------------------------------------------------------------------ */

/* Two limits per size: of pages used, and of pages reserved, which is what keeps a program from being killed by a
 * bus error on its first touch. */
static int set_pages(const struct cg_dir *d, const struct cg_limits *l, const char *limit,
		     const char *reserved, struct err *e)
{
	for (size_t i = 0; i < l->n_pages; i++) {
		const struct cg_page_limit *p = &l->pages[i];
		char file[96], text[24];
		int r;

		snprintf(text, sizeof(text), "%" PRIu64, p->bytes);
		snprintf(file, sizeof(file), "hugetlb.%s.%s", p->size, limit);
		r = cg_file_write(d->fd, file, text, e);
		if (r == -ENOENT) {
			err_unsupported(e, "huge page limit: this machine has no pages of %s",
					p->size);
			return err_hint(e, "see /sys/kernel/mm/hugepages");
		}
		if (r < 0)
			return r;
		snprintf(file, sizeof(file), "hugetlb.%s.%s", p->size, reserved);
		/* Linux 5.7 */
		if (cg_file_exists(d->fd, file))
			r = cg_file_write(d->fd, file, text, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int cg_pages_set_v1(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	return set_pages(d, l, "limit_in_bytes", "rsvd.limit_in_bytes", e);
}

int cg_pages_set_v2(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	return set_pages(d, l, "max", "rsvd.max", e);
}

/* ---- rdma: the same file in both versions ------------------------------------------------------ */

static void add_rdma_value(char *text, size_t size, size_t *len, const char *key, int64_t value)
{
	int n = 0;

	if (value == CG_UNSET)
		return;
	if (value == CG_MAX)
		n = snprintf(text + *len, size - *len, " %s=max", key);
	else
		n = snprintf(text + *len, size - *len, " %s=%" PRId64, key, value);
	*len += (size_t)n;
}

int cg_rdma_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	for (size_t i = 0; i < l->n_rdma; i++) {
		const struct cg_rdma_limit *m = &l->rdma[i];
		char text[160];
		size_t len = (size_t)snprintf(text, sizeof(text), "%s", m->device);
		int r;

		add_rdma_value(text, sizeof(text), &len, "hca_handle", m->handles);
		add_rdma_value(text, sizeof(text), &len, "hca_object", m->objects);
		r = cg_file_write(d->fd, "rdma.max", text, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- network, v1 ------------------------------------------------------------------------------- */

int cg_net_class_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	return cg_file_write_i64(d->fd, "net_cls.classid", l->net_class, e);
}

int cg_net_priorities_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	for (size_t i = 0; i < l->n_net_priorities; i++) {
		char text[96];
		int r;

		snprintf(text, sizeof(text), "%s %" PRIu32, l->net_priorities[i].interface,
			 l->net_priorities[i].priority);
		r = cg_file_write(d->fd, "net_prio.ifpriomap", text, e);
		if (r < 0)
			return r;
	}
	return 0;
}
