/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `linux` object but its resources and its seccomp filter: namespaces, id maps, devices, kernel
 * parameters, hidden paths. Checks what needs no other part of the document; what belongs together
 * (a hostname and a UTS namespace) is iso_config_check()'s.
 * Spec: OCI runtime-spec config-linux.md.
 */
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

/* ---- namespaces ------------------------------------------------------------------------- */

struct raw_namespace {
	char *type, *path;
};

static const struct json_field namespace_fields[] = {
	JSON_REQUIRED(struct raw_namespace, type, "type", json_read_string),
	JSON_FIELD(struct raw_namespace, path, "path", json_read_string),
};

static int take_namespace(const struct json_at *at, struct raw_namespace *raw,
			  struct iso_namespace *table, struct err *e)
{
	enum iso_ns ns;

	if (iso_ns_parse(raw->type, &ns) < 0)
		return json_error(at, e, "unknown namespace type '%s'", raw->type);
	if (table[ns].mode != ISO_NS_INHERIT)
		return json_error(at, e, "the namespace '%s' is given twice", raw->type);
	/* An empty path is what engines write for "none". */
	if (!raw->path || !*raw->path) {
		table[ns].mode = ISO_NS_NEW;
		return 0;
	}
	if (raw->path[0] != '/')
		return json_error(at, e, "'%s' is not an absolute path", raw->path);
	table[ns].mode = ISO_NS_JOIN;
	table[ns].path = TAKE_PTR(raw->path);
	return 0;
}

int oci_read_namespaces(const struct json_at *at, void *ns_table, struct err *e)
{
	if (json_type_of(at->value) != JSON_ARRAY)
		return json_error(at, e, "expected an array");
	for (size_t i = 0; i < json_array_len(at); i++) {
		struct json_at item = json_array_at(at, i);
		struct raw_namespace raw = {0};
		int r;

		r = json_read_object(&item, namespace_fields, ARRAY_SIZE(namespace_fields), &raw,
				     e);
		if (r == 0)
			r = take_namespace(&item, &raw, ns_table, e);
		free(raw.type);
		free(raw.path);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- id maps ---------------------------------------------------------------------------- */

static const struct json_field id_map_fields[] = {
	JSON_REQUIRED(struct iso_id_map, inside, "containerID", json_read_u32),
	JSON_REQUIRED(struct iso_id_map, outside, "hostID", json_read_u32),
	JSON_REQUIRED(struct iso_id_map, count, "size", json_read_u32),
};

static int read_id_map(const struct json_at *at, void *target, struct err *e)
{
	struct iso_id_map *m = target;
	int r;

	r = json_read_object(at, id_map_fields, ARRAY_SIZE(id_map_fields), m, e);
	if (r < 0)
		return r;
	if (!m->count)
		return json_error(at, e, "size must not be 0");
	if (m->inside > UINT32_MAX - m->count || m->outside > UINT32_MAX - m->count)
		return json_error(at, e, "the range reaches beyond the last id");
	return 0;
}

int oci_read_id_maps(const struct json_at *at, void *target, struct err *e)
{
	struct iso_id_maps *maps = target;
	_cleanup_free_ char *place = NULL;
	int r;

	r = json_read_array(at, sizeof(*maps->v), read_id_map, (void **)&maps->v, &maps->n, e);
	if (r < 0)
		return r;
	place = json_path(at);
	return iso_id_maps_check(maps, place ? place : "id maps", e);
}

/* ---- devices ---------------------------------------------------------------------------- */

struct raw_device {
	struct iso_device d;
	bool has_major, has_minor;
};

static int read_device_type(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (!s || strlen(s) != 1 || !strchr("cbup", *s))
		return json_error(at, e, "expected one of the strings 'c', 'b', 'u', 'p'");
	*(char *)target = *s;
	return 0;
}

/* makedev(3) has room for more, the kernel's dev_t for 12 and 20 bits. */
static int read_number(const struct json_at *at, int64_t max, void *target, struct err *e)
{
	int64_t v;
	int r;

	r = json_get_i64(at, &v, e);
	if (r < 0)
		return r;
	if (v < 0 || v > max)
		return json_error(at, e, "%lld is not between 0 and %lld", (long long)v,
				  (long long)max);
	*(int64_t *)target = v;
	return 0;
}

static int read_major(const struct json_at *at, void *target, struct err *e)
{
	return read_number(at, (1 << 12) - 1, target, e);
}

static int read_minor(const struct json_at *at, void *target, struct err *e)
{
	return read_number(at, (1 << 20) - 1, target, e);
}

/* Permission bits. Some engines pass st_mode as it is, so the type bits are let through and dropped:
 * `type` says them. */
static int read_file_mode(const struct json_at *at, void *target, struct err *e)
{
	uint32_t v;
	int r;

	r = json_get_u32(at, &v, e);
	if (r < 0)
		return r;
	if (v & ~(uint32_t)(S_IFMT | 07777))
		return json_error(at, e, "%u is not a file mode", v);
	*(uint32_t *)target = v & 07777;
	return 0;
}

static const struct json_field device_fields[] = {
	JSON_REQUIRED(struct raw_device, d.path, "path", oci_read_absolute_path),
	JSON_REQUIRED(struct raw_device, d.type, "type", read_device_type),
	JSON_OPTIONAL(struct raw_device, d.major, has_major, "major", read_major),
	JSON_OPTIONAL(struct raw_device, d.minor, has_minor, "minor", read_minor),
	JSON_OPTIONAL(struct raw_device, d.mode, d.has_mode, "fileMode", read_file_mode),
	JSON_FIELD(struct raw_device, d.uid, "uid", oci_read_id),
	JSON_FIELD(struct raw_device, d.gid, "gid", oci_read_id),
};

static int read_device(const struct json_at *at, void *target, struct err *e)
{
	struct raw_device raw = {0};
	int r;

	r = json_read_object(at, device_fields, ARRAY_SIZE(device_fields), &raw, e);
	*(struct iso_device *)target = raw.d; /* owns the path, whatever r is */
	if (r < 0)
		return r;
	if (raw.d.type != 'p' && (!raw.has_major || !raw.has_minor))
		return json_error(at, e, "major and minor are required for a device of type '%c'",
				  raw.d.type);
	return 0;
}

int oci_read_devices(const struct json_at *at, void *isolation, struct err *e)
{
	struct iso_config *c = isolation;

	return json_read_array(at, sizeof(*c->devices), read_device, (void **)&c->devices,
			       &c->n_devices, e);
}

/* ---- the rest --------------------------------------------------------------------------- */

static int take_sysctl(const struct json_at *at, const char *key, const char *value, void *target,
		       struct err *e)
{
	struct iso_config *c = target;
	struct iso_sysctl *v;

	(void)at;
	v = reallocarray(c->sysctls, c->n_sysctls + 1, sizeof(*v));
	if (!v)
		return err_nomem(e);
	c->sysctls = v;
	v = &v[c->n_sysctls++];
	v->key = strdup(key);
	v->value = strdup(value);
	return v->key && v->value ? 0 : err_nomem(e);
}

static int read_sysctl(const struct json_at *at, void *isolation, struct err *e)
{
	return oci_read_string_map(at, take_sysctl, isolation, e);
}

/* The specification has the four plain words; engines also send the recursive ones. */
static const struct {
	const char *name;
	uint64_t flags;
} propagations[] = {
	{"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
	{"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
	{"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
	{"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
};

static int read_propagation(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (!s)
		return json_error(at, e, "expected a string");
	if (!*s) /* as engines write "not given" */
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++) {
		if (!STREQ(propagations[i].name, s))
			continue;
		*(uint64_t *)target = propagations[i].flags;
		return 0;
	}
	return json_error(at, e, "unknown mount propagation '%s'", s);
}

static const struct json_field linux_fields[] = {
	JSON_FIELD(struct oci_config, isolation.ns, "namespaces", oci_read_namespaces),
	JSON_FIELD(struct oci_config, isolation.uid_maps, "uidMappings", oci_read_id_maps),
	JSON_FIELD(struct oci_config, isolation.gid_maps, "gidMappings", oci_read_id_maps),
	JSON_FIELD(struct oci_config, isolation, "devices", oci_read_devices),
	JSON_FIELD(struct oci_config, cgroups_path, "cgroupsPath", oci_read_string_or_none),
	JSON_FIELD(struct oci_config, limits, "resources", oci_read_resources),
	JSON_FIELD(struct oci_config, isolation.rootfs.propagation, "rootfsPropagation",
		   read_propagation),
	JSON_FIELD(struct oci_config, isolation.seccomp, "seccomp", oci_read_seccomp),
	JSON_FIELD(struct oci_config, isolation, "sysctl", read_sysctl),
	JSON_FIELD(struct oci_config, isolation.masked_paths, "maskedPaths",
		   oci_read_absolute_paths),
	JSON_FIELD(struct oci_config, isolation.readonly_paths, "readonlyPaths",
		   oci_read_absolute_paths),
	JSON_FIELD(struct oci_config, isolation.mount_label, "mountLabel", oci_read_string_or_none),
	JSON_FIELD(struct oci_config, isolation, "netDevices", oci_read_net_devices),
	JSON_FIELD(struct oci_config, isolation, "personality", oci_read_personality),
	JSON_FIELD(struct oci_config, isolation, "timeOffsets", oci_read_time_offsets),
	JSON_FIELD(struct oci_config, isolation.memory_policy, "memoryPolicy",
		   oci_read_memory_policy),
};

int oci_read_linux(const struct json_at *at, void *config, struct err *e)
{
	return json_read_object(at, linux_fields, ARRAY_SIZE(linux_fields), config, e);
}
