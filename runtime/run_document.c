/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a person asked for to an OCI document, with docker's defaults: its capabilities, mounts,
 * masked paths and environment. The document goes the way of any other; nothing is passed beside
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "cgroups/limits.h"
#include "creation.h"
#include "default_paths.h"
#include "images/rootfs.h"
#include "oci_parse.h"
#include "run_document.h"
#include "runtime/seccomp_default.h"
#include "vio/network.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* docker's and podman's usual set of a container's root. */
static const int default_caps[] = {
	CAP_CHOWN,      CAP_DAC_OVERRIDE, CAP_FSETID,           CAP_FOWNER,
	CAP_MKNOD,      CAP_NET_RAW,      CAP_SETGID,           CAP_SETUID,
	CAP_SETFCAP,    CAP_SETPCAP,      CAP_NET_BIND_SERVICE, CAP_KILL,
	CAP_SYS_CHROOT, CAP_AUDIT_WRITE,
};

/* What the parts are made from. */
struct build {
	const struct rt_run_request *request;
	const char *id;
	struct img_rootfs rootfs;
	struct iso_user user;
	char *home;
	enum vio_network_kind network;
};

static void build_done(struct build *b)
{
	img_rootfs_done(&b->rootfs);
	free(b->user.additional_gids);
	free(b->home);
}

static struct json *fixed(const char *text)
{
	struct json *v = NULL;

	return json_parse(text, strlen(text), "default", &v, NULL) < 0 ? NULL : v;
}

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

/* ---- process ---------------------------------------------------------------------------- */

static uint64_t bounding_caps(void)
{
	uint64_t set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(default_caps); i++)
		set |= UINT64_C(1) << default_caps[i];
	return set;
}

/* Docker's environment: what is given wins over what is ours. */
static int make_env(const struct build *b, char ***ret)
{
	const struct rt_run_request *r = b->request;
	_cleanup_strv_ char **env = NULL;
	_cleanup_free_ char *hostname = NULL, *home = NULL;

	if (str_printf(&hostname, "HOSTNAME=%s", r->hostname ? r->hostname : b->id) < 0 ||
	    str_printf(&home, "HOME=%s", b->home) < 0 || strv_env_set(&env, DEFAULT_PATH) < 0 ||
	    strv_env_set(&env, hostname) < 0 || (r->tty && strv_env_set(&env, "TERM=xterm") < 0) ||
	    strv_env_set(&env, home) < 0)
		return -ENOMEM;
	for (char *const *v = r->env; v && *v; v++)
		if (strv_env_set(&env, *v) < 0)
			return -ENOMEM;
	*ret = TAKE_PTR(env);
	return 0;
}

static int add_process(struct json *document, const struct build *b, struct err *e)
{
	const struct rt_run_request *r = b->request;
	_cleanup_strv_ char **env = NULL;
	uint64_t caps = bounding_caps();
	struct iso_process p = {
		.args = (char **)r->args,
		.cwd = (char *)(r->workdir ? r->workdir : "/"),
		.user = b->user,
		.terminal = r->tty,
		/* Setuid programs of an image work, as with docker; on the host's own system there
		 * is nobody that an app should become. */
		.no_new_privileges = b->rootfs.host_root,
		.caps.present = true,
	};

	if (*p.cwd != '/')
		return err_invalid(e, "working directory '%s' is not an absolute path", p.cwd);
	if (make_env(b, &env) < 0)
		return err_nomem(e);
	p.env = env;
	/* Only root has them from the start; for others they are what a setuid program could get. */
	p.caps.set[ISO_CAP_BOUNDING] = caps;
	if (b->user.uid == 0)
		p.caps.set[ISO_CAP_PERMITTED] = p.caps.set[ISO_CAP_EFFECTIVE] = caps;
	if (json_set(document, "process", oci_process_to_json(&p)) < 0)
		return err_nomem(e);
	return 0;
}

/* ---- mounts ----------------------------------------------------------------------------- */

/* Words that -v takes, and what they become. */
static const struct {
	const char *word, *options; /* options NULL: nothing to add */
} volume_words[] = {
	{"rw", NULL},
	/* A read-only volume is so with all that is mounted below it. */
	{"ro", "ro,rro"},
	{"private", "private"},
	{"rprivate", "rprivate"}, /* and the default */
	{"slave", "slave"},       /* mounts made on the host later show up */
	{"rslave", "rslave"},
	{"bind", NULL},
	{"rbind", NULL},
	{"nosuid", "nosuid"},
	{"suid", "suid"},
	{"nodev", "nodev"},
	{"dev", "dev"},
	{"noexec", "noexec"},
	{"exec", "exec"},
};

/* Words that others take and we do not. */
static const struct {
	const char *word, *why;
} refused_volume_words[] = {
	{"z", "SELinux relabelling is not done"},
	{"Z", "SELinux relabelling is not done"},
	{"U", "changing owners of a volume is not done"},
	{"O", "overlays over a volume are not done"},
	{"idmap", "id-mapped mounts are not done"},
	{"shared", "mounts made in the sandbox never reach the host"},
	{"rshared", "mounts made in the sandbox never reach the host"},
};

static int take_volume_word(struct strbuf *options, const char *word, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(volume_words); i++) {
		if (!STREQ(volume_words[i].word, word))
			continue;
		if (volume_words[i].options)
			strbuf_addf(options, ",%s", volume_words[i].options);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused_volume_words); i++)
		if (STREQ(refused_volume_words[i].word, word))
			return err_unsupported(e, "option '%s' is not supported: %s", word,
					       refused_volume_words[i].why);
	return err_invalid(e, "unknown option '%s'", word);
}

static int volume_options(const struct rt_volume *v, char **ret, struct err *e)
{
	struct strbuf options = {0};
	_cleanup_strv_ char **words = NULL;
	int r = 0;

	if (v->options && strv_split(v->options, ',', &words) < 0)
		return err_nomem(e);
	/* The last word about propagation counts, so a given one wins over docker's default. */
	strbuf_add(&options, "rbind,rprivate");
	for (size_t i = 0; r == 0 && i < strv_len(words); i++)
		r = take_volume_word(&options, words[i], e);
	if (r < 0) {
		strbuf_done(&options);
		return r;
	}
	return strbuf_take(&options, ret) < 0 ? err_nomem(e) : 0;
}

/* Docker makes a missing source, and leaves a directory of root's where a typing error was. */
static int check_source(const char *source, struct err *e)
{
	_cleanup_close_ int root = -1, fd = -1;

	root = path_open_dir("/", e);
	if (root < 0)
		return root;
	fd = path_open_in_root(root, source, O_PATH, 0, e);
	if (fd == -ENOENT) {
		err_set(e, ERR_NOT_FOUND, ENOENT, "the source does not exist");
		return err_hint(e, "make it first: mkdir -p %s", source);
	}
	return fd < 0 ? fd : 0;
}

static int add_volume(struct json *mounts, const struct rt_volume *v, struct err *e)
{
	_cleanup_free_ char *options = NULL, *destination = NULL;
	int r;

	if (v->source[0] != '/' || v->destination[0] != '/')
		return err_invalid(e, "source and destination must be absolute paths");
	if (path_normalize(v->destination, &destination) < 0)
		return err_nomem(e);
	if (STREQ(destination, "/"))
		return err_invalid(e, "the destination must not be the root");
	r = check_source(v->source, e);
	if (r == 0)
		r = volume_options(v, &options, e);
	if (r < 0)
		return r;
	if (run_add_mount(mounts, destination, "bind", v->source, options) < 0)
		return err_nomem(e);
	return 0;
}

static int add_volumes(struct json *mounts, const struct rt_run_request *r, struct err *e)
{
	for (size_t i = 0; i < r->n_volumes; i++) {
		const struct rt_volume *v = &r->volumes[i];

		if (add_volume(mounts, v, e) < 0)
			return err_wrap(e, "volume '%s' on '%s'", v->source, v->destination);
	}
	return 0;
}

/* ---- linux ------------------------------------------------------------------------------ */

static int set_number(struct json *object, const char *key, int64_t value)
{
	return value == CG_UNSET ? 0 : json_set(object, key, json_new_i64(value));
}

static struct json *make_resources(const struct rt_run_request *r)
{
	_cleanup_json_ struct json *o =
		fixed("{\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]}");
	struct json *memory, *cpu, *pids;
	struct cg_limits l;
	int rc;

	memory = o ? json_object_member(o, "memory", r->memory_bytes != CG_UNSET) : NULL;
	cpu = o ? json_object_member(o, "cpu", r->cpus_micro != CG_UNSET) : NULL;
	pids = o ? json_object_member(o, "pids", r->pids_limit != CG_UNSET) : NULL;
	if (!o || (r->memory_bytes != CG_UNSET && !memory) || (r->cpus_micro != CG_UNSET && !cpu) ||
	    (r->pids_limit != CG_UNSET && !pids))
		return NULL;

	cg_limits_init(&l);
	if (cpu)
		cg_limits_set_cpus(&l, (uint64_t)r->cpus_micro);
	rc = memory ? set_number(memory, "limit", r->memory_bytes) : 0;
	if (rc == 0 && cpu)
		rc = set_number(cpu, "quota", l.cpu_quota_usec);
	if (rc == 0 && cpu)
		rc = set_number(cpu, "period", l.cpu_period_usec);
	if (rc == 0 && pids)
		rc = set_number(pids, "limit", r->pids_limit);
	cg_limits_done(&l);
	return rc < 0 ? NULL : TAKE_PTR(o);
}

static struct json *make_namespaces(enum vio_network_kind network)
{
	switch (network) {
	case VIO_NETWORK_NONE:
		return fixed("[{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"ipc\"}, "
			     "{\"type\": \"uts\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}]");
	case VIO_NETWORK_HOST:
		return fixed("[{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, "
			     "{\"type\": \"mount\"}, {\"type\": \"cgroup\"}]");
	}
	return NULL;
}

/* mounts and linux together: hiding the host's secrets takes both. */
static int add_isolation(struct json *document, const struct build *b, struct err *e)
{
	_cleanup_json_ struct json *mounts = fixed(DEFAULT_MOUNTS_JSON);
	_cleanup_json_ struct json *masked = fixed(DEFAULT_MASKED_PATHS_JSON);
	struct json *l = json_object_member(document, "linux", true);
	int r = 0;

	if (!mounts || !masked || !l)
		return err_nomem(e);
	if (b->rootfs.host_root)
		r = run_hide_host(mounts, masked, b->rootfs.fd, b->request, &b->user, b->home, e);
	if (r == 0)
		r = add_volumes(mounts, b->request, e);
	if (r < 0)
		return r;
	if (json_set(document, "mounts", TAKE_PTR(mounts)) < 0 ||
	    json_set(l, "resources", make_resources(b->request)) < 0 ||
	    json_set(l, "namespaces", make_namespaces(b->network)) < 0 ||
	    json_set(l, "seccomp", rt_seccomp_default(bounding_caps())) < 0 ||
	    json_set(l, "maskedPaths", TAKE_PTR(masked)) < 0 ||
	    json_set(l, "readonlyPaths", fixed(DEFAULT_READONLY_PATHS_JSON)) < 0)
		return err_nomem(e);
	return 0;
}

/* ---- the document ----------------------------------------------------------------------- */

static int add_annotations(struct json *document, const struct build *b)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o ||
	    (b->request->driver &&
	     json_set(o, ANNOTATION_ISOLATION, json_new_string(b->request->driver)) < 0) ||
	    (b->rootfs.host_root &&
	     json_set(o, ANNOTATION_ROOTFS, json_new_string("throwaway")) < 0))
		return -ENOMEM;
	return json_set(document, "annotations", TAKE_PTR(o));
}

static int add_top(struct json *document, const struct build *b)
{
	const struct rt_run_request *r = b->request;
	_cleanup_json_ struct json *root = json_new_object();

	if (!root || json_set(root, "path", json_new_string(b->rootfs.path)) < 0 ||
	    json_set(root, "readonly", json_new_bool(r->read_only)) < 0 ||
	    json_set(document, "ociVersion", json_new_string(OCI_VERSION)) < 0 ||
	    json_set(document, "root", TAKE_PTR(root)) < 0 ||
	    json_set(document, "hostname", json_new_string(r->hostname ? r->hostname : b->id)) < 0)
		return -ENOMEM;
	return add_annotations(document, b);
}

static int make_document(const struct build *b, struct json **ret, struct err *e)
{
	_cleanup_json_ struct json *document = json_new_object();
	int r;

	if (!document || add_top(document, b) < 0)
		return err_nomem(e);
	r = add_process(document, b, e);
	if (r == 0)
		r = add_isolation(document, b, e);
	if (r == 0)
		*ret = TAKE_PTR(document);
	return r;
}

int rt_run_document(struct rt_ctx *ctx, const struct rt_run_request *r, const char *id,
		    struct json **ret, struct err *e)
{
	struct build b = {.request = r, .id = id, .rootfs.fd = -1};
	const struct img_source from = {.directory = r->rootfs, .image = r->image};
	int rc = 0;

	(void)ctx;
	if (r->network)
		rc = vio_network_parse(r->network, &b.network, e);
	else
		b.network = VIO_NETWORK_NONE;
	if (rc == 0)
		rc = img_rootfs_open(&from, IMG_FORM_DIRECTORY, &b.rootfs, e);
	if (rc == 0)
		rc = iso_user_resolve(b.rootfs.fd, r->user ? r->user : "0", &b.user, &b.home, e);
	if (rc == 0)
		rc = make_document(&b, ret, e);
	build_done(&b);
	return rc;
}
