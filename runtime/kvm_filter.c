/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that the VMM's threads need once the machine is built; nothing else is left to them. A call is
 * named beside what needs it. What a filter refuses ends the process: no code of ours makes such a call, so
 * whoever does is not our code.
 *
 * No filter lets a thread open, connect, execute, map memory executable or make a thread.
 */
#include "kvm_jail.h"

#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

/* Of every thread, vCPUs' too. */
static const char *const common[] = {
	"read",
	"write",
	"readv",
	"writev",    /* eventfds, console, agent's channel */
	"futex",     /* locks */
	"epoll_ctl", /* a device wants to hear of more, or less */
	"poll",
	"ppoll", /* waiting for a vhost-user answer */
	"sendmsg",
	"recvmsg",
	"sendto",
	"recvfrom", /* vhost-user, control socket */
	"shutdown", /* the agent's channel at its end */
	"eventfd2",
	"fcntl",
	"close", /* vhost-user's kicks and calls */
	"fallocate",
	"madvise",   /* memory given back */
	"getrandom", /* the guest's entropy */
	"clock_gettime",
	"gettid",
	"getpid", /* telling of the end */
	"rt_sigprocmask",
	"rt_sigreturn",
	"restart_syscall", /* kicks */
	"brk",
	"munmap",
	"mremap", /* the heap */
	"rseq",
	"set_robust_list", /* of a thread that had not begun when the filter came */
	"exit",
	"exit_group",
};

static const char *const not_vcpu[] = {
	"seccomp", /* by which a vCPU's thread becomes one: it can only take more away */
	"epoll_wait", "epoll_pwait", "epoll_pwait2",                          /* the loop */
	"preadv",     "pwritev",     "preadv2",      "pwritev2", "fdatasync", /* disks */
	"accept4",    "socketpair", /* vsock: the host's connections, and asking the broker for the guest's */
};

/* ioctls of vCPUs' threads, and so of all, though only theirs have the descriptors at hand. */
static const uint64_t vcpu_ioctls[] = {
	KVM_RUN, KVM_GET_REGS, KVM_KVMCLOCK_CTRL,
	TUNSETOFFLOAD, /* when the guest's driver has chosen its network device's features */
};

static int add_rule(struct iso_seccomp *s, uint32_t allow, const char *name,
		    const struct iso_seccomp_arg *arg)
{
	struct iso_seccomp_rule *rules, *r;

	rules = reallocarray(s->rules, s->n_rules + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	s->rules = rules;
	r = &rules[s->n_rules++];
	*r = (struct iso_seccomp_rule){.action = allow};
	if (arg) {
		r->args = malloc(sizeof(*arg));
		if (!r->args)
			return -ENOMEM;
		*r->args = *arg;
		r->n_args = 1;
	}
	return strv_push(&r->names, name);
}

static int add_names(struct iso_seccomp *s, uint32_t allow, const char *const *names, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_rule(s, allow, names[i], NULL);
	return r;
}

/* Memory, but none that can be executed; signals, but only to ourselves. */
static int add_restricted(struct iso_seccomp *s, uint32_t allow)
{
	struct iso_seccomp_arg not_exec = {.index = 2, .value = PROT_EXEC, .value_two = 0};
	struct iso_seccomp_arg ourselves = {.index = 0, .value = (uint64_t)getpid()};
	int r = iso_seccomp_op_parse("SCMP_CMP_MASKED_EQ", &not_exec.op);

	if (r == 0)
		r = iso_seccomp_op_parse("SCMP_CMP_EQ", &ourselves.op);
	if (r == 0)
		r = add_rule(s, allow, "mmap", &not_exec);
	if (r == 0)
		r = add_rule(s, allow, "mprotect", &not_exec);
	return r < 0 ? r : add_rule(s, allow, "tgkill", &ourselves);
}

static int compile(bool vcpu, struct iso_bpf *ret, struct err *e)
{
	struct iso_seccomp s = {.present = true};
	uint32_t allow;
	int r = iso_seccomp_action_parse("SCMP_ACT_ALLOW", &allow);

	if (r == 0)
		r = iso_seccomp_action_parse("SCMP_ACT_KILL_PROCESS", &s.default_action);
	if (r == 0)
		r = add_names(&s, allow, common, ARRAY_SIZE(common));
	if (r == 0)
		r = add_restricted(&s, allow);
	if (r == 0 && !vcpu)
		r = add_names(&s, allow, not_vcpu, ARRAY_SIZE(not_vcpu));
	if (r == 0 && !vcpu) /* over all threads, as disks' workers exist already */
		r = iso_seccomp_flag_parse("SECCOMP_FILTER_FLAG_TSYNC", &s.flags);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(vcpu_ioctls); i++) {
		struct iso_seccomp_arg request = {.index = 1, .value = vcpu_ioctls[i]};

		r = iso_seccomp_op_parse("SCMP_CMP_EQ", &request.op);
		if (r == 0)
			r = add_rule(&s, allow, "ioctl", &request);
	}
	r = r < 0 ? err_sys(e, r, "system call filter") : iso_seccomp_compile(&s, ret, e);
	iso_seccomp_done(&s);
	return r;
}

int kvm_filters_compile(struct kvm_filters *ret, struct err *e)
{
	struct kvm_filters f = {0};
	int r = compile(false, &f.all, e);

	if (r == 0)
		r = compile(true, &f.vcpu, e);
	if (r < 0) {
		kvm_filters_done(&f);
		return r;
	}
	*ret = f;
	return 0;
}

void kvm_filters_done(struct kvm_filters *f)
{
	iso_bpf_done(&f->all);
	iso_bpf_done(&f->vcpu);
}
