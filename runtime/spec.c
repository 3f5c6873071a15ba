/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document that `spec` writes: a container with a shell on a terminal, to be edited. It is kept
 * as the text that a person will see.
 */
#include <string.h>

#include "base/cleanup.h"
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
