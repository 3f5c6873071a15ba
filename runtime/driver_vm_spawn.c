/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting insula-vmm, the host process of a microVM and of an exec in one.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sync.h"
#include "driver_vm.h"
#include "sandbox.h"

#define PROGRAM "insula-vmm"

static void map_fd(struct proc_fd_map *fds, size_t *n, int from, int to)
{
	if (from >= 0)
		fds[(*n)++] = (struct proc_fd_map){.from = from, .to = to};
}

static int spawn_with(const struct vm_spawn *v, int sync, int params, pid_t *ret_pid,
		      int *ret_pidfd, struct err *e)
{
	/* Its helpers need no more, and nothing of the caller's environment is theirs to know. */
	static char *const env[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				    (char *)"LC_ALL=C", NULL};
	_cleanup_free_ char *program = NULL;
	struct proc_fd_map fds[8];
	char *argv[3] = {NULL};
	struct proc_spawn s = {
		.argv = argv,
		.env = env,
		.fds = fds,
		.new_session = true, /* it takes the workload's terminal as its own */
		.cgroup_fd = v->cgroup_fd,
	};
	int r = helper_program_find(PROGRAM, &program, e);

	if (r < 0)
		return r;
	argv[0] = program;
	argv[1] = (char *)v->argument;
	for (int i = 0; v->io && i < 3; i++)
		map_fd(fds, &s.n_fds, v->io->fds[i] >= 0 ? v->io->fds[i] : i, i);
	map_fd(fds, &s.n_fds, sync, VMM_FD_SYNC);
	map_fd(fds, &s.n_fds, v->statefd, VMM_FD_STATE);
	map_fd(fds, &s.n_fds, params, VMM_FD_PARAMS);
	map_fd(fds, &s.n_fds, v->rootfd, VMM_FD_ROOT);
	map_fd(fds, &s.n_fds, v->logfd, VMM_FD_LOG);
	return proc_spawn(&s, ret_pid, ret_pidfd, e);
}

int vm_spawn(const struct vm_spawn *v, pid_t *ret_pid, int *ret_pidfd, int *ret_sync, struct err *e)
{
	_cleanup_close_ int params = -EBADF, ours = -EBADF, theirs = -EBADF;
	int pair[2], r;

	params = fd_sealed_memfd("insula-vmm", v->document, v->document_len, e);
	if (params < 0)
		return params;
	r = sync_pair(pair, e);
	if (r < 0)
		return r;
	ours = pair[0];
	theirs = pair[1];
	r = spawn_with(v, theirs, params, ret_pid, ret_pidfd, e);
	if (r < 0)
		return r;
	*ret_sync = TAKE_FD(ours);
	return 0;
}
