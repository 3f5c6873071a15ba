/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initramfs of a guest system whose disk the kernel cannot mount by itself, since the disk's driver is a module:
 * mount what insula.root= names, move the kernel's file systems there, and execute the system's own init.
 *
 * It is what the kernel does with root=: every file system it has is tried, "ro" and "rw" and "rootflags=" count, and
 * init= or the first of a few well-known programs is init. What a failure leaves behind does not matter: it is told
 * on the console, and the kernel panics.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

#define NEW_ROOT      "/newroot"
#define PROC_TEXT_MAX (64u << 10)

/* The last word `name` of the kernel's command line: its value, or "" where it has none. NULL: it is not there. */
static int find_word(const char *name, char **ret, struct err *e)
{
	_cleanup_free_ char *line = NULL, *found = NULL;
	_cleanup_strv_ char **words = NULL;
	size_t len = strlen(name);
	int r = path_read_file_at(AT_FDCWD, "/proc/cmdline", PROC_TEXT_MAX, &line, NULL, e);

	if (r < 0)
		return r;
	line[strcspn(line, "\n")] = '\0';
	if (strv_split(line, ' ', &words) < 0)
		return err_nomem(e);
	for (char **w = words; w && *w; w++) {
		if (strncmp(*w, name, len) != 0 || ((*w)[len] && (*w)[len] != '='))
			continue;
		free(found);
		found = strdup((*w)[len] ? *w + len + 1 : "");
		if (!found)
			return err_nomem(e);
	}
	*ret = TAKE_PTR(found);
	return 0;
}

int guest_root_wish(char **ret, struct err *e)
{
	return find_word("insula.root", ret, e);
}

/* ---- mounting --------------------------------------------------------------------------- */

/* As the kernel: the first file system that takes the device, of those that need one. */
static int try_all(const char *device, unsigned long flags, const char *data, struct err *e)
{
	_cleanup_free_ char *list = NULL;
	_cleanup_strv_ char **lines = NULL;
	int r = path_read_file_at(AT_FDCWD, "/proc/filesystems", PROC_TEXT_MAX, &list, NULL, e);

	if (r < 0)
		return r;
	if (strv_split(list, '\n', &lines) < 0)
		return err_nomem(e);
	for (char **l = lines; l && *l; l++) {
		const char *type = *l[0] == '\t' ? *l + 1 : NULL;

		if (!type || !*type)
			continue;
		if (mount(device, NEW_ROOT, type, flags, data) == 0)
			return 0;
		if (errno != EINVAL)
			return err_sys(e, errno, "mount '%s' (%s)", device, type);
	}
	return err_invalid(e, "'%s' has no file system that this kernel knows", device);
}

static int mount_root(const char *device, struct err *e)
{
	_cleanup_free_ char *read_only = NULL, *writable = NULL, *data = NULL, *type = NULL;
	unsigned long flags;
	int r = path_mkdir_p(NEW_ROOT, 0755, e);

	if (r < 0 || (r = find_word("ro", &read_only, e)) < 0 ||
	    (r = find_word("rw", &writable, e)) < 0 || (r = find_word("rootflags", &data, e)) < 0 ||
	    (r = find_word("rootfstype", &type, e)) < 0)
		return r;
	/* "rw" is our own word: who adds "ro" means it. */
	flags = read_only || !writable ? MS_RDONLY : 0;
	if (access(device, F_OK) < 0)
		return err_sys(e, errno, "the root, '%s'", device);
	if (!type)
		return try_all(device, flags, data, e);
	return mount(device, NEW_ROOT, type, flags, data) < 0
		       ? err_sys(e, errno, "mount '%s' (%s)", device, type)
		       : 0;
}

/* ---- giving way ------------------------------------------------------------------------- */

/* A system without the directory mounts its own. */
static int move_mounts(struct err *e)
{
	static const char *const moved[] = {"/dev", "/proc", "/sys"};

	for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
		_cleanup_free_ char *target = NULL;
		struct stat st;

		if (str_printf(&target, NEW_ROOT "%s", moved[i]) < 0)
			return err_nomem(e);
		if (lstat(target, &st) == 0 && S_ISDIR(st.st_mode)) {
			if (mount(moved[i], target, NULL, MS_MOVE, NULL) < 0)
				return err_sys(e, errno, "move '%s'", moved[i]);
		} else {
			umount2(moved[i], MNT_DETACH);
		}
	}
	return 0;
}

/* The process's directory is changed here and nowhere else: chroot(2) needs it. */
static int switch_root(struct err *e)
{
	_cleanup_close_ int initramfs = path_open_dir("/", e);
	int r = initramfs < 0 ? initramfs : move_mounts(e);

	if (r == 0)
		r = path_unlink_at(initramfs, "init", e); /* it is memory */
	if (r < 0)
		return r;
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return err_sys(e, errno, "make the disk the root");
	return 0;
}

int guest_root_enter(const char *device, char **argv, struct err *e)
{
	static const char *const inits[] = {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"};
	_cleanup_free_ char *wish = NULL;
	int r = find_word("init", &wish, e);

	if (r == 0)
		r = mount_root(device, e);
	if (r == 0)
		r = switch_root(e);
	if (r < 0)
		return r;
	signal(SIGPIPE, SIG_DFL); /* as the kernel would have left it */
	for (size_t i = 0; i < (wish ? 1 : ARRAY_SIZE(inits)); i++) {
		argv[0] = wish ? wish : (char *)inits[i];
		execv(argv[0], argv);
		if (wish || errno != ENOENT)
			break;
	}
	return err_sys(e, errno, "execute '%s' of '%s'", argv[0], device);
}
