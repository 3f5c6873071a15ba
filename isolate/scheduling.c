/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a process is run: policy, priorities, processors, memory nodes. The system calls are made by number, as glibc
 * 2.36 has none for some of them, with constants of the kernel's interface, which the headers of an older kernel may
 * lack. All is done by the process itself: what it may, it may by its own capabilities and limits.
 *
 * Spec: OCI runtime-spec config.md "Linux Process", config-linux.md "Memory policy"; sched_setattr(2), ioprio_set(2),
 * set_mempolicy(2).
 */
#include "scheduling.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* ---- words ------------------------------------------------------------------------------------ */

struct word {
	const char *name;
	uint64_t value;
};

/* The kernel never had SCHED_ISO: number 4 is reserved for it. */
#define POLICY_ISO 4
enum {
	POLICY_OTHER = 0,
	POLICY_FIFO = 1,
	POLICY_RR = 2,
	POLICY_BATCH = 3,
	POLICY_IDLE = 5,
	POLICY_DEADLINE = 6
};

static const struct word policies[] = {
	{"SCHED_OTHER", POLICY_OTHER},
	{"SCHED_FIFO", POLICY_FIFO},
	{"SCHED_RR", POLICY_RR},
	{"SCHED_BATCH", POLICY_BATCH},
	{"SCHED_ISO", POLICY_ISO},
	{"SCHED_IDLE", POLICY_IDLE},
	{"SCHED_DEADLINE", POLICY_DEADLINE},
};

#define FLAG_UTIL_CLAMP 0x60u

static const struct word sched_flags[] = {
	{"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},
	{"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
	{"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
};

static const struct word io_classes[] = {
	{"IOPRIO_CLASS_RT", 1},
	{"IOPRIO_CLASS_BE", 2},
	{"IOPRIO_CLASS_IDLE", 3},
};

#define AS_WORD(text, number) {text, number},
#define AS_NAME(text, number) text,

enum { MODE_DEFAULT = 0, MODE_PREFERRED = 1, MODE_LOCAL = 4 };
#define MEMORY_MODES(X)                     \
	X("MPOL_DEFAULT", MODE_DEFAULT)     \
	X("MPOL_PREFERRED", MODE_PREFERRED) \
	X("MPOL_BIND", 2)                   \
	X("MPOL_INTERLEAVE", 3)             \
	X("MPOL_LOCAL", MODE_LOCAL)         \
	X("MPOL_PREFERRED_MANY", 5)         \
	X("MPOL_WEIGHTED_INTERLEAVE", 6)
static const struct word memory_modes[] = {MEMORY_MODES(AS_WORD)};
static const char *const memory_mode_names[] = {MEMORY_MODES(AS_NAME) NULL};

#define MEMORY_FLAGS(X)                      \
	X("MPOL_F_NUMA_BALANCING", 1u << 13) \
	X("MPOL_F_RELATIVE_NODES", 1u << 14) \
	X("MPOL_F_STATIC_NODES", 1u << 15)
static const struct word memory_flags[] = {MEMORY_FLAGS(AS_WORD)};
static const char *const memory_flag_names[] = {MEMORY_FLAGS(AS_NAME) NULL};

static int word_value(const struct word *words, size_t n, const char *name, uint64_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!STREQ(words[i].name, name))
			continue;
		*ret = words[i].value;
		return 0;
	}
	return -EINVAL;
}

static const char *word_name(const struct word *words, size_t n, uint64_t value)
{
	for (size_t i = 0; i < n; i++)
		if (words[i].value == value)
			return words[i].name;
	return NULL;
}

int iso_sched_policy_parse(const char *oci_name, uint32_t *ret)
{
	uint64_t v;

	if (word_value(policies, ARRAY_SIZE(policies), oci_name, &v) < 0)
		return -EINVAL;
	if (v == POLICY_ISO)
		return -ENOTSUP;
	*ret = (uint32_t)v;
	return 0;
}

int iso_sched_flag_parse(const char *oci_name, uint64_t *ret)
{
	uint64_t v;

	if (word_value(sched_flags, ARRAY_SIZE(sched_flags), oci_name, &v) < 0)
		return -EINVAL;
	/* The specification has no member for the values that these two would clamp to. */
	if (v & FLAG_UTIL_CLAMP)
		return -ENOTSUP;
	*ret = v;
	return 0;
}

int iso_io_class_parse(const char *oci_name, int32_t *ret)
{
	uint64_t v;

	if (word_value(io_classes, ARRAY_SIZE(io_classes), oci_name, &v) < 0)
		return -EINVAL;
	*ret = (int32_t)v;
	return 0;
}

int iso_memory_mode_parse(const char *oci_name, uint32_t *ret)
{
	uint64_t v;

	if (word_value(memory_modes, ARRAY_SIZE(memory_modes), oci_name, &v) < 0)
		return -EINVAL;
	*ret = (uint32_t)v;
	return 0;
}

int iso_memory_flag_parse(const char *oci_name, uint32_t *ret)
{
	uint64_t v;

	if (word_value(memory_flags, ARRAY_SIZE(memory_flags), oci_name, &v) < 0)
		return -EINVAL;
	*ret = (uint32_t)v;
	return 0;
}

const char *iso_sched_policy_name(uint32_t policy)
{
	return word_name(policies, ARRAY_SIZE(policies), policy);
}

const char *iso_sched_flag_name(uint64_t flag)
{
	return word_name(sched_flags, ARRAY_SIZE(sched_flags), flag);
}

const char *iso_io_class_name(int32_t io_class)
{
	return word_name(io_classes, ARRAY_SIZE(io_classes), (uint64_t)io_class);
}

const char *const *iso_memory_mode_names(void)
{
	return memory_mode_names;
}

const char *const *iso_memory_flag_names(void)
{
	return memory_flag_names;
}

/* ---- what goes together ----------------------------------------------------------------------- */

int iso_scheduler_check(const struct iso_scheduler *s, struct err *e)
{
	const char *policy = iso_sched_policy_name(s->policy);
	bool realtime = s->policy == POLICY_FIFO || s->policy == POLICY_RR;
	bool deadline = s->policy == POLICY_DEADLINE;

	if (!s->present)
		return 0;
	if (!policy)
		return err_invalid(e, "policy %u is unknown", s->policy);
	if (s->nice < -20 || s->nice > 19)
		return err_invalid(e, "nice %d is not between -20 and 19", s->nice);
	if (realtime && (s->priority < 1 || s->priority > 99))
		return err_invalid(e, "%s needs a priority between 1 and 99, not %u", policy,
				   s->priority);
	if (!realtime && s->priority)
		return err_invalid(e, "priority %u: only SCHED_FIFO and SCHED_RR have priorities",
				   s->priority);
	if (!deadline && (s->runtime_nsec || s->deadline_nsec || s->period_nsec))
		return err_invalid(
			e, "runtime, deadline and period belong to SCHED_DEADLINE, not to %s",
			policy);
	if (deadline && (s->runtime_nsec == 0 || s->deadline_nsec < s->runtime_nsec ||
			 (s->period_nsec && s->period_nsec < s->deadline_nsec)))
		return err_invalid(e,
				   "SCHED_DEADLINE needs 0 < runtime <= deadline <= period, not "
				   "%" PRIu64 ", %" PRIu64 ", %" PRIu64 " ns",
				   s->runtime_nsec, s->deadline_nsec, s->period_nsec);
	return 0;
}

int iso_memory_policy_check(const struct iso_memory_policy *p, struct err *e)
{
	const char *mode = word_name(memory_modes, ARRAY_SIZE(memory_modes), p->mode);
	bool without = p->mode == MODE_DEFAULT || p->mode == MODE_LOCAL;

	if (!p->present)
		return 0;
	if (!mode)
		return err_invalid(e, "mode %u is unknown", p->mode);
	if (without && p->nodes)
		return err_invalid(e, "%s takes no nodes", mode);
	if (!without && !p->nodes && p->mode != MODE_PREFERRED)
		return err_invalid(e, "%s needs nodes", mode);
	if ((p->flags & (1u << 14)) && (p->flags & (1u << 15)))
		return err_invalid(
			e, "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other");
	return 0;
}

/* ---- sets of numbers -------------------------------------------------------------------------- */

/* More than any kernel has processors (8192) or nodes (1024). */
#define SET_BITS  8192
#define LONG_BITS (CHAR_BIT * sizeof(unsigned long))

struct number_set {
	unsigned long bits[SET_BITS / LONG_BITS];
};

static bool take_number(const char **p, unsigned *ret)
{
	unsigned v = 0;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++) {
		v = v * 10 + (unsigned)(**p - '0');
		if (v >= SET_BITS)
			return false;
	}
	*ret = v;
	return true;
}

/* "0-3,7"; false for anything else. */
static bool set_parse(const char *list, struct number_set *ret)
{
	*ret = (struct number_set){0};
	for (const char *p = list;;) {
		unsigned first, last;

		if (!take_number(&p, &first))
			return false;
		last = first;
		if (*p == '-') {
			p++;
			if (!take_number(&p, &last) || last < first)
				return false;
		}
		for (unsigned i = first; i <= last; i++)
			ret->bits[i / LONG_BITS] |= 1ul << (i % LONG_BITS);
		if (*p == '\0')
			return true;
		if (*p++ != ',')
			return false;
	}
}

/* ---- applying --------------------------------------------------------------------------------- */

/* Source: sched_setattr(2); size 48 is its first version, which every kernel takes. */
struct sched_attr_v0 {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};
_Static_assert(sizeof(struct sched_attr_v0) == 48, "SCHED_ATTR_SIZE_VER0");

static int explain_scheduler(const struct iso_scheduler *s, int errnum, struct err *e)
{
	int r = err_sys(e, errnum, "process.scheduler: set %s", iso_sched_policy_name(s->policy));

	switch (errnum) {
	case EPERM:
		if (s->policy == POLICY_DEADLINE)
			return err_hint(e, "it needs CAP_SYS_NICE on the host and all CPUs (no "
					   "resources.cpu.cpus)");
		if (s->policy == POLICY_FIFO || s->policy == POLICY_RR)
			return err_hint(e,
					"it needs CAP_SYS_NICE on the host or a RLIMIT_RTPRIO of "
					"that much in "
					"process.rlimits, and on cgroup v1 real-time for the group "
					"(resources.cpu.realtimeRuntime)");
		return err_hint(
			e, "a nice value below the caller's needs CAP_SYS_NICE on the host, or "
			   "RLIMIT_NICE in process.rlimits");
	case EBUSY:
		return err_hint(e,
				"the CPUs have not that much time left for SCHED_DEADLINE; ask for "
				"less runtime, or a longer period");
	case EINVAL:
		return err_hint(e, "the kernel takes no such combination of flags and values");
	}
	return r;
}

static int apply_scheduler(const struct iso_scheduler *s, struct err *e)
{
	struct sched_attr_v0 attr = {
		.size = sizeof(attr),
		.policy = s->policy,
		.flags = s->flags,
		.nice = s->nice,
		.priority = s->priority,
		.runtime = s->runtime_nsec,
		.deadline = s->deadline_nsec,
		.period = s->period_nsec,
	};

	if (!s->present || syscall(SYS_sched_setattr, 0, &attr, 0) == 0)
		return 0;
	return explain_scheduler(s, errno, e);
}

static int apply_io_priority(const struct iso_io_priority *p, struct err *e)
{
	const int who_process = 1, class_shift = 13;
	int r;

	if (!p->present ||
	    syscall(SYS_ioprio_set, who_process, 0, p->io_class << class_shift | p->level) == 0)
		return 0;
	r = err_sys(e, errno, "process.ioPriority: set %s %d", iso_io_class_name(p->io_class),
		    p->level);
	if (r == -EPERM)
		err_hint(e, "IOPRIO_CLASS_RT needs CAP_SYS_ADMIN or CAP_SYS_NICE on the host");
	return r;
}

static int apply_memory_policy(const struct iso_memory_policy *p, struct err *e)
{
	struct number_set nodes = {0};
	int r;

	if (!p->present)
		return 0;
	if (p->nodes && !set_parse(p->nodes, &nodes))
		return err_invalid(e, "linux.memoryPolicy.nodes: '%s' is not a list of nodes",
				   p->nodes);
	if (syscall(SYS_set_mempolicy, (int)(p->mode | p->flags), p->nodes ? nodes.bits : NULL,
		    p->nodes ? (unsigned long)SET_BITS : 0ul) == 0)
		return 0;
	r = err_sys(e, errno, "linux.memoryPolicy: set %s for nodes '%s'",
		    word_name(memory_modes, ARRAY_SIZE(memory_modes), p->mode),
		    p->nodes ? p->nodes : "");
	if (r == -EINVAL)
		err_hint(e,
			 "a node must have memory and be among resources.cpu.mems; the kernel may "
			 "be older than the mode or the flag");
	if (r == -ENOSYS)
		err_hint(e, "the kernel is built without NUMA");
	return r;
}

static int apply_personality(const struct iso_config *c, struct err *e)
{
	if (!c->has_personality || personality(c->personality) >= 0)
		return 0;
	return err_sys(e, errno, "linux.personality: set execution domain %#lx", c->personality);
}

int scheduling_apply(const struct iso_process *p, const struct iso_config *c, struct err *e)
{
	int r = apply_memory_policy(&c->memory_policy, e);

	if (r == 0)
		r = apply_personality(c, e);
	if (r == 0)
		r = apply_io_priority(&p->io_priority, e);
	return r < 0 ? r : apply_scheduler(&p->scheduler, e);
}

static int set_affinity(const char *list, const char *field, struct err *e)
{
	struct number_set cpus;
	int r;

	if (!set_parse(list, &cpus))
		return err_invalid(e, "process.execCPUAffinity.%s: '%s' is not a list of CPUs",
				   field, list);
	if (syscall(SYS_sched_setaffinity, 0, sizeof(cpus), &cpus) == 0)
		return 0;
	r = err_sys(e, errno, "process.execCPUAffinity.%s: run on CPUs '%s'", field, list);
	if (r == -EINVAL)
		err_hint(e, "none of them is online and among the CPUs of the control group");
	return r;
}

int scheduling_affinity_initial(const struct iso_process *p, struct err *e)
{
	return p->cpus_initial ? set_affinity(p->cpus_initial, "initial", e) : 0;
}

int scheduling_affinity_final(const struct iso_process *p, struct err *e)
{
	struct number_set all;

	if (p->cpus_final)
		return set_affinity(p->cpus_final, "final", e);
	if (!p->cpus_initial)
		return 0;
	/* Then it is the container's: whatever its group allows. */
	memset(&all, 0xff, sizeof(all));
	if (syscall(SYS_sched_setaffinity, 0, sizeof(all), &all) < 0)
		return err_sys(e, errno, "process.execCPUAffinity: run on the container's CPUs");
	return 0;
}
