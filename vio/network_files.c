/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of /etc/hosts and /etc/resolv.conf. Names and addresses come from flags and end up as words of a
 * line that every libc parses in its own way, so only what is a name or an address gets in.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "vio/network_files.h"

#define NAME_BYTES_MAX 253 /* RFC 1035 */

static bool is_domain_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

	return n > 0 && n <= NAME_BYTES_MAX && s[n] == '\0' && s[0] != '-' && s[0] != '.';
}

/* An address without a zone. */
static bool is_address(const char *s)
{
	struct in6_addr a;

	return inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1;
}

/* A name server may be link-local: "fe80::1%eth0". */
static bool is_server(const char *s)
{
	_cleanup_free_ char *copy = strdup(s);
	char *zone = copy ? strchr(copy, '%') : NULL;

	if (!copy)
		return false;
	if (zone) {
		*zone++ = '\0';
		if (!strchr(copy, ':') || !*zone || strlen(zone) >= IFNAMSIZ ||
		    strpbrk(zone, " \t\n/"))
			return false;
	}
	return is_address(copy);
}

/* ---- hosts ------------------------------------------------------------------------------ */

static int bad_host(const char *entry, struct err *e)
{
	err_invalid(e, "--add-host '%s' is not NAME:ADDRESS", entry);
	return err_hint(e, "such as db:10.0.0.5 or db:[fd00::5]");
}

/* The address may hold colons, the names do not: the first separator cuts. */
static int add_host(struct strbuf *b, const char *entry, struct err *e)
{
	const char *cut = entry + strcspn(entry, ":=");
	_cleanup_free_ char *names = strndup(entry, (size_t)(cut - entry));
	_cleanup_free_ char *address = *cut ? strdup(cut + 1) : NULL;
	size_t n = address ? strlen(address) : 0;
	char *plain = address, *save = NULL;

	if (!names || (*cut && !address))
		return err_nomem(e);
	if (!address || !*names)
		return bad_host(entry, e);
	if (STREQ(address, "host-gateway"))
		return err_unsupported(e,
				       "--add-host '%s': there is no bridge, so no gateway to the "
				       "host",
				       entry);
	if (n > 2 && plain[0] == '[' && plain[n - 1] == ']') {
		plain[n - 1] = '\0';
		plain++;
	}
	if (!is_address(plain))
		return bad_host(entry, e);
	strbuf_add(b, plain);
	for (char *name = strtok_r(names, ";", &save); name; name = strtok_r(NULL, ";", &save)) {
		if (!is_domain_name(name))
			return bad_host(entry, e);
		strbuf_addf(b, "\t%s", name);
	}
	strbuf_add(b, "\n");
	return 0;
}

static void add_own_name(struct strbuf *b, const struct vio_hosts *h)
{
	if (!h->hostname || !*h->hostname)
		return;
	/* Not 127.0.0.1, so that the address of "localhost" has one name. */
	strbuf_add(b, "127.0.1.1");
	if (h->domainname && *h->domainname && !strchr(h->hostname, '.'))
		strbuf_addf(b, "\t%s.%s", h->hostname, h->domainname);
	strbuf_addf(b, "\t%s", h->hostname);
	if (strchr(h->hostname, '.'))
		strbuf_addf(b, "\t%.*s", (int)strcspn(h->hostname, "."), h->hostname);
	strbuf_add(b, "\n");
}

int vio_hosts_text(const struct vio_hosts *h, char **ret, struct err *e)
{
	static const char usual[] = "127.0.0.1\tlocalhost\n"
				    "::1\tlocalhost ip6-localhost ip6-loopback\n"
				    "fe00::0\tip6-localnet\n"
				    "ff00::0\tip6-mcastprefix\n"
				    "ff02::1\tip6-allnodes\n"
				    "ff02::2\tip6-allrouters\n";
	struct strbuf b = {0};
	size_t n = h->base ? strlen(h->base) : 0;
	int r = 0;

	strbuf_add(&b, h->base ? h->base : usual);
	if (n > 0 && h->base[n - 1] != '\n')
		strbuf_add(&b, "\n");
	for (char *const *x = h->extra; x && *x && r == 0; x++)
		r = add_host(&b, *x, e);
	add_own_name(&b, h);
	if (r < 0) {
		strbuf_done(&b);
		return r;
	}
	return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
}

/* ---- resolv.conf ------------------------------------------------------------------------ */

/* Does the line begin with that word? */
static bool is_line(const char *line, const char *word)
{
	size_t n = strlen(word);

	return strncmp(line, word, n) == 0 && (line[n] == ' ' || line[n] == '\t');
}

static bool is_replaced(const struct vio_resolver *r, const char *line)
{
	return (r->servers && *r->servers && is_line(line, "nameserver")) ||
	       (r->search && *r->search && (is_line(line, "search") || is_line(line, "domain"))) ||
	       (r->options && *r->options && is_line(line, "options"));
}

static int add_base(struct strbuf *b, const struct vio_resolver *r, struct err *e)
{
	_cleanup_strv_ char **lines = NULL;

	if (!r->base)
		return 0;
	if (strv_split(r->base, '\n', &lines) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < strv_len(lines); i++)
		if (*lines[i] && !is_replaced(r, lines[i]))
			strbuf_addf(b, "%s\n", lines[i]);
	return 0;
}

static int add_search(struct strbuf *b, char *const *search, struct err *e)
{
	bool none = false;
	size_t n = strv_len(search);

	for (size_t i = 0; i < n; i++) {
		if (STREQ(search[i], "."))
			none = true;
		else if (!is_domain_name(search[i]))
			return err_invalid(e, "--dns-search '%s' is not a domain", search[i]);
	}
	if (none && n > 1)
		return err_invalid(e, "--dns-search '.' means none, and stands alone");
	if (none || n == 0)
		return 0;
	strbuf_add(b, "search");
	for (size_t i = 0; i < n; i++)
		strbuf_addf(b, " %s", search[i]);
	strbuf_add(b, "\n");
	return 0;
}

static int add_options(struct strbuf *b, char *const *options, struct err *e)
{
	if (!options || !*options)
		return 0;
	strbuf_add(b, "options");
	for (; *options; options++) {
		if (!**options || strpbrk(*options, " \t\r\n#;"))
			return err_invalid(e, "--dns-option '%s' is not an option of resolv.conf",
					   *options);
		strbuf_addf(b, " %s", *options);
	}
	strbuf_add(b, "\n");
	return 0;
}

int vio_resolver_text(const struct vio_resolver *r, char **ret, struct err *e)
{
	struct strbuf b = {0};
	int rc = add_base(&b, r, e);

	for (char *const *s = r->servers; s && *s && rc == 0; s++) {
		if (!is_server(*s))
			rc = err_invalid(e, "--dns '%s' is not an address", *s);
		else
			strbuf_addf(&b, "nameserver %s\n", *s);
	}
	if (rc == 0)
		rc = add_search(&b, r->search, e);
	if (rc == 0)
		rc = add_options(&b, r->options, e);
	if (rc < 0) {
		strbuf_done(&b);
		return rc;
	}
	strbuf_add(&b, "");
	return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
}
