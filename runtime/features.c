/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `features`: built from the tables that do the work (option words, capabilities, seccomp words,
 * the support table), so that it promises what a configuration will find.
 * Spec: OCI runtime-spec features.md, features-linux.md. Only properties that exist in OCI_VERSION
 * may appear.
 */
#include "base/cleanup.h"
#include "base/str.h"
#include "isolate/mount.h"
#include "isolate/namespace.h"
#include "isolate/process.h"
#include "isolate/seccomp.h"
#include "runtime/features.h"
#include "runtime/oci.h"
#include "runtime/support.h"

static struct json *names(const char *const *list)
{
	_cleanup_json_ struct json *a = json_new_array();

	for (; a && *list; list++)
		if (json_push(a, json_new_string(*list)) < 0)
			return NULL;
	return TAKE_PTR(a);
}

static struct json *one_bool(const char *key, bool value)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, key, json_new_bool(value)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static struct json *hooks(void)
{
	_cleanup_json_ struct json *a = json_new_array();

	for (unsigned k = 0; a && k < OCI_HOOK_KIND_COUNT; k++) {
		_cleanup_free_ char *row = NULL;

		if (str_printf(&row, "hooks.%s", oci_hook_name(k)) < 0)
			return NULL;
		if (support_by_any(row) && json_push(a, json_new_string(oci_hook_name(k))) < 0)
			return NULL;
	}
	return TAKE_PTR(a);
}

static struct json *namespaces(void)
{
	_cleanup_json_ struct json *a = json_new_array();

	for (unsigned n = 0; a && n < ISO_NS_COUNT; n++) {
		_cleanup_free_ char *row = NULL;

		if (str_printf(&row, "linux.namespaces[%s]", iso_ns_table[n].oci_name) < 0)
			return NULL;
		if (support_by_any(row) &&
		    json_push(a, json_new_string(iso_ns_table[n].oci_name)) < 0)
			return NULL;
	}
	return TAKE_PTR(a);
}

static struct json *capabilities(void)
{
	_cleanup_json_ struct json *a = json_new_array();
	const char *name;

	for (int cap = 0; a && cap < 64 && (name = iso_cap_name(cap)); cap++)
		if (json_push(a, json_new_string(name)) < 0)
			return NULL;
	return TAKE_PTR(a);
}

static struct json *cgroup(void)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "v1", json_new_bool(true)) < 0 ||
	    json_set(o, "v2", json_new_bool(true)) < 0 ||
	    json_set(o, "systemd", json_new_bool(true)) < 0 ||
	    json_set(o, "systemdUser", json_new_bool(true)) < 0 ||
	    json_set(o, "rdma", json_new_bool(support_by_any("linux.resources.rdma"))) < 0)
		return NULL;
	return TAKE_PTR(o);
}

/* Words without those that the support table refuses by name: "PLACE=WORD". */
static struct json *words_at(const char *place, const char *const *list)
{
	_cleanup_json_ struct json *a = json_new_array();

	for (const char *const *n = list; a && *n; n++) {
		_cleanup_free_ char *row = NULL;

		if (str_printf(&row, "%s=%s", place, *n) < 0)
			return NULL;
		if (support_find(row) && !support_by_any(row))
			continue;
		if (json_push(a, json_new_string(*n)) < 0)
			return NULL;
	}
	return TAKE_PTR(a);
}

static struct json *seccomp(void)
{
	_cleanup_json_ struct json *o = one_bool("enabled", true);

	if (!o ||
	    json_set(o, "actions",
		     words_at("linux.seccomp.syscalls[].action", iso_seccomp_action_names())) < 0 ||
	    json_set(o, "operators", names(iso_seccomp_op_names())) < 0 ||
	    json_set(o, "archs", names(iso_seccomp_arch_names())) < 0 ||
	    json_set(o, "knownFlags", names(iso_seccomp_flag_names())) < 0 ||
	    json_set(o, "supportedFlags", names(iso_seccomp_flag_names())) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static struct json *mount_extensions(void)
{
	_cleanup_json_ struct json *o = json_new_object();
	bool idmap = support_by_any("mounts[].uidMappings");

	if (!o || json_set(o, "idmap", one_bool("enabled", idmap)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static struct json *memory_policy(void)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "modes", names(iso_memory_mode_names())) < 0 ||
	    json_set(o, "flags", names(iso_memory_flag_names())) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static struct json *intel_rdt(void)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o ||
	    json_set(o, "enabled", json_new_bool(support_by_any("linux.intelRdt.closID"))) < 0 ||
	    json_set(o, "schemata", json_new_bool(support_by_any("linux.intelRdt.schemata"))) < 0 ||
	    json_set(o, "monitoring",
		     json_new_bool(support_by_any("linux.intelRdt.enableMonitoring"))) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static struct json *linux_features(void)
{
	_cleanup_json_ struct json *o = json_new_object();
	bool apparmor = support_by_any("process.apparmorProfile");
	bool selinux = support_by_any("process.selinuxLabel");

	if (!o || json_set(o, "memoryPolicy", memory_policy()) < 0 ||
	    json_set(o, "netDevices", one_bool("enabled", support_by_any("linux.netDevices"))) <
		    0 ||
	    json_set(o, "namespaces", namespaces()) < 0 ||
	    json_set(o, "capabilities", capabilities()) < 0 ||
	    json_set(o, "cgroup", cgroup()) < 0 || json_set(o, "seccomp", seccomp()) < 0 ||
	    json_set(o, "apparmor", one_bool("enabled", apparmor)) < 0 ||
	    json_set(o, "selinux", one_bool("enabled", selinux)) < 0 ||
	    json_set(o, "intelRdt", intel_rdt()) < 0 ||
	    json_set(o, "mountExtensions", mount_extensions()) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static struct json *annotations(void)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "org.insula.version", json_new_string(INSULA_VERSION)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

/* Annotations of a configuration that change what we do. */
static const char *const unsafe_annotations[] = {"org.insula.", NULL};

int rt_features_json(char **ret, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "ociVersionMin", json_new_string("1.0.0")) < 0 ||
	    json_set(o, "ociVersionMax", json_new_string(OCI_VERSION)) < 0 ||
	    json_set(o, "hooks", hooks()) < 0 ||
	    json_set(o, "mountOptions", words_at("mounts[].options[]", iso_mount_option_names())) <
		    0 ||
	    json_set(o, "linux", linux_features()) < 0 ||
	    json_set(o, "annotations", annotations()) < 0 ||
	    json_set(o, "potentiallyUnsafeConfigAnnotations", names(unsafe_annotations)) < 0)
		return err_nomem(e);
	if (json_to_text(o, true, ret, NULL) < 0)
		return err_nomem(e);
	return 0;
}
