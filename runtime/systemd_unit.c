/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of scopes and slices, and the groups that follow from them. The names come from a configuration, so they are
 * checked by systemd's own rules before it sees them: what it would refuse is refused here, by name.
 */
#include "systemd_unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

/* Spec: systemd.unit(5): "The unit name must not exceed 255 characters". */
#define UNIT_NAME_MAX 255

void systemd_unit_done(struct systemd_unit *u)
{
	free(u->name);
	free(u->slice);
	*u = (struct systemd_unit){0};
}

/* Spec: systemd.unit(5): letters, digits and ":-_.\"; "@" makes an instance of a template, which a transient unit is not. */
static bool is_unit_text(const char *s)
{
	static const char valid[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789:-_.\\";

	return *s && strspn(s, valid) == strlen(s);
}

static int check_name(const char *name, struct err *e)
{
	if (strlen(name) > UNIT_NAME_MAX)
		return err_invalid(e, "the name of systemd unit '%s' is longer than %d characters",
				   name, UNIT_NAME_MAX);
	if (is_unit_text(name) && name[0] != '.')
		return 0;
	err_invalid(e, "'%s' is not the name of a systemd unit", name);
	return err_hint(e, "letters, digits, ':', '-', '_', '.' and '\\' make one");
}

int systemd_slice_path(const char *slice, char **ret, struct err *e)
{
	struct strbuf b = {0};
	size_t len;
	int r;

	if (!str_has_suffix(slice, ".slice"))
		return err_invalid(e, "'%s' is not a systemd slice: it does not end in .slice",
				   slice);
	r = check_name(slice, e);
	if (r < 0)
		return r;
	if (STREQ(slice, "-.slice"))
		return str_printf(ret, "/") < 0 ? err_nomem(e) : 0;
	len = strlen(slice) - strlen(".slice");
	if (len == 0 || slice[0] == '-' || slice[len - 1] == '-')
		return err_invalid(e, "'%s' is not a systemd slice: an empty part", slice);
	for (size_t i = 1; i <= len; i++) {
		if (i < len && slice[i] != '-')
			continue;
		if (slice[i - 1] == '-') {
			strbuf_done(&b);
			return err_invalid(e, "'%s' is not a systemd slice: an empty part", slice);
		}
		strbuf_addf(&b, "/%.*s.slice", (int)i, slice);
	}
	return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
}

static int not_the_form(const char *wanted, struct err *e)
{
	err_invalid(e,
		    "linux.cgroupsPath: expected cgroupsPath to be of format \"slice:prefix:name\" "
		    "for systemd cgroups, got \"%s\" instead",
		    wanted);
	return err_hint(e, "use that form, or the cgroupfs manager (without --systemd-cgroup)");
}

static int make_names(const char *slice, const char *prefix, const char *name, bool user,
		      struct systemd_unit *ret, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (str_has_suffix(name, ".slice")) {
		err_unsupported(e, "linux.cgroupsPath: '%s': a slice as the group of a sandbox",
				name);
		return err_hint(e, "a slice holds no processes; name the scope in it");
	}
	if (str_printf(&ret->name, "%s%s%s.scope", prefix, *prefix ? "-" : "", name) < 0 ||
	    str_printf(&ret->slice, "%s", *slice ? slice : (user ? "user.slice" : "system.slice")) <
		    0)
		return err_nomem(e);
	r = check_name(ret->name, e);
	return r < 0 ? r : systemd_slice_path(ret->slice, &path, e);
}

int systemd_unit_resolve(const char *wanted, const char *id, bool user, struct systemd_unit *ret,
			 struct err *e)
{
	_cleanup_strv_ char **parts = NULL;
	struct systemd_unit u = {0};
	int r;

	if (!wanted || !*wanted) {
		r = make_names("", "insula", id, user, &u, e);
	} else {
		if (strv_split(wanted, ':', &parts) < 0)
			return err_nomem(e);
		if (strv_len(parts) != 3 || !*parts[2])
			return not_the_form(wanted, e);
		r = make_names(parts[0], parts[1], parts[2], user, &u, e);
	}
	if (r < 0) {
		systemd_unit_done(&u);
		return err_wrap(e, "cgroup manager systemd");
	}
	*ret = u;
	return 0;
}

/* The path of the line of hierarchy `which` ("::" for v2); its length in *ret_len. */
static const char *find_line(const char *text, const char *which, size_t *ret_len)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *at;
		size_t len;

		line += *line == '\n';
		len = strcspn(line, "\n");
		at = strchr(line, ':');
		if (!at || at >= line + len || strncmp(at, which, strlen(which)) != 0)
			continue;
		at += strlen(which);
		*ret_len = (size_t)(line + len - at);
		return at;
	}
	return NULL;
}

int systemd_group_of(const char *text, const struct systemd_unit *u, char **ret, struct err *e)
{
	_cleanup_free_ char *path = NULL, *slice = NULL, *tail = NULL;
	size_t len = 0;
	const char *at = find_line(text, ":name=systemd:", &len);
	int r = systemd_slice_path(u->slice, &slice, e);

	if (r < 0)
		return r;
	if (!at)
		at = find_line(text, "::", &len);
	if (!at)
		return err_unsupported(e, "systemd has no cgroup hierarchy on this host");
	path = strndup(at, len);
	if (!path || str_printf(&tail, "%s/%s", STREQ(slice, "/") ? "" : slice, u->name) < 0)
		return err_nomem(e);
	if (!str_has_suffix(path, tail))
		return err_set(e, ERR_STATE, ESTALE,
			       "a process of %s is in group '%s', not in '…%s'", u->name, path,
			       tail);
	*ret = TAKE_PTR(path);
	return 0;
}
