/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: filters of any rules, compiled, and then run as the kernel would. The program must be
 * one that the kernel takes (jumps forward and inside, an end on every way), and must judge as the
 * rules say where they leave no doubt: a call that no rule names gets the default action, one that a
 * single rule names without looking at arguments gets that rule's.
 *
 * Input: 3 bytes for the defaults, then a rule each 12 bytes: which call, action, errno, how many
 * arguments, and for two arguments: number, comparison, value, mask.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "isolate/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* The library (2.5.4) loses a node where one rule makes another superfluous. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libseccomp.so";
}

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#define RULE_BYTES 12
#define RULES_MAX  64

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "name the audit architecture of this machine"
#endif

static const struct call {
	const char *name;
	int nr;
} calls[] = {
	{"read", SYS_read},
	{"write", SYS_write},
	{"openat", SYS_openat},
	{"close", SYS_close},
	{"clone", SYS_clone},
	{"socket", SYS_socket},
	{"personality", SYS_personality},
	{"getpid", SYS_getpid},
	{"ioctl", SYS_ioctl},
	{"keyctl", SYS_keyctl},
	{"openat2", SYS_openat2},
	{"no_such_call", -1}, /* left out when compiling */
};

/* ---- input to rules ------------------------------------------------------------------------ */

static uint32_t pick_action(uint8_t byte)
{
	const char *const *names = iso_seccomp_action_names();
	uint32_t n = 0, action;

	while (names[n])
		n++;
	MUST(iso_seccomp_action_parse(names[byte % n], &action) == 0);
	return action;
}

static int pick_op(uint8_t byte)
{
	const char *const *names = iso_seccomp_op_names();
	uint32_t n = 0;
	int op;

	while (names[n])
		n++;
	MUST(iso_seccomp_op_parse(names[byte % n], &op) == 0);
	return op;
}

static void read_rule(const uint8_t *b, struct iso_seccomp_rule *r)
{
	static const uint64_t values[] = {0, 1, 0xffffffff, 0x100000000, UINT64_MAX, 0x7e020000};

	r->names = calloc(2, sizeof(*r->names));
	MUST(r->names && (r->names[0] = strdup(calls[b[0] % ARRAY_SIZE(calls)].name)));
	r->action = pick_action(b[1]);
	r->has_errno_ret = b[2] % 8 == 7;
	r->errno_ret = (uint32_t)b[2] << 4;
	r->n_args = b[3] % 3;
	r->args = calloc(2, sizeof(*r->args));
	MUST(r->args);
	for (size_t i = 0; i < r->n_args; i++, b += 4)
		r->args[i] = (struct iso_seccomp_arg){
			.index = b[4] % 7, /* 6 is one too many */
			.op = pick_op(b[5]),
			.value = b[6] & 0x80 ? values[b[6] % ARRAY_SIZE(values)] : b[6],
			.value_two = b[7] & 0x80 ? values[b[7] % ARRAY_SIZE(values)] : b[7],
		};
}

/* ---- the kernel's side --------------------------------------------------------------------- */

/* As kernel/seccomp.c's seccomp_check_filter() and bpf_check_classic() demand. */
static void check_program(const struct sock_filter *p, uint32_t n)
{
	MUST(n > 0 && n <= BPF_MAXINSNS && BPF_CLASS(p[n - 1].code) == BPF_RET);
	for (uint32_t i = 0; i < n; i++) {
		if (BPF_CLASS(p[i].code) != BPF_JMP)
			continue;
		if (BPF_OP(p[i].code) == BPF_JA)
			MUST(p[i].k < n - i - 1);
		else
			MUST(i + p[i].jt + 1u < n && i + p[i].jf + 1u < n);
	}
}

static bool jump_taken(const struct sock_filter *in, uint32_t a)
{
	switch (BPF_OP(in->code)) {
	case BPF_JEQ:
		return a == in->k;
	case BPF_JGT:
		return a > in->k;
	case BPF_JGE:
		return a >= in->k;
	case BPF_JSET:
		return a & in->k;
	}
	abort();
}

static uint32_t judge(const struct sock_filter *p, uint32_t n, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (uint32_t i = 0; i < n; i++) {
		switch (BPF_CLASS(p[i].code)) {
		case BPF_LD:
			MUST(p[i].code == (BPF_LD | BPF_W | BPF_ABS) && p[i].k % 4 == 0);
			MUST(p[i].k <= sizeof(*d) - 4);
			memcpy(&a, (const uint8_t *)d + p[i].k, 4);
			break;
		case BPF_ALU:
			MUST(p[i].code == (BPF_ALU | BPF_AND | BPF_K));
			a &= p[i].k;
			break;
		case BPF_JMP:
			if (BPF_OP(p[i].code) == BPF_JA)
				i += p[i].k;
			else
				i += jump_taken(&p[i], a) ? p[i].jt : p[i].jf;
			break;
		case BPF_RET:
			MUST(BPF_RVAL(p[i].code) == BPF_K);
			return p[i].k;
		default:
			abort();
		}
	}
	abort();
}

/* ---- what must come out -------------------------------------------------------------------- */

/* The answer that the rules leave no doubt of; false if they do. */
static bool expected(const struct iso_seccomp *s, const struct call *call, uint32_t *ret_action,
		     uint32_t *ret_errno, bool *ret_has_errno)
{
	const struct iso_seccomp_rule *only = NULL;

	for (size_t i = 0; i < s->n_rules; i++) {
		if (!STREQ(s->rules[i].names[0], call->name))
			continue;
		if (only)
			return false;
		only = &s->rules[i];
	}
	if (only && only->n_args)
		return false;
	*ret_action = only ? only->action : s->default_action;
	*ret_errno = only ? only->errno_ret : s->default_errno_ret;
	*ret_has_errno = only ? only->has_errno_ret : s->has_default_errno_ret;
	return true;
}

static void check_answers(const struct iso_seccomp *s, const struct iso_bpf *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct seccomp_data d = {.nr = calls[i].nr, .arch = NATIVE_ARCH};
		uint32_t got, action, number;
		bool has_errno;

		if (calls[i].nr < 0)
			continue;
		got = judge(b->insns, b->n, &d);
		if (!expected(s, &calls[i], &action, &number, &has_errno))
			continue;
		MUST((got & SECCOMP_RET_ACTION_FULL) == (action & SECCOMP_RET_ACTION_FULL));
		if ((got & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
			MUST((got & SECCOMP_RET_DATA) == (has_errno ? number : EPERM));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iso_seccomp s = {.present = true};
	struct iso_bpf b = {0};
	struct err e = ERR_INIT;

	if (size < 3 || size > 3 + RULES_MAX * RULE_BYTES)
		return 0;
	s.default_action = pick_action(data[0]);
	s.has_default_errno_ret = data[1] % 8 == 7;
	s.default_errno_ret = (uint32_t)data[1] << 4;
	s.n_rules = (size - 3) / RULE_BYTES;
	s.rules = calloc(s.n_rules + 1, sizeof(*s.rules));
	MUST(s.rules);
	for (size_t i = 0; i < s.n_rules; i++)
		read_rule(data + 3 + i * RULE_BYTES, &s.rules[i]);
	if (iso_seccomp_compile(&s, &b, &e) < 0) {
		MUST(e.text[0] && !b.insns && !b.n);
	} else {
		check_program(b.insns, b.n);
		check_answers(&s, &b);
	}
	iso_bpf_done(&b);
	iso_seccomp_done(&s);
	return 0;
}
