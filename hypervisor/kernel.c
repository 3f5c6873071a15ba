/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest kernels as kept on disk: a directory with `vmlinuz`, `initramfs` and `release`, and perhaps
 * `vmlinux`, which then is what boots.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "hypervisor/vm.h"
#include "kernel_files.h"

#define RELEASE_MAX 256

void vm_kernel_done(struct vm_kernel *k)
{
	if (!k)
		return;
	free(k->dir);
	free(k->release);
	free(k->image);
	free(k->initramfs);
	*k = (struct vm_kernel){0};
}

static int load(const char *dir, int dirfd, struct vm_kernel *ret, struct err *e)
{
	bool elf = faccessat(dirfd, KERNEL_FILE_ELF, R_OK, 0) == 0;
	struct vm_kernel k = {0};
	int r;

	r = path_read_file_at(dirfd, KERNEL_FILE_RELEASE, RELEASE_MAX, &k.release, NULL, e);
	if (r < 0)
		return err_wrap(e, "guest kernel '%s'", dir);
	k.release[strcspn(k.release, "\n")] = '\0';
	if (str_printf(&k.dir, "%s", dir) < 0 ||
	    str_printf(&k.image, "%s/%s", dir, elf ? KERNEL_FILE_ELF : KERNEL_FILE_IMAGE) < 0 ||
	    str_printf(&k.initramfs, "%s/" KERNEL_FILE_INITRAMFS, dir) < 0) {
		vm_kernel_done(&k);
		return err_nomem(e);
	}
	*ret = k;
	return 0;
}

int vm_kernel_find(char *const *search, struct vm_kernel *ret, struct err *e)
{
	_cleanup_free_ char *places = NULL;
	struct strbuf tried = {0};
	int r;

	for (size_t i = 0; search && search[i]; i++) {
		_cleanup_close_ int dirfd = path_open_dir(search[i], NULL);

		if (dirfd >= 0 && faccessat(dirfd, KERNEL_FILE_IMAGE, F_OK, 0) == 0 &&
		    faccessat(dirfd, KERNEL_FILE_INITRAMFS, F_OK, 0) == 0) {
			strbuf_done(&tried);
			return load(search[i], dirfd, ret, e);
		}
		strbuf_addf(&tried, "%s'%s'", i > 0 ? ", " : "", search[i]);
	}
	strbuf_add(&tried, "");
	r = strbuf_take(&tried, &places);
	if (r < 0)
		return err_nomem(e);
	err_set(e, ERR_NOT_FOUND, ENOENT, "find a guest kernel: none in %s",
		places[0] ? places : "any place (none given)");
	return err_hint(e, "make one with 'make guest' in the source tree, or with "
			   "'insula-mkguest' from an unpacked kernel package");
}
