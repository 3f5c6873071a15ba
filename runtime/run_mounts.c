/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of `insula run`: the ordinary ones of a container, what hides the host's own system, and what the
 * caller asked for, in this order; within the last, those nearer to the root first, as docker has it. What
 * the caller puts on the place of an ordinary one replaces it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "cgroups/limits.h"
#include "default_paths.h"
#include "run_document.h"

int run_add_mount(struct json *mounts, const char *destination, const char *type,
		  const char *source, const char *options)
{
	_cleanup_json_ struct json *m = json_new_object();
	_cleanup_strv_ char **words = NULL;

	if (!m || strv_split(options, ',', &words) < 0 ||
	    json_set(m, "destination", json_new_string(destination)) < 0 ||
	    json_set(m, "type", json_new_string(type)) < 0 ||
	    json_set(m, "source", json_new_string(source)) < 0 ||
	    json_set(m, "options", json_new_strv(words)) < 0)
		return -ENOMEM;
	return json_push(mounts, TAKE_PTR(m));
}

/* ---- the list --------------------------------------------------------------------------- */

static void mount_done(struct run_mount *m)
{
	free(m->destination);
	free(m->type);
	free(m->source);
	strv_free(m->options);
}

void run_mounts_done(struct run_mounts *m)
{
	for (size_t i = 0; i < m->n; i++)
		mount_done(&m->v[i]);
	free(m->v);
}

static bool is_at_or_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

bool run_mounts_cover(const struct run_mounts *m, const char *path)
{
	for (size_t i = 0; i < m->n; i++)
		if (is_at_or_below(path, m->v[i].destination))
			return true;
	return false;
}

static int check_destination(const struct run_mounts *m, const char *path, struct err *e)
{
	if (STREQ(path, "/"))
		return err_invalid(e, "the destination must not be the root");
	for (size_t i = 0; i < m->n; i++)
		if (STREQ(m->v[i].destination, path))
			return err_invalid(e, "two mounts on '%s'", path);
	return 0;
}

/* "bind" asks for the mount alone, whatever was said before it. */
static void settle_recursion(char **options)
{
	char **to = options;
	bool alone = false;

	for (char **w = options; w && *w; w++)
		alone = alone || STREQ(*w, "bind");
	for (char **w = options; alone && *w; w++) {
		if (STREQ(*w, "rbind"))
			free(*w);
		else
			*to++ = *w;
	}
	if (alone)
		*to = NULL;
}

int run_mounts_push(struct run_mounts *m, const char *destination, const char *type,
		    const char *source, const char *options, struct err *e)
{
	struct run_mount new = {0}, *grown;
	int r;

	if (!destination || destination[0] != '/')
		return err_invalid(e, "the destination '%s' is not an absolute path",
				   destination ? destination : "");
	if (path_normalize(destination, &new.destination) < 0)
		return err_nomem(e);
	r = check_destination(m, new.destination, e);
	if (r < 0) {
		mount_done(&new);
		return r;
	}
	new.type = strdup(type);
	new.source = strdup(source);
	grown = reallocarray(m->v, m->n + 1, sizeof(*m->v));
	if (grown)
		m->v = grown;
	if (!grown || !new.type || !new.source || strv_split(options, ',', &new.options) < 0) {
		mount_done(&new);
		return err_nomem(e);
	}
	settle_recursion(new.options);
	m->v[m->n++] = new;
	return 0;
}

int run_mounts_push_anonymous(struct run_mounts *m, const struct rt_run_request *r,
			      const char *destination, const char *options, struct err *e)
{
	_cleanup_free_ char *source = NULL, *all = NULL;
	int rc;

	if (!r->storage) {
		err_unsupported(e, "an anonymous volume on '%s': this sandbox has no storage",
				destination);
		return err_hint(e, "share a directory of the host: -v ./DIR:%s", destination);
	}
	if (str_printf(&source, "%s/volumes/%zu", r->storage, m->n_anonymous) < 0 ||
	    str_printf(&all, "rbind,rprivate,nodev,fill%s", options ? options : "") < 0)
		return err_nomem(e);
	rc = run_mounts_push(m, destination, "bind", source, all, e);
	if (rc == 0)
		m->n_anonymous++;
	return rc;
}

static int take_image_volumes(struct run_mounts *m, const struct rt_run_request *r, struct err *e)
{
	const struct img_config *c = run_image_config(r);

	for (char *const *v = c ? c->volumes : NULL; v && *v; v++) {
		_cleanup_free_ char *path = NULL;
		int rc;

		if (path_normalize(*v, &path) < 0)
			return err_nomem(e);
		/* The caller's own mount there is what a volume is for. */
		for (size_t i = 0; path && i < m->n; i++)
			if (STREQ(m->v[i].destination, path)) {
				free(path);
				path = NULL;
			}
		if (!path)
			continue;
		rc = run_mounts_push_anonymous(m, r, path, NULL, e);
		if (rc < 0)
			return err_wrap(e, "volume '%s' of the image", *v);
	}
	return 0;
}

static unsigned depth(const char *path)
{
	unsigned n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* Stable, and lists are short. */
static void sort_by_depth(struct run_mounts *m)
{
	for (size_t i = 1; i < m->n; i++)
		for (size_t k = i;
		     k > 0 && depth(m->v[k - 1].destination) > depth(m->v[k].destination); k--) {
			struct run_mount t = m->v[k];

			m->v[k] = m->v[k - 1];
			m->v[k - 1] = t;
		}
}

int run_mounts_take(const struct rt_run_request *r, struct run_mounts *ret, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < r->n_volumes && rc == 0; i++) {
		rc = run_take_volume(ret, r, &r->volumes[i], e);
		if (rc < 0)
			err_wrap(e, "volume '%s%s%s'", r->volumes[i].source ?: "",
				 r->volumes[i].source ? ":" : "", r->volumes[i].destination);
	}
	for (char *const *f = r->mounts; f && *f && rc == 0; f++) {
		rc = run_take_mount_flag(ret, r, *f, e);
		if (rc < 0)
			err_wrap(e, "--mount '%s'", *f);
	}
	for (char *const *f = r->tmpfs; f && *f && rc == 0; f++) {
		rc = run_take_tmpfs(ret, *f, e);
		if (rc < 0)
			err_wrap(e, "--tmpfs '%s'", *f);
	}
	if (rc == 0)
		rc = take_image_volumes(ret, r, e);
	if (rc == 0)
		sort_by_depth(ret);
	return rc;
}

/* ---- the ordinary ones ------------------------------------------------------------------ */

static struct json *member(struct json *o, const char *key)
{
	return json_object_member(o, key, false);
}

static const char *destination_of(struct json *mount)
{
	struct json_at at = json_top(mount), d;

	return json_member(&at, "destination", &d) ? json_peek_string(&d) : "";
}

/* Exchange one word of a mount's options; NULL as the new one drops it. */
static int replace_word(struct json *mount, const char *old, const char *new)
{
	struct json_at at = json_top(member(mount, "options"));
	_cleanup_strv_ char **words = NULL;

	for (size_t i = 0; i < json_array_len(&at); i++) {
		struct json_at item = json_array_at(&at, i);
		const char *word = json_peek_string(&item);

		if (STREQ(word, old))
			word = new;
		if (word && strv_push(&words, word) < 0)
			return -ENOMEM;
	}
	return json_set(mount, "options", json_new_strv(words));
}

static int set_shm_size(struct json *mount, int64_t bytes)
{
	char word[48];

	if (bytes == CG_UNSET || bytes <= 0)
		return 0;
	snprintf(word, sizeof(word), "size=%lld", (long long)bytes);
	return replace_word(mount, "size=65536k", word);
}

/* What --shm-size, --ipc and --privileged change in an ordinary mount. *ret_drop: there is none. */
static int adapt(const struct run_build *b, struct json *mount, bool *ret_drop)
{
	const char *on = destination_of(mount);
	bool hosts_ipc = b->ns.ipc.whose == RUN_HOSTS;
	int r = 0;

	*ret_drop = false;
	for (size_t i = 0; i < b->mounts.n; i++)
		if (STREQ(b->mounts.v[i].destination, on))
			*ret_drop = true;
	if (STREQ(on, "/dev/shm")) {
		*ret_drop = *ret_drop || b->ns.no_shm || hosts_ipc;
		r = set_shm_size(mount, b->request->shm_bytes);
	} else if (STREQ(on, "/dev/mqueue")) {
		*ret_drop = *ret_drop || hosts_ipc;
	} else if (STREQ(on, "/sys") && b->request->privileged) {
		r = replace_word(mount, "ro", NULL);
	} else if (STREQ(on, "/sys/fs/cgroup") && b->security.writable_cgroups) {
		r = replace_word(mount, "ro", NULL);
	}
	return r;
}

static int add_ordinary(const struct run_build *b, struct json *mounts)
{
	_cleanup_json_ struct json *all = run_fixed(DEFAULT_MOUNTS_JSON);
	struct json_at at;

	if (!all)
		return -ENOMEM;
	at = json_top(all);
	for (size_t i = 0; i < json_array_len(&at); i++) {
		struct json *mount = json_array_member(all, i);
		bool drop;

		if (adapt(b, mount, &drop) < 0 ||
		    (!drop && json_push(mounts, json_copy(mount)) < 0))
			return -ENOMEM;
	}
	return 0;
}

/* Shared memory and message queues of the host, where it has them, as --ipc host means. */
static int add_hosts_ipc(const struct run_build *b, struct json *mounts)
{
	static const char *const places[] = {"/dev/shm", "/dev/mqueue"};

	for (size_t i = 0; b->ns.ipc.whose == RUN_HOSTS && i < ARRAY_SIZE(places); i++) {
		if (run_mounts_cover(&b->mounts, places[i]) ||
		    run_check_source(places[i], NULL) < 0)
			continue;
		if (run_add_mount(mounts, places[i], "bind", places[i],
				  "rbind,rprivate,nosuid,noexec,nodev") < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------- */

/* Destinations of every kind count as volumes there: what the caller put in a place is his. */
static int hide_host(const struct run_build *b, struct json *mounts, struct json *masked,
		     struct err *e)
{
	struct rt_run_request view = *b->request;
	_cleanup_free_ struct rt_volume *all = calloc(b->mounts.n + 1, sizeof(*all));

	if (!all)
		return err_nomem(e);
	for (size_t i = 0; i < b->mounts.n; i++)
		all[i] = (struct rt_volume){.source = b->mounts.v[i].source,
					    .destination = b->mounts.v[i].destination};
	view.volumes = all;
	view.n_volumes = b->mounts.n;
	return run_hide_host(mounts, masked, b->rootfs.fd, &view, &b->user, b->home, e);
}

/* A volume of the host's own system begins empty: what lies there may be what we hide. */
static struct json *options_json(const struct run_build *b, const struct run_mount *m)
{
	_cleanup_json_ struct json *v = json_new_array();

	for (char *const *w = m->options; v && w && *w; w++)
		if (!(b->rootfs.host_root && STREQ(*w, "fill")) &&
		    json_push(v, json_new_string(*w)) < 0)
			return NULL;
	return TAKE_PTR(v);
}

static int add_asked(const struct run_build *b, struct json *mounts)
{
	for (size_t i = 0; i < b->mounts.n; i++) {
		const struct run_mount *m = &b->mounts.v[i];
		_cleanup_json_ struct json *o = json_new_object();

		if (!o || json_set(o, "destination", json_new_string(m->destination)) < 0 ||
		    json_set(o, "type", json_new_string(m->type)) < 0 ||
		    json_set(o, "source", json_new_string(m->source)) < 0 ||
		    json_set(o, "options", options_json(b, m)) < 0 ||
		    json_push(mounts, TAKE_PTR(o)) < 0)
			return -ENOMEM;
	}
	return 0;
}

int run_mounts_json(const struct run_build *b, struct json *masked, struct json **ret,
		    struct err *e)
{
	_cleanup_json_ struct json *mounts = json_new_array();
	int r = 0;

	if (!mounts || add_ordinary(b, mounts) < 0)
		return err_nomem(e);
	if (b->rootfs.host_root)
		r = hide_host(b, mounts, masked, e);
	if (r < 0)
		return r;
	if (add_hosts_ipc(b, mounts) < 0 || add_asked(b, mounts) < 0)
		return err_nomem(e);
	r = run_network_mounts(b, mounts, e);
	if (r == 0)
		r = run_init_mount(b, mounts, e);
	if (r == 0)
		*ret = TAKE_PTR(mounts);
	return r;
}
