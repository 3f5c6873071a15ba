/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `mounts` array. The option words are isolate's table; here they are only handed over, and the
 * combination is checked: what a bind needs, what a file system needs.
 * Spec: OCI runtime-spec config.md "Mounts".
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

/* Relative destinations are deprecated but allowed: they count from the root. */
static int read_destination(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (!s)
		return json_error(at, e, "expected a string");
	if (!*s)
		return json_error(at, e, "must not be empty");
	if (str_printf(target, "%s%s", *s == '/' ? "" : "/", s) < 0)
		return err_nomem(e);
	return 0;
}

static int read_options(const struct json_at *at, void *target, struct err *e)
{
	if (json_type_of(at->value) != JSON_ARRAY)
		return json_error(at, e, "expected an array of strings");
	for (size_t i = 0; i < json_array_len(at); i++) {
		struct json_at item = json_array_at(at, i);
		const char *word = json_peek_string(&item);
		_cleanup_free_ char *place = NULL;
		int r;

		if (!word)
			return json_error(&item, e, "expected a string");
		r = iso_mount_option(target, word, e);
		if (r == 0)
			continue;
		place = json_path(&item);
		return err_wrap(e, "%s", place ? place : "mounts");
	}
	return 0;
}

static const struct json_field mount_fields[] = {
	JSON_REQUIRED(struct iso_mount, destination, "destination", read_destination),
	JSON_FIELD(struct iso_mount, type, "type", json_read_string),
	JSON_FIELD(struct iso_mount, source, "source", json_read_string),
	/* Before the options, which may hold maps, too. */
	JSON_FIELD(struct iso_mount, uid_maps, "uidMappings", oci_read_id_maps),
	JSON_FIELD(struct iso_mount, gid_maps, "gidMappings", oci_read_id_maps),
	{"options", read_options, 0, false, -1},
};

/* A mount is a bind by its options (specification) or, as engines write it and other runtimes take
 * it, by the type "bind" or "rbind" alone. */
static void settle_bind(struct iso_mount *m)
{
	if (m->type && (STREQ(m->type, "bind") || STREQ(m->type, "rbind"))) {
		m->flags |= ISO_MOUNT_BIND;
		if (m->type[0] == 'r')
			m->flags |= ISO_MOUNT_REC;
	}
	if (m->flags & ISO_MOUNT_BIND) {
		free(m->type);
		m->type = NULL;
	}
}

/* Maps mean "idmap", and come in pairs. (Those of an option word, whose other half is the container's, have no
 * members here.) */
static int settle_maps(const struct json_at *at, struct iso_mount *m, struct err *e)
{
	struct json_at uid, gid;
	bool has_uid = json_member(at, "uidMappings", &uid) && json_array_len(&uid) > 0;
	bool has_gid = json_member(at, "gidMappings", &gid) && json_array_len(&gid) > 0;

	if (has_uid != has_gid)
		return json_error(at, e, "uidMappings and gidMappings go together");
	if (has_uid && m->maps_relative)
		return json_error(at, e, "mappings, and an option 'idmap' with others");
	if (has_uid && !(m->flags & (ISO_MOUNT_IDMAP | ISO_MOUNT_RIDMAP)))
		m->flags |= ISO_MOUNT_IDMAP;
	return 0;
}

static int read_mount(const struct json_at *at, void *target, struct err *e)
{
	struct iso_mount *m = target;
	int r;

	m->source_fd = -1; /* first: the destructor closes it, however far we come */
	r = json_read_object(at, mount_fields, ARRAY_SIZE(mount_fields), m, e);
	if (r < 0)
		return r;

	settle_bind(m);
	r = settle_maps(at, m, e);
	if (r < 0)
		return r;
	if (m->flags & ISO_MOUNT_REMOUNT)
		return 0;
	if (m->flags & ISO_MOUNT_BIND) {
		if (!m->source || !*m->source)
			return json_error(at, e, "a bind mount on '%s' needs a source",
					  m->destination);
	} else if (!m->type || !*m->type) {
		return json_error(at, e,
				  "a mount on '%s' needs a type, or the option 'bind' or 'rbind'",
				  m->destination);
	}
	return 0;
}

int oci_read_mounts(const struct json_at *at, void *isolation, struct err *e)
{
	struct iso_config *c = isolation;

	return json_read_array(at, sizeof(*c->mounts), read_mount, (void **)&c->mounts,
			       &c->n_mounts, e);
}
