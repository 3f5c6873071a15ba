/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The creator's side of a container's first process: create it in its namespaces, do for it what
 * needs the creator's privileges (id maps, hard limits, oom_score_adj), and lead it through the
 * stages of base/sync.h. The child's side is init_child.c.
 */
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/sync.h"
#include "idmap.h"
#include "init_child.h"
#include "netdev.h"
#include "isolate/sandbox.h"
#include "nsfile.h"
#include "rootfs_kinds.h"
#include "spawn.h"
#include "sysctl.h"
#include "timens.h"

static const char peer[] = "init";

static void plan_done(struct init_plan *plan)
{
	for (int i = 0; i < ISO_NS_COUNT; i++)
		fd_close(plan->join_fds[i]);
	if (!plan->params)
		return;
	idmap_close(plan->params->config, plan->mapped_fds);
	rootfs_layers_release(&plan->params->config->rootfs, plan->layer_mounts);
}

/* A path may lead to the caller's own namespace. That is nothing to join (for a user namespace the
 * kernel even refuses it), but then nothing may be set in it: it would be set for the host. */
static int check_own(const struct iso_config *c, enum iso_ns ns, struct err *e)
{
	const char *path = c->ns[ns].path;

	if (ns == ISO_NS_UTS && (c->hostname || c->domainname))
		return err_invalid(e,
				   "uts namespace '%s' is the caller's own: a hostname would "
				   "rename the host",
				   path);
	if (ns == ISO_NS_NETWORK && c->n_net_devices)
		return err_invalid(
			e,
			"network namespace '%s' is the caller's own: netDevices are there already",
			path);
	for (size_t i = 0; i < c->n_sysctls; i++) {
		_cleanup_free_ char *key_path = NULL;
		enum iso_ns owner;
		int r;

		r = sysctl_resolve(c->sysctls[i].key, &key_path, &owner, e);
		if (r < 0)
			return r;
		if (owner == ns)
			return err_invalid(e,
					   "%s namespace '%s' is the caller's own: sysctl '%s' "
					   "would change the host",
					   iso_ns_table[ns].oci_name, path, c->sysctls[i].key);
	}
	return 0;
}

static int plan_joins(struct init_plan *plan, struct err *e)
{
	const struct iso_config *c = plan->params->config;

	for (int i = 0; i < ISO_NS_COUNT; i++) {
		_cleanup_close_ int fd = -EBADF;
		int r;

		if (c->ns[i].mode != ISO_NS_JOIN)
			continue;
		fd = iso_ns_open_path((enum iso_ns)i, c->ns[i].path, e);
		if (fd < 0)
			return fd;
		r = ns_is_ours((enum iso_ns)i, fd, e);
		if (r < 0)
			return r;
		if (r > 0)
			r = check_own(c, (enum iso_ns)i, e);
		else
			plan->join_fds[i] = TAKE_FD(fd);
		if (r < 0)
			return r;
	}
	return 0;
}

static uint64_t new_flags(const struct iso_config *c)
{
	uint64_t flags = 0;

	for (int i = 0; i < ISO_NS_COUNT; i++) {
		/* A cgroup namespace is rooted where its creator is: it is unshared when the child
		 * is in its group, which v1 does later. A time namespace with offsets: timens.c. */
		if (i != ISO_NS_CGROUP && (i != ISO_NS_TIME || !timens_has_offsets(c)) &&
		    c->ns[i].mode == ISO_NS_NEW)
			flags |= iso_ns_table[i].clone_flag;
	}
	return flags;
}

/* Must the joins come before the new namespaces are made? */
static bool needs_intermediate(const struct init_plan *plan)
{
	bool any = false;

	for (int i = 0; i < ISO_NS_COUNT; i++)
		any |= plan->join_fds[i] >= 0;
	return plan->join_fds[ISO_NS_PID] >= 0 || (any && plan->userns);
}

static int check_params(const struct iso_init_params *p, struct err *e)
{
	int r;

	r = iso_config_check(p->config, p->process, e);
	if (r < 0)
		return r;
	if (p->bpf && p->bpf->wants_notify && !p->notify)
		return err_set(e, ERR_INTERNAL, EINVAL, "seccomp: nobody to be notified");
	return spawn_check_preserve(&p->stdio, e);
}

/* What the child needs from us before it can do anything. */
static int set_up_ids(const struct init_plan *plan, const struct iso_init *i, struct err *e)
{
	const struct iso_init_params *p = plan->params;
	int r = 0;

	if (p->config->ns[ISO_NS_USER].mode == ISO_NS_NEW)
		r = iso_id_maps_write(i->pid, &p->config->uid_maps, &p->config->gid_maps, e);
	if (r == 0)
		r = spawn_privileged_settings(i->pid, p->process, plan->userns, e);
	if (r == 0 && plan->waits)
		r = sync_send(i->sync_fd, SYNC_PID, i->pid, -1, e);
	if (r < 0 || !timens_has_offsets(p->config))
		return r;
	r = sync_expect(i->sync_fd, peer, SYNC_PID, NULL, NULL, e);
	if (r == -EPIPE)
		return spawn_explain_end(peer, i, e);
	if (r == 0)
		r = timens_write_offsets(i->pid, p->config, e);
	return r < 0 ? r : sync_send(i->sync_fd, SYNC_PID, i->pid, -1, e);
}

/* If the child died meanwhile, its own word on it is worth more than our failing step. */
static void prefer_childs_error(const struct iso_init *i, struct err *e)
{
	struct err child = ERR_INIT;
	struct pollfd ended = {.fd = i->pidfd, .events = POLLIN};
	enum sync_type type;

	if (poll(&ended, 1, 0) != 1)
		return;
	if (sync_recv(i->sync_fd, peer, &type, NULL, NULL, &child) == -EPIPE)
		spawn_explain_end(peer, i, &child);
	if (child.kind != ERR_NONE && e)
		*e = child;
}

int iso_init_spawn(const struct iso_init_params *p, struct iso_init *ret, struct err *e)
{
	_cleanup_(plan_done) struct init_plan plan = {.params = p,
						      .join_fds = {-1, -1, -1, -1, -1, -1, -1, -1}};
	struct iso_init i;
	struct spawn s = {
		.what = peer, .cgroup_fd = p->cgroup_fd, .child = init_child, .arg = &plan};
	int r;

	_Static_assert(ISO_NS_COUNT == 8, "join_fds' initialiser");
	r = check_params(p, e);
	if (r == 0)
		r = plan_joins(&plan, e);
	if (r == 0)
		r = idmap_prepare(p->config, plan.join_fds[ISO_NS_USER], &plan.mapped_fds, e);
	if (r < 0)
		return r;
	plan.userns =
		p->config->ns[ISO_NS_USER].mode == ISO_NS_NEW || plan.join_fds[ISO_NS_USER] >= 0;
	/* Only out here can images be mounted: a user namespace forbids it, and the group's rules of devices loop devices. */
	if (p->config->rootfs.kind == ISO_ROOTFS_LAYERS)
		r = rootfs_layers_prepare(&p->config->rootfs, &plan.layer_mounts, e);
	if (r < 0)
		return r;
	plan.joined = needs_intermediate(&plan);
	plan.waits = plan.userns || plan.joined || timens_has_offsets(p->config);
	s.flags = new_flags(p->config);
	s.join = plan.joined ? init_join : NULL;
	s.cgroup_early = plan.join_fds[ISO_NS_USER] >= 0;
	s.keep_dumpable = geteuid() != 0 && p->config->ns[ISO_NS_USER].mode == ISO_NS_NEW;
	r = spawn_process(&s, &i, e);
	if (r < 0)
		return r;
	r = p->notify ? p->notify->fill(p->notify->arg, i.pid, p->notify->message_fd, e) : 0;
	if (r == 0)
		r = set_up_ids(&plan, &i, e);
	if (r < 0)
		prefer_childs_error(&i, e);
	else
		r = spawn_expect(&s, &i, SYNC_HOST_READY, e);
	if (r == 0)
		r = netdev_move_all(i.pid, p->config, e);
	if (r < 0) {
		iso_init_done(&i, true);
		return r;
	}
	*ret = i;
	return 0;
}

/* A channel that broke under a send: the child has died, and said why before. */
static int explain_send(const struct iso_init *i, int r, struct err *e)
{
	enum sync_type type;

	if (r != -EPIPE && r != -ECONNRESET)
		return r;
	r = sync_recv(i->sync_fd, peer, &type, NULL, NULL, e);
	return r == -EPIPE ? spawn_explain_end(peer, i, e) : r;
}

int iso_init_prepare(struct iso_init *i, struct err *e)
{
	int r;

	r = sync_send(i->sync_fd, SYNC_GO, 0, -1, e);
	if (r < 0)
		return explain_send(i, r, e);
	for (;;) {
		_cleanup_close_ int fd = -EBADF;
		enum sync_type type;

		r = sync_recv(i->sync_fd, peer, &type, NULL, &fd, e);
		if (r == -EPIPE)
			return spawn_explain_end(peer, i, e);
		if (r < 0)
			return r;
		if (type == SYNC_READY)
			return 0;
		if (type != SYNC_CONSOLE || fd < 0 || i->console_fd >= 0)
			return err_set(e, ERR_INTERNAL, EPROTO, "init sent message %d in set-up",
				       (int)type);
		i->console_fd = TAKE_FD(fd);
	}
}

int iso_init_commit(struct iso_init *i, struct err *e)
{
	int r = sync_send(i->sync_fd, SYNC_COMMIT, 0, -1, e);

	return r < 0 ? explain_send(i, r, e) : 0;
}

int iso_init_start(struct iso_init *i, struct err *e)
{
	bool started = false;
	int r;

	r = sync_send(i->sync_fd, SYNC_START, 0, -1, e);
	if (r < 0)
		return explain_send(i, r, e);
	for (;;) {
		enum sync_type type;

		r = sync_recv(i->sync_fd, peer, &type, NULL, NULL, e);
		if (r == -EPIPE && started) {
			err_clear(e);
			i->sync_fd = fd_close(i->sync_fd);
			return 0;
		}
		if (r == -EPIPE)
			return spawn_explain_end(peer, i, e);
		if (r < 0)
			return r;
		if (type != SYNC_STARTED)
			return err_set(e, ERR_INTERNAL, EPROTO, "init sent message %d at the start",
				       (int)type);
		started = true;
	}
}

void iso_init_done(struct iso_init *i, bool end)
{
	int status;

	if (end && i->pidfd >= 0)
		(void)proc_signal(i->pidfd, SIGKILL, NULL);
	i->sync_fd = fd_close(i->sync_fd);
	if (i->pid > 0) {
		/* Without the kill it may run for years; it is only reaped if it has ended. */
		if (end)
			(void)proc_reap(i->pid, &status, NULL);
		else
			(void)waitpid(i->pid, &status, WNOHANG);
	}
	i->pidfd = fd_close(i->pidfd);
	i->console_fd = fd_close(i->console_fd);
	i->pid = -1;
}
