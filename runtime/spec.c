/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document that `spec` writes: a container with a shell on a terminal, to be edited. It is kept
 * as the text that a person will see.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "default_paths.h"
#include "runtime/oci.h"

/* clang-format off */
static const char spec_text[] =
"{"
  "\"ociVersion\": \"" OCI_VERSION "\","
  "\"process\": {"
    "\"terminal\": true,"
    "\"user\": {\"uid\": 0, \"gid\": 0},"
    "\"args\": [\"sh\"],"
    "\"env\": ["
      "\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\","
      "\"TERM=xterm\""
    "],"
    "\"cwd\": \"/\","
    "\"capabilities\": {"
      "\"bounding\": [\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"],"
      "\"effective\": [\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"],"
      "\"permitted\": [\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"]"
    "},"
    "\"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024}],"
    "\"noNewPrivileges\": true"
  "},"
  "\"root\": {\"path\": \"rootfs\", \"readonly\": true},"
  "\"hostname\": \"insula\","
  "\"mounts\": " DEFAULT_MOUNTS_JSON ","
  "\"linux\": {"
    "\"resources\": {\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]},"
    "\"namespaces\": ["
      "{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"ipc\"},"
      "{\"type\": \"uts\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}"
    "],"
    "\"maskedPaths\": " DEFAULT_MASKED_PATHS_JSON ","
    "\"readonlyPaths\": " DEFAULT_READONLY_PATHS_JSON
  "}"
"}";
/* clang-format on */

struct json *oci_spec_default(void)
{
	struct json *document = NULL;

	/* NULL only when memory is out: the text is constant, and a test reads it. */
	if (json_parse(spec_text, strlen(spec_text), "spec", &document, NULL) < 0)
		return NULL;
	return document;
}

static struct json *single_map(uint32_t host_id)
{
	_cleanup_json_ struct json *list = json_new_array(), *map = json_new_object();

	if (!list || !map || json_set(map, "containerID", json_new_u64(0)) < 0 ||
	    json_set(map, "hostID", json_new_u64(host_id)) < 0 ||
	    json_set(map, "size", json_new_u64(1)) < 0 || json_push(list, TAKE_PTR(map)) < 0)
		return NULL;
	return TAKE_PTR(list);
}

/* Without a network namespace of its own a fresh sysfs is refused: the host's, bound read-only. Options of other mounts
 * must not name ids that are not mapped. */
static int rewrite_mount(struct json *mount)
{
	static const char *const sys_options[] = {"rbind", "nosuid", "noexec",
						  "nodev", "rro",    NULL};
	_cleanup_json_ struct json *kept = json_new_array();
	struct json_at at = json_top(mount), destination, options;

	if (json_member(&at, "destination", &destination) &&
	    STREQ(json_peek_string(&destination), "/sys")) {
		json_remove(mount, "type");
		if (json_set(mount, "source", json_new_string("/sys")) < 0)
			return -ENOMEM;
		return json_set(mount, "options", json_new_strv((char *const *)sys_options));
	}
	if (!kept || !json_member(&at, "options", &options))
		return kept ? 0 : -ENOMEM;
	for (size_t i = 0; i < json_array_len(&options); i++) {
		struct json_at item = json_array_at(&options, i);
		const char *word = json_peek_string(&item);

		if (!str_has_prefix(word, "uid=") && !str_has_prefix(word, "gid=") &&
		    json_push(kept, json_new_string(word)) < 0)
			return -ENOMEM;
	}
	return json_set(mount, "options", TAKE_PTR(kept));
}

struct json *oci_spec_rootless(uint32_t uid, uint32_t gid)
{
	static const char *const kinds[] = {"pid", "ipc", "uts", "mount", "cgroup", "user"};
	_cleanup_json_ struct json *document = oci_spec_default(), *list = json_new_array();
	struct json *lin, *mount, *mounts;

	if (!document || !list)
		return NULL;
	lin = json_object_member(document, "linux", false);
	mounts = json_object_member(document, "mounts", false);
	for (size_t i = 0; (mount = json_array_member(mounts, i)); i++)
		if (rewrite_mount(mount) < 0)
			return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct json *ns = json_new_object();

		if (!ns || json_set(ns, "type", json_new_string(kinds[i])) < 0) {
			json_free(ns);
			return NULL;
		}
		if (json_push(list, ns) < 0)
			return NULL;
	}
	json_remove(lin, "resources");
	if (json_set(lin, "namespaces", TAKE_PTR(list)) < 0 ||
	    json_set(lin, "uidMappings", single_map(uid)) < 0 ||
	    json_set(lin, "gidMappings", single_map(gid)) < 0)
		return NULL;
	return TAKE_PTR(document);
}
