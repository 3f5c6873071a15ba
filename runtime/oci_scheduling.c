/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How processes are run: scheduler, I/O priority, processors, memory nodes, execution domain, clocks. The words are
 * isolate's. A value that is the kernel's own default ("SCHED_OTHER" alone) is applied as any other: the caller may run
 * under another.
 * Spec: OCI runtime-spec config.md "Linux Process"; config-linux.md "Memory policy", "Personality", "Offset for Time
 * Namespace".
 */
#include <errno.h>
#include <string.h>
#include <sys/personality.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

/* ---- scheduler -------------------------------------------------------------------------------- */

static int read_policy(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);
	int r;

	if (!s)
		return json_error(at, e, "expected a string like 'SCHED_BATCH'");
	r = iso_sched_policy_parse(s, target);
	if (r == -ENOTSUP)
		return json_error(at, e, "Linux has no policy '%s'", s);
	return r < 0 ? json_error(at, e, "unknown scheduling policy '%s'", s) : 0;
}

static int read_sched_flags(const struct json_at *at, void *target, struct err *e)
{
	uint64_t *flags = target;

	if (json_type_of(at->value) != JSON_ARRAY)
		return json_error(at, e, "expected an array of strings");
	for (size_t i = 0; i < json_array_len(at); i++) {
		struct json_at item = json_array_at(at, i);
		const char *s = json_peek_string(&item);
		uint64_t flag;
		int r;

		if (!s)
			return json_error(&item, e, "expected a string");
		r = iso_sched_flag_parse(s, &flag);
		if (r == -ENOTSUP)
			return json_error(
				&item, e,
				"'%s' needs values that the specification has no members for; "
				"cpu.uclamp.min and .max in resources.unified do it",
				s);
		if (r < 0)
			return json_error(&item, e, "unknown scheduling flag '%s'", s);
		*flags |= flag;
	}
	return 0;
}

static int read_priority(const struct json_at *at, void *target, struct err *e)
{
	int32_t v;
	int r = json_get_i32(at, &v, e);

	if (r < 0)
		return r;
	if (v < 0 || v > 99)
		return json_error(at, e, "%d is not between 0 and 99", v);
	*(uint32_t *)target = (uint32_t)v;
	return 0;
}

static const struct json_field scheduler_fields[] = {
	JSON_REQUIRED(struct iso_scheduler, policy, "policy", read_policy),
	JSON_FIELD(struct iso_scheduler, nice, "nice", json_read_i32),
	JSON_FIELD(struct iso_scheduler, priority, "priority", read_priority),
	JSON_FIELD(struct iso_scheduler, flags, "flags", read_sched_flags),
	JSON_FIELD(struct iso_scheduler, runtime_nsec, "runtime", json_read_u64),
	JSON_FIELD(struct iso_scheduler, deadline_nsec, "deadline", json_read_u64),
	JSON_FIELD(struct iso_scheduler, period_nsec, "period", json_read_u64),
};

/* ERR_INVALID of isolate's, with the place in front. */
static int check_at(const struct json_at *at, int r, struct err *e)
{
	_cleanup_free_ char *place = r < 0 ? json_path(at) : NULL;

	return place ? err_wrap(e, "%s", place) : r;
}

int oci_read_scheduler(const struct json_at *at, void *scheduler, struct err *e)
{
	struct iso_scheduler *s = scheduler;
	int r = json_read_object(at, scheduler_fields, ARRAY_SIZE(scheduler_fields), s, e);

	if (r < 0)
		return r;
	s->present = true;
	return check_at(at, iso_scheduler_check(s, e), e);
}

struct json *oci_scheduler_to_json(const struct iso_scheduler *s)
{
	_cleanup_json_ struct json *o = json_new_object(), *flags = json_new_array();

	for (uint64_t bit = 1; bit && bit <= s->flags; bit <<= 1)
		if ((s->flags & bit) &&
		    (!flags || json_push(flags, json_new_string(iso_sched_flag_name(bit))) < 0))
			return NULL;
	if (!o || json_set(o, "policy", json_new_string(iso_sched_policy_name(s->policy))) < 0 ||
	    json_set(o, "nice", json_new_i64(s->nice)) < 0 ||
	    json_set(o, "priority", json_new_u64(s->priority)) < 0 ||
	    json_set(o, "flags", TAKE_PTR(flags)) < 0 ||
	    json_set(o, "runtime", json_new_u64(s->runtime_nsec)) < 0 ||
	    json_set(o, "deadline", json_new_u64(s->deadline_nsec)) < 0 ||
	    json_set(o, "period", json_new_u64(s->period_nsec)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

/* ---- I/O priority, processors ----------------------------------------------------------------- */

static int read_io_class(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (!s)
		return json_error(at, e, "expected a string like 'IOPRIO_CLASS_BE'");
	if (iso_io_class_parse(s, target) < 0)
		return json_error(at, e, "unknown I/O priority class '%s'", s);
	return 0;
}

static int read_io_level(const struct json_at *at, void *target, struct err *e)
{
	int32_t v;
	int r = json_get_i32(at, &v, e);

	if (r < 0)
		return r;
	if (v < 0 || v > 7)
		return json_error(at, e, "%d is not between 0 and 7", v);
	*(int32_t *)target = v;
	return 0;
}

static const struct json_field io_priority_fields[] = {
	JSON_REQUIRED(struct iso_io_priority, io_class, "class", read_io_class),
	JSON_FIELD(struct iso_io_priority, level, "priority", read_io_level),
};

int oci_read_io_priority(const struct json_at *at, void *priority, struct err *e)
{
	struct iso_io_priority *p = priority;
	int r = json_read_object(at, io_priority_fields, ARRAY_SIZE(io_priority_fields), p, e);

	p->present = r == 0;
	return r;
}

struct json *oci_io_priority_to_json(const struct iso_io_priority *p)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "class", json_new_string(iso_io_class_name(p->io_class))) < 0 ||
	    json_set(o, "priority", json_new_i64(p->level)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static const struct json_field affinity_fields[] = {
	JSON_FIELD(struct iso_process, cpus_initial, "initial", oci_read_cpu_list),
	JSON_FIELD(struct iso_process, cpus_final, "final", oci_read_cpu_list),
};

int oci_read_cpu_affinity(const struct json_at *at, void *process, struct err *e)
{
	return json_read_object(at, affinity_fields, ARRAY_SIZE(affinity_fields), process, e);
}

/* ---- of the container ------------------------------------------------------------------------- */

int oci_read_personality(const struct json_at *at, void *isolation, struct err *e)
{
	struct iso_config *c = isolation;
	struct json_at domain, flags;
	const char *s;

	if (json_type_of(at->value) != JSON_OBJECT)
		return json_error(at, e, "expected an object");
	/* Spec: "no flag values are supported at this time". */
	if (json_member(at, "flags", &flags) &&
	    (json_type_of(flags.value) != JSON_ARRAY || json_array_len(&flags) > 0))
		return json_error(&flags, e, "must be an empty array: there are no flags yet");
	if (!json_member(at, "domain", &domain))
		return json_error(at, e, "'domain' is missing");
	s = json_peek_string(&domain);
	if (!s || (!STREQ(s, "LINUX") && !STREQ(s, "LINUX32")))
		return json_error(&domain, e, "expected 'LINUX' or 'LINUX32'");
	c->personality = STREQ(s, "LINUX32") ? PER_LINUX32 : PER_LINUX;
	c->has_personality = true;
	return 0;
}

static int read_nanosecs(const struct json_at *at, void *target, struct err *e)
{
	uint32_t v;
	int r = json_get_u32(at, &v, e);

	if (r < 0)
		return r;
	if (v >= 1000000000u)
		return json_error(at, e, "%u is not below a second", v);
	*(uint32_t *)target = v;
	return 0;
}

static const struct json_field offset_fields[] = {
	JSON_FIELD(struct iso_time_offset, secs, "secs", json_read_i64),
	JSON_FIELD(struct iso_time_offset, nanosecs, "nanosecs", read_nanosecs),
};

static int read_offset(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, offset_fields, ARRAY_SIZE(offset_fields), target, e);
}

#define OFFSET(clock, name)                                                                      \
	JSON_OPTIONAL(struct iso_config, time_offsets[clock], time_offsets[clock].present, name, \
		      read_offset)
static const struct json_field time_fields[] = {
	OFFSET(ISO_CLOCK_BOOTTIME, "boottime"),
	OFFSET(ISO_CLOCK_MONOTONIC, "monotonic"),
};

int oci_read_time_offsets(const struct json_at *at, void *isolation, struct err *e)
{
	struct json_at member;
	size_t pos = 0;

	/* A clock that we know nothing of would not be set: that must not go unsaid. */
	if (json_type_of(at->value) == JSON_OBJECT)
		while (json_next_member(at, &pos, &member))
			if (!STREQ(member.key, "boottime") && !STREQ(member.key, "monotonic"))
				return json_error(
					&member, e,
					"there are offsets for 'boottime' and 'monotonic' only");
	return json_read_object(at, time_fields, ARRAY_SIZE(time_fields), isolation, e);
}

static int read_memory_mode(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (!s)
		return json_error(at, e, "expected a string like 'MPOL_BIND'");
	if (iso_memory_mode_parse(s, target) < 0)
		return json_error(at, e, "unknown memory policy '%s'", s);
	return 0;
}

static int read_memory_flags(const struct json_at *at, void *target, struct err *e)
{
	return oci_read_flags(at, iso_memory_flag_parse, "memory policy flag", target, e);
}

static const struct json_field memory_fields[] = {
	JSON_REQUIRED(struct iso_memory_policy, mode, "mode", read_memory_mode),
	JSON_FIELD(struct iso_memory_policy, nodes, "nodes", oci_read_cpu_list),
	JSON_FIELD(struct iso_memory_policy, flags, "flags", read_memory_flags),
};

int oci_read_memory_policy(const struct json_at *at, void *policy, struct err *e)
{
	struct iso_memory_policy *p = policy;
	int r = json_read_object(at, memory_fields, ARRAY_SIZE(memory_fields), p, e);

	if (r < 0)
		return r;
	p->present = true;
	return check_at(at, iso_memory_policy_check(p, e), e);
}
