/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default system call filter: an allow list, made from the table of seccomp_default_table.c.
 *
 *	allowed		what programs in a container use
 *	EPERM		calls that reach the host, other users, or a large part of the kernel that no
 *			container needs. With one of the capabilities that such a call is made for, it
 *			is allowed: who asks for the capability asks for the call, and the kernel checks
 *			it anyway.
 *	ENOSYS		every other call, and so each one that a newer kernel brings: the answer that
 *			libraries know as "use the older way".
 *
 * Some calls are allowed with some arguments only: `conditional` here. Names that an architecture or libseccomp does not
 * know are skipped by the compiler.
 *
 * 32-bit x86 programs do not run under it: there, socketcall(2) hides the arguments of socket(2) in memory, and libseccomp
 * answers a rule about socket by letting every socketcall for a socket through. The filter ends a process that makes a call
 * of 32-bit x86 or of x32.
 */
#include "runtime/seccomp_default.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "seccomp_table.h"

#define CAP(name) (UINT64_C(1) << (CAP_##name))

/* ---- calls with conditions -------------------------------------------------------------- */

#define NEW_NAMESPACES                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

/* s390 has the first two arguments of clone(2) the other way round. */
#if defined(__s390__)
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif

struct conditional {
	const char *name;
	unsigned arg;
	const char *op;
	uint64_t value, value_two;
	int error;       /* 0: allow */
	uint64_t unless; /* no condition (and no other row) with one of these capabilities */
};

#define CLONE_REFUSED(flag)                                                            \
	{                                                                              \
		"clone", CLONE_FLAGS_ARG, "SCMP_CMP_MASKED_EQ", (flag), (flag), EPERM, \
			CAP(SYS_ADMIN)                                                 \
	}
#define PERSONALITY(value)                                        \
	{                                                         \
		"personality", 0, "SCMP_CMP_EQ", (value), 0, 0, 0 \
	}
/* Families are an int: the kernel does not look at the upper half of the register. All rows about one
 * argument compare the same halves, since libseccomp 2.5 does not go on to rows of another kind
 * once those of one kind were tried; so no SCMP_CMP_EQ, and no ranges. */
#define FAMILY(call, family)                                                \
	{                                                                   \
		(call), 0, "SCMP_CMP_MASKED_EQ", 0xffffffff, (family), 0, 0 \
	}
#define NO_FAMILIES(call, mask, bits, error)                              \
	{                                                                 \
		(call), 0, "SCMP_CMP_MASKED_EQ", (mask), (bits), error, 0 \
	}

static const struct conditional conditional[] = {
	/* Threads and processes, no namespaces. */
	{"clone", CLONE_FLAGS_ARG, "SCMP_CMP_MASKED_EQ", NEW_NAMESPACES, 0, 0, CAP(SYS_ADMIN)},
	CLONE_REFUSED(CLONE_NEWNS),
	CLONE_REFUSED(CLONE_NEWCGROUP),
	CLONE_REFUSED(CLONE_NEWUTS),
	CLONE_REFUSED(CLONE_NEWIPC),
	CLONE_REFUSED(CLONE_NEWUSER),
	CLONE_REFUSED(CLONE_NEWPID),
	CLONE_REFUSED(CLONE_NEWNET),

	/* Linux and 32-bit Linux, with and without "2.6" as the release, and the question. Others
	 * switch on emulations, or switch address randomisation off. */
	PERSONALITY(PER_LINUX),
	PERSONALITY(PER_LINUX32),
	PERSONALITY(UNAME26),
	PERSONALITY(PER_LINUX32 | UNAME26),
	PERSONALITY(0xffffffff),

	/* Families that containers use. */
	FAMILY("socket", AF_UNIX),
	FAMILY("socket", AF_INET),
	FAMILY("socket", AF_INET6),
	FAMILY("socket", AF_NETLINK),
	FAMILY("socket", AF_PACKET),
#if !defined(__s390__) && !defined(__powerpc__)
	/* All others up to 63, in few rules: by the bits that none of those above has. Programs that
	 * try a family expect the answer of a kernel without it, and not ENOSYS. Where the native
	 * architecture has socketcall(2), libseccomp takes no second action for socket. */
	NO_FAMILIES("socket", 32, 32, EAFNOSUPPORT), /* 32 to 63 */
	NO_FAMILIES("socket", 24, 24, EAFNOSUPPORT), /* 24 to 31 */
	NO_FAMILIES("socket", 20, 20, EAFNOSUPPORT), /* 20 to 23 */
	NO_FAMILIES("socket", 18, 18, EAFNOSUPPORT), /* 18 and 19 */
	NO_FAMILIES("socket", 28, 12, EAFNOSUPPORT), /* 12 to 15 */
	NO_FAMILIES("socket", 63, 11, EAFNOSUPPORT),
	NO_FAMILIES("socket", 62, 8, EAFNOSUPPORT), /* 8 and 9 */
	NO_FAMILIES("socket", 60, 4, EAFNOSUPPORT), /* 4 to 7 */
	NO_FAMILIES("socket", 63, 3, EAFNOSUPPORT),
	NO_FAMILIES("socket", 63, 0, EAFNOSUPPORT),
	/* All but 1. */
	NO_FAMILIES("socketpair", 1, 0, EOPNOTSUPP),
	NO_FAMILIES("socketpair", 2, 2, EOPNOTSUPP),
	NO_FAMILIES("socketpair", 4, 4, EOPNOTSUPP),
	NO_FAMILIES("socketpair", 8, 8, EOPNOTSUPP),
	NO_FAMILIES("socketpair", 16, 16, EOPNOTSUPP),
	NO_FAMILIES("socketpair", 32, 32, EOPNOTSUPP),
#endif
	FAMILY("socketpair", AF_UNIX),
};

/* ---- building --------------------------------------------------------------------------- */

static int add_rule(struct json *rules, char *const *names, int error, struct json *args)
{
	_cleanup_json_ struct json *owned_args = args;
	_cleanup_json_ struct json *rule = json_new_object();

	if (!rule || json_set(rule, "names", json_new_strv(names)) < 0 ||
	    json_set(rule, "action", json_new_string(error ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW")) <
		    0 ||
	    (error && json_set(rule, "errnoRet", json_new_i64(error)) < 0) ||
	    (args && json_set(rule, "args", TAKE_PTR(owned_args)) < 0))
		return -ENOMEM;
	return json_push(rules, TAKE_PTR(rule));
}

static int add_names(struct json *rules, const char *names, int error)
{
	_cleanup_strv_ char **v = NULL;

	if (strv_split(names, ' ', &v) < 0)
		return -ENOMEM;
	return add_rule(rules, v, error, NULL);
}

static int add_conditional(struct json *rules, const struct conditional *c)
{
	_cleanup_json_ struct json *args = json_new_array();
	_cleanup_json_ struct json *arg = json_new_object();
	char *names[] = {(char *)c->name, NULL};

	if (!args || !arg || json_set(arg, "index", json_new_u64(c->arg)) < 0 ||
	    json_set(arg, "value", json_new_u64(c->value)) < 0 ||
	    json_set(arg, "valueTwo", json_new_u64(c->value_two)) < 0 ||
	    json_set(arg, "op", json_new_string(c->op)) < 0 || json_push(args, TAKE_PTR(arg)) < 0)
		return -ENOMEM;
	return add_rule(rules, names, c->error, TAKE_PTR(args));
}

static int add_ioctl(struct json *rules, uint64_t mask, uint64_t value, int error)
{
	const struct conditional c = {"ioctl", 1, "SCMP_CMP_MASKED_EQ", mask, value, error, 0};

	return add_conditional(rules, &c);
}

/*
 * All requests but two. The kernel takes the lower 32 bits of the number; a rule "is not" compares 64, and is passed by
 * setting an upper bit (CVE-2019-10063). So what is allowed is told apart by single bits: a number that differs from both
 * in a bit that both have alike, or one whose other bits are those of neither.
 */
static int add_ioctls(struct json *rules)
{
	const uint64_t a = TIOCSTI, b = TIOCLINUX, other = a ^ b, lower = 0xffffffff;
	int r = add_ioctl(rules, lower, a, EPERM);

	if (r == 0)
		r = add_ioctl(rules, lower, b, EPERM);
	for (unsigned bit = 0; r == 0 && bit < 32; bit++)
		if (!(other & UINT64_C(1) << bit))
			r = add_ioctl(rules, UINT64_C(1) << bit, ~a & UINT64_C(1) << bit, 0);
	/* Each choice of those bits in turn, by the carry through the gaps. */
	for (uint64_t v = 0, first = 1; r == 0 && (first || v); v = (v - other) & other, first = 0)
		if (v != (a & other) && v != (b & other))
			r = add_ioctl(rules, other, v, 0);
	return r;
}

static int add_group(struct json *rules, const struct call_group *g, uint64_t caps)
{
	switch (g->decision) {
	case CALL_ALLOWED:
		return add_names(rules, g->names, 0);
	case CALL_REFUSED:
		return add_names(rules, g->names, g->unless & caps ? 0 : EPERM);
	case CALL_ABSENT:
		return g->unless & caps ? add_names(rules, g->names, 0) : 0;
	case CALL_CONDITIONAL:
	case CALL_DECISION_COUNT:
		break;
	}
	return 0;
}

static struct json *rules_for(uint64_t caps)
{
	_cleanup_json_ struct json *rules = json_new_array();
	int r = rules ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < call_groups_len; i++)
		r = add_group(rules, &call_groups[i], caps);
	if (r == 0)
		r = add_ioctls(rules);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(conditional); i++)
		if (!(conditional[i].unless & caps))
			r = add_conditional(rules, &conditional[i]);
	if (r == 0 && (caps & CAP(SYS_ADMIN)))
		r = add_names(rules, "clone", 0);
	return r < 0 ? NULL : TAKE_PTR(rules);
}

/* The architecture that we were built for, and on ARM the 32-bit one that its kernels run too. */
static const char *const arches[] = {
#if defined(__x86_64__)
	"SCMP_ARCH_X86_64",
#elif defined(__aarch64__)
	"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",
#elif defined(__riscv) && __riscv_xlen == 64
	"SCMP_ARCH_RISCV64",
#elif defined(__s390x__)
	"SCMP_ARCH_S390X", "SCMP_ARCH_S390",
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	"SCMP_ARCH_PPC64LE",
#endif
	NULL, /* none named: the compiler takes the native one */
};

static struct json *arches_to_json(void)
{
	_cleanup_json_ struct json *a = json_new_array();

	for (const char *const *n = arches; a && *n; n++)
		if (json_push(a, json_new_string(*n)) < 0)
			return NULL;
	return TAKE_PTR(a);
}

struct json *rt_seccomp_default(uint64_t caps)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "defaultAction", json_new_string("SCMP_ACT_ERRNO")) < 0 ||
	    json_set(o, "defaultErrnoRet", json_new_i64(ENOSYS)) < 0 ||
	    json_set(o, "architectures", arches_to_json()) < 0 ||
	    json_set(o, "syscalls", rules_for(caps)) < 0)
		return NULL;
	return TAKE_PTR(o);
}
