/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening what a full guest system is made of (guest_system.h). It is done twice: by the creator, who only looks, so that
 * what is wrong is said before anything is made, and by the monitor process, as the same user and before it enters its
 * namespaces.
 *
 * A disk without an overlay is locked (flock) against everybody, one under an overlay against those who would write to it.
 * The lock belongs to the descriptor that QEMU holds, and so to the guest.
 */
#include "guest_system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "hypervisor/seed.h"
#include "runtime/support.h"

#define VARS_BYTES_MAX      (16u << 20)
#define USER_DATA_BYTES_MAX (1u << 20)

void guest_system_done(struct guest_system *g)
{
	for (unsigned i = 0; i < g->n_disks; i++) {
		fd_close(g->disks[i].fd);
		if (g->disks[i].has_overlay)
			fd_close(g->disks[i].overlay_fd);
	}
	fd_close(g->system.uefi_vars_fd);
	free((char *)g->system.root);
	free((char *)g->system.initrd);
	free(g->cmdline);
	vm_kernel_done(&g->kernel);
	*g = (struct guest_system){.system.uefi_vars_fd = -1};
}

/* ---- checks ----------------------------------------------------------------------------- */

static int refuse_without_image(const struct oci_config *c, struct err *e)
{
	static const char *const names[] = {"path", "parameters", "initrd"};
	struct json_at top = json_top(c->document), vm, kernel, at;

	if (!json_member(&top, "vm", &vm) || json_type_of(vm.value) != JSON_OBJECT ||
	    !json_member(&vm, "kernel", &kernel) || json_type_of(kernel.value) != JSON_OBJECT)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (json_member(&kernel, names[i], &at) &&
		    support_value_asks("vm.kernel.path", &at))
			return err_unsupported(e,
					       "vm.kernel.%s: only for a guest that boots from "
					       "vm.image; here the installed guest kernel is used",
					       names[i]);
	return 0;
}

int guest_system_check(const struct oci_config *c, struct err *e)
{
	if (!guest_system_is(c))
		return refuse_without_image(c, e);
	if (c->isolation.rootfs.path)
		return err_unsupported(e, "vm.image.path: a disk and a root directory at once; "
					  "leave root out for a guest that boots from the disk");
	if (c->isolation.n_mounts)
		return err_unsupported(e, "mounts: nothing of the host is shared with a guest that "
					  "boots from a disk");
	if (c->isolation.ns[ISO_NS_NETWORK].mode == ISO_NS_JOIN)
		return err_unsupported(e,
				       "linux.namespaces[network].path: a microVM has no network "
				       "devices yet");
	return 0;
}

/* ---- disks ------------------------------------------------------------------------------ */

struct wish {
	char *path, *format;
	bool read_only;
};

static void wish_done(struct wish *w)
{
	free(w->path);
	free(w->format);
}

/* A new file in the storage, which was made for this sandbox. */
static int make_file(const char *storage, const char *name, struct err *e)
{
	_cleanup_close_ int dir = path_open_dir(storage, e);
	int fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd >= 0 ? fd : err_sys(e, errno, "make '%s/%s'", storage, name);
}

/* Empty: its format is the engine's. */
static int add_overlay(struct vm_disk *d, unsigned i, const char *storage, struct err *e)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "disk%u.overlay", i);
	fd = make_file(storage, name, e);
	if (fd < 0)
		return fd;
	d->overlay_fd = fd;
	d->has_overlay = true;
	return 0;
}

static int lock_disk(int fd, bool writes, struct err *e)
{
	if (flock(fd, (writes ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_sys(e, errno, "lock");
	return err_set(e, ERR_STATE, EBUSY,
		       writes ? "another sandbox uses it, and --persist would change it"
			      : "another sandbox changes it (--persist)");
}

/* Not blocking: what lies there may be a pipe. */
static int open_disk(const struct wish *w, bool writes, struct vm_disk *d, uint64_t *ret_bytes,
		     struct err *e)
{
	int r = vm_disk_format_of(w->path, w->format, &d->format, e);

	if (r < 0)
		return r;
	d->fd = open(w->path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (d->fd < 0)
		return err_sys(e, errno, "open");
	r = vm_disk_check(d->fd, d->format, ret_bytes, e);
	return r < 0 ? r : lock_disk(d->fd, writes, e);
}

static int add_disk(struct guest_system *g, const struct wish *w, bool persist, const char *storage,
		    struct err *e)
{
	bool writes = persist && !w->read_only;
	struct vm_disk *d = &g->disks[g->n_disks];
	uint64_t bytes = 0;
	int r;

	if (g->n_disks == VM_DISKS_MAX)
		return err_invalid(e, "disks: at most %d, a cloud-init seed among them",
				   VM_DISKS_MAX);
	*d = (struct vm_disk){.fd = -1, .read_only = w->read_only};
	g->n_disks++;
	r = open_disk(w, writes, d, &bytes, e);
	if (r == 0 && storage && !w->read_only && !persist)
		r = add_overlay(d, g->n_disks - 1, storage, e);
	return r < 0 ? err_wrap(e, "disk '%s'", w->path), r : 0;
}

static const struct json_field wish_fields[] = {
	JSON_REQUIRED(struct wish, path, "path", json_read_string),
	JSON_FIELD(struct wish, format, "format", json_read_string),
	JSON_FIELD(struct wish, read_only, "readonly", json_read_bool),
};

static int add_further(struct guest_system *g, const char *text, bool persist, const char *storage,
		       struct err *e)
{
	_cleanup_json_ struct json *list = NULL;
	struct json_at top;
	int r = json_parse(text, strlen(text), ANNOTATION_VM_DISKS, &list, e);

	if (r < 0)
		return r;
	top = json_top(list);
	if (json_type_of(list) != JSON_ARRAY)
		return err_invalid(e, "annotation " ANNOTATION_VM_DISKS ": not a list");
	for (size_t i = 0; r == 0 && i < json_array_len(&top); i++) {
		struct json_at at = json_array_at(&top, i);
		struct wish w = {0};

		r = json_read_object(&at, wish_fields, ARRAY_SIZE(wish_fields), &w, e);
		if (r == 0)
			r = add_disk(g, &w, persist, storage, e);
		wish_done(&w);
	}
	return r;
}

/* ---- cloud-init ------------------------------------------------------------------------- */

/* The seed is read-only, and a file so that it can be opened as such. */
static int add_seed(struct guest_system *g, const char *path, const char *id, const char *storage,
		    struct err *e)
{
	_cleanup_free_ char *data = NULL;
	_cleanup_close_ int fd = -EBADF, dir = -EBADF;
	struct vm_disk *d = &g->disks[g->n_disks];
	size_t len;
	int r = path_read_file_at(AT_FDCWD, path, USER_DATA_BYTES_MAX, &data, &len, e);

	if (r < 0)
		return err_wrap(e, "--cloud-init '%s'", path);
	if (g->n_disks == VM_DISKS_MAX)
		return err_invalid(e, "disks: at most %d, a cloud-init seed among them",
				   VM_DISKS_MAX);
	*d = (struct vm_disk){.fd = -1, .read_only = true, .format = VM_DISK_RAW};
	g->n_disks++;
	if (!storage)
		return 0;
	fd = make_file(storage, "seed.iso", e);
	if (fd < 0)
		return fd;
	r = vm_seed_write(fd, id, data, len, e);
	dir = r < 0 ? -1 : path_open_dir(storage, e);
	if (dir < 0)
		return r < 0 ? r : dir;
	d->fd = openat(dir, "seed.iso", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return d->fd >= 0 ? 0 : err_sys(e, errno, "open '%s/seed.iso'", storage);
}

/* ---- how it starts ---------------------------------------------------------------------- */

static int choose_boot(const struct oci_config *c, struct guest_system *g, struct err *e)
{
	static const char *const words[] = {
		[VM_BOOT_KERNEL] = "kernel", [VM_BOOT_BIOS] = "bios", [VM_BOOT_UEFI] = "uefi"};
	const char *wish = oci_annotation(c, ANNOTATION_VM_BOOT);
	int r;

	for (size_t i = 0; wish && i < ARRAY_SIZE(words); i++)
		if (STREQ(wish, words[i])) {
			g->system.boot = (enum vm_boot)i;
			return 0;
		}
	if (wish)
		return err_invalid(e, "--boot '%s' is not kernel, bios or uefi", wish);
	if (c->vm.kernel_path || oci_annotation(c, ANNOTATION_VM_ROOT)) {
		g->system.boot = VM_BOOT_KERNEL;
		return 0;
	}
	r = vm_disk_boot_of(g->disks[0].fd, g->disks[0].format, &g->system.boot, e);
	return r < 0 ? err_wrap(e, "disk '%s'", c->vm.image_path), r : 0;
}

static int copy_text(const char *from, const char **ret, struct err *e)
{
	*ret = from ? strdup(from) : NULL;
	return from && !*ret ? err_nomem(e) : 0;
}

/* Ours, or the caller's; a caller's initramfs may find the root by itself, so it is only named where it is ours to know. */
static int take_kernel(const struct oci_config *c, const char *guest_dir, struct guest_system *g,
		       struct err *e)
{
	char *const search[] = {(char *)guest_dir, NULL};
	const char *root = oci_annotation(c, ANNOTATION_VM_ROOT);
	int r;

	if (c->vm.kernel_path) {
		g->kernel.image = strdup(c->vm.kernel_path);
		if (!g->kernel.image)
			return err_nomem(e);
		if (access(c->vm.kernel_path, R_OK) < 0)
			return err_sys(e, errno, "--kernel '%s'", c->vm.kernel_path);
	} else {
		r = guest_dir ? vm_kernel_find(search, &g->kernel, e)
			      : vm_find_guest_kernel(&g->kernel, e);
		if (r < 0)
			return r;
	}
	if (c->vm.initrd && access(c->vm.initrd, R_OK) < 0)
		return err_sys(e, errno, "--initrd '%s'", c->vm.initrd);
	if (!root && !c->vm.initrd)
		root = "/dev/nvme0n1";
	r = copy_text(root, &g->system.root, e);
	return r < 0 ? r : copy_text(c->vm.initrd, &g->system.initrd, e);
}

static int take_firmware(const char *storage, struct guest_system *g, struct err *e)
{
	_cleanup_free_ char *data = NULL;
	const char *path;
	size_t len;
	int r = vm_uefi_vars_path(&path, e);

	if (r < 0 || !storage)
		return r;
	r = path_read_file_at(AT_FDCWD, path, VARS_BYTES_MAX, &data, &len, e);
	if (r < 0)
		return r;
	g->system.uefi_vars_fd = make_file(storage, "uefi-variables", e);
	if (g->system.uefi_vars_fd < 0)
		return g->system.uefi_vars_fd;
	return fd_write_all(g->system.uefi_vars_fd, data, len, "the firmware's variables", e);
}

static int refuse_kernels(const struct oci_config *c, struct err *e)
{
	const struct {
		const char *flag;
		bool given;
	} kernels[] = {
		{"--kernel", c->vm.kernel_path},
		{"--initrd", c->vm.initrd},
		{"--append", c->vm.kernel_parameters && *c->vm.kernel_parameters},
		{"--root-partition", oci_annotation(c, ANNOTATION_VM_ROOT)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++)
		if (kernels[i].given)
			return err_invalid(e,
					   "%s: this disk is started by its own boot loader; "
					   "--boot kernel starts it without",
					   kernels[i].flag);
	return 0;
}

static int take_start(const struct oci_config *c, const char *storage, const char *guest_dir,
		      struct guest_system *g, struct err *e)
{
	int r = choose_boot(c, g, e);

	if (r < 0)
		return r;
	if (g->system.boot != VM_BOOT_KERNEL) {
		r = refuse_kernels(c, e);
		if (r == 0 && g->system.boot == VM_BOOT_UEFI)
			r = take_firmware(storage, g, e);
		return r;
	}
	if (c->vm.kernel_parameters && *c->vm.kernel_parameters) {
		struct strbuf b = {0};

		for (char *const *w = c->vm.kernel_parameters; *w; w++)
			strbuf_addf(&b, "%s%s", w == c->vm.kernel_parameters ? "" : " ", *w);
		if (strbuf_take(&b, &g->cmdline) < 0)
			return err_nomem(e);
	}
	return take_kernel(c, guest_dir, g, e);
}

/* ---- the whole -------------------------------------------------------------------------- */

int guest_system_open(const struct oci_config *c, const char *id, const char *storage,
		      const char *guest_dir, struct guest_system *ret, struct err *e)
{
	const char *persist = oci_annotation(c, ANNOTATION_VM_PERSIST);
	const char *disks = oci_annotation(c, ANNOTATION_VM_DISKS);
	const char *seed = oci_annotation(c, ANNOTATION_VM_CLOUD_INIT);
	const struct wish first = {.path = c->vm.image_path, .format = c->vm.image_format};
	struct guest_system g = {.system.uefi_vars_fd = -1};
	bool keeps = persist && STREQ(persist, "true");
	int r = add_disk(&g, &first, keeps, storage, e);

	if (r == 0 && disks)
		r = add_further(&g, disks, keeps, storage, e);
	if (r == 0 && seed)
		r = add_seed(&g, seed, id, storage, e);
	if (r == 0)
		r = take_start(c, storage, guest_dir, &g, e);
	if (r < 0) {
		guest_system_done(&g);
		return r;
	}
	*ret = g;
	return 0;
}
