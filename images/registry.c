/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry as insula-fetch is told of it. docker.io is a name for people; its registry has another. Loopback
 * addresses may speak plain http, since nobody is on the way.
 */
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "store.h"

#define STALL_SEC     30
#define PEM_MAX_BYTES (4u << 20)

static bool is_loopback(const char *host)
{
	size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

	if (n == 9 && strncmp(host, "localhost", n) == 0)
		return true;
	if (n == 5 && strncmp(host, "[::1]", n) == 0)
		return true;
	return str_has_prefix(host, "127.") && strspn(host, "0123456789.") == n;
}

static int put(char *to, size_t size, const char *text, const char *what, struct err *e)
{
	if (strlen(text) >= size)
		return err_invalid(e, "%s of more than %zu characters", what, size - 1);
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

int registry_fill(const struct registry_place *place, const struct img_pull_params *how,
		  struct fetch_registry *ret, struct err *e)
{
	const bool insecure = how->any_tls || place->insecure;
	struct fetch_registry g = {
		.verify = !insecure,
		.may_http = insecure || is_loopback(place->host),
		.stall_sec = how->stall_sec ? how->stall_sec : STALL_SEC,
	};
	int r = put(g.host, sizeof(g.host),
		    STREQ(place->host, "docker.io") ? "registry-1.docker.io" : place->host,
		    "a host", e);

	if (r == 0)
		r = put(g.repository, sizeof(g.repository), place->repository, "a repository", e);
	if (r == 0)
		*ret = g;
	return r;
}

/* ---- certificates ------------------------------------------------------------------------------------- */

/* Of Debian, Fedora, Alpine. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem",
};

static int add_file(int dirfd, const char *path, struct strbuf *b, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = path_read_file_at(dirfd, path, PEM_MAX_BYTES, &text, &len, e);

	if (r < 0)
		return r;
	strbuf_add_len(b, text, len);
	strbuf_add(b, "\n");
	return b->failed ? err_nomem(e) : 0;
}

static int add_bundle(char *const *env, struct strbuf *b, struct err *e)
{
	const char *own = strv_env_get(env, "SSL_CERT_FILE");

	if (own && *own)
		return add_file(AT_FDCWD, own, b, e);
	for (size_t i = 0; i < ARRAY_SIZE(bundles); i++) {
		int r = add_file(AT_FDCWD, bundles[i], b, NULL);

		if (r != -ENOENT)
			return r < 0 ? add_file(AT_FDCWD, bundles[i], b, e) : 0;
	}
	return 0;
}

/* Spec: containers-certs.d(5): *.crt are authorities, *.cert and *.key the client's own. */
static int add_dir(const char *parent, const char *host, struct strbuf *b, struct err *e)
{
	_cleanup_close_ int dir = -EBADF;
	_cleanup_strv_ char **names = NULL;
	_cleanup_free_ char *path = NULL;
	int r = 0;

	if (str_printf(&path, "%s/%s", parent, host) < 0)
		return err_nomem(e);
	if (access(path, F_OK) < 0)
		return 0;
	dir = path_open_dir(path, e);
	if (dir < 0)
		return dir;
	r = store_read_dir(dir, "", &names, e);
	for (char **v = names; r == 0 && v && *v; v++) {
		if (str_has_suffix(*v, ".crt"))
			r = add_file(dir, *v, b, e);
		else if (str_has_suffix(*v, ".cert"))
			r = err_unsupported(e, "'%s/%s': certificates of clients", path, *v);
	}
	return r;
}

static int add_all(const char *host, char *const *env, struct strbuf *b, struct err *e)
{
	const char *home = strv_env_get(env, "HOME");
	_cleanup_free_ char *own = NULL;
	int r = add_bundle(env, b, e);

	if (r == 0 && home && str_printf(&own, "%s/.config/containers/certs.d", home) < 0)
		r = err_nomem(e);
	if (r == 0 && own)
		r = add_dir(own, host, b, e);
	if (r == 0)
		r = add_dir("/etc/containers/certs.d", host, b, e);
	return r < 0 ? r : add_dir("/etc/docker/certs.d", host, b, e);
}

int registry_certificates(const char *host, char *const *env, struct err *e)
{
	struct strbuf b = {0};
	int r = add_all(host, env, &b, e);

	if (r == 0)
		r = fd_sealed_memfd("certificates", b.data ? b.data : "", b.len, e);
	else
		err_wrap(e, "certificates of authorities");
	strbuf_done(&b);
	return r;
}
