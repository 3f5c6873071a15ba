/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child's side of a container's first process, from clone to exec. It runs our code in a copy
 * of the creator's memory inside the new namespaces. Theory of operation, with the stages of
 * base/sync.h:
 *
 *	join the configured namespaces; become root of a user namespace; loopback up
 *	                                                        -> SYNC_HOST_READY
 *	SYNC_GO -> cgroup namespace, names, root file system, mounts, devices,
 *	           createContainer hooks, masks, sysctls, terminal, pivot, streams, command
 *	                                                        -> SYNC_READY
 *	SYNC_COMMIT -> the gate -> startContainer hooks -> identity.c
 *
 * Until SYNC_READY a death signal ties us to the creator, and every wait ends when the channel does.
 * The death signal goes away before SYNC_READY is sent, not at SYNC_COMMIT: a creator that commits
 * and exits at once would take us along. While we wait for the commit the channel alone tells.
 */
#include "init_child.h"

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sync.h"
#include "command.h"
#include "identity.h"
#include "inside.h"
#include "nsfile.h"
#include "procfs.h"
#include "timens.h"

static const char creator[] = "the creator";

static int tie_to_creator(bool tie, struct err *e)
{
	if (prctl(PR_SET_PDEATHSIG, tie ? SIGKILL : 0, 0, 0, 0) < 0)
		return err_sys(e, errno, "set the death signal");
	return 0;
}

/* ---- namespaces ------------------------------------------------------------------------------- */

static int join_one(int *fd, enum iso_ns ns, struct err *e)
{
	if (*fd < 0)
		return 0;
	if (setns(*fd, (int)iso_ns_table[ns].clone_flag) < 0)
		return err_sys(e, errno, "join the %s namespace", iso_ns_table[ns].oci_name);
	*fd = fd_close(*fd);
	return 0;
}

/*
 * A namespace can be joined by who is privileged over its owner. That is the creator's user
 * namespace for those an engine made beside us, and the joined one for those made inside it: so
 * what is refused at first is tried again as root of the joined user namespace.
 */
int init_join(void *arg, struct err *e)
{
	struct init_plan *plan = arg;
	int r;

	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < ISO_NS_COUNT; i++) {
			if (i == ISO_NS_USER)
				continue;
			r = join_one(&plan->join_fds[i], (enum iso_ns)i, e);
			if (r == -EPERM && pass == 0 && plan->join_fds[ISO_NS_USER] >= 0)
				continue;
			if (r < 0)
				return r;
		}
		r = join_one(&plan->join_fds[ISO_NS_USER], ISO_NS_USER, e);
		if (r < 0)
			return r;
	}
	err_clear(e);
	return 0;
}

static int loopback_up(struct err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo"};

	if (fd < 0)
		return err_sys(e, errno, "open a socket for the loopback interface");
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return err_sys(e, errno, "read the flags of interface 'lo'");
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return err_sys(e, errno, "bring interface 'lo' up");
	return 0;
}

static int enter_namespaces(struct init_plan *plan, int fd, struct err *e)
{
	int r = 0;

	/* A dead creator is noticed here or at the next receive. */
	if (!plan->joined)
		r = init_join(plan, e);
	if (r == 0 && plan->waits)
		r = sync_expect(fd, creator, SYNC_PID, NULL, NULL, e);
	if (r == 0 && timens_has_offsets(plan->params->config))
		r = timens_enter(fd, e);
	/* While our ids are still the creator's. */
	if (r == 0 && plan->params->enter_groups)
		r = plan->params->enter_groups(plan->params->enter_arg, e);
	if (r == 0 && plan->userns)
		r = identity_enter_userns(e);
	/* Joining a user namespace and the change of ids cleared it. */
	if (r == 0)
		r = tie_to_creator(true, e);
	if (r == 0 && plan->params->config->ns[ISO_NS_NETWORK].mode == ISO_NS_NEW)
		r = loopback_up(e);
	return r;
}

/* ---- the container's tree --------------------------------------------------------------------- */

/* Now, not at clone: by now the child is in its group, also where the creator had to move it there
 * (v1), and so the group is the root of the namespace. */
static int new_cgroup_namespace(struct inside *in, struct err *e)
{
	if (in->config->ns[ISO_NS_CGROUP].mode == ISO_NS_NEW && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(e, errno, "make the cgroup namespace");
	return 0;
}

static int set_names(struct inside *in, struct err *e)
{
	const struct iso_config *c = in->config;

	if (c->hostname && sethostname(c->hostname, strlen(c->hostname)) < 0)
		return err_sys(e, errno, "set hostname '%s'", c->hostname);
	if (c->domainname && setdomainname(c->domainname, strlen(c->domainname)) < 0)
		return err_sys(e, errno, "set domainname '%s'", c->domainname);
	return 0;
}

static int run_stage(const struct iso_init_params *p, enum iso_stage stage, struct err *e)
{
	return p->stage ? p->stage(p->stage_arg, stage, e) : 0;
}

/* A working directory that the image lacks is made, as every engine expects. One that is not ours
 * to look at (a bind mount of the user's) is left for chdir to judge. */
static int make_cwd(struct inside *in, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	const char *cwd = in->params->process->cwd;

	fd = path_mkdirs_in_root(in->root_fd, cwd, 0755, e);
	if (fd == -EACCES) {
		err_clear(e);
		return 0;
	}
	if (fd == -ELOOP)
		return err_invalid(e, "process.cwd '%s' leads through a link of /proc", cwd);
	return fd < 0 ? err_wrap(e, "process.cwd '%s'", cwd) : 0;
}

/* The private procfs, for those who write to it. In a user namespace mounts.c also reads there which
 * groups are mapped; where the kernel refuses us a procfs of our own (the pid namespace is the
 * caller's, or an outer container masks parts of its /proc), the caller's will do for that: we still
 * stand in its tree. It is closed before the container's begins. */
static int open_procfs(struct inside *in, struct err *e)
{
	bool sysctls = in->config->n_sysctls > 0;
	bool needed = sysctls || identity_needs_procfs(in->params->process);

	if (!needed && !in->userns)
		return 0;
	in->proc_fd = procfs_open_private(sysctls, needed ? e : NULL);
	if (in->proc_fd < 0 && !needed)
		in->proc_fd = path_open_dir("/proc", e);
	return in->proc_fd < 0 ? in->proc_fd : 0;
}

static int mount_root(struct inside *in, struct err *e)
{
	struct iso_rootfs rootfs = in->config->rootfs;

	rootfs.layer_mounts = in->layer_mounts;
	return iso_rootfs_mount(&rootfs, &in->root_fd, NULL, e);
}

static int create_container_hooks(struct inside *in, struct err *e)
{
	return run_stage(in->params, ISO_STAGE_CREATE_CONTAINER, e);
}

static int send_console(struct inside *in, struct err *e)
{
	_cleanup_close_ int master = -EBADF;
	int r;

	if (!in->params->process->terminal)
		return 0;
	r = inside_terminal(in, &master, e);
	return r < 0 ? r : sync_send(in->sync_fd, SYNC_CONSOLE, 0, master, e);
}

static int place_streams(struct inside *in, struct err *e)
{
	return identity_stdio(&in->params->stdio, in->console_fd, in->params->process, e);
}

static int look_for_command(struct inside *in, struct err *e)
{
	return command_find(in->params->process, &in->command, e);
}

/* The names are the fault points of test builds (base/fault.h); each lies behind its step. */
static const struct {
	const char *name;
	int (*run)(struct inside *in, struct err *e);
} build_steps[] = {
	{"init-cgroupns", new_cgroup_namespace},
	{"init-names", set_names},
	{"init-procfs", open_procfs},
	{"init-root", mount_root},
	{"init-mounts", inside_mounts},
	{"init-devices", inside_devices},
	{"init-cwd", make_cwd},
	{"init-hooks", create_container_hooks},
	{"init-masks", inside_masks},
	{"init-sysctls", inside_sysctls},
	{"init-terminal", send_console},
	{"init-pivot", inside_pivot},
	{"init-streams", place_streams},
	{"init-command", look_for_command},
};

static int build(struct inside *in, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(build_steps); i++) {
		r = build_steps[i].run(in, e);
		if (r == 0)
			r = FAULT(build_steps[i].name, e);
	}
	if (!identity_needs_procfs(in->params->process))
		in->proc_fd = fd_close(in->proc_fd);
	in->root_fd = fd_close(in->root_fd);
	in->console_fd = fd_close(in->console_fd);
	return r;
}

/* ---- the gate and beyond ---------------------------------------------------------------------- */

/* The commit and the order. From the commit on the creator may be gone, and whoever opens the gate is
 * told what becomes of the start. */
static int wait_for_start(const struct iso_init_params *p, int *fd, struct err *e)
{
	int owed = gate_wait(p->gate_fd, *fd, e);

	if (owed < 0)
		return owed;
	if (owed != *fd)
		fd_close(*fd);
	*fd = owed;
	return 0;
}

static int await_and_exec(struct inside *in, int *fd, struct err *e)
{
	const struct iso_init_params *p = in->params;
	struct identity id = {
		.process = p->process,
		.bpf = p->bpf,
		.notify = p->notify,
		.config = p->config,
		.preserve = p->stdio.preserve,
		.keep_keyring = p->keep_keyring,
		.userns = in->userns,
		.proc_fd = in->proc_fd,
	};
	int r;

	r = wait_for_start(p, fd, e);
	if (r == 0)
		r = run_stage(p, ISO_STAGE_START_CONTAINER, e);
	if (r == 0)
		r = FAULT("init-start", e);
	if (r < 0)
		return r;
	id.tell_fd = *fd;
	/* The exec would close it behind the channel: for a moment somebody who is told of the start would
	 * still see one that waits. */
	fd_close(p->gate_fd);
	return identity_exec(&id, in->command, e);
}

int init_child(void *arg, int *fd, struct err *e)
{
	struct init_plan *plan = arg;
	struct inside in = {
		.params = plan->params,
		.config = plan->params->config,
		.root_fd = -1,
		.proc_fd = -1,
		.console_fd = -1,
		.mapped_fds = plan->mapped_fds,
		.layer_mounts = plan->layer_mounts,
		.sync_fd = *fd,
		.userns = plan->userns || ns_user_is_nested(),
		.cgroupns = plan->params->config->ns[ISO_NS_CGROUP].mode != ISO_NS_INHERIT,
	};
	int r;

	r = enter_namespaces(plan, *fd, e);
	if (r == 0)
		r = FAULT("init-namespaces", e);
	if (r == 0)
		r = sync_send(*fd, SYNC_HOST_READY, 0, -1, e);
	if (r == 0)
		r = sync_expect(*fd, creator, SYNC_GO, NULL, NULL, e);
	if (r == 0)
		r = build(&in, e);
	if (r == 0)
		r = tie_to_creator(false, e);
	if (r == 0)
		r = sync_send(*fd, SYNC_READY, 0, -1, e);
	if (r == 0)
		r = await_and_exec(&in, fd, e);
	free(in.command);
	return r;
}
