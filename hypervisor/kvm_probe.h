/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the KVM probe that touches the hardware, apart from its cache.
 */
#pragma once

enum kvm_trial {
	KVM_TRIAL_WORKS = 0,
	KVM_TRIAL_NO_VM,      /* KVM_CREATE_VM or the API version */
	KVM_TRIAL_NO_VCPU,    /* KVM_CREATE_VCPU, or its memory */
	KVM_TRIAL_NO_SETUP,   /* registers, CPUID or page tables were refused */
	KVM_TRIAL_EMULATION,  /* KVM_INTERNAL_ERROR: it met an instruction that it cannot run */
	KVM_TRIAL_CRASH,      /* the guest ended in a triple fault */
	KVM_TRIAL_WRONG,      /* it ran, and computed something else */
	KVM_TRIAL_STRANGE,    /* another exit than expected */
	KVM_TRIAL_NO_ANSWER,  /* not within the time limit */
	KVM_TRIAL_NO_PROCESS, /* the trial itself could not be started */
	KVM_TRIAL_COUNT,
};

/* Run the trial guest on an open /dev/kvm. Makes only system calls, so that a fork of a threaded
 * process may call it; leaves descriptors and mappings to the end of its process, and may never
 * return on a broken host. */
enum kvm_trial kvm_trial_run(int kvm_fd);
