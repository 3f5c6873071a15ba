/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a person asked for to an OCI document, with docker's defaults. The document goes the way of any
 * other; what cannot stand in it (the texts of its network files) is made from the same request by rt_run_files().
 * The parts are made in run_*.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "creation.h"
#include "isolate/erofs.h"
#include "landlock_document.h"
#include "oci_parse.h"
#include "run_document.h"
#include "run_root.h"
#include "run_userns.h"

#define DB_BYTES_MAX (1u << 20) /* as isolate reads passwd and group */

static void build_done(struct run_build *b)
{
	img_rootfs_done(&b->rootfs);
	free(b->user.additional_gids);
	free(b->home);
	free(b->hostname);
	run_namespaces_done(&b->ns);
	run_security_done(&b->security);
	run_mounts_done(&b->mounts);
}

struct json *run_fixed(const char *text)
{
	struct json *v = NULL;

	return json_parse(text, strlen(text), "default", &v, NULL) < 0 ? NULL : v;
}

/* ---- who -------------------------------------------------------------------------------- */

static int resolve(const struct run_build *b, const char *spec, struct iso_user *ret,
		   char **ret_home, struct err *e)
{
	_cleanup_free_ char *passwd = NULL, *group = NULL;
	int r;

	if (b->rootfs.fd >= 0)
		return iso_user_resolve(b->rootfs.fd, spec, ret, ret_home, e);
	r = img_rootfs_read(&b->rootfs, "/etc/passwd", DB_BYTES_MAX, &passwd, e);
	if (r == 0 || r == -ENOENT)
		r = img_rootfs_read(&b->rootfs, "/etc/group", DB_BYTES_MAX, &group, e);
	if (r < 0 && r != -ENOENT)
		return r;
	return iso_user_resolve_text(passwd, group, spec, ret, ret_home, e);
}

static int add_group(const struct run_build *b, const char *name, struct iso_user *user,
		     struct err *e)
{
	_cleanup_free_ char *spec = NULL;
	struct iso_user found = {0};
	uint32_t *grown;
	int r;

	if (STREQ(name, "keep-groups"))
		return err_unsupported(e,
				       "--group-add keep-groups is not supported: a process gets "
				       "only groups that are named");
	/* The user does not matter: numeric ones need no file. */
	if (str_printf(&spec, "0:%s", name) < 0)
		return err_nomem(e);
	r = resolve(b, spec, &found, NULL, e);
	free(found.additional_gids);
	if (r < 0)
		return err_wrap(e, "--group-add '%s'", name);
	for (size_t i = 0; i < user->n_additional_gids; i++)
		if (user->additional_gids[i] == found.gid)
			return 0;
	grown = reallocarray(user->additional_gids, user->n_additional_gids + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	user->additional_gids = grown;
	grown[user->n_additional_gids++] = found.gid;
	return 0;
}

/* --userns keep-id: the caller is himself, unless -u says otherwise. His home is what the root file system's passwd
 * file says of him. */
static int keep_id(struct run_build *b, struct err *e)
{
	_cleanup_free_ char *spec = NULL;
	int r;

	if (b->request->user)
		return 0;
	if (str_printf(&spec, "%u:%u", geteuid(), getegid()) < 0)
		return err_nomem(e);
	r = resolve(b, spec, &b->user, &b->home, e);
	return r < 0 ? r : 1;
}

static int take_user(struct run_build *b, struct err *e)
{
	const struct rt_run_request *r = b->request;
	const struct img_config *c = run_image_config(r);
	const char *spec = r->user ? r->user : c && c->user && *c->user ? c->user : "0";
	int rc = b->userns == RUN_USERNS_KEEP_ID ? keep_id(b, e) : run_user_self(b, e);

	if (rc == 0)
		rc = resolve(b, spec, &b->user, &b->home, e);
	if (rc > 0)
		rc = 0;
	for (char *const *g = r->groups; g && *g && rc == 0; g++)
		rc = add_group(b, *g, &b->user, e);
	return rc;
}

/* ---- its name --------------------------------------------------------------------------- */

/* Whoever has the host's network is known there by the host's name. */
static int take_hostname(struct run_build *b, struct err *e)
{
	const struct rt_run_request *r = b->request;
	const char *name = r->hostname;
	struct utsname u;

	if (!name && b->ns.network.whose == RUN_SANDBOXS)
		name = b->ns.peer_hostname;
	if (!name && (b->ns.uts.whose == RUN_HOSTS || b->ns.network.whose == RUN_HOSTS) &&
	    uname(&u) == 0)
		name = u.nodename;
	b->hostname = strdup(name && *name ? name : b->id);
	return b->hostname ? 0 : err_nomem(e);
}

static int set_names(struct json *document, const struct run_build *b)
{
	const char *domain =
		b->request->domainname ? b->request->domainname : b->ns.peer_domainname;

	if (b->ns.uts.whose == RUN_HOSTS)
		return 0;
	if (json_set(document, "hostname", json_new_string(b->hostname)) < 0 ||
	    (domain && json_set(document, "domainname", json_new_string(domain)) < 0))
		return -ENOMEM;
	return 0;
}

/* ---- the document ----------------------------------------------------------------------- */

/* mounts and linux together: hiding the host's secrets takes both. */
static int add_isolation(struct json *document, const struct run_build *b, struct err *e)
{
	_cleanup_json_ struct json *masked = json_new_array(), *mounts = NULL, *resources = NULL;
	struct json *l = json_object_member(document, "linux", true);
	int r;

	if (!masked || !l)
		return err_nomem(e);
	r = run_mounts_json(b, masked, &mounts, e);
	if (r == 0)
		r = run_resources_json(b->request, &resources, e);
	if (r == 0)
		r = run_devices_add(l, resources, mounts, b, e);
	if (r == 0)
		r = run_sysctls_add(l, b->request, e);
	if (r < 0)
		return r;
	if (json_set(document, "mounts", TAKE_PTR(mounts)) < 0 ||
	    json_set(l, "resources", TAKE_PTR(resources)) < 0)
		return err_nomem(e);
	return run_security_add(document, b, TAKE_PTR(masked), e);
}

/* The caller's first, so that ours win; ours are no flag's to set. */
static int add_callers_annotations(struct json *o, const struct rt_run_request *r, struct err *e)
{
	for (char *const *a = r->annotations; a && *a; a++) {
		const char *equals = strchr(*a, '=');
		_cleanup_free_ char *key = NULL;

		if (equals == *a || !**a)
			return err_invalid(e, "--annotation '%s' has no name", *a);
		key = equals ? strndup(*a, (size_t)(equals - *a)) : strdup(*a);
		if (!key)
			return err_nomem(e);
		if (STREQ(key, ANNOTATION_ISOLATION) || str_has_prefix(key, ANNOTATION_ROOTFS))
			return err_invalid(e, "--annotation '%s': it follows from other flags",
					   key);
		if (json_set(o, key, json_new_string(equals ? equals + 1 : "")) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int add_annotations(struct json *document, const struct run_build *b, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	int r;

	if (!o)
		return err_nomem(e);
	r = add_callers_annotations(o, b->request, e);
	if (r < 0)
		return r;
	if ((b->request->driver &&
	     json_set(o, ANNOTATION_ISOLATION, json_new_string(b->request->driver)) < 0) ||
	    (b->rootfs.host_root &&
	     json_set(o, ANNOTATION_ROOTFS, json_new_string("throwaway")) < 0) ||
	    run_layers_add(o, b) < 0 || json_set(document, "annotations", TAKE_PTR(o)) < 0)
		return err_nomem(e);
	return 0;
}

static int add_top(struct json *document, const struct run_build *b, struct err *e)
{
	const struct rt_run_request *r = b->request;
	_cleanup_json_ struct json *root = json_new_object();

	if (!root || run_root_add(root, b) < 0 ||
	    json_set(root, "readonly", json_new_bool(r->read_only)) < 0 ||
	    json_set(document, "ociVersion", json_new_string(OCI_VERSION)) < 0 ||
	    json_set(document, "root", TAKE_PTR(root)) < 0 || set_names(document, b) < 0)
		return err_nomem(e);
	return add_annotations(document, b, e);
}

static int make_document(const struct run_build *b, struct json **ret, struct err *e)
{
	_cleanup_json_ struct json *document = json_new_object();
	int r;

	if (!document)
		return err_nomem(e);
	r = add_top(document, b, e);
	if (r == 0)
		r = run_process_add(document, b, e);
	if (r == 0)
		r = add_isolation(document, b, e);
	if (r == 0)
		r = run_user_namespace(b, document, (enum run_userns_mode)b->userns, e);
	if (r == 0)
		r = run_throwaway_add(b, document, e);
	if (r == 0)
		r = run_add_landlock(document, b, e);
	if (r == 0)
		*ret = TAKE_PTR(document);
	return r;
}

/* ---- from the request ------------------------------------------------------------------- */

static const struct {
	const char *word;
	enum run_userns_mode roots, others; /* the caller being root, or an ordinary user */
} userns_words[] = {
	{"host", RUN_USERNS_NONE, RUN_USERNS_DEFAULT},
	{"private", RUN_USERNS_ROOT, RUN_USERNS_ROOT},
	{"keep-id", RUN_USERNS_NONE, RUN_USERNS_KEEP_ID},
	{"nomap", RUN_USERNS_NONE, RUN_USERNS_NOMAP},
};

static int take_userns(struct run_build *b, struct err *e)
{
	const char *word = b->request->userns;

	b->userns = RUN_USERNS_DEFAULT;
	if (!word || !*word)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(userns_words); i++) {
		if (!STREQ(userns_words[i].word, word))
			continue;
		if (!run_is_ordinary() && userns_words[i].roots == RUN_USERNS_NONE &&
		    !STREQ(word, "host"))
			return err_invalid(e,
					   "--userns %s is for ordinary users: root has no "
					   "subordinate ids",
					   word);
		b->userns = run_is_ordinary() ? userns_words[i].others : userns_words[i].roots;
		return 0;
	}
	if (STREQ(word, "auto") || str_has_prefix(word, "auto:") ||
	    str_has_prefix(word, "keep-id:") || str_has_prefix(word, "container:") ||
	    str_has_prefix(word, "ns:"))
		return err_unsupported(e, "--userns %s is not supported yet", word);
	err_invalid(e, "--userns '%s' is not known", word);
	return err_hint(e, "there are host, private, keep-id and nomap");
}

/* Flags first: what is wrong with them is found before anything is looked at. */
static int take_flags(struct run_build *b, struct err *e)
{
	const struct rt_run_request *r = b->request;
	int rc = run_namespaces_take(b->ctx, r, &b->ns, e);

	if (rc == 0)
		rc = take_userns(b, e);
	if (rc == 0)
		rc = run_security_take(r, &b->security, e);
	if (rc == 0)
		rc = run_mounts_take(r, &b->mounts, e);
	if (rc == 0 && r->init) {
		if (b->ns.pid.whose != RUN_OWN)
			rc = err_invalid(e,
					 "--init with --pid %s: it would not be the first "
					 "process",
					 r->pid);
		b->init = run_init_place(&b->mounts);
	}
	return rc;
}

static int build(struct rt_ctx *ctx, const struct rt_run_request *r, const char *id,
		 struct run_build *b, struct err *e)
{
	const struct img_source from = {
		.directory = r->rootfs, .image = r->image, .mount = iso_erofs_mount};
	int rc;

	*b = (struct run_build){.ctx = ctx, .request = r, .id = id, .rootfs.fd = -1};
	rc = take_flags(b, e);
	if (rc == 0)
		rc = take_hostname(b, e);
	if (rc == 0)
		rc = img_rootfs_open(&from, IMG_FORM_DIRECTORY, &b->rootfs, e);
	return rc;
}

int rt_run_document(struct rt_ctx *ctx, const struct rt_run_request *r, const char *id,
		    struct json **ret, struct err *e)
{
	struct run_build b;
	int rc = build(ctx, r, id, &b, e);

	if (rc == 0)
		rc = take_user(&b, e);
	if (rc == 0)
		rc = make_document(&b, ret, e);
	build_done(&b);
	return rc;
}

int run_file_push(struct rt_file **v, size_t *n, const char *path, char *text, mode_t mode,
		  struct err *e)
{
	_cleanup_free_ char *owned = text, *copy = strdup(path);
	struct rt_file *grown = reallocarray(*v, *n + 1, sizeof(**v));

	if (grown)
		*v = grown;
	if (!grown || !copy)
		return err_nomem(e);
	grown[(*n)++] =
		(struct rt_file){.path = TAKE_PTR(copy), .text = TAKE_PTR(owned), .mode = mode};
	return 0;
}

/* Directories of anonymous volumes, in the storage. */
static int volume_directories(const struct run_build *b, struct rt_file **v, size_t *n,
			      struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < b->mounts.n_anonymous && r == 0; i++) {
		_cleanup_free_ char *path = NULL;

		if (str_printf(&path, "%s/volumes/%zu", b->request->storage, i) < 0)
			return err_nomem(e);
		r = run_file_push(v, n, path, NULL, 0755, e);
	}
	return r;
}

int rt_run_files(struct rt_ctx *ctx, const struct rt_run_request *r, const char *id,
		 struct rt_file **ret, size_t *ret_n, struct err *e)
{
	struct run_build b;
	struct rt_file *v = NULL;
	size_t n = 0;
	int rc = build(ctx, r, id, &b, e);

	if (rc == 0)
		rc = run_network_texts(&b, &v, &n, e);
	if (rc == 0)
		rc = volume_directories(&b, &v, &n, e);
	if (rc == 0)
		rc = run_throwaway_directory(&b, &v, &n, e);
	build_done(&b);
	if (rc < 0) {
		rt_files_free(v, n);
		return rc;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}
