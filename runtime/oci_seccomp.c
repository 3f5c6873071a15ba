/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `linux.seccomp`. The words are isolate's (libseccomp's); an unknown action, operator, flag or
 * architecture is refused, while names of system calls are taken as they are, since profiles are
 * written for kernels newer than ours.
 * Spec: OCI runtime-spec config-linux.md "Seccomp".
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

static int read_action(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (!s)
		return json_error(at, e, "expected a string like 'SCMP_ACT_ERRNO'");
	if (iso_seccomp_action_parse(s, target) < 0)
		return json_error(at, e, "unknown seccomp action '%s'", s);
	return 0;
}

static int read_op(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (!s)
		return json_error(at, e, "expected a string like 'SCMP_CMP_EQ'");
	if (iso_seccomp_op_parse(s, target) < 0)
		return json_error(at, e, "unknown seccomp operator '%s'", s);
	return 0;
}

static int read_arch(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (!s)
		return json_error(at, e, "expected a string like 'SCMP_ARCH_X86_64'");
	if (iso_seccomp_arch_parse(s, target) < 0)
		return json_error(at, e, "unknown seccomp architecture '%s'", s);
	return 0;
}

static int read_arches(const struct json_at *at, void *target, struct err *e)
{
	struct iso_seccomp *s = target;

	return json_read_array(at, sizeof(*s->arches), read_arch, (void **)&s->arches, &s->n_arches,
			       e);
}

static int read_flags(const struct json_at *at, void *target, struct err *e)
{
	return oci_read_flags(at, iso_seccomp_flag_parse, "seccomp flag", target, e);
}

/* The kernel's MAX_ERRNO: more would not be an error number to the caller. */
static int read_errno(const struct json_at *at, void *target, struct err *e)
{
	uint32_t v;
	int r;

	r = json_get_u32(at, &v, e);
	if (r < 0)
		return r;
	if (v > 4095)
		return json_error(at, e, "%u is no error number (0 to 4095)", v);
	*(uint32_t *)target = v;
	return 0;
}

/* An error number only goes with an action that returns one; the specification wants a failure. */
static int check_errno(const struct json_at *at, const char *action_key, bool has,
		       const char *errno_key, struct err *e)
{
	struct json_at action, number;
	const char *s;

	if (!has || !json_member(at, action_key, &action) || !json_member(at, errno_key, &number))
		return 0;
	s = json_peek_string(&action);
	if (s && (STREQ(s, "SCMP_ACT_ERRNO") || STREQ(s, "SCMP_ACT_TRACE")))
		return 0;
	return json_error(&number, e, "the action '%s' takes no error number", s ? s : "?");
}

/* ---- rules ------------------------------------------------------------------------------ */

static int read_index(const struct json_at *at, void *target, struct err *e)
{
	uint32_t v;
	int r;

	r = json_get_u32(at, &v, e);
	if (r < 0)
		return r;
	if (v > 5)
		return json_error(at, e, "%u is no argument's index (0 to 5)", v);
	*(uint32_t *)target = v;
	return 0;
}

static const struct json_field arg_fields[] = {
	JSON_REQUIRED(struct iso_seccomp_arg, index, "index", read_index),
	JSON_REQUIRED(struct iso_seccomp_arg, value, "value", json_read_u64),
	JSON_FIELD(struct iso_seccomp_arg, value_two, "valueTwo", json_read_u64),
	JSON_REQUIRED(struct iso_seccomp_arg, op, "op", read_op),
};

static int read_arg(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, arg_fields, ARRAY_SIZE(arg_fields), target, e);
}

static int read_rule_args(const struct json_at *at, void *target, struct err *e)
{
	struct iso_seccomp_rule *rule = target;

	return json_read_array(at, sizeof(*rule->args), read_arg, (void **)&rule->args,
			       &rule->n_args, e);
}

static int read_names(const struct json_at *at, void *target, struct err *e)
{
	int r;

	r = json_read_strv(at, target, e);
	if (r < 0)
		return r;
	if (strv_len(*(char ***)target) == 0)
		return json_error(at, e, "must name a system call");
	return 0;
}

static const struct json_field rule_fields[] = {
	JSON_REQUIRED(struct iso_seccomp_rule, names, "names", read_names),
	JSON_REQUIRED(struct iso_seccomp_rule, action, "action", read_action),
	JSON_OPTIONAL(struct iso_seccomp_rule, errno_ret, has_errno_ret, "errnoRet", read_errno),
	{"args", read_rule_args, 0, false, -1},
};

static int read_rule(const struct json_at *at, void *target, struct err *e)
{
	struct iso_seccomp_rule *rule = target;
	int r;

	r = json_read_object(at, rule_fields, ARRAY_SIZE(rule_fields), rule, e);
	if (r < 0)
		return r;
	return check_errno(at, "action", rule->has_errno_ret, "errnoRet", e);
}

static int read_rules(const struct json_at *at, void *target, struct err *e)
{
	struct iso_seccomp *s = target;

	return json_read_array(at, sizeof(*s->rules), read_rule, (void **)&s->rules, &s->n_rules,
			       e);
}

static const struct json_field seccomp_fields[] = {
	JSON_REQUIRED(struct iso_seccomp, default_action, "defaultAction", read_action),
	JSON_OPTIONAL(struct iso_seccomp, default_errno_ret, has_default_errno_ret,
		      "defaultErrnoRet", read_errno),
	{"architectures", read_arches, 0, false, -1},
	JSON_FIELD(struct iso_seccomp, flags, "flags", read_flags),
	JSON_FIELD(struct iso_seccomp, listener_path, "listenerPath", oci_read_string_or_none),
	JSON_FIELD(struct iso_seccomp, listener_metadata, "listenerMetadata",
		   oci_read_string_or_none),
	{"syscalls", read_rules, 0, false, -1},
};

int oci_read_seccomp(const struct json_at *at, void *seccomp, struct err *e)
{
	struct iso_seccomp *s = seccomp;
	int r;

	r = json_read_object(at, seccomp_fields, ARRAY_SIZE(seccomp_fields), s, e);
	if (r < 0)
		return r;
	s->present = true;

	if (s->listener_metadata && !s->listener_path)
		return json_error(at, e, "listenerMetadata must not be set without listenerPath");
	return check_errno(at, "defaultAction", s->has_default_errno_ret, "defaultErrnoRet", e);
}
