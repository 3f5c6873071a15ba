/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OCI configuration: the top of the document, and what ties its parts together. Reading is a
 * pure function of the document and the bundle's path; it looks at nothing on the host. What the
 * chosen driver can do is another question, asked by driver_check_config().
 * Spec: OCI runtime-spec config.md.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "landlock_document.h"
#include "oci_parse.h"

static void hooks_done(struct oci_hooks *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].path);
		strv_free(list->v[i].args);
		strv_free(list->v[i].env);
	}
	free(list->v);
}

void oci_config_done(struct oci_config *c)
{
	free(c->version);
	iso_config_done(&c->isolation);
	iso_process_done(&c->process);
	cg_limits_done(&c->limits);
	oci_vm_done(&c->vm);
	free(c->cgroups_path);
	for (size_t k = 0; k < OCI_HOOK_KIND_COUNT; k++)
		hooks_done(&c->hooks[k]);
	strv_free(c->annotations);
	json_free(c->document);
	memset(c, 0, sizeof(*c));
	c->isolation.rootfs.fd = -1;
	cg_limits_init(&c->limits);
}

/* ---- version ---------------------------------------------------------------------------- */

/* One number of a semantic version: no leading zero, no sign. */
static bool take_number(const char **p, unsigned *ret)
{
	const char *s = *p;
	unsigned v = 0;

	if (!isdigit((unsigned char)*s) || (*s == '0' && isdigit((unsigned char)s[1])))
		return false;
	for (; isdigit((unsigned char)*s); s++) {
		if (v > 1000000)
			return false;
		v = v * 10 + (unsigned)(*s - '0');
	}
	*p = s;
	*ret = v;
	return true;
}

static bool parse_version(const char *s, unsigned v[3])
{
	for (size_t i = 0; i < 3; i++) {
		if (i && *s++ != '.')
			return false;
		if (!take_number(&s, &v[i]))
			return false;
	}
	/* "-rc.1", "-dev", "+build": names of what came before or beside a release. */
	return !*s || ((*s == '-' || *s == '+') && s[1]);
}

static int read_version(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);
	unsigned v[3];

	if (!s)
		return json_error(at, e, "expected a string");
	if (!parse_version(s, v))
		return json_error(at, e, "'%s' is not a version like '%s'", s, OCI_VERSION);
	if (v[0] != 1)
		return json_error(at, e,
				  "version '%s' of the runtime specification is not supported; "
				  "1.0.0 up to, not including, 2.0.0 is",
				  s);
	return json_read_string(at, target, e);
}

/* ---- parts ------------------------------------------------------------------------------ */

static const struct json_field root_fields[] = {
	JSON_REQUIRED(struct iso_rootfs, path, "path", oci_read_word),
	JSON_FIELD(struct iso_rootfs, readonly, "readonly", json_read_bool),
};

static int read_root(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, root_fields, ARRAY_SIZE(root_fields), target, e);
}

static int take_annotation(const struct json_at *at, const char *key, const char *value,
			   void *target, struct err *e)
{
	char *entry = NULL;

	(void)at;
	if (str_printf(&entry, "%s=%s", key, value) < 0 || strv_consume(target, entry) < 0)
		return err_nomem(e);
	return 0;
}

static int read_annotations(const struct json_at *at, void *target, struct err *e)
{
	return oci_read_string_map(at, take_annotation, target, e);
}

static const struct json_field config_fields[] = {
	JSON_REQUIRED(struct oci_config, version, "ociVersion", read_version),
	JSON_FIELD(struct oci_config, isolation.rootfs, "root", read_root),
	JSON_OPTIONAL(struct oci_config, process, has_process, "process", oci_read_process),
	JSON_FIELD(struct oci_config, isolation.hostname, "hostname", oci_read_hostname),
	JSON_FIELD(struct oci_config, isolation.domainname, "domainname", oci_read_hostname),
	JSON_FIELD(struct oci_config, isolation, "mounts", oci_read_mounts),
	JSON_FIELD(struct oci_config, hooks, "hooks", oci_read_hooks),
	JSON_FIELD(struct oci_config, annotations, "annotations", read_annotations),
	JSON_FIELD(struct oci_config, vm, "vm", oci_read_vm),
	{"linux", oci_read_linux, 0, false, -1},
};

/* ---- paths of the bundle ---------------------------------------------------------------- */

static int resolve(char **path, const char *bundle, const char *place, struct err *e)
{
	char *joined;

	if ((*path)[0] == '/')
		return 0;
	if (!bundle)
		return err_invalid(e, "%s: the relative path '%s' needs a bundle", place, *path);
	if (str_printf(&joined, "%s/%s", bundle, *path) < 0)
		return err_nomem(e);
	free(*path);
	*path = joined;
	return 0;
}

static int resolve_paths(struct oci_config *c, const char *bundle, struct err *e)
{
	int r;

	r = c->isolation.rootfs.path ? resolve(&c->isolation.rootfs.path, bundle, "root.path", e)
				     : 0;
	for (size_t i = 0; r == 0 && i < c->isolation.n_mounts; i++) {
		struct iso_mount *m = &c->isolation.mounts[i];
		char place[64];

		if (!(m->flags & ISO_MOUNT_BIND) || !m->source)
			continue;
		snprintf(place, sizeof(place), "mounts[%zu].source", i);
		r = resolve(&m->source, bundle, place, e);
	}
	return r;
}

static int apply_annotations(struct oci_config *c, struct err *e)
{
	int r = oci_read_landlock(oci_annotation(c, ANNOTATION_LANDLOCK), &c->isolation.landlock,
				  e);

	return r < 0 ? r : oci_read_rootfs_kind(c, &c->isolation.rootfs, e);
}

static int read_document(struct json *document, const char *bundle, struct oci_config *c,
			 struct err *e)
{
	struct json_at top = json_top(document);
	int r;

	if (json_type_of(document) != JSON_OBJECT)
		return json_error(&top, e, "expected an object");
	r = json_read_object(&top, config_fields, ARRAY_SIZE(config_fields), c, e);
	if (r < 0)
		return r;
	/* A guest that boots from a disk has its root there. */
	if (!c->isolation.rootfs.path && !c->vm.image_path)
		return json_error(&top, e, "member 'root' is missing");
	r = resolve_paths(c, bundle, e);
	if (r < 0)
		return r;
	c->document = document; /* oci_annotation() looks there */
	return apply_annotations(c, e);
}

int oci_config_read(struct json *document, const char *bundle, struct oci_config *ret,
		    struct err *e)
{
	struct oci_config c = {0};
	_cleanup_free_ char *absolute = NULL;
	int r;

	/* A later chdir or another namespace must not change what the paths mean. */
	if (bundle && *bundle != '/') {
		absolute = realpath(bundle, NULL);
		if (!absolute)
			return err_sys(e, errno, "bundle '%s'", bundle);
		bundle = absolute;
	}

	c.isolation.rootfs.fd = -1;
	cg_limits_init(&c.limits);
	r = read_document(document, bundle, &c, e);
	if (r < 0) {
		c.document = NULL; /* still the caller's */
		oci_config_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

int oci_config_load(const char *bundle, struct oci_config *ret, struct err *e)
{
	_cleanup_json_ struct json *document = NULL;
	_cleanup_free_ char *absolute = NULL;
	_cleanup_close_ int dirfd = -1;
	int r;

	absolute = realpath(bundle, NULL);
	if (!absolute)
		return err_sys(e, errno, "bundle '%s'", bundle);
	dirfd = path_open_dir(absolute, e);
	if (dirfd < 0)
		return err_wrap(e, "bundle '%s'", bundle);
	r = json_parse_file_at(dirfd, "config.json", JSON_FILE_MAX, &document, e);
	if (r == -ENOENT)
		err_hint(e, "a bundle is a directory with a config.json; `insula-oci spec` writes "
			    "one");
	if (r < 0)
		return err_wrap(e, "bundle '%s'", bundle);
	r = oci_config_read(document, absolute, ret, e);
	if (r < 0)
		return err_wrap(e, "config.json");
	(void)TAKE_PTR(document);
	return 0;
}

const char *oci_annotation(const struct oci_config *c, const char *key)
{
	struct json_at top, annotations, value;

	/* Not in the strv: a key may hold '=' itself. */
	if (!c->document)
		return NULL;
	top = json_top(c->document);
	if (!json_member(&top, "annotations", &annotations) ||
	    json_type_of(annotations.value) != JSON_OBJECT ||
	    !json_member(&annotations, key, &value))
		return NULL;
	return json_peek_string(&value);
}
