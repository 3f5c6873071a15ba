/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-mkguest TREE GUEST_PROGRAM DEST: make a guest kernel directory from an unpacked kernel
 * package. Used by `make guest`, and by people who bring their own kernel.
 */
#include <stdio.h>

#include "base/fd.h"
#include "base/log.h"
#include "hypervisor/vm.h"

static const char usage[] =
	"usage: insula-mkguest TREE GUEST_PROGRAM DEST\n"
	"\n"
	"Make the guest kernel directory DEST (vmlinuz, initramfs, release) for virtual machines.\n"
	"  TREE           unpacked kernel package: boot/vmlinuz-R and lib/modules/R ('dpkg -x')\n"
	"  GUEST_PROGRAM  static program that becomes /init of the initramfs (insula-guest)\n";

int main(int argc, char **argv)
{
	const struct log_sink sink = {.fd = 2, .level = LOG_LEVEL_WARNING};
	struct err e = ERR_INIT;

	if (fd_sanitize_stdio(&e) < 0)
		return 125;
	if (argc == 2 && (argv[1][0] == '-' && (argv[1][1] == 'h' || argv[1][1] == '-'))) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc != 4) {
		fputs(usage, stderr);
		return 125;
	}
	if (vm_kernel_install(argv[1], argv[2], argv[3], &e) < 0) {
		log_error_value(&sink, &e);
		return 125;
	}
	return 0;
}
