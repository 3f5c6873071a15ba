/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering a jail (isolate/jail.h). Order: the root directory, which takes CAP_SYS_ADMIN; resource limits; the bounding set and
 * then all capabilities but those that are kept; no new privileges; the filter, last, since it forbids all of the former.
 *
 * The directory that stays is mounted once more, alone, and pivoted into: a descriptor of the host's own mount would
 * lead up and out by "..". The old root is taken off as a whole.
 */
#include "isolate/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/self.h"
#include "base/str.h"
#include "caps.h"
#include "isolate/seccomp.h"
#include "mountfd.h"

#define FILE_MAX_BYTES  (1u << 20)
#define NOTHING_SPECIAL (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* ---- root directory ---------------------------------------------------------------------- */

/* A file that is missing, or not for us, is one that the process has to do without. */
static int copy_file(int tree, const char *path, struct err *e)
{
	_cleanup_free_ char *text = NULL, *parent = strdup(path);
	_cleanup_close_ int dir = -EBADF;
	char *slash = parent ? strrchr(parent, '/') : NULL;
	size_t len;

	if (!slash)
		return err_nomem(e);
	if (path_read_file_at(AT_FDCWD, path, FILE_MAX_BYTES, &text, &len, NULL) < 0)
		return 0;
	*slash = '\0';
	dir = path_mkdirs_in_root(tree, parent, 0755, e);
	return dir < 0 ? dir : path_create_file_at(dir, slash + 1, text, len, 0644, e);
}

/* Nothing, or copies of a few files. */
static int small_tree(const struct iso_jail *j, struct err *e)
{
	_cleanup_close_ int fs = mountfd_fs_open("tmpfs", e), tree = -EBADF;
	int r;

	if (fs < 0)
		return fs;
	r = mountfd_fs_set(fs, "size", j->n_files ? "8m" : "4096", e);
	if (r < 0)
		return r;
	tree = mountfd_fs_mount(fs, NOTHING_SPECIAL, e);
	if (tree < 0)
		return tree;
	for (size_t i = 0; i < j->n_files; i++) {
		r = copy_file(tree, j->files[i], e);
		if (r < 0)
			return err_wrap(e, "copy '%s'", j->files[i]);
	}
	r = mountfd_set(tree, false, MOUNT_ATTR_RDONLY, 0, 0, e);
	return r < 0 ? r : TAKE_FD(tree);
}

/* The directory alone, not what may be mounted below it. */
static int tree_of(int dirfd, struct err *e)
{
	_cleanup_close_ int from = fcntl(dirfd, F_DUPFD_CLOEXEC, 3), tree = -EBADF;
	int r;

	if (from < 0)
		return err_sys(e, errno, "the directory's descriptor");
	tree = mountfd_clone(&from, false, e);
	if (tree < 0)
		return tree;
	r = mountfd_set(tree, false, NOTHING_SPECIAL, 0, 0, e);
	return r < 0 ? r : TAKE_FD(tree);
}

static int pivot_to(int tree, struct err *e)
{
	_cleanup_close_ int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (old < 0)
		return err_sys(e, errno, "open the old root");
	r = mountfd_attach(tree, old, e);
	if (r < 0)
		return r;
	if (fchdir(tree) < 0)
		return err_sys(e, errno, "change to the new root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(e, errno, "pivot_root");
	if (fchdir(old) < 0 || umount2(".", MNT_DETACH) < 0)
		return err_sys(e, errno, "detach the old root");
	return fchdir(tree) < 0 ? err_sys(e, errno, "change to the new root") : 0;
}

static int enter_root(const struct iso_jail *j, struct err *e)
{
	_cleanup_close_ int tree = -EBADF, again = -EBADF;
	int r;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "make mounts private");
	tree = j->root_fd >= 0 ? tree_of(j->root_fd, e) : small_tree(j, e);
	if (tree < 0)
		return tree;
	r = pivot_to(tree, e);
	if (r < 0 || j->root_fd < 0)
		return r;
	again = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (again < 0 || dup3(again, j->root_fd, O_CLOEXEC) < 0)
		return err_sys(e, errno, "open the new root");
	return 0;
}

/* ---- limits, capabilities ---------------------------------------------------------------- */

static int lower_limits(const struct iso_jail *j, struct err *e)
{
	for (size_t i = 0; i < j->n_rlimits; i++) {
		const struct iso_rlimit *l = &j->rlimits[i];
		struct rlimit64 have, want = {.rlim_cur = l->soft, .rlim_max = l->hard};

		if (prlimit64(0, l->resource, NULL, &have) < 0)
			return err_sys(e, errno, "read %s", iso_rlimit_name(l->resource));
		if (want.rlim_max > have.rlim_max)
			want.rlim_max = have.rlim_max;
		if (want.rlim_cur > want.rlim_max)
			want.rlim_cur = want.rlim_max;
		if (prlimit64(0, l->resource, &want, NULL) < 0)
			return err_sys(e, errno, "set %s", iso_rlimit_name(l->resource));
	}
	return 0;
}

static int drop_caps(const struct iso_jail *j, struct err *e)
{
	const struct iso_caps caps = {
		.present = true,
		.set = {[ISO_CAP_EFFECTIVE] = j->caps,
			[ISO_CAP_PERMITTED] = j->caps,
			[ISO_CAP_BOUNDING] = j->caps},
	};
	int r = caps_drop_bounding(&caps, e);

	return r < 0 ? r : caps_apply(&caps, e);
}

/* ---- system calls ------------------------------------------------------------------------ */

static int words(uint32_t *ret_allow, uint32_t *ret_errno, uint32_t *ret_kill, int *ret_masked,
		 int *ret_equal)
{
	if (iso_seccomp_action_parse("SCMP_ACT_ALLOW", ret_allow) < 0 ||
	    iso_seccomp_action_parse("SCMP_ACT_ERRNO", ret_errno) < 0 ||
	    iso_seccomp_action_parse("SCMP_ACT_KILL_PROCESS", ret_kill) < 0 ||
	    iso_seccomp_op_parse("SCMP_CMP_MASKED_EQ", ret_masked) < 0 ||
	    iso_seccomp_op_parse("SCMP_CMP_EQ", ret_equal) < 0)
		return -EINVAL;
	return 0;
}

static int install_filter(const struct iso_jail *j, struct err *e)
{
	char *memory[] = {"mmap", "mprotect", NULL}, *thread[] = {"clone", NULL},
	     *refused[] = {"clone3", NULL}, *sockets[] = {"socket", NULL};
	struct iso_seccomp_arg no_exec = {.index = 2, .value = PROT_EXEC};
	struct iso_seccomp_arg only_thread = {.value = CLONE_THREAD, .value_two = CLONE_THREAD};
	struct iso_seccomp_arg families[] = {
		{.value = AF_INET}, {.value = AF_INET6}, {.value = AF_NETLINK}};
	/* C libraries ask a name service daemon over AF_UNIX first: a failure is enough for them. */
	struct iso_seccomp_arg local_family = {.value = AF_UNIX};
	_cleanup_(iso_bpf_done) struct iso_bpf bpf = {0};
	_cleanup_free_ char **names = calloc(j->n_calls + 1, sizeof(*names));
	struct iso_seccomp s = {.present = true};
	uint32_t allow, give_errno;
	int masked, equal, r;

	if (!names)
		return err_nomem(e);
	if (words(&allow, &give_errno, &s.default_action, &masked, &equal) < 0)
		return err_set(e, ERR_INTERNAL, EINVAL, "unknown words of a filter");
	for (size_t i = 0; i < j->n_calls; i++)
		names[i] = (char *)j->calls[i]; /* only read */
	no_exec.op = only_thread.op = masked;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		families[i].op = equal;
	local_family.op = equal;

	struct iso_seccomp_rule rules[] = {
		{.names = names, .action = allow},
		{.names = memory, .action = allow, .args = &no_exec, .n_args = 1},
		{.names = thread, .action = allow, .args = &only_thread, .n_args = 1},
		{.names = refused,
		 .action = give_errno,
		 .errno_ret = ENOSYS,
		 .has_errno_ret = true},
		/* the last ones: only with `internet` */
		{.names = sockets, .action = allow, .args = &families[0], .n_args = 1},
		{.names = sockets, .action = allow, .args = &families[1], .n_args = 1},
		{.names = sockets, .action = allow, .args = &families[2], .n_args = 1},
		{.names = sockets,
		 .action = give_errno,
		 .errno_ret = EAFNOSUPPORT,
		 .has_errno_ret = true,
		 .args = &local_family,
		 .n_args = 1},
	};

	s.rules = rules;
	s.n_rules = ARRAY_SIZE(rules) - (j->internet ? 0 : 4);
	r = iso_seccomp_compile(&s, &bpf, e);
	if (r < 0)
		return r;
	r = iso_seccomp_install(&bpf, NULL);
	return r < 0 ? err_sys(e, r, "install it") : 0;
}

int iso_jail_enter(const struct iso_jail *j, struct err *e)
{
	int r = enter_root(j, e);

	if (r < 0)
		return err_wrap(e, "jail: root directory");
	r = lower_limits(j, e);
	if (r == 0)
		r = drop_caps(j, e);
	if (r < 0)
		return err_wrap(e, "jail");
	self_undumpable();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "jail: no new privileges");
#ifdef __SANITIZE_ADDRESS__
	/* Sanitizers look around the process with calls of their own, at times of their own. */
	return 0;
#else
	r = install_filter(j, e);
	return r < 0 ? err_wrap(e, "jail: system call filter") : 0;
#endif
}
