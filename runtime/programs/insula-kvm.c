/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-kvm: one microVM on KVM. It is started by the engine `kvm`, never by people, and is given everything as
 * descriptors (hypervisor/kvm_process.h). This program is the jail around it: the VMM itself is in hypervisor/kvm/.
 */
#include <malloc.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "hypervisor/kvm_process.h"
#include "kvm_jail.h"

static int enter(void *arg, struct err *e)
{
	(void)arg;
	return kvm_jail_enter(e);
}

static int filter_all(void *arg)
{
	const struct kvm_filters *f = arg;

	return iso_seccomp_install(&f->all, NULL);
}

static int filter_vcpu(void *arg)
{
	const struct kvm_filters *f = arg;

	return iso_seccomp_install(&f->vcpu, NULL);
}

int main(int argc, char **argv)
{
	struct kvm_filters filters = {0};
	const struct kvm_process_jail jail = {
		.enter = enter,
		.filter_all = filter_all,
		.filter_vcpu = filter_vcpu,
		.arg = &filters,
	};
	struct err e = ERR_INIT;
	int r;

	(void)argv;
	if (argc != 1 || !kvm_process_has_control()) {
		fprintf(stderr, "insula-kvm: a part of insula, which starts it by itself; "
				"see insula(1), run --vm\n");
		return 125;
	}
	/* One heap for all threads: no further mappings when a vCPU allocates for the first time. */
	mallopt(M_ARENA_MAX, 1);
	r = kvm_filters_compile(&filters, &e);
	if (r == 0)
		r = kvm_process_run(&jail, &e);
	if (r < 0)
		fprintf(stderr, "%s\n", e.text);
	kvm_filters_done(&filters);
	return r < 0 ? 1 : 0;
}
