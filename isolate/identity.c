/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From our code to the workload's: keyring, limits, directory, privileges, filter, exec.
 *
 * The order is forced at these points:
 * - security labels first: no-new-privileges would forbid the change of domain;
 * - limits while CAP_SYS_RESOURCE may still be there; scheduling behind them, as some limits permit it;
 * - the working directory before the change of user (root may enter what the user may not), and
 *   after it when that failed (a root-squashed mount that only the user may enter); either way it
 *   is then asked where we are;
 * - the filter before the capabilities go, when no-new-privileges is off: installing it needs
 *   CAP_SYS_ADMIN; otherwise last, so that it need not allow any of our own calls but execve;
 * - Landlock's rules are opened while we may see everything, and enforced right before the filter;
 * - the bounding set before the ids (needs CAP_SETPCAP), the other sets after them (the change of
 *   ids clears the effective set).
 */
#include "identity.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/self.h"
#include "base/str.h"
#include "base/sync.h"
#include "caps.h"
#include "command.h"
#include "landlock.h"
#include "notify.h"
#include "rlimit.h"
#include "scheduling.h"
#include "terminal.h"

bool identity_needs_procfs(const struct iso_process *p)
{
	return (p->apparmor_profile && *p->apparmor_profile) ||
	       (p->selinux_label && *p->selinux_label);
}

int identity_enter_userns(struct err *e)
{
	/* Refused where setgroups is denied, which is where there is nothing to give up. */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys(e, errno, "leave the caller's groups");
	/* Where only the user's own id is mapped, there is no root: we stay who we are, and have all
	 * capabilities over the namespace all the same until the exec (EINVAL: not mapped). */
	if ((setresgid(0, 0, 0) < 0 && errno != EINVAL) ||
	    (setresuid(0, 0, 0) < 0 && errno != EINVAL))
		return err_sys(e, errno, "become root of the user namespace");
	/* The change of ids set it to what suid_dumpable says. */
	self_undumpable();
	return 0;
}

/* ---- standard streams ------------------------------------------------------------------------- */

/* The workload may open /dev/stdout anew, and then the pipe's owner counts. Pipes were made for it
 * by whoever started us; files and terminals belong to somebody and are left alone. */
static void give_pipe(int fd, uint32_t uid)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_uid != uid)
		(void)!fchown(fd, uid, (gid_t)-1);
}

int identity_stdio(const struct iso_stdio *stdio, int slave_fd, const struct iso_process *p,
		   struct err *e)
{
	int above[3] = {-EBADF, -EBADF, -EBADF}, r = 0;

	/* First out of each other's way (stream 1 may be given as descriptor 0), then into place. */
	for (int i = 0; i < 3 && r == 0; i++) {
		int from = slave_fd >= 0 ? slave_fd : stdio->fds[i];

		if (from < 0)
			continue;
		above[i] = fcntl(from, F_DUPFD_CLOEXEC, 3 + (int)stdio->preserve);
		if (above[i] < 0)
			r = err_sys(e, errno, "standard stream %d (descriptor %d)", i, from);
	}
	for (int i = 0; i < 3; i++) {
		if (r == 0 && above[i] >= 0 && dup2(above[i], i) < 0)
			r = err_sys(e, errno, "put standard stream %d in place", i);
		fd_close(above[i]);
	}
	if (r < 0)
		return r;
	if (slave_fd >= 0)
		return terminal_control(slave_fd, e);
	for (int i = 0; i < 3; i++)
		give_pipe(i, p->user.uid);
	return 0;
}

/* What keeps the workload in, made ready while we may still do everything. */
struct fences {
	int ruleset_fd; /* of Landlock, or -1 */
	struct notify_helper helper;
};

/* ---- steps ------------------------------------------------------------------------------------ */

static int apply_labels(const struct identity *id, struct err *e)
{
	const char *profile = id->process->apparmor_profile, *label = id->process->selinux_label;
	_cleanup_free_ char *order = NULL;
	int r;

	if (profile && *profile) {
		if (str_printf(&order, "exec %s", profile) < 0)
			return err_nomem(e);
		r = path_write_file_at(id->proc_fd, "self/attr/apparmor/exec", order, e);
		if (r == -ENOENT || r == -EINVAL || r == -ENOTDIR)
			return err_unsupported(
				e,
				"AppArmor profile '%s': the kernel has no AppArmor or not "
				"this profile",
				profile);
		if (r < 0)
			return err_wrap(e, "AppArmor profile '%s'", profile);
	}
	if (label && *label) {
		r = path_write_file_at(id->proc_fd, "self/attr/exec", label, e);
		if (r == -EINVAL)
			return err_unsupported(
				e,
				"SELinux label '%s': the kernel has no SELinux or not this label",
				label);
		if (r < 0)
			return err_wrap(e, "SELinux label '%s'", label);
	}
	return 0;
}

static int join_keyring(const struct identity *id, struct err *e)
{
	if (id->keep_keyring)
		return 0;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
		return 0;
	/* A kernel without keys has no keyring to keep apart (ENOSYS), and an outer container's
	 * filter that forbids keyctl forbids the workload to use ours as well (EPERM). */
	if (errno == ENOSYS || errno == EPERM)
		return 0;
	err_sys(e, errno, "join a new session keyring");
	if (e && e->errnum == EDQUOT)
		err_hint(e, "raise sysctl kernel.keys.maxkeys, or keep the caller's keyring with "
			    "--no-new-keyring");
	return e ? -e->errnum : -EIO;
}

/* Enter p->cwd without following a magic link: /proc/self/fd/N leads to directories of the host
 * (CVE-2024-21626). */
static int enter_cwd(const char *cwd, struct err *e)
{
	_cleanup_close_ int root = -EBADF, dir = -EBADF;

	root = path_open_dir("/", e);
	if (root < 0)
		return root;
	dir = path_open_in_root(root, cwd, O_PATH | O_DIRECTORY, 0, e);
	if (dir == -ELOOP)
		return err_invalid(e, "process.cwd '%s' leads through a link of /proc", cwd);
	if (dir < 0)
		return err_wrap(e, "process.cwd '%s'", cwd);
	if (fchdir(dir) < 0)
		return err_sys(e, errno, "enter process.cwd '%s'", cwd);
	return 0;
}

/* The kernel's own word on where we are; libc's getcwd() hides its "(unreachable)". */
static int verify_cwd(const char *cwd, struct err *e)
{
	char buf[4096];

	if (syscall(SYS_getcwd, buf, sizeof(buf)) < 0)
		return err_sys(e, errno, "ask where process.cwd '%s' is", cwd);
	if (buf[0] != '/')
		return err_invalid(e, "process.cwd '%s' is outside the container", cwd);
	return 0;
}

static int apply_filter(const struct identity *id, const struct notify_helper *helper,
			struct err *e)
{
	int r, notify_fd;

	if (!id->bpf || id->bpf->n == 0)
		return 0;
	r = iso_seccomp_install(id->bpf, &notify_fd);
	if (r == 0 && id->bpf->wants_notify)
		return notify_end(helper, notify_fd, e);
	if (r == -EBUSY) {
		err_sys(e, r, "install the seccomp filter");
		return err_hint(e, "an outer filter notifies already, and the kernel allows one");
	}
	if (r == -EACCES || r == -EPERM) {
		err_sys(e, r, "install the seccomp filter");
		return err_hint(e, "without CAP_SYS_ADMIN it needs noNewPrivileges");
	}
	return r < 0 ? err_sys(e, r, "install the seccomp filter") : 0;
}

static int set_groups(const struct identity *id, struct err *e)
{
	const struct iso_user *u = &id->process->user;

	if (setgroups(u->n_additional_gids, u->additional_gids) == 0)
		return 0;
	/* An unprivileged user namespace denies setgroups: nothing is given there, and nothing that
	 * counts inside is kept. */
	if (errno == EPERM && id->userns && u->n_additional_gids == 0)
		return 0;
	err_sys(e, errno, "set the additional groups");
	if (id->userns)
		err_hint(e, "an additional group must be mapped, and a user namespace made without "
			    "privilege allows none");
	return e ? -e->errnum : -EIO;
}

static int set_ids(const struct identity *id, struct err *e)
{
	const struct iso_user *u = &id->process->user;
	int r;

	r = set_groups(id, e);
	if (r < 0)
		return r;
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		r = err_sys(e, errno, "become group %u", u->gid);
	else if (setresuid(u->uid, u->uid, u->uid) < 0)
		r = err_sys(e, errno, "become user %u", u->uid);
	if (r == -EINVAL)
		err_hint(e, "the id is not mapped into the user namespace");
	return r;
}

static int put_up_fences(const struct identity *id, const struct fences *f, struct err *e)
{
	int r = landlock_enforce(f->ruleset_fd, e);

	return r < 0 ? r : apply_filter(id, &f->helper, e);
}

static int drop_privileges(const struct identity *id, const struct fences *f, struct err *e)
{
	const struct iso_process *p = id->process;
	int r;

	if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "set no-new-privileges");
	if (!p->no_new_privileges) {
		r = put_up_fences(id, f, e);
		if (r < 0)
			return r;
	}
	r = caps_drop_bounding(&p->caps, e);
	if (r == 0)
		r = set_ids(id, e);
	if (r == 0)
		r = caps_apply(&p->caps, e);
	return r;
}

/* Ours close at exec; those that are to be passed on stay. */
static int arrange_descriptors(const struct identity *id, struct err *e)
{
	for (unsigned fd = 3; fd < 3 + id->preserve; fd++)
		if (fd_set_cloexec((int)fd, false) < 0)
			return err_invalid(e, "descriptor %u, to be preserved, is not open", fd);
	return fd_cloexec_from(3 + id->preserve, e);
}

/* Everything that may need more than the user has. */
static int prepare(const struct identity *id, bool *ret_cwd_entered, struct err *e)
{
	const struct iso_process *p = id->process;
	int r;

	r = apply_labels(id, e);
	if (r == 0)
		r = join_keyring(id, e);
	if (r < 0)
		return r;
	r = enter_cwd(p->cwd, e);
	if (r < 0 && r != -EACCES && r != -EPERM)
		return r;
	*ret_cwd_entered = r == 0;
	err_clear(e);
	r = arrange_descriptors(id, e);
	if (r == 0)
		r = rlimits_apply(p, e);
	if (r == 0)
		r = scheduling_apply(p, id->config, e);
	if (r < 0)
		return r;
	if (p->user.has_umask)
		umask(p->user.umask);
	return 0;
}

int identity_exec(const struct identity *id, const char *path, struct err *e)
{
	const struct iso_process *p = id->process;
	_cleanup_close_ int ruleset = -EBADF;
	struct fences fences = {.helper.pid = -1};
	bool cwd_entered = false;
	int r;

	if (id->bpf && id->bpf->wants_notify) {
		r = notify_begin(id->notify, &fences.helper, e);
		if (r < 0)
			return r;
	}
	r = prepare(id, &cwd_entered, e);
	if (r == 0)
		r = landlock_prepare(&id->config->landlock, 3 + id->preserve, &ruleset, e);
	if (r < 0)
		return r;
	fences.ruleset_fd = ruleset;
	/* Said before the filter may forbid it: an end of the channel from here on is the exec. Whoever
	 * gave the order may be gone; it was given. */
	r = sync_send(id->tell_fd, SYNC_STARTED, 0, -1, e);
	if (r < 0 && r != -EPIPE)
		return r;
	err_clear(e);
	r = drop_privileges(id, &fences, e);
	if (r == 0 && !cwd_entered)
		r = enter_cwd(p->cwd, e);
	if (r == 0)
		r = verify_cwd(p->cwd, e);
	if (r < 0)
		return r;
	/* The change of ids made us as dumpable as suid_dumpable says; until exec nobody inside may
	 * look into this copy of the creator's memory. The death signal is not the workload's. */
	self_undumpable();
	(void)!prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (p->no_new_privileges) {
		r = put_up_fences(id, &fences, e);
		if (r < 0)
			return r;
	}
	return command_exec(p, path, e);
}
