/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock, by what the running kernel has of it (its "ABI"):
 *
 *	1  Linux 5.13  files: but no move or link from one directory to another is possible at all
 *	2  Linux 5.19  moves and links between directories, where both allow them
 *	3  Linux 6.2   truncate(2) without opening for writing
 *	5  Linux 6.10  ioctl(2) on devices
 *	6  Linux 6.12  abstract Unix sockets and signals
 *
 * A right that the kernel does not know cannot be refused, so each ABI enforces what it knows. ABI 1 is left alone: that
 * no file can be moved breaks more programs than the fence is worth. ABI 4 (TCP ports) is of no use here: the network has
 * a namespace.
 *
 * Rules name inodes, not paths, and an allowed directory allows all below it, mount points included. There is no way to
 * take a directory out again. So a system whose root may be written cannot be allowed at "/": see runtime/run_landlock.c.
 *
 * Whatever the rules, the kernel lets nobody behind such a fence change mounts or trace a process outside (an exec'd
 * process is behind a fence of its own: it can be seen by the first one, and signalled, but not traced, nor the other
 * way round).
 *
 * Checked is the opening of a file by its path. What is open already is not touched; what is not on any path (pipes,
 * sockets, memfds) is always allowed. A file of the host that was given as a standard stream is on no path that a rule
 * names: it gets one, so that opening /dev/stdout anew works.
 *
 * Spec: Documentation/userspace-api/landlock.rst
 */
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

#define ABI_MIN 2

/* Newer than the headers that we build with. */
#define FS_TRUNCATE           (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEV          (1ULL << 15) /* ABI 5 */
#define SCOPE_ABSTRACT_SOCKET (1ULL << 0)  /* ABI 6 */
#define SCOPE_SIGNAL          (1ULL << 1)  /* ABI 6 */

/* struct landlock_ruleset_attr as of ABI 6. A kernel that knows less of it takes it when the rest is zero. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};

#define FS_READ \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_CHANGE                                                                                \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                         \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                          \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                            \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | \
	 FS_TRUNCATE)
/* In no rule: nobody makes device nodes. */
#define FS_MAKE_DEVICE (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
/* All that means something for what is no directory. */
#define FS_OF_FILES                                                   \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	 LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

static const struct {
	const char *name;
	uint64_t rights;
} accesses[] = {
	[ISO_LANDLOCK_READ] = {"read", FS_READ},
	[ISO_LANDLOCK_WRITE] = {"write", FS_READ | FS_CHANGE},
	[ISO_LANDLOCK_DEVICE] = {"device", FS_READ | FS_CHANGE | FS_IOCTL_DEV},
};
_Static_assert(ARRAY_SIZE(accesses) == ISO_LANDLOCK_ACCESS_COUNT, "a row for each");

/* What came after ABI_MIN. */
static const struct {
	int abi;
	uint64_t fs, scoped;
	const char *what;
} later[] = {
	{3, FS_TRUNCATE, 0, "truncate(2)"},
	{5, FS_IOCTL_DEV, 0, "ioctl(2) on devices"},
	{6, 0, SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL, "abstract sockets and signals"},
};

void iso_landlock_done(struct iso_landlock *l)
{
	for (size_t i = 0; i < l->n_rules; i++)
		free(l->rules[i].path);
	free(l->rules);
	*l = (struct iso_landlock){0};
}

int iso_landlock_access_parse(const char *word, enum iso_landlock_access *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(accesses); i++) {
		if (!STREQ(accesses[i].name, word))
			continue;
		*ret = (enum iso_landlock_access)i;
		return 0;
	}
	return -EINVAL;
}

const char *iso_landlock_access_name(enum iso_landlock_access access)
{
	return accesses[access].name;
}

int iso_landlock_abi(void)
{
	long r = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
			 LANDLOCK_CREATE_RULESET_VERSION);

	/* ENOSYS: not built in. EOPNOTSUPP: not in the kernel's list of security modules. */
	return r < 0 ? 0 : (int)r;
}

int iso_landlock_describe(int abi, char **ret)
{
	struct strbuf b = {0};
	const char *separator = "; not enforced: ";

	if (abi == 0)
		return str_printf(ret, "not in this kernel, or switched off");
	if (abi < ABI_MIN)
		return str_printf(ret,
				  "ABI %d, which is not used: no file could be moved to another "
				  "directory (Linux 5.19 has ABI 2)",
				  abi);
	strbuf_addf(&b, "ABI %d", abi);
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		if (abi >= later[i].abi)
			continue;
		strbuf_addf(&b, "%s%s (ABI %d)", separator, later[i].what, later[i].abi);
		separator = ", ";
	}
	return strbuf_take(&b, ret);
}

/* ---- the ruleset ------------------------------------------------------------------------------ */

static struct ruleset_attr handled(const struct iso_landlock *l, int abi)
{
	struct ruleset_attr a = {.fs = FS_READ | FS_CHANGE | FS_MAKE_DEVICE | FS_IOCTL_DEV};

	if (l->scope_signals)
		a.scoped |= SCOPE_SIGNAL;
	if (l->scope_abstract)
		a.scoped |= SCOPE_ABSTRACT_SOCKET;
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		if (abi >= later[i].abi)
			continue;
		a.fs &= ~later[i].fs;
		a.scoped &= ~later[i].scoped;
	}
	return a;
}

static int create_ruleset(const struct ruleset_attr *a, struct err *e)
{
	/* Not a byte more than is needed: a kernel of ABI 2 knows of 8. */
	size_t size = a->scoped ? sizeof(*a) : sizeof(a->fs);
	long fd = syscall(SYS_landlock_create_ruleset, a, size, 0);

	return fd < 0 ? err_sys(e, errno, "make the ruleset") : (int)fd;
}

/* fd: what the rule is for. 0 or -errno. */
static int allow(int ruleset_fd, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = {.parent_fd = fd};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	rule.allowed_access = S_ISDIR(st.st_mode) ? rights : rights & FS_OF_FILES;
	if (rule.allowed_access == 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return -errno;
	return 0;
}

static int add_rule(int ruleset_fd, int root, const struct iso_landlock_rule *rule, uint64_t known,
		    struct err *e)
{
	_cleanup_close_ int fd = path_open_in_root(root, rule->path, O_PATH, 0, e);
	int r;

	/* What is not there, or is not for us to see, needs no permission. */
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -EACCES) {
		if (e)
			err_clear(e);
		return 0;
	}
	if (fd < 0)
		return err_wrap(e, "rule for '%s'", rule->path);
	r = allow(ruleset_fd, fd, accesses[rule->access].rights & known);
	/* EBADFD: on a file system that no path leads to, and so never refused. */
	return r < 0 && r != -EBADFD ? err_sys(e, r, "rule for '%s'", rule->path) : 0;
}

/* No more than the descriptor may do itself. A directory gives nothing when it is a standard stream, which is somebody's
 * mistake: without a rule nothing can be opened through it. */
static int add_stream(int ruleset_fd, int fd, uint64_t known, struct err *e)
{
	uint64_t rights = FS_IOCTL_DEV;
	struct stat st;
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || fstat(fd, &st) < 0)
		return 0; /* not open */
	if ((flags & O_ACCMODE) != O_WRONLY)
		rights |= FS_READ;
	if ((flags & O_ACCMODE) != O_RDONLY)
		rights |= LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
	if (S_ISDIR(st.st_mode) && fd < 3)
		return 0;
	r = allow(ruleset_fd, fd, rights & known);
	/* EBADFD: a pipe, a socket. EBADF: a descriptor of another kind without a path. */
	return r < 0 && r != -EBADFD && r != -EBADF ? err_sys(e, r, "rule for descriptor %d", fd)
						    : 0;
}

static int add_rules(const struct iso_landlock *l, int ruleset_fd, unsigned n_fds, uint64_t known,
		     struct err *e)
{
	_cleanup_close_ int root = path_open_dir("/", e);
	int r = 0;

	if (root < 0)
		return root;
	for (size_t i = 0; r == 0 && i < l->n_rules; i++)
		r = add_rule(ruleset_fd, root, &l->rules[i], known, e);
	for (unsigned fd = 0; r == 0 && fd < n_fds; fd++)
		r = add_stream(ruleset_fd, (int)fd, known, e);
	return r;
}

int landlock_prepare(const struct iso_landlock *l, unsigned n_fds, int *ret_fd, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	int abi = l && l->present ? iso_landlock_abi() : 0, r;
	struct ruleset_attr a;

	if (abi < ABI_MIN) {
		*ret_fd = -1;
		return 0;
	}
	a = handled(l, abi);
	fd = create_ruleset(&a, e);
	r = fd < 0 ? fd : add_rules(l, fd, n_fds, a.fs, e);
	if (r < 0)
		return err_wrap(e, "Landlock");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int landlock_enforce(int ruleset_fd, struct err *e)
{
	if (ruleset_fd < 0 || syscall(SYS_landlock_restrict_self, ruleset_fd, 0) == 0)
		return 0;
	err_sys(e, errno, "Landlock: enforce the ruleset");
	return err_hint(e, "without CAP_SYS_ADMIN it needs noNewPrivileges");
}
