/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a group uses. A controller that is not there leaves its fields 0 (limits: none).
 */
#include "group.h"

#include <errno.h>
#include <unistd.h>

#include "backend.h"

int cg_stats(struct cgroup *g, struct cg_stats *ret, struct err *e)
{
	struct cg_stats s = {.memory_limit_bytes = UINT64_MAX,
			     .swap_limit_bytes = UINT64_MAX,
			     .pids_limit = UINT64_MAX};
	const struct cg_dir *cpu = cg_group_dir(g, CG_CTL_CPU);
	const struct cg_dir *acct = cg_group_dir(g, CG_CTL_CPUACCT);
	const struct cg_dir *memory = cg_group_dir(g, CG_CTL_MEMORY);
	const struct cg_dir *pids = cg_group_dir(g, CG_CTL_PIDS);
	const struct cg_dir *io = cg_group_dir(g, CG_CTL_IO);
	const struct cg_dir *any = cg_group_primary(g);

	if (!any)
		return err_unsupported(e, "statistics: the sandbox has no cgroup");
	/* A removed group still has its open directory, but no files. */
	if (!cg_file_exists(any->fd, "cgroup.procs"))
		return err_set(e, ERR_NOT_FOUND, ENOENT, "cgroup '%s' is gone", g->path);
	/* v1 keeps time in cpuacct and throttling in cpu; v2 has both in one file. */
	if (acct)
		acct->hier->ops->stats_cpu(acct, &s);
	if (cpu && cpu != acct)
		cpu->hier->ops->stats_cpu(cpu, &s);
	if (memory)
		memory->hier->ops->stats_memory(memory, &s);
	if (io)
		io->hier->ops->stats_io(io, &s);
	if (pids) {
		cg_file_read_u64(pids->fd, "pids.current", &s.pids, NULL);
		cg_file_read_u64(pids->fd, "pids.max", &s.pids_limit, NULL);
	}
	*ret = s;
	return 0;
}

uint64_t cg_oom_kills(struct cgroup *g)
{
	const struct cg_dir *memory = cg_group_dir(g, CG_CTL_MEMORY);

	return memory ? memory->hier->ops->oom_kills(memory) : 0;
}

int cg_memory_table(struct cgroup *g, char **ret, struct err *e)
{
	const struct cg_dir *memory = cg_group_dir(g, CG_CTL_MEMORY);

	if (!memory)
		return -ENOENT;
	return cg_file_slurp(memory->fd, "memory.stat", ret, e);
}

int cg_oom_watch(struct cgroup *g, struct err *e)
{
	const struct cg_dir *memory = cg_group_dir(g, CG_CTL_MEMORY);

	if (!memory)
		return err_unsupported(
			e, "out-of-memory events: the sandbox has no memory controller");
	return memory->hier->ops->oom_watch(memory, e);
}

/* An eventfd's counter, or inotify's queue: either way it is emptied. */
void cg_oom_watch_clear(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}
