/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images, as docker and podman take them: what is implied is filled in ("debian" is
 * docker.io/library/debian), so that two ways to write one name meet in the store.
 *
 * Spec: OCI distribution-spec "Pulling manifests" (the expressions for <name> and <reference>); the first component
 * is a host when it has a dot or a colon, or is "localhost", as docker has always had it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "digest.h"
#include "images/image.h"

#define NAME_MAX_LEN 255
#define TAG_MAX_LEN  128
#define LOWER        "abcdefghijklmnopqrstuvwxyz"
#define DIGITS       "0123456789"
#define UPPER        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DEFAULT_HOST "docker.io"
#define DEFAULT_PATH "library/"

static const struct {
	const char *prefix;
	enum img_transport transport;
} transports[] = {
	{"oci:", IMG_OCI_LAYOUT},
	{"oci-archive:", IMG_OCI_ARCHIVE},
	{"docker-archive:", IMG_DOCKER_ARCHIVE},
};

/* Of other tools; told apart from a name with a tag ("docker:latest") by what follows. */
static const char *const foreign_transports[] = {
	"docker://", "docker-daemon:", "containers-storage:", "dir:", "sif:", "ostree:",
	"http://",   "https://",
};

void img_reference_done(struct img_reference *r)
{
	if (!r)
		return;
	free(r->path);
	free(r->name);
	free(r->tag);
	free(r->digest);
	*r = (struct img_reference){0};
}

/* ---- the parts of a name ------------------------------------------------------------------- */

/* [a-z0-9]+ joined by ".", "_", "__" or any number of "-". */
static bool is_path_component(const char *s, size_t len)
{
	size_t i = 0;

	for (;;) {
		size_t word = strspn(s + i, LOWER DIGITS), joint = 0;

		if (word == 0 || i + word > len)
			return false;
		i += word;
		if (i == len)
			return true;
		if (s[i] == '.')
			joint = 1;
		else if (s[i] == '_')
			joint = s[i + 1] == '_' ? 2 : 1;
		else
			joint = strspn(s + i, "-");
		if (joint == 0)
			return false;
		i += joint;
	}
}

/* Host name, IPv4 address or "[IPv6]", and perhaps ":PORT". */
static bool is_host(const char *s, size_t len)
{
	size_t n;

	if (*s == '[') {
		n = 1 + strspn(s + 1, DIGITS "abcdefABCDEF:");
		if (n < 3 || s[n] != ']')
			return false;
		n++;
	} else {
		n = strspn(s, LOWER UPPER DIGITS ".-");
		if (n == 0 || *s == '-' || *s == '.')
			return false;
	}
	if (n < len && s[n] == ':') {
		size_t port = strspn(s + n + 1, DIGITS);

		if (port == 0 || port > 5)
			return false;
		n += 1 + port;
	}
	return n == len;
}

static bool looks_like_host(const char *s, size_t len)
{
	return memchr(s, '.', len) || memchr(s, ':', len) ||
	       (len == 9 && strncmp(s, "localhost", 9) == 0) || strcspn(s, UPPER) < len;
}

static bool is_tag(const char *s)
{
	size_t n = strspn(s, LOWER UPPER DIGITS "_.-");

	return n > 0 && n <= TAG_MAX_LEN && s[n] == '\0' && *s != '.' && *s != '-';
}

static int check_path(const char *path, const char *text, struct err *e)
{
	for (;;) {
		size_t len = strcspn(path, "/");

		if (!is_path_component(path, len)) {
			err_invalid(e, "image '%s': '%.*s' cannot be part of a name", text,
				    (int)(len < 64 ? len : 64), path);
			return err_hint(e, strcspn(path, UPPER) < len
						   ? "names are in lower case"
						   : "names are lower case letters and digits, "
						     "joined by '.', '_' or '-'");
		}
		if (path[len] == '\0')
			return 0;
		path += len + 1;
	}
}

/* The full name: host and path. */
static int normalise(const char *name, const char *text, char **ret, bool *ret_unqualified,
		     struct err *e)
{
	const char *slash = strchr(name, '/'), *path = name;
	size_t host = slash ? (size_t)(slash - name) : 0;
	bool has_host = slash && looks_like_host(name, host);
	int r;

	if (has_host && !is_host(name, host))
		return err_invalid(e, "image '%s': '%.*s' is not a host", text,
				   (int)(host < 64 ? host : 64), name);
	if (has_host)
		path = slash + 1;
	r = check_path(path, text, e);
	if (r < 0)
		return r;
	*ret_unqualified = !has_host;
	if (has_host && host == 15 && strncmp(name, "index.docker.io", host) == 0)
		has_host = false;
	if (has_host && !(host == 9 && strncmp(name, DEFAULT_HOST, host) == 0))
		r = str_printf(ret, "%s", name);
	else
		r = str_printf(ret, DEFAULT_HOST "/%s%s", strchr(path, '/') ? "" : DEFAULT_PATH,
			       path);
	if (r < 0)
		return err_nomem(e);
	return strlen(*ret) > NAME_MAX_LEN
		       ? err_invalid(e, "image '%.64s…': a name of more than %d characters", text,
				     NAME_MAX_LEN)
		       : 0;
}

/* ---- stored names ---------------------------------------------------------------------------- */

static bool is_id(const char *s)
{
	return strlen(s) == DIGEST_HEX_LEN && strspn(s, DIGITS "abcdef") == DIGEST_HEX_LEN;
}

/* Cut "@DIGEST" and ":TAG" off the end of name, in place. */
static int cut_tail(char *name, const char *text, struct img_reference *r, struct err *e)
{
	char *at = strchr(name, '@'), *slash, *colon;

	if (at) {
		*at++ = '\0';
		if (!digest_is_valid(at)) {
			err_invalid(e, "image '%s': '%s' is not a digest", text, at);
			return err_hint(e, "sha256: and 64 digits or letters from a to f");
		}
		r->digest = strdup(at);
		if (!r->digest)
			return err_nomem(e);
	}
	slash = strrchr(name, '/');
	colon = strchr(slash ? slash : name, ':');
	if (!colon)
		return 0;
	*colon++ = '\0';
	if (!is_tag(colon)) {
		err_invalid(e, "image '%s': '%s' is not a tag", text, colon);
		return err_hint(e, "at most %d letters, digits, '_', '.' and '-'", TAG_MAX_LEN);
	}
	r->tag = strdup(colon);
	return r->tag ? 0 : err_nomem(e);
}

static int parse_stored(const char *text, struct img_reference *r, struct err *e)
{
	_cleanup_free_ char *name = strdup(digest_is_valid(text) ? digest_hex(text) : text);
	int x;

	if (!name)
		return err_nomem(e);
	if (is_id(name)) {
		r->name = TAKE_PTR(name);
		return 0;
	}
	x = cut_tail(name, text, r, e);
	return x < 0 ? x : normalise(name, text, &r->name, &r->unqualified, e);
}

/* ---- archives and layouts ---------------------------------------------------------------------- */

/* What follows the file of a docker archive is a name as any other. */
static int parse_docker_name(const char *name, const char *text, struct img_reference *r,
			     struct err *e)
{
	struct img_reference inner = {0};
	int x;

	if (*name == '@')
		return err_unsupported(e, "'%s': images by their place in the archive", text);
	x = parse_stored(name, &inner, e);
	if (x < 0) {
		img_reference_done(&inner);
		return err_wrap(e, "'%s'", text);
	}
	r->name = inner.name;
	r->tag = inner.tag;
	r->digest = inner.digest;
	return 0;
}

/* PATH[:NAME]: the first colon ends the path, as the other tools have it. */
static int parse_place(const char *rest, const char *text, struct img_reference *r, struct err *e)
{
	const char *colon = strchr(rest, ':');
	size_t len = colon ? (size_t)(colon - rest) : strlen(rest);

	if (len == 0)
		return err_invalid(e, "'%s' names no file", text);
	r->path = strndup(rest, len);
	if (!r->path)
		return err_nomem(e);
	if (!colon)
		return 0;
	if (colon[1] == '\0')
		return err_invalid(e, "'%s': nothing follows the last colon", text);
	if (r->transport == IMG_DOCKER_ARCHIVE)
		return parse_docker_name(colon + 1, text, r, e);
	r->tag = strdup(colon + 1); /* any text: an annotation of the layout */
	return r->tag ? 0 : err_nomem(e);
}

static int parse(const char *text, struct img_reference *r, struct err *e)
{
	if (!*text)
		return err_invalid(e, "the image has no name");
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_invalid(e, "the image's name has control characters");
	if (*text == '.' || *text == '/') {
		err_invalid(e, "'%s' is not the name of an image", text);
		return err_hint(e, "--rootfs %s for a directory, oci:%s for an OCI layout", text,
				text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
		if (str_has_prefix(text, transports[i].prefix)) {
			r->transport = transports[i].transport;
			return parse_place(text + strlen(transports[i].prefix), text, r, e);
		}
	for (size_t i = 0; i < ARRAY_SIZE(foreign_transports); i++)
		if (str_has_prefix(text, foreign_transports[i])) {
			err_unsupported(e, "image '%s': nothing reads '%s'", text,
					foreign_transports[i]);
			return err_hint(e, "what is read: oci:DIR, oci-archive:FILE, "
					   "docker-archive:FILE, and stored names");
		}
	r->transport = IMG_STORED;
	return parse_stored(text, r, e);
}

int img_reference_parse(const char *text, struct img_reference *ret, struct err *e)
{
	struct img_reference out = {0};
	int r = parse(text, &out, e);

	if (r < 0) {
		img_reference_done(&out);
		return r;
	}
	*ret = out;
	return 0;
}

/* ---- back to text -------------------------------------------------------------------------------- */

static const char *short_name(const char *name)
{
	const char *path = name;

	if (str_has_prefix(path, DEFAULT_HOST "/" DEFAULT_PATH) &&
	    !strchr(path + strlen(DEFAULT_HOST "/" DEFAULT_PATH), '/'))
		path += strlen(DEFAULT_HOST "/" DEFAULT_PATH);
	else if (str_has_prefix(path, DEFAULT_HOST "/"))
		path += strlen(DEFAULT_HOST "/");
	/* "localhost/x" of docker.io would be read as a host again. */
	return path != name && strchr(path, '/') &&
			       looks_like_host(path, (size_t)(strchr(path, '/') - path))
		       ? name
		       : path;
}

int img_reference_text(const struct img_reference *r, char **ret)
{
	const char *prefix = "", *name = r->name ? short_name(r->name) : "";
	struct strbuf b = {0};

	for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
		if (transports[i].transport == r->transport)
			prefix = transports[i].prefix;
	strbuf_add(&b, prefix);
	if (r->path) {
		strbuf_add(&b, r->path);
		strbuf_add(&b, r->name || r->tag ? ":" : "");
	}
	strbuf_add(&b, name);
	if (r->tag)
		strbuf_addf(&b, "%s%s", r->name ? ":" : "", r->tag);
	if (r->digest)
		strbuf_addf(&b, "@%s", r->digest);
	return strbuf_take(&b, ret);
}
