/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits as properties of a systemd unit. The kernel's files are written by cgroups/ in any case; systemd is told as well because
 * it writes what it knows of a unit again when it reloads, and because people look there (systemctl show). So the table has
 * what systemd has a property for, and rounds as systemd does.
 *
 * Source: org.freedesktop.systemd1(5), systemd.resource-control(5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cgroups/cgroup.h"
#include "systemd_unit.h"

#define USEC_PER_SEC    UINT64_C(1000000)
#define QUOTA_STEP_USEC UINT64_C(10000) /* systemd keeps whole percents of a CPU */
#define PERIOD_DEFAULT  INT64_C(100000)
#define CPUS_MAX        65536

int systemd_property(struct json *into, const char *name, const char *signature, const char *value)
{
	struct json *p = json_new_array();

	if (!p || json_push(p, json_new_string(name)) < 0 ||
	    json_push(p, json_new_string(signature)) < 0 ||
	    (value && json_push(p, json_new_string(value)) < 0)) {
		json_free(p);
		return -ENOMEM;
	}
	return json_push(into, p);
}

static int add_u64(struct json *into, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return systemd_property(into, name, "t", text);
}

/* UINT64_MAX is systemd's "infinity". */
static uint64_t limit_of(int64_t v)
{
	return v == CG_MAX ? UINT64_MAX : (uint64_t)v;
}

static int add_limit(struct json *into, const char *name, int64_t v)
{
	return v == CG_UNSET ? 0 : add_u64(into, name, limit_of(v));
}

static struct json *open_array(const char *name, const char *signature)
{
	struct json *p = json_new_array();

	if (p && json_push(p, json_new_string(name)) == 0 &&
	    json_push(p, json_new_string(signature)) == 0)
		return p;
	json_free(p);
	return NULL;
}

/* ---- processors ---------------------------------------------------------------------------- */

static int add_quota(struct json *into, const struct cg_limits *l)
{
	uint64_t period, per_sec;

	if (l->cpu_period_usec != CG_UNSET &&
	    add_u64(into, "CPUQuotaPeriodUSec", (uint64_t)l->cpu_period_usec) < 0)
		return -ENOMEM;
	if (l->cpu_quota_usec == CG_UNSET)
		return 0;
	if (l->cpu_quota_usec == CG_MAX)
		return add_u64(into, "CPUQuotaPerSecUSec", UINT64_MAX);
	period = (uint64_t)(l->cpu_period_usec != CG_UNSET ? l->cpu_period_usec : PERIOD_DEFAULT);
	/* A quota is below 2^43, so this does not overflow before it is divided. */
	per_sec = (uint64_t)l->cpu_quota_usec * USEC_PER_SEC / period;
	per_sec = (per_sec + QUOTA_STEP_USEC - 1) / QUOTA_STEP_USEC * QUOTA_STEP_USEC;
	return add_u64(into, "CPUQuotaPerSecUSec", per_sec);
}

static int add_weight(struct json *into, const struct cg_limits *l, bool v2)
{
	if (!v2)
		return add_limit(into, "CPUShares", l->cpu_shares);
	/* Weight 0 is systemd's "idle". */
	if (l->cpu_idle == 1)
		return add_u64(into, "CPUWeight", 0);
	if (l->cpu_weight != CG_UNSET)
		return add_limit(into, "CPUWeight", l->cpu_weight);
	if (l->cpu_shares == CG_UNSET)
		return 0;
	return add_u64(into, "CPUWeight", cg_weight_of_shares((uint64_t)l->cpu_shares));
}

/* "0-3,7" (checked before by cg_limits_check()) as bytes of a bit mask, the lowest first. */
static int add_mask(struct json *into, const char *name, const char *list)
{
	_cleanup_free_ unsigned char *mask = NULL;
	struct json *p;
	size_t used = 0;
	int r = 0;

	if (!list || !*list)
		return 0;
	mask = calloc(CPUS_MAX / 8, 1);
	p = open_array(name, "ay");
	if (!mask || !p) {
		json_free(p);
		return -ENOMEM;
	}
	for (const char *s = list; *s; s += strspn(s, ",")) {
		unsigned from, to;
		int n = 0;

		if (sscanf(s, "%u%n", &from, &n) != 1)
			break;
		s += n;
		to = from;
		n = 0;
		if (sscanf(s, "-%u%n", &to, &n) == 1)
			s += n;
		for (unsigned i = from; i <= to && i < CPUS_MAX; i++) {
			mask[i / 8] |= (unsigned char)(1u << i % 8);
			used = i / 8 + 1 > used ? i / 8 + 1 : used;
		}
		s += strcspn(s, ",");
	}
	for (size_t i = 0; r == 0 && i < used; i++) {
		char text[4];

		snprintf(text, sizeof(text), "%u", mask[i]);
		r = json_push(p, json_new_string(text));
	}
	if (r < 0) {
		json_free(p);
		return r;
	}
	return json_push(into, p);
}

/* ---- memory -------------------------------------------------------------------------------- */

static int add_memory(struct json *into, const struct cg_limits *l, bool v2)
{
	int64_t swap = l->memory_swap_bytes;

	if (!v2)
		return add_limit(into, "MemoryLimit", l->memory_bytes);
	if (add_limit(into, "MemoryMax", l->memory_bytes) < 0 ||
	    add_limit(into, "MemoryLow", l->memory_low_bytes) < 0)
		return -ENOMEM;
	/* OCI counts memory and swap together, v2 swap alone. */
	if (swap != CG_UNSET && swap != CG_MAX)
		swap = l->memory_bytes >= 0 ? swap - l->memory_bytes : CG_UNSET;
	return add_limit(into, "MemorySwapMax", swap);
}

/* ---- devices for block I/O ----------------------------------------------------------------- */

static int push_device(struct json *p, int64_t major, int64_t minor, uint64_t value)
{
	char node[64], text[24];

	snprintf(node, sizeof(node), "/dev/block/%" PRId64 ":%" PRId64, major, minor);
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_push(p, json_new_string(node)) < 0 ? -ENOMEM
						       : json_push(p, json_new_string(text));
}

static int add_io_rules(struct json *into, const char *name, const struct cg_io_rule *rules,
			size_t n)
{
	struct json *p;
	int r = 0;

	if (n == 0)
		return 0;
	p = open_array(name, "a(st)");
	if (!p)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = push_device(p, rules[i].major, rules[i].minor,
				rules[i].value ? rules[i].value : UINT64_MAX);
	if (r < 0) {
		json_free(p);
		return r;
	}
	return json_push(into, p);
}

static int add_io(struct json *into, const struct cg_limits *l, bool v2)
{
	static const char *const names[CG_IO_COUNT] = {
		[CG_IO_READ_BPS] = "IOReadBandwidthMax",
		[CG_IO_WRITE_BPS] = "IOWriteBandwidthMax",
		[CG_IO_READ_IOPS] = "IOReadIOPSMax",
		[CG_IO_WRITE_IOPS] = "IOWriteIOPSMax",
	};

	if (!v2)
		return add_limit(into, "BlockIOWeight", l->io_weight);
	for (size_t i = 0; i < CG_IO_COUNT; i++)
		if (add_io_rules(into, names[i], l->io_max[i], l->n_io_max[i]) < 0)
			return -ENOMEM;
	/* As the specification's conversion table has it. */
	return l->io_weight == CG_UNSET
		       ? 0
		       : add_u64(into, "IOWeight", 1 + (uint64_t)(l->io_weight - 10) * 9999 / 990);
}

/* ---- device rules -------------------------------------------------------------------------- */

/* systemd knows "nothing but these". Other lists are left to our own program, which is there in any case. */
static bool is_plain_list(const struct cg_limits *l)
{
	const struct cg_device_rule *d = l->devices;

	if (l->n_devices == 0 || d[0].allow || d[0].type != 'a' || d[0].major >= 0 ||
	    d[0].minor >= 0 || !(d[0].read && d[0].write && d[0].mknod))
		return false;
	for (size_t i = 1; i < l->n_devices; i++)
		if (!d[i].allow || (d[i].type == 'a' && (d[i].major >= 0 || d[i].minor >= 0)) ||
		    (d[i].major < 0 && d[i].minor >= 0))
			return false;
	return true;
}

static int push_rule(struct json *p, const struct cg_device_rule *d, char type)
{
	const char *kind = type == 'b' ? "block" : "char";
	char node[64], access[4] = "";

	if (d->major < 0)
		snprintf(node, sizeof(node), "%s-*", kind);
	else if (d->minor < 0)
		snprintf(node, sizeof(node), "%s-%" PRId64, kind, d->major);
	else
		snprintf(node, sizeof(node), "/dev/%s/%" PRId64 ":%" PRId64, kind, d->major,
			 d->minor);
	snprintf(access, sizeof(access), "%s%s%s", d->read ? "r" : "", d->write ? "w" : "",
		 d->mknod ? "m" : "");
	if (!access[0])
		return 0;
	return json_push(p, json_new_string(node)) < 0 ? -ENOMEM
						       : json_push(p, json_new_string(access));
}

static int add_devices(struct json *into, const struct cg_limits *l)
{
	struct json *p;
	int r = 0;

	if (!is_plain_list(l))
		return 0;
	p = open_array("DeviceAllow", "a(ss)");
	if (!p)
		return -ENOMEM;
	for (size_t i = 1; r == 0 && i < l->n_devices; i++) {
		const struct cg_device_rule *d = &l->devices[i];

		if (d->type != 'c')
			r = push_rule(p, d, 'b');
		if (r == 0 && d->type != 'b')
			r = push_rule(p, d, 'c');
	}
	if (r < 0) {
		json_free(p);
		return r;
	}
	/* Allowing comes first: with the strict policy alone a running sandbox would have nothing for a moment. */
	r = json_push(into, p);
	return r < 0 ? r : systemd_property(into, "DevicePolicy", "s", "strict");
}

/* ---- files of the unified hierarchy ------------------------------------------------------------ */

static int add_unified(struct json *into, const struct cg_limits *l)
{
	static const struct {
		const char *file, *property;
	} table[] = {
		{"memory.max", "MemoryMax"}, {"memory.high", "MemoryHigh"},
		{"memory.low", "MemoryLow"}, {"memory.min", "MemoryMin"},
		{"pids.max", "TasksMax"},    {"memory.swap.max", "MemorySwapMax"},
		{"cpu.weight", "CPUWeight"},
	};

	for (size_t i = 0; i < l->n_unified; i++) {
		const struct cg_unified *u = &l->unified[i];
		uint64_t v = UINT64_MAX;

		if (STREQ(u->file, "cpuset.cpus") && add_mask(into, "AllowedCPUs", u->value) < 0)
			return -ENOMEM;
		if (STREQ(u->file, "cpuset.mems") &&
		    add_mask(into, "AllowedMemoryNodes", u->value) < 0)
			return -ENOMEM;
		for (size_t t = 0; t < ARRAY_SIZE(table); t++)
			if (STREQ(u->file, table[t].file) &&
			    (STREQ(u->value, "max") || parse_u64(u->value, &v) == 0) &&
			    add_u64(into, table[t].property, v) < 0)
				return -ENOMEM;
	}
	return 0;
}

int systemd_limit_properties(const struct cg_limits *l, bool v2, struct json *into, struct err *e)
{
	if (add_memory(into, l, v2) < 0 || add_weight(into, l, v2) < 0 || add_quota(into, l) < 0 ||
	    add_limit(into, "TasksMax", l->pids_max) < 0 || add_io(into, l, v2) < 0 ||
	    add_devices(into, l) < 0)
		return err_nomem(e);
	if (v2 &&
	    (add_mask(into, "AllowedCPUs", l->cpuset_cpus) < 0 ||
	     add_mask(into, "AllowedMemoryNodes", l->cpuset_mems) < 0 || add_unified(into, l) < 0))
		return err_nomem(e);
	return 0;
}
