/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `hooks` object: programs of the caller's that run at fixed moments of a sandbox's life.
 * Spec: OCI runtime-spec config.md "POSIX-platform Hooks".
 */
#include "base/cleanup.h"
#include "oci_parse.h"

static const char *const hook_names[OCI_HOOK_KIND_COUNT] = {
	[OCI_HOOK_PRESTART] = "prestart",
	[OCI_HOOK_CREATE_RUNTIME] = "createRuntime",
	[OCI_HOOK_CREATE_CONTAINER] = "createContainer",
	[OCI_HOOK_START_CONTAINER] = "startContainer",
	[OCI_HOOK_POSTSTART] = "poststart",
	[OCI_HOOK_POSTSTOP] = "poststop",
};

const char *oci_hook_name(enum oci_hook_kind k)
{
	return (unsigned)k < OCI_HOOK_KIND_COUNT ? hook_names[k] : NULL;
}

static int read_timeout(const struct json_at *at, void *target, struct err *e)
{
	int32_t v;
	int r;

	r = json_get_i32(at, &v, e);
	if (r < 0)
		return r;
	if (v <= 0)
		return json_error(at, e, "%d is not greater than zero", v);
	*(int32_t *)target = v;
	return 0;
}

static const struct json_field hook_fields[] = {
	JSON_REQUIRED(struct oci_hook, path, "path", oci_read_absolute_path),
	JSON_FIELD(struct oci_hook, args, "args", json_read_strv),
	JSON_FIELD(struct oci_hook, env, "env", json_read_strv),
	JSON_OPTIONAL(struct oci_hook, timeout_sec, has_timeout, "timeout", read_timeout),
};

static int read_hook(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, hook_fields, ARRAY_SIZE(hook_fields), target, e);
}

static int read_hook_list(const struct json_at *at, void *target, struct err *e)
{
	struct oci_hooks *list = target;

	return json_read_array(at, sizeof(*list->v), read_hook, (void **)&list->v, &list->n, e);
}

int oci_read_hooks(const struct json_at *at, void *hooks, struct err *e)
{
	struct oci_hooks *by_kind = hooks;

	if (json_type_of(at->value) != JSON_OBJECT)
		return json_error(at, e, "expected an object");
	for (size_t k = 0; k < OCI_HOOK_KIND_COUNT; k++) {
		struct json_at list;
		int r;

		if (!json_member(at, hook_names[k], &list))
			continue;
		r = read_hook_list(&list, &by_kind[k], e);
		if (r < 0)
			return r;
	}
	return 0;
}
