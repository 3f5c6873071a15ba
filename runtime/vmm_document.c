/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's form of a configuration. The guest runs the same code on it as a host does for a
 * container, so only what lies elsewhere there, or has been done already by the host, is changed:
 *
 *	root.path		the shared tree; `readonly` stays (the host enforces it too)
 *	mounts[]		sources of binds: their places in the shared tree
 *	/dev			a tmpfs if the configuration mounts nothing there: the file server
 *				makes no device nodes in a directory of the host's
 *	linux.namespaces	one of each kind that a container has, the network among them:
 *				sysctls of the network need one of the sandbox's own
 *	linux.resources		pids and device rules; the host's group holds the rest
 *	hostname		the host's, where none is given (a new UTS namespace inherits it)
 *	hooks, annotations, linux.cgroupsPath, linux.rootfsPropagation: gone, done by the host
 */
#include "vmm_document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "vm_share.h"

/* ---- checks ----------------------------------------------------------------------------- */

static int check_namespaces(const struct iso_config *c, struct err *e)
{
	static const struct {
		enum iso_ns ns;
		const char *wish;
	} own[] = {
		{ISO_NS_PID, "see the processes of the host"},
		{ISO_NS_NETWORK, "use the network of the host"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		const char *name = iso_ns_table[own[i].ns].oci_name;

		if (c->ns[own[i].ns].mode != ISO_NS_INHERIT)
			continue;
		err_unsupported(e,
				"linux.namespaces: without a %s namespace the sandbox would %s, "
				"and a microVM cannot",
				name, own[i].wish);
		return err_hint(e, own[i].ns == ISO_NS_NETWORK
					   ? "use --network none, or add {\"type\": \"network\"}"
					   : "add {\"type\": \"pid\"} to linux.namespaces");
	}
	return 0;
}

static int check_bind(const struct iso_mount *m, size_t i, struct err *e)
{
	struct stat st;

	/* A missing source is told by the step that mounts it, as for a container. */
	if (m->source_fd >= 0 ? fstat(m->source_fd, &st) < 0 : stat(m->source, &st) < 0)
		return 0;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return 0;
	err_unsupported(e, "mounts[%zu]: '%s' is a %s, which cannot be shared with a microVM", i,
			m->source,
			S_ISSOCK(st.st_mode)   ? "socket"
			: S_ISFIFO(st.st_mode) ? "FIFO"
					       : "device");
	return err_hint(e, "leave the mount out, or run this as a container");
}

int vmm_check_config(const struct oci_config *c, struct err *e)
{
	int r = check_namespaces(&c->isolation, e);

	for (size_t i = 0; r == 0 && i < c->isolation.n_mounts; i++)
		if (c->isolation.mounts[i].flags & ISO_MOUNT_BIND)
			r = check_bind(&c->isolation.mounts[i], i, e);
	return r;
}

/* Lexical, as both come from the same document; symlinks in the image can only make a mount point
 * that is not needed. */
bool vmm_mount_is_nested(const struct iso_config *c, size_t i)
{
	_cleanup_free_ char *inner = NULL;

	if (path_normalize(c->mounts[i].destination, &inner) < 0)
		return false;
	for (size_t k = 0; k < i; k++) {
		_cleanup_free_ char *outer = NULL;
		size_t len;

		if (path_normalize(c->mounts[k].destination, &outer) < 0)
			return false;
		len = STREQ(outer, "/") ? 0 : strlen(outer);
		if (strncmp(inner, outer, len) == 0 && (inner[len] == '/' || inner[len] == '\0'))
			return true;
	}
	return false;
}

/* ---- rewriting -------------------------------------------------------------------------- */

/* The layer is made on the host's side of the share: the guest's is an ordinary bind. */
static int drop_throwaway(struct json *mount)
{
	struct json_at top = json_top(mount), options;
	_cleanup_json_ struct json *kept = json_new_array();

	if (!json_member(&top, "options", &options))
		return 0;
	for (size_t i = 0; kept && i < json_array_len(&options); i++) {
		struct json_at word = json_array_at(&options, i);
		const char *text = json_peek_string(&word);

		if (text && !STREQ(text, "throwaway") && !str_has_prefix(text, "throwaway=") &&
		    json_push(kept, json_new_string(text)) < 0)
			return -ENOMEM;
	}
	return json_set(mount, "options", TAKE_PTR(kept));
}

static int rewrite_mounts(const struct iso_config *c, struct json *doc)
{
	struct json *mounts = json_object_member(doc, "mounts", false);

	for (size_t i = 0; i < c->n_mounts; i++) {
		struct json *m = json_array_member(mounts, i);
		_cleanup_free_ char *source = NULL;

		if (!(c->mounts[i].flags & ISO_MOUNT_BIND) ||
		    (c->mounts[i].flags & ISO_MOUNT_REMOUNT))
			continue;
		if (str_printf(&source, VM_SHARE_MOUNTS "/%zu", i) < 0 ||
		    json_set(m, "source", json_new_string(source)) < 0 ||
		    ((c->mounts[i].flags & ISO_MOUNT_THROWAWAY) && drop_throwaway(m) < 0))
			return -ENOMEM;
	}
	return 0;
}

static bool has_dev(const struct iso_config *c)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		_cleanup_free_ char *path = NULL;

		if (path_normalize(c->mounts[i].destination, &path) == 0 && STREQ(path, "/dev"))
			return true;
	}
	return false;
}

static int add_dev(struct json *doc)
{
	static const char *const options[] = {"nosuid", "strictatime", "mode=755", "size=65536k",
					      NULL};
	struct json *old = json_object_member(doc, "mounts", false), *all = json_new_array();
	struct json *dev = json_new_object();
	struct json_at top = json_top(doc), mounts;

	/* First, so that what the configuration mounts below /dev lands in it. */
	if (!all || !dev || json_set(dev, "destination", json_new_string("/dev")) < 0 ||
	    json_set(dev, "type", json_new_string("tmpfs")) < 0 ||
	    json_set(dev, "source", json_new_string("tmpfs")) < 0 ||
	    json_set(dev, "options", json_new_strv((char *const *)options)) < 0) {
		json_free(dev);
		json_free(all);
		return -ENOMEM;
	}
	if (json_push(all, dev) < 0) {
		json_free(all);
		return -ENOMEM;
	}
	if (old && json_member(&top, "mounts", &mounts))
		for (size_t i = 0; i < json_array_len(&mounts); i++)
			if (json_push(all, json_copy(json_array_member(old, i))) < 0) {
				json_free(all);
				return -ENOMEM;
			}
	return json_set(doc, "mounts", all);
}

static int push_namespace(struct json *list, const char *type)
{
	struct json *ns = json_new_object();

	if (!ns || json_set(ns, "type", json_new_string(type)) < 0) {
		json_free(ns);
		return -ENOMEM;
	}
	return json_push(list, ns);
}

static int rewrite_namespaces(struct json *lin)
{
	static const enum iso_ns kinds[] = {ISO_NS_PID, ISO_NS_MOUNT, ISO_NS_NETWORK,
					    ISO_NS_IPC, ISO_NS_UTS,   ISO_NS_CGROUP};
	struct json *list = json_new_array();
	int r = list ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kinds); i++)
		r = push_namespace(list, iso_ns_table[kinds[i]].oci_name);
	if (r < 0) {
		json_free(list);
		return r;
	}
	return json_set(lin, "namespaces", list);
}

/* Keep what the guest's kernel has to hold itself to. */
static int rewrite_resources(struct json *lin)
{
	static const char *const kept[] = {"pids", "devices"};
	struct json *old = json_object_member(lin, "resources", false), *fresh = json_new_object();

	if (!fresh)
		return -ENOMEM;
	for (size_t i = 0; old && i < ARRAY_SIZE(kept); i++) {
		struct json *v = json_object_member(old, kept[i], false);

		if (v && json_set(fresh, kept[i], json_copy(v)) < 0) {
			json_free(fresh);
			return -ENOMEM;
		}
	}
	return json_set(lin, "resources", fresh);
}

static int rewrite_linux(struct json *doc)
{
	static const char *const gone[] = {"cgroupsPath", "uidMappings", "gidMappings",
					   "rootfsPropagation"};
	struct json *lin = json_object_member(doc, "linux", true);

	if (!lin)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		json_remove(lin, gone[i]);
	return rewrite_namespaces(lin) < 0 || rewrite_resources(lin) < 0 ? -ENOMEM : 0;
}

static int rewrite(const struct oci_config *c, const char *host_name, struct json *doc)
{
	struct json *root = json_object_member(doc, "root", true);

	json_remove(doc, "hooks");
	json_remove(doc, "annotations");
	json_remove(doc, "vm");
	if (!root || json_set(root, "path", json_new_string(VM_SHARE_ROOTFS)) < 0 ||
	    rewrite_mounts(&c->isolation, doc) < 0 || rewrite_linux(doc) < 0)
		return -ENOMEM;
	if (!has_dev(&c->isolation) && add_dev(doc) < 0)
		return -ENOMEM;
	if (!c->isolation.hostname && host_name &&
	    json_set(doc, "hostname", json_new_string(host_name)) < 0)
		return -ENOMEM;
	return 0;
}

int vmm_guest_document(const struct oci_config *c, const char *host_name, struct json **ret,
		       struct err *e)
{
	_cleanup_json_ struct json *doc = json_copy(c->document);

	if (!doc || rewrite(c, host_name, doc) < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(doc);
	return 0;
}
