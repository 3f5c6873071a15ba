/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules in v2: a small BPF program of our own making, attached to the group.
 *
 * The kernel asks it at each open and mknod with the device and the accesses wanted, and it answers
 * 1 or 0. The rules are compiled from the last to the first. A register holds the accesses still to
 * be decided; an allowing rule that matches takes its own out of it (none left: yes), a denying one
 * that has any of them answers no. So the last match wins for each access by itself, as in the
 * specification. What no rule decides is allowed, as in a group without a program; rule lists that
 * forbid by default begin with "deny all".
 *
 * Programs of parents (and of systemd, for its units) stay: all must say yes (BPF_F_ALLOW_MULTI).
 * At an update the new program takes the place of the former one in one step.
 *
 * Spec: Documentation/admin-guide/cgroup-v2.rst "Device controller"; bpf(2); struct
 * bpf_cgroup_dev_ctx in linux/bpf.h.
 */
#include "backend.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PROGRAM_NAME "insula_devices"
#define RULES_MAX    4096 /* at most 8 instructions each, and the verifier takes a million */
#define RULE_INSNS   8
#define ATTACHED_MAX 64 /* BPF_CGROUP_MAX_PROGS */

/* Registers: what the kernel gave, split. */
enum { R_ANSWER = BPF_REG_0, R_CTX, R_TYPE, R_ACCESS, R_MAJOR, R_MINOR, R_SCRATCH };

struct program {
	struct bpf_insn *insns;
	size_t n;
};

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static void emit(struct program *p, struct bpf_insn insn)
{
	p->insns[p->n++] = insn;
}

static void emit_load(struct program *p, int reg, size_t offset)
{
	emit(p, (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W,
				  .dst_reg = (unsigned char)reg & 15,
				  .src_reg = R_CTX,
				  .off = (short)offset});
}

static void emit_alu(struct program *p, int op, int reg, int32_t imm)
{
	emit(p, (struct bpf_insn){.code = (unsigned char)(BPF_ALU | op | BPF_K),
				  .dst_reg = (unsigned char)reg & 15,
				  .imm = imm});
}

static void emit_copy(struct program *p, int to, int from)
{
	emit(p, (struct bpf_insn){.code = BPF_ALU | BPF_MOV | BPF_X,
				  .dst_reg = (unsigned char)to & 15,
				  .src_reg = (unsigned char)from & 15});
}

/* The jump's length is filled in by the caller who knows the end. */
static size_t emit_jump(struct program *p, int op, int reg, int32_t imm)
{
	emit(p, (struct bpf_insn){.code = (unsigned char)(BPF_JMP | op | BPF_K),
				  .dst_reg = (unsigned char)reg & 15,
				  .imm = imm});
	return p->n - 1;
}

static void emit_return(struct program *p, int32_t answer)
{
	emit_alu(p, BPF_MOV, R_ANSWER, answer);
	emit(p, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
}

static void emit_prologue(struct program *p)
{
	emit_load(p, R_TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	emit_copy(p, R_ACCESS, R_TYPE);
	emit_alu(p, BPF_AND, R_TYPE, 0xffff);
	emit_alu(p, BPF_RSH, R_ACCESS, 16);
	emit_load(p, R_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	emit_load(p, R_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
}

static void emit_rule(struct program *p, const struct cg_device_rule *r)
{
	/* BPF_DEVCG_ACC_* are 1 mknod, 2 read, 4 write, as our own bits. */
	int32_t access = (int32_t)cg_device_access(r);
	size_t to_next[4], n = 0;

	if (r->type != 'a')
		to_next[n++] = emit_jump(p, BPF_JNE, R_TYPE,
					 r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (r->major != -1)
		to_next[n++] = emit_jump(p, BPF_JNE, R_MAJOR, (int32_t)r->major);
	if (r->minor != -1)
		to_next[n++] = emit_jump(p, BPF_JNE, R_MINOR, (int32_t)r->minor);
	if (r->allow) {
		emit_alu(p, BPF_AND, R_ACCESS, CG_DEV_ALL & ~access);
		to_next[n++] = emit_jump(p, BPF_JNE, R_ACCESS, 0);
		emit_return(p, 1);
	} else {
		emit_copy(p, R_SCRATCH, R_ACCESS);
		emit_alu(p, BPF_AND, R_SCRATCH, access);
		to_next[n++] = emit_jump(p, BPF_JEQ, R_SCRATCH, 0);
		emit_return(p, 0);
	}
	while (n > 0) {
		n--;
		p->insns[to_next[n]].off = (short)(p->n - to_next[n] - 1);
	}
}
_Static_assert((int)CG_DEV_MKNOD == BPF_DEVCG_ACC_MKNOD && (int)CG_DEV_READ == BPF_DEVCG_ACC_READ &&
		       (int)CG_DEV_WRITE == BPF_DEVCG_ACC_WRITE,
	       "access bits are the kernel's");

/* A rule for everything decides everything: what stands before it can never be asked, and the
 * verifier refuses code that cannot be reached. */
static bool decides_all(const struct cg_device_rule *r)
{
	return r->type == 'a' && r->major == -1 && r->minor == -1 &&
	       cg_device_access(r) == CG_DEV_ALL;
}

static int compile(const struct cg_limits *l, struct program *p, struct err *e)
{
	bool decided = false;

	if (l->n_devices > RULES_MAX)
		return err_unsupported(e, "more than %d device rules", RULES_MAX);
	p->insns = calloc(l->n_devices * RULE_INSNS + 16, sizeof(*p->insns));
	if (!p->insns)
		return err_nomem(e);
	emit_prologue(p);
	for (size_t i = l->n_devices; i > 0 && !decided; i--) {
		const struct cg_device_rule *r = &l->devices[i - 1];

		decided = decides_all(r);
		if (decided)
			emit_return(p, r->allow);
		else
			emit_rule(p, r);
	}
	if (!decided)
		emit_return(p, 1);
	return 0;
}

static int bpf_refused(int r, const char *step, struct err *e)
{
	if (r == -EPERM || r == -EACCES) {
		err_unsupported(e, "device rules: %s: no permission to use BPF", step);
		return err_hint(e,
				"cgroup v2 device rules need root (CAP_BPF and CAP_NET_ADMIN, or "
				"CAP_SYS_ADMIN)");
	}
	if (r == -ENOSYS || r == -EINVAL) {
		err_set(e, ERR_UNSUPPORTED, -r, "device rules: %s: %s", step, strerror(-r));
		return err_hint(e, "the kernel needs CONFIG_CGROUP_BPF");
	}
	return err_sys(e, r, "device rules: %s", step);
}

static int load(const struct program *p, struct err *e)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr)); /* the kernel refuses padding that is not zero */
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.expected_attach_type = BPF_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)p->insns;
	attr.insn_cnt = (uint32_t)p->n;
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0"; /* no helper that asks for the GPL */
	memcpy(attr.prog_name, PROGRAM_NAME, sizeof(PROGRAM_NAME));
	_Static_assert(sizeof(PROGRAM_NAME) <= BPF_OBJ_NAME_LEN, "fits the kernel's field");
	fd = sys_bpf(BPF_PROG_LOAD, &attr);
	return fd < 0 ? bpf_refused(-errno, "load the program", e) : fd;
}

static bool is_ours(int prog_fd)
{
	struct bpf_prog_info info;
	union bpf_attr attr;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)prog_fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && STREQ(info.name, PROGRAM_NAME);
}

/* Our former program on this very group, or -ENOENT. */
static int find_former(int group_fd)
{
	uint32_t ids[ATTACHED_MAX] = {0};
	union bpf_attr attr;
	uint32_t n;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)group_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = ATTACHED_MAX;
	if (sys_bpf(BPF_PROG_QUERY, &attr) < 0)
		return -errno;
	n = attr.query.prog_cnt < ATTACHED_MAX ? attr.query.prog_cnt : ATTACHED_MAX;
	for (uint32_t i = 0; i < n; i++) {
		int fd;

		memset(&attr, 0, sizeof(attr));
		attr.prog_id = ids[i];
		fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
		if (fd < 0)
			continue;
		if (is_ours(fd))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

static int attach(int group_fd, int prog_fd, int former_fd, struct err *e)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)group_fd;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (former_fd >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)former_fd;
	}
	if (sys_bpf(BPF_PROG_ATTACH, &attr) < 0)
		return bpf_refused(-errno, "attach the program", e);
	return 0;
}

int cg_devices_v2_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	_cleanup_free_ struct bpf_insn *insns = NULL;
	_cleanup_close_ int prog = -1, former = -1;
	struct program p = {0};
	int r = compile(l, &p, e);

	insns = p.insns;
	if (r < 0)
		return r;
	prog = load(&p, e);
	if (prog < 0)
		return prog;
	former = find_former(d->fd);
	return attach(d->fd, prog, former, e);
}
