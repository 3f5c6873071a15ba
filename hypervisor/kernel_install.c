/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a guest kernel directory from an unpacked kernel package and the guest program.
 *
 * The initramfs is an uncompressed cpio, since unpacking costs boot time and the file stays in the
 * host's page cache. It holds what the guest program needs to reach the shared tree and its agent
 * channel, and nothing else:
 *
 *   init                    the guest program
 *   dev/console             the kernel opens it for init before devtmpfs is mounted
 *   dev proc sys run mnt    mount points
 *   modules/NN-NAME.ko      kernel modules
 *   modules/order           their file names in load order, one per line
 *
 * Everything is written to a directory beside the destination and takes its place in one rename.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "cpio.h"
#include "hypervisor/vm.h"
#include "kernel_files.h"
#include "modules.h"
#include "vmlinux.h"

#define KERNEL_BYTES_MAX (128u << 20)
#define GUEST_BYTES_MAX  (64u << 20)

/* What the guest loads. Optional: not every kernel has it apart, or at all, and a guest without it
 * still works. */
static const struct kernel_module_want wanted[] = {
	{"virtio_pci", false}, /* the bus under QEMU */
	{"virtio_mmio", true}, /* the bus under engines without PCI */
	{"virtio_console", false}, {"fuse", false},      {"virtiofs", false},
	{"overlay", false},        {"virtio_rng", true}, {"virtio_balloon", true},
	{"virtio_net", true},      {"virtio_blk", true}, /* a guest system's disks */
};

/* The one release in boot/. */
static int find_release(int treefd, const char *tree, char **ret, struct err *e)
{
	static const char prefix[] = "vmlinuz-";
	_cleanup_closedir_ DIR *d = NULL;
	_cleanup_free_ char *found = NULL;
	struct dirent *de;
	int fd;

	fd = path_open_in_root(treefd, "boot", O_RDONLY | O_DIRECTORY, 0, e);
	if (fd < 0)
		return err_wrap(e, "'%s' is no unpacked kernel package", tree);
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_nomem(e);
	}
	while ((de = readdir(d))) {
		if (!str_has_prefix(de->d_name, prefix))
			continue;
		if (found)
			return err_invalid(e, "'%s/boot' has more than one kernel: '%s%s', '%s'",
					   tree, prefix, found, de->d_name);
		found = strdup(de->d_name + strlen(prefix));
		if (!found)
			return err_nomem(e);
	}
	if (!found || !str_is_name(found))
		return err_set(e, ERR_NOT_FOUND, ENOENT, "'%s/boot' has no vmlinuz-RELEASE", tree);
	*ret = TAKE_PTR(found);
	return 0;
}

static int read_in_tree(int treefd, const char *path, size_t max, char **ret, size_t *ret_len,
			struct err *e)
{
	_cleanup_close_ int fd = path_open_in_root(treefd, path, O_RDONLY, 0, e);

	if (fd < 0)
		return fd;
	return fd_read_all(fd, max, ret, ret_len, path, e);
}

static int add_modules(struct cpio *c, const struct kernel_modules *m, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	struct strbuf order = {0};
	char name[128];
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n; i++) {
		snprintf(name, sizeof(name), "modules/%02zu-%.64s.ko", i, m->v[i].name);
		strbuf_addf(&order, "%s\n", strchr(name, '/') + 1);
		r = cpio_add_file(c, name, 0644, m->v[i].data, m->v[i].len, e);
	}
	strbuf_add(&order, "");
	if (strbuf_take(&order, &text) < 0)
		return err_nomem(e);
	return r < 0 ? r : cpio_add_file(c, "modules/order", 0644, text, strlen(text), e);
}

static int write_initramfs(int fd, const struct kernel_modules *m, const char *guest,
			   size_t guest_len, struct err *e)
{
	static const char *const dirs[] = {"dev", "proc", "sys", "run", "mnt", "modules"};
	struct cpio c = {.fd = fd};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
		r = cpio_add_dir(&c, dirs[i], 0755, e);
	if (r == 0)
		r = cpio_add_char_device(&c, "dev/console", 0600, 5, 1, e);
	if (r == 0)
		r = cpio_add_file(&c, "init", 0755, guest, guest_len, e);
	if (r == 0)
		r = add_modules(&c, m, e);
	return r < 0 ? r : cpio_finish(&c, e);
}

static int create_file(int dirfd, const char *name, struct err *e)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_sys(e, errno, "create '%s'", name);
	fchmod(fd,
	       0644); /* whatever the umask: nothing secret is in it, and every user may start VMs */
	return fd;
}

static int write_file(int dirfd, const char *name, const void *data, size_t len, struct err *e)
{
	_cleanup_close_ int fd = create_file(dirfd, name, e);

	return fd < 0 ? fd : fd_write_all(fd, data, len, name, e);
}

/* The guest program must run without anything beside it. */
static int check_guest_program(const char *path, const char *data, size_t len, struct err *e)
{
	if (len < 4 || memcmp(data, "\177ELF", 4) != 0)
		return err_invalid(e, "guest program '%s': not an ELF program", path);
	return 0;
}

/* The image as it is, and the ELF kernel out of it where that boots. */
static int write_kernel(int dirfd, int treefd, const char *release, struct err *e)
{
	_cleanup_free_ char *path = NULL, *image = NULL, *elf = NULL;
	size_t image_len = 0, elf_len = 0;
	int r;

	if (str_printf(&path, "boot/vmlinuz-%s", release) < 0)
		return err_nomem(e);
	if ((r = read_in_tree(treefd, path, KERNEL_BYTES_MAX, &image, &image_len, e)) < 0 ||
	    (r = write_file(dirfd, KERNEL_FILE_IMAGE, image, image_len, e)) < 0)
		return r;
	r = vmlinux_extract(image, image_len, &elf, &elf_len, e);
	if (r == -ENOTSUP) {
		err_clear(e);
		return 0;
	}
	return r < 0 ? err_wrap(e, "'%s'", path)
		     : write_file(dirfd, KERNEL_FILE_ELF, elf, elf_len, e);
}

static int fill(int dirfd, int treefd, const char *release, const char *guest_program,
		struct err *e)
{
	_cleanup_free_ char *guest = NULL, *modules_path = NULL;
	_cleanup_(kernel_modules_done) struct kernel_modules modules = {0};
	_cleanup_close_ int modules_dir = -EBADF, initramfs = -EBADF;
	size_t guest_len = 0;
	int r;

	if (str_printf(&modules_path, "lib/modules/%s", release) < 0)
		return err_nomem(e);
	r = write_kernel(dirfd, treefd, release, e);
	if (r < 0)
		return r;
	r = path_read_file_at(AT_FDCWD, guest_program, GUEST_BYTES_MAX, &guest, &guest_len, e);
	if (r == 0)
		r = check_guest_program(guest_program, guest, guest_len, e);
	if (r < 0)
		return r;
	modules_dir = path_open_in_root(treefd, modules_path, O_RDONLY | O_DIRECTORY, 0, e);
	if (modules_dir < 0)
		return modules_dir;
	r = kernel_modules_collect(modules_dir, wanted, ARRAY_SIZE(wanted), &modules, e);
	if (r < 0)
		return r;
	initramfs = create_file(dirfd, KERNEL_FILE_INITRAMFS, e);
	if (initramfs < 0)
		return initramfs;
	r = write_initramfs(initramfs, &modules, guest, guest_len, e);
	if (r < 0)
		return err_wrap(e, "write '" KERNEL_FILE_INITRAMFS "'");
	return write_file(dirfd, KERNEL_FILE_RELEASE, release, strlen(release), e);
}

/* Split "a/b/c" to "a/b" and "c"; ret_parent is fresh. */
static int split_dest(const char *dest, char **ret_parent, char **ret_name, struct err *e)
{
	_cleanup_free_ char *clean = NULL;
	char *slash, *name;

	if (path_normalize(dest, &clean) < 0)
		return err_nomem(e);
	slash = strrchr(clean, '/');
	name = strdup(slash ? slash + 1 : clean);
	if (!name)
		return err_nomem(e);
	if (name[0] == '\0' || STREQ(name, ".") || STREQ(name, "..")) {
		free(name);
		return err_invalid(e, "'%s' cannot be a guest kernel's directory", dest);
	}
	if (str_printf(ret_parent, "%.*s", slash ? (int)(slash - clean) : 1,
		       slash == clean || !slash ? (slash ? "/" : ".") : clean) < 0) {
		free(name);
		return err_nomem(e);
	}
	*ret_name = name;
	return 0;
}

/* Put `fresh` where `name` is, and remove what was there. */
static int publish(int parent, const char *fresh, const char *name, struct err *e)
{
	if (renameat2(parent, fresh, parent, name, RENAME_EXCHANGE) == 0)
		return path_remove_tree_at(parent, fresh, e);
	if (errno == ENOENT && renameat2(parent, fresh, parent, name, RENAME_NOREPLACE) == 0)
		return 0;
	return err_sys(e, errno, "rename to '%s'", name);
}

int vm_kernel_install(const char *tree, const char *guest_program, const char *dest, struct err *e)
{
	_cleanup_free_ char *release = NULL, *parent_path = NULL, *name = NULL, *fresh = NULL;
	_cleanup_close_ int treefd = -EBADF, parent = -EBADF, dirfd = -EBADF;
	int r;

	treefd = path_open_dir(tree, e);
	if (treefd < 0)
		return err_wrap(e, "install guest kernel");
	if ((r = find_release(treefd, tree, &release, e)) < 0 ||
	    (r = split_dest(dest, &parent_path, &name, e)) < 0)
		return err_wrap(e, "install guest kernel");
	parent = path_open_dir(parent_path, e);
	if (parent < 0)
		return err_wrap(e, "install guest kernel '%s'", dest);
	if (str_printf(&fresh, ".%s.%d", name, (int)getpid()) < 0)
		return err_nomem(e);
	/* Left by one that was killed and had our pid. */
	if ((r = path_remove_tree_at(parent, fresh, e)) < 0 ||
	    (r = path_mkdir_at(parent, fresh, 0755, e)) < 0)
		return err_wrap(e, "install guest kernel '%s'", dest);
	dirfd = path_open_dir_at(parent, fresh, e);
	r = dirfd < 0 ? dirfd : fill(dirfd, treefd, release, guest_program, e);
	if (r == 0)
		r = publish(parent, fresh, name, e);
	if (r < 0) {
		path_remove_tree_at(parent, fresh, NULL);
		err_wrap(e, "install guest kernel '%s'", dest);
	}
	return r;
}
