/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `process` object of an OCI configuration, also read alone for `exec --process FILE`, and
 * written back for a guest, where the same code reads it again.
 * Spec: OCI runtime-spec config.md "Process", "POSIX process", "Linux Process", "User".
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

/* ---- user ------------------------------------------------------------------------------- */

static int read_gids(const struct json_at *at, void *target, struct err *e)
{
	struct iso_user *u = target;

	return json_read_array(at, sizeof(uint32_t), oci_read_id, (void **)&u->additional_gids,
			       &u->n_additional_gids, e);
}

static int read_umask(const struct json_at *at, void *target, struct err *e)
{
	uint32_t v;
	int r;

	r = json_get_u32(at, &v, e);
	if (r < 0)
		return r;
	if (v > 0777)
		return json_error(at, e, "%u is not a file mode mask (0 to 511, octal 777)", v);
	*(uint32_t *)target = v;
	return 0;
}

static const struct json_field user_fields[] = {
	JSON_REQUIRED(struct iso_user, uid, "uid", oci_read_id),
	JSON_REQUIRED(struct iso_user, gid, "gid", oci_read_id),
	JSON_OPTIONAL(struct iso_user, umask, has_umask, "umask", read_umask),
	{"additionalGids", read_gids, 0, false, -1},
};

static int read_user(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, user_fields, ARRAY_SIZE(user_fields), target, e);
}

/* ---- capabilities ----------------------------------------------------------------------- */

static const char *const cap_set_names[ISO_CAP_SET_COUNT] = {
	[ISO_CAP_EFFECTIVE] = "effective",     [ISO_CAP_BOUNDING] = "bounding",
	[ISO_CAP_INHERITABLE] = "inheritable", [ISO_CAP_PERMITTED] = "permitted",
	[ISO_CAP_AMBIENT] = "ambient",
};

/* Spec: config.md "Linux Process": what cannot be mapped or granted is warned of, no error; it takes nothing away. */
static int read_cap_set(const struct json_at *at, uint64_t *ret, struct err *e)
{
	uint64_t set = 0;

	if (json_type_of(at->value) != JSON_ARRAY)
		return json_error(at, e, "expected an array of capability names");
	for (size_t i = 0; i < json_array_len(at); i++) {
		struct json_at item = json_array_at(at, i);
		const char *name = json_peek_string(&item);
		int cap;

		if (!name)
			return json_error(&item, e, "expected a capability name");
		if (iso_cap_parse(name, &cap) == 0)
			set |= UINT64_C(1) << cap;
	}
	*ret = set;
	return 0;
}

#define UNKNOWN_CAPS_MAX 1024 /* bytes of names: a warning is for people */

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; p && (p = strstr(p, word)); p += len)
		if (p[-1] == ' ' && (p[len] == ' ' || !p[len]))
			return true;
	return false;
}

/* The names of one set that the running kernel does not know, each once. */
static void add_unknown_caps(const struct json_at *set, struct strbuf *names)
{
	for (size_t i = 0; i < json_array_len(set); i++) {
		struct json_at item = json_array_at(set, i);
		const char *name = json_peek_string(&item);
		int cap;

		if (name && *name && iso_cap_parse(name, &cap) < 0 &&
		    names->len < UNKNOWN_CAPS_MAX && !has_word(names->data, name))
			strbuf_addf(names, " %s", name);
	}
}

int oci_unknown_capabilities(const struct oci_config *c, char **ret)
{
	struct json_at top = json_top(c->document), process, caps, set;
	struct strbuf names = {0};

	if (!json_member(&top, "process", &process) ||
	    !json_member(&process, "capabilities", &caps))
		return 0;
	for (size_t i = 0; i < ISO_CAP_SET_COUNT; i++)
		if (json_member(&caps, cap_set_names[i], &set))
			add_unknown_caps(&set, &names);
	return names.data || names.failed ? strbuf_take(&names, ret) : 0;
}

static int read_caps(const struct json_at *at, void *target, struct err *e)
{
	struct iso_caps *caps = target;

	if (json_type_of(at->value) != JSON_OBJECT)
		return json_error(at, e, "expected an object");
	for (size_t i = 0; i < ISO_CAP_SET_COUNT; i++) {
		struct json_at set;
		int r;

		if (!json_member(at, cap_set_names[i], &set))
			continue;
		r = read_cap_set(&set, &caps->set[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- limits ----------------------------------------------------------------------------- */

static int read_rlimit_type(const struct json_at *at, void *target, struct err *e)
{
	const char *name = json_peek_string(at);

	if (!name)
		return json_error(at, e, "expected a string like 'RLIMIT_NOFILE'");
	if (iso_rlimit_parse(name, target) < 0)
		return json_error(at, e, "unknown resource limit '%s'", name);
	return 0;
}

static const struct json_field rlimit_fields[] = {
	JSON_REQUIRED(struct iso_rlimit, resource, "type", read_rlimit_type),
	JSON_REQUIRED(struct iso_rlimit, soft, "soft", json_read_u64),
	JSON_REQUIRED(struct iso_rlimit, hard, "hard", json_read_u64),
};

static int read_rlimit(const struct json_at *at, void *target, struct err *e)
{
	struct iso_rlimit *l = target;
	int r;

	r = json_read_object(at, rlimit_fields, ARRAY_SIZE(rlimit_fields), l, e);
	if (r < 0)
		return r;
	if (l->soft > l->hard)
		return json_error(at, e, "soft limit %llu is above hard limit %llu",
				  (unsigned long long)l->soft, (unsigned long long)l->hard);
	return 0;
}

static int read_rlimits(const struct json_at *at, void *target, struct err *e)
{
	struct iso_process *p = target;
	int r;

	r = json_read_array(at, sizeof(*p->rlimits), read_rlimit, (void **)&p->rlimits,
			    &p->n_rlimits, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n_rlimits; i++) {
		for (size_t j = 0; j < i; j++) {
			struct json_at item = json_array_at(at, i);

			if (p->rlimits[i].resource == p->rlimits[j].resource)
				return json_error(&item, e, "%s is given twice",
						  iso_rlimit_name(p->rlimits[i].resource));
		}
	}
	return 0;
}

static int read_oom_score_adj(const struct json_at *at, void *target, struct err *e)
{
	int32_t v;
	int r;

	r = json_get_i32(at, &v, e);
	if (r < 0)
		return r;
	if (v < -1000 || v > 1000)
		return json_error(at, e, "%d is not between -1000 and 1000", v);
	*(int32_t *)target = v;
	return 0;
}

/* ---- the rest --------------------------------------------------------------------------- */

static int read_args(const struct json_at *at, void *target, struct err *e)
{
	int r;

	r = json_read_strv(at, target, e);
	if (r < 0)
		return r;
	if (strv_len(*(char ***)target) == 0)
		return json_error(at, e, "must name a command");
	return 0;
}

static int read_env(const struct json_at *at, void *target, struct err *e)
{
	char ***env = target;
	int r;

	r = json_read_strv(at, env, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < strv_len(*env); i++) {
		const char *eq = strchr((*env)[i], '=');
		struct json_at item = json_array_at(at, i);

		if (!eq || eq == (*env)[i])
			return json_error(&item, e, "'%s' is not of the form NAME=value",
					  (*env)[i]);
	}
	return 0;
}

static const struct json_field console_size_fields[] = {
	JSON_REQUIRED(struct iso_process, rows, "height", json_read_u16),
	JSON_REQUIRED(struct iso_process, cols, "width", json_read_u16),
};

static const struct json_field process_fields[] = {
	JSON_REQUIRED(struct iso_process, args, "args", read_args),
	JSON_REQUIRED(struct iso_process, cwd, "cwd", oci_read_absolute_path),
	JSON_FIELD(struct iso_process, env, "env", read_env),
	JSON_FIELD(struct iso_process, user, "user", read_user),
	JSON_OPTIONAL(struct iso_process, caps, caps.present, "capabilities", read_caps),
	{"rlimits", read_rlimits, 0, false, -1},
	JSON_FIELD(struct iso_process, terminal, "terminal", json_read_bool),
	JSON_FIELD(struct iso_process, no_new_privileges, "noNewPrivileges", json_read_bool),
	JSON_OPTIONAL(struct iso_process, oom_score_adj, has_oom_score_adj, "oomScoreAdj",
		      read_oom_score_adj),
	JSON_FIELD(struct iso_process, apparmor_profile, "apparmorProfile",
		   oci_read_string_or_none),
	JSON_FIELD(struct iso_process, selinux_label, "selinuxLabel", oci_read_string_or_none),
	JSON_FIELD(struct iso_process, scheduler, "scheduler", oci_read_scheduler),
	JSON_FIELD(struct iso_process, io_priority, "ioPriority", oci_read_io_priority),
	{"execCPUAffinity", oci_read_cpu_affinity, 0, false, -1},
};

int oci_read_process(const struct json_at *at, void *process, struct err *e)
{
	struct iso_process *p = process;
	struct json_at size;
	int r;

	r = json_read_object(at, process_fields, ARRAY_SIZE(process_fields), p, e);
	if (r < 0)
		return r;

	/* Spec: consoleSize is ignored without a terminal, whatever it holds. */
	if (!p->terminal || !json_member(at, "consoleSize", &size))
		return 0;
	return json_read_object(&size, console_size_fields, ARRAY_SIZE(console_size_fields), p, e);
}

int oci_process_read(const struct json_at *at, struct iso_process *ret, struct err *e)
{
	struct iso_process p = {0};
	int r;

	r = oci_read_process(at, &p, e);
	if (r < 0) {
		iso_process_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}
