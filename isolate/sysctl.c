/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel parameters of a container: only those that a namespace holds, and written only through the
 * private procfs instance. The container's own /proc may have been arranged by its configuration or
 * image so that the write lands elsewhere (CVE-2025-52881).
 * Spec: OCI runtime-spec config-linux.md "Sysctl"; key spelling as in sysctl.d(5).
 */
#include "sysctl.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "inside.h"

static const struct {
	const char *prefix; /* of the path; a whole name, or everything below when it ends in '/' */
	enum iso_ns ns;
} owners[] = {
	{"net/", ISO_NS_NETWORK},          {"fs/mqueue/", ISO_NS_IPC},
	{"kernel/msgmax", ISO_NS_IPC},     {"kernel/msgmnb", ISO_NS_IPC},
	{"kernel/msgmni", ISO_NS_IPC},     {"kernel/sem", ISO_NS_IPC},
	{"kernel/shmall", ISO_NS_IPC},     {"kernel/shmmax", ISO_NS_IPC},
	{"kernel/shmmni", ISO_NS_IPC},     {"kernel/shm_rmid_forced", ISO_NS_IPC},
	{"kernel/domainname", ISO_NS_UTS},
};

/* The first separator decides: after a dot, dots separate and slashes stand for dots in a name
 * (an interface "eth0.100"); after a slash the key is a path already. */
static void key_to_path(char *s)
{
	char *sep = strpbrk(s, "./");

	if (!sep || *sep == '/')
		return;
	for (; *s; s++) {
		if (*s == '.')
			*s = '/';
		else if (*s == '/')
			*s = '.';
	}
}

static bool path_is_plain(const char *path)
{
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (p[n] == '\0')
			return true;
		p += n + 1;
	}
}

int sysctl_resolve(const char *key, char **ret_path, enum iso_ns *ret_ns, struct err *e)
{
	_cleanup_free_ char *path = strdup(key);

	if (!path)
		return err_nomem(e);
	key_to_path(path);
	if (!path_is_plain(path))
		return err_invalid(e, "sysctl '%s': not a name", key);
	if (STREQ(path, "kernel/hostname")) {
		err_invalid(e, "sysctl '%s': not taken", key);
		return err_hint(e, "use the field hostname");
	}
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		const char *prefix = owners[i].prefix;

		if (str_has_suffix(prefix, "/") ? str_has_prefix(path, prefix)
						: STREQ(path, prefix)) {
			*ret_path = TAKE_PTR(path);
			*ret_ns = owners[i].ns;
			return 0;
		}
	}
	return err_invalid(e, "sysctl '%s': it belongs to the host, not to a namespace", key);
}

static int sysctl_write(struct inside *in, const struct iso_sysctl *s, struct err *e)
{
	_cleanup_free_ char *path = NULL, *below = NULL;
	enum iso_ns ns;
	int r;

	r = sysctl_resolve(s->key, &path, &ns, e);
	if (r < 0)
		return r;
	if (str_printf(&below, "sys/%s", path) < 0)
		return err_nomem(e);
	r = path_write_file_at(in->proc_fd, below, s->value, e);
	return r < 0 ? err_wrap(e, "set sysctl '%s' to '%s'", s->key, s->value) : 0;
}

int inside_sysctls(struct inside *in, struct err *e)
{
	for (size_t i = 0; i < in->config->n_sysctls; i++) {
		int r = sysctl_write(in, &in->config->sysctls[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}
