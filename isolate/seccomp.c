/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call filters. This is the only file that knows libseccomp, and it only compiles with it:
 * the program is exported and later installed by seccomp(2) itself, so that nothing of the library
 * runs in the child and the result can be kept.
 *
 * The filter is laid out as a binary tree over the call numbers (SCMP_FLTATR_CTL_OPTIMIZE 2). Measured
 * with libseccomp 2.5.4 and an allow list of 400 names, medians: the kernel installs the tree in
 * 0.14 ms and the linear form in 0.35 ms (it runs the filter once for every number, to remember plain
 * permissions); compiling takes 2.7 ms against 2.2 ms, and with the x86 and x32 architectures added 26 ms
 * against 23 ms, most of it the export. So the compiled program is worth keeping, and then the tree is
 * the faster one.
 *
 * Spec: OCI runtime-spec config-linux.md "Seccomp"; seccomp(2), seccomp_rule_add(3).
 */
#include "isolate/seccomp.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "seccomp_internal.h"

#define OPTIMIZE_TREE 2
#define ERRNO_MAX     4095 /* MAX_ERRNO of the kernel; it clamps to it */
#define ARGS_PER_CALL 6
#define ACTION_MASK   0xffff0000u /* SECCOMP_RET_ACTION_FULL */

/* Each list gives a table for parsing and the names for `features`. */
struct word {
	const char *name;
	uint32_t value;
};
#define AS_WORD(text, number) {text, number},
#define AS_NAME(text, number) text,

#define ACTIONS(X)                                        \
	X("SCMP_ACT_KILL", SCMP_ACT_KILL)                 \
	X("SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS) \
	X("SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD)   \
	X("SCMP_ACT_TRAP", SCMP_ACT_TRAP)                 \
	X("SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(EPERM))        \
	X("SCMP_ACT_TRACE", SCMP_ACT_TRACE(EPERM))        \
	X("SCMP_ACT_ALLOW", SCMP_ACT_ALLOW)               \
	X("SCMP_ACT_LOG", SCMP_ACT_LOG)                   \
	X("SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY)
static const struct word actions[] = {ACTIONS(AS_WORD)};
static const char *const action_names[] = {ACTIONS(AS_NAME) NULL};

#define OPS(X)                        \
	X("SCMP_CMP_NE", SCMP_CMP_NE) \
	X("SCMP_CMP_LT", SCMP_CMP_LT) \
	X("SCMP_CMP_LE", SCMP_CMP_LE) \
	X("SCMP_CMP_EQ", SCMP_CMP_EQ) \
	X("SCMP_CMP_GE", SCMP_CMP_GE) \
	X("SCMP_CMP_GT", SCMP_CMP_GT) \
	X("SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ)
static const struct word ops[] = {OPS(AS_WORD)};
static const char *const op_names[] = {OPS(AS_NAME) NULL};

/* Since libseccomp 2.6. */
#ifdef SCMP_ARCH_LOONGARCH64
#define ARCH_LOONGARCH64(X) X("SCMP_ARCH_LOONGARCH64", SCMP_ARCH_LOONGARCH64)
#else
#define ARCH_LOONGARCH64(X)
#endif
#ifdef SCMP_ARCH_M68K
#define ARCH_M68K(X) X("SCMP_ARCH_M68K", SCMP_ARCH_M68K)
#else
#define ARCH_M68K(X)
#endif
#ifdef SCMP_ARCH_SH
#define ARCH_SH(X) X("SCMP_ARCH_SH", SCMP_ARCH_SH)
#else
#define ARCH_SH(X)
#endif
#ifdef SCMP_ARCH_SHEB
#define ARCH_SHEB(X) X("SCMP_ARCH_SHEB", SCMP_ARCH_SHEB)
#else
#define ARCH_SHEB(X)
#endif
#define ARCHES(X)                                         \
	X("SCMP_ARCH_X86", SCMP_ARCH_X86)                 \
	X("SCMP_ARCH_X86_64", SCMP_ARCH_X86_64)           \
	X("SCMP_ARCH_X32", SCMP_ARCH_X32)                 \
	X("SCMP_ARCH_ARM", SCMP_ARCH_ARM)                 \
	X("SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64)         \
	X("SCMP_ARCH_MIPS", SCMP_ARCH_MIPS)               \
	X("SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64)           \
	X("SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32)     \
	X("SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL)           \
	X("SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64)       \
	X("SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32) \
	X("SCMP_ARCH_PPC", SCMP_ARCH_PPC)                 \
	X("SCMP_ARCH_PPC64", SCMP_ARCH_PPC64)             \
	X("SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE)         \
	X("SCMP_ARCH_S390", SCMP_ARCH_S390)               \
	X("SCMP_ARCH_S390X", SCMP_ARCH_S390X)             \
	X("SCMP_ARCH_PARISC", SCMP_ARCH_PARISC)           \
	X("SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64)       \
	X("SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64)         \
	ARCH_LOONGARCH64(X) ARCH_M68K(X) ARCH_SH(X) ARCH_SHEB(X)
static const struct word arches[] = {ARCHES(AS_WORD)};
static const char *const arch_names[] = {ARCHES(AS_NAME) NULL};

/* Since Linux 5.19. */
#ifdef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define FLAG_WAIT_KILLABLE(X) \
	X("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
#else
#define FLAG_WAIT_KILLABLE(X)
#endif
#define FLAGS(X)                                                            \
	X("SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC)           \
	X("SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG)               \
	X("SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW) \
	FLAG_WAIT_KILLABLE(X)
static const struct word flag_words[] = {FLAGS(AS_WORD)};
static const char *const flag_names[] = {FLAGS(AS_NAME) NULL};

/* ---- words ------------------------------------------------------------------------------------ */

static int word_find(const struct word *words, size_t n, const char *name, uint32_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (STREQ(words[i].name, name)) {
			*ret = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

int iso_seccomp_action_parse(const char *oci_name, uint32_t *ret)
{
	return word_find(actions, ARRAY_SIZE(actions), oci_name, ret);
}

int iso_seccomp_op_parse(const char *oci_name, int *ret)
{
	uint32_t op;

	if (word_find(ops, ARRAY_SIZE(ops), oci_name, &op) < 0)
		return -EINVAL;
	*ret = (int)op;
	return 0;
}

int iso_seccomp_arch_parse(const char *oci_name, uint32_t *ret)
{
	return word_find(arches, ARRAY_SIZE(arches), oci_name, ret);
}

int iso_seccomp_flag_parse(const char *oci_name, uint32_t *ret)
{
	return word_find(flag_words, ARRAY_SIZE(flag_words), oci_name, ret);
}

const char *const *iso_seccomp_action_names(void)
{
	return action_names;
}

const char *const *iso_seccomp_op_names(void)
{
	return op_names;
}

const char *const *iso_seccomp_arch_names(void)
{
	return arch_names;
}

const char *const *iso_seccomp_flag_names(void)
{
	return flag_names;
}

static const char *word_name(const struct word *words, size_t n, uint32_t value)
{
	for (size_t i = 0; i < n; i++)
		if (words[i].value == value)
			return words[i].name;
	return "(unknown)";
}

void iso_seccomp_done(struct iso_seccomp *s)
{
	for (size_t i = 0; i < s->n_rules; i++) {
		strv_free(s->rules[i].names);
		free(s->rules[i].args);
	}
	free(s->rules);
	free(s->arches);
	free(s->listener_path);
	free(s->listener_metadata);
	*s = (struct iso_seccomp){0};
}

void iso_bpf_done(struct iso_bpf *b)
{
	free(b->insns);
	*b = (struct iso_bpf){0};
}

/* ---- compiling -------------------------------------------------------------------------------- */

DEFINE_CLEANUP(scmp_filter_ctx, seccomp_release)

/* The action with its errno in it. */
static int full_action(uint32_t action, bool has_errno, uint32_t errno_ret, const char *where,
		       uint32_t *ret, struct err *e)
{
	uint32_t kind = action & ACTION_MASK;

	if (!has_errno) {
		*ret = action;
		return 0;
	}
	if (kind != SCMP_ACT_ERRNO(0) && kind != SCMP_ACT_TRACE(0))
		return err_invalid(
			e, "%s: errnoRet goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only", where);
	if (errno_ret > ERRNO_MAX)
		return err_invalid(e, "%s: errnoRet %" PRIu32 " is above %d", where, errno_ret,
				   ERRNO_MAX);
	*ret = kind | errno_ret;
	return 0;
}

static int add_arches(scmp_filter_ctx ctx, const struct iso_seccomp *s, struct err *e)
{
	/* The native one is in from the start, and stays: without it the workload itself would be
	 * killed at its first call. */
	for (size_t i = 0; i < s->n_arches; i++) {
		int r = seccomp_arch_add(ctx, s->arches[i]);

		if (r == -EDOM)
			return err_unsupported(
				e, "seccomp: architecture %s has another byte order than this host",
				word_name(arches, ARRAY_SIZE(arches), s->arches[i]));
		if (r < 0 && r != -EEXIST)
			return err_sys(e, r, "seccomp: add architecture %s",
				       word_name(arches, ARRAY_SIZE(arches), s->arches[i]));
	}
	return 0;
}

static int check_rule(const struct iso_seccomp_rule *rule, size_t index, struct err *e)
{
	char where[48];

	snprintf(where, sizeof(where), "seccomp.syscalls[%zu]", index);
	if (!rule->names || !rule->names[0])
		return err_invalid(e, "%s: no names", where);
	for (size_t i = 0; i < rule->n_args; i++) {
		const struct iso_seccomp_arg *a = &rule->args[i];

		if (a->index >= ARGS_PER_CALL)
			return err_invalid(e, "%s.args[%zu]: index %" PRIu32 " is above 5", where,
					   i, a->index);
		if (a->op < SCMP_CMP_NE || a->op > SCMP_CMP_MASKED_EQ)
			return err_invalid(e, "%s.args[%zu]: unknown operator", where, i);
	}
	return 0;
}

static bool same_index_twice(const struct iso_seccomp_rule *rule)
{
	unsigned seen = 0;

	for (size_t i = 0; i < rule->n_args; i++) {
		if (seen & 1u << rule->args[i].index)
			return true;
		seen |= 1u << rule->args[i].index;
	}
	return false;
}

static struct scmp_arg_cmp comparison(const struct iso_seccomp_arg *a)
{
	return (struct scmp_arg_cmp){.arg = a->index,
				     .op = (enum scmp_compare)a->op,
				     .datum_a = a->value,
				     .datum_b = a->value_two};
}

/* One call. Several conditions must all hold; only where two concern the same argument, which
 * libseccomp cannot join, each becomes a rule of its own and any of them suffices. Profiles are
 * written for that reading, as it is runc's. */
static int add_call(scmp_filter_ctx ctx, uint32_t action, int nr,
		    const struct iso_seccomp_rule *rule)
{
	struct scmp_arg_cmp cmp[ARGS_PER_CALL];
	int r = 0;

	if (same_index_twice(rule)) {
		for (size_t i = 0; i < rule->n_args && r == 0; i++) {
			cmp[0] = comparison(&rule->args[i]);
			r = seccomp_rule_add_array(ctx, action, nr, 1, cmp);
		}
		return r;
	}
	for (size_t i = 0; i < rule->n_args; i++)
		cmp[i] = comparison(&rule->args[i]);
	return seccomp_rule_add_array(ctx, action, nr, (unsigned)rule->n_args, cmp);
}

static bool share_name(char *const *a, char *const *b)
{
	for (; *a; a++)
		for (char *const *p = b; *p; p++)
			if (STREQ(*a, *p))
				return true;
	return false;
}

/* The condition that libseccomp looks at first. */
static const struct iso_seccomp_arg *first_condition(const struct iso_seccomp_rule *rule)
{
	const struct iso_seccomp_arg *first = &rule->args[0];

	for (size_t i = 1; i < rule->n_args; i++)
		if (rule->args[i].index < first->index)
			first = &rule->args[i];
	return first;
}

static bool begin_alike(const struct iso_seccomp_rule *a, const struct iso_seccomp_rule *b)
{
	const struct iso_seccomp_arg *x = first_condition(a), *y = first_condition(b);

	return x->index == y->index && x->op != SCMP_CMP_EQ && y->op != SCMP_CMP_EQ;
}

static bool is_joined(const struct iso_seccomp_rule *rule)
{
	return rule->n_args > 1 && !same_index_twice(rule);
}

/* libseccomp (2.5.4) never comes back from joining two rules of one call that both have several
 * conditions and begin with the same one, unless that is an equality: its tree of comparisons becomes
 * a circle. tests/fuzz/fuzz_seccomp.c found it. We compare the argument's number alone, not its value,
 * which refuses a little more than must be. */
static int check_circles(const struct iso_seccomp *s, struct err *e)
{
	for (size_t i = 0; i < s->n_rules; i++) {
		if (!is_joined(&s->rules[i]))
			continue;
		for (size_t j = 0; j < i; j++)
			if (is_joined(&s->rules[j]) && begin_alike(&s->rules[i], &s->rules[j]) &&
			    share_name(s->rules[i].names, s->rules[j].names))
				return err_unsupported(
					e,
					"seccomp.syscalls[%zu] and [%zu]: libseccomp cannot join "
					"two rules of several conditions for one call whose first "
					"conditions look at the same argument without SCMP_CMP_EQ",
					j, i);
	}
	return 0;
}

static int add_rule(scmp_filter_ctx ctx, const struct iso_seccomp_rule *rule, size_t index,
		    uint32_t default_action, struct err *e)
{
	char where[48];
	uint32_t action;
	int r;

	snprintf(where, sizeof(where), "seccomp.syscalls[%zu]", index);
	r = full_action(rule->action, rule->has_errno_ret, rule->errno_ret, where, &action, e);
	if (r < 0)
		return r;
	/* It says nothing, and libseccomp refuses it. */
	if (action == default_action)
		return 0;
	for (char **name = rule->names; *name; name++) {
		int nr = seccomp_syscall_resolve_name(*name);

		if (nr == __NR_SCMP_ERROR)
			continue;
		r = add_call(ctx, action, nr, rule);
		if (r < 0)
			return err_sys(e, r, "%s: rule for '%s'", where, *name);
	}
	return 0;
}

/* libseccomp exports to a descriptor only. */
static int export(scmp_filter_ctx ctx, struct iso_bpf *ret, struct err *e)
{
	_cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
	_cleanup_free_ char *insns = NULL;
	size_t len;
	int r;

	if (fd < 0)
		return err_sys(e, errno, "memfd_create");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return err_sys(e, r, "seccomp: generate the filter");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "seccomp: read the filter back");
	/* More than BPF_MAXINSNS the kernel does not take. */
	r = fd_read_all(fd, BPF_MAXINSNS * sizeof(struct sock_filter), &insns, &len, "the filter",
			e);
	if (r == -EFBIG)
		return err_invalid(e, "seccomp: the filter has more than %d instructions",
				   BPF_MAXINSNS);
	if (r < 0)
		return r;
	ret->n = (uint16_t)(len / sizeof(struct sock_filter));
	ret->insns = TAKE_PTR(insns);
	return 0;
}

void seccomp_compiler_id(char buf[SECCOMP_COMPILER_MAX])
{
	const struct scmp_version *v = seccomp_version();

	snprintf(buf, SECCOMP_COMPILER_MAX, "libseccomp %u.%u.%u level %u arch %" PRIx32 " tree %d",
		 v ? v->major : 0, v ? v->minor : 0, v ? v->micro : 0, seccomp_api_get(),
		 seccomp_arch_native(), OPTIMIZE_TREE);
}

static int check_flags(const struct iso_seccomp *s, struct err *e)
{
	uint32_t known = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flag_words); i++)
		known |= flag_words[i].value;
	if (s->flags & ~known)
		return err_invalid(e, "seccomp.flags: unknown bits %#" PRIx32, s->flags & ~known);
	return 0;
}

bool seccomp_notifies(const struct iso_seccomp *s)
{
	for (size_t i = 0; i < s->n_rules; i++)
		if (s->rules[i].action == SCMP_ACT_NOTIFY)
			return true;
	return false;
}

/* Nobody answers before the agent has the descriptor, and we need write(2) to get it there (notify.c). */
static int check_notify(const struct iso_seccomp *s, struct err *e)
{
	if (s->default_action == SCMP_ACT_NOTIFY)
		return err_unsupported(e,
				       "seccomp.defaultAction: SCMP_ACT_NOTIFY would hand over the "
				       "calls that start the process, before there is an agent");
	for (size_t i = 0; i < s->n_rules; i++) {
		if (s->rules[i].action != SCMP_ACT_NOTIFY)
			continue;
		for (char **name = s->rules[i].names; *name; name++)
			if (STREQ(*name, "write"))
				return err_unsupported(
					e,
					"seccomp.syscalls[%zu]: SCMP_ACT_NOTIFY for 'write', which "
					"we "
					"need until the agent has the filter's descriptor",
					i);
	}
	if (seccomp_notifies(s) && !s->listener_path) {
		err_invalid(e, "seccomp: SCMP_ACT_NOTIFY, but nobody to be notified");
		return err_hint(e, "name the agent's socket in linux.seccomp.listenerPath");
	}
	return 0;
}

int iso_seccomp_compile(const struct iso_seccomp *s, struct iso_bpf *ret, struct err *e)
{
	_cleanup_(seccomp_releasep) scmp_filter_ctx ctx = NULL;
	struct iso_bpf bpf = {.flags = s->flags, .wants_notify = seccomp_notifies(s)};
	uint32_t default_action;
	int r;

	if (!s->present) {
		*ret = (struct iso_bpf){0};
		return 0;
	}
	r = check_flags(s, e);
	for (size_t i = 0; r == 0 && i < s->n_rules; i++)
		r = check_rule(&s->rules[i], i, e);
	if (r == 0)
		r = check_notify(s, e);
	if (r == 0)
		r = check_circles(s, e);
	if (r == 0)
		r = full_action(s->default_action, s->has_default_errno_ret, s->default_errno_ret,
				"seccomp.defaultAction", &default_action, e);
	if (r < 0)
		return r;
	ctx = seccomp_init(default_action);
	if (!ctx)
		return err_unsupported(e, "seccomp: the kernel does not know defaultAction %s",
				       word_name(actions, ARRAY_SIZE(actions), s->default_action));
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_TREE);
	if (r < 0)
		return err_sys(e, r, "seccomp: ask for a binary tree");
	r = add_arches(ctx, s, e);
	for (size_t i = 0; r == 0 && i < s->n_rules; i++)
		r = add_rule(ctx, &s->rules[i], i, default_action, e);
	if (r == 0)
		r = export(ctx, &bpf, e);
	if (r < 0)
		return r;
	*ret = bpf;
	return 0;
}

/* ---- installing ------------------------------------------------------------------------------- */

int iso_seccomp_install(const struct iso_bpf *b, int *ret_notify_fd)
{
	struct sock_fprog prog = {.len = b->n, .filter = b->insns};
	uint32_t flags = b->flags;
	long r;

	if (b->n > 0) {
		if (b->wants_notify) {
			flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
			/* A listener's descriptor and a thread's id cannot both be the answer. */
			if (flags & SECCOMP_FILTER_FLAG_TSYNC)
				flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
		}
		r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
		if (r < 0)
			return -errno;
		if (r > 0 && !b->wants_notify) /* TSYNC: this thread could not follow */
			return -ESRCH;
	} else {
		r = -1;
	}
	if (ret_notify_fd)
		*ret_notify_fd = b->wants_notify ? (int)r : -1;
	return 0;
}
