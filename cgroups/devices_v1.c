/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules in the v1 devices hierarchy.
 *
 * OCI rules are an ordered list in which the last match wins, for each kind of access by itself.
 * The v1 controller holds one default and a set of exceptions to it; adding a rule of the default's
 * own sense removes exceptions that are *equal* to it and nothing else, so writing the rules one
 * after the other would let some pass that forbid. They are therefore first folded into a default
 * and exceptions; a list that has no such form is refused.
 *
 * Under "deny" an access must lie within one exception as a whole (read-write is not the sum of a
 * read and a write exception), so overlapping exceptions are widened to their sum where they meet.
 * Spec: OCI runtime-spec config-linux.md "Allowed Device list".
 * Source: security/device_cgroup.c, match_exception(), dev_exception_rm(), devcgroup_update_access().
 */
#include "backend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define ENTRIES_MAX 1024 /* each costs the kernel an allocation and the check of each open a step */

#define RULE_TEXT 64

unsigned cg_device_access(const struct cg_device_rule *r)
{
	return (r->mknod ? CG_DEV_MKNOD : 0u) | (r->read ? CG_DEV_READ : 0u) |
	       (r->write ? CG_DEV_WRITE : 0u);
}

static void number_text(int64_t n, char *buf, size_t size)
{
	if (n < 0)
		snprintf(buf, size, "*");
	else
		snprintf(buf, size, "%" PRId64, n);
}

/* "c 1:3 rwm", as the kernel writes and reads it. */
static const char *entry_text(const struct cg_device_entry *x, char buf[RULE_TEXT])
{
	char major[24], minor[24];

	number_text(x->major, major, sizeof(major));
	number_text(x->minor, minor, sizeof(minor));
	snprintf(buf, RULE_TEXT, "%c %s:%s %s%s%s", x->type, major, minor,
		 x->access & CG_DEV_READ ? "r" : "", x->access & CG_DEV_WRITE ? "w" : "",
		 x->access & CG_DEV_MKNOD ? "m" : "");
	return buf;
}

static bool number_covers(int64_t outer, int64_t inner)
{
	return outer == -1 || outer == inner;
}

static bool covers(const struct cg_device_entry *outer, const struct cg_device_entry *inner)
{
	return outer->type == inner->type && number_covers(outer->major, inner->major) &&
	       number_covers(outer->minor, inner->minor);
}

static bool number_meets(int64_t a, int64_t b)
{
	return a == -1 || b == -1 || a == b;
}

static bool meets(const struct cg_device_entry *a, const struct cg_device_entry *b)
{
	return a->type == b->type && number_meets(a->major, b->major) &&
	       number_meets(a->minor, b->minor);
}

static bool same_devices(const struct cg_device_entry *a, const struct cg_device_entry *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor;
}

void cg_devices_plan_done(struct cg_device_plan *p)
{
	free(p->entries);
	*p = (struct cg_device_plan){0};
}

static int add_exception(struct cg_device_plan *p, const struct cg_device_entry *x, struct err *e)
{
	struct cg_device_entry *grown;

	for (size_t i = 0; i < p->n; i++) {
		if (same_devices(&p->entries[i], x)) {
			p->entries[i].access |= x->access;
			return 0;
		}
	}
	if (p->n == ENTRIES_MAX)
		return err_unsupported(e, "device rules: more than %d exceptions", ENTRIES_MAX);
	grown = reallocarray(p->entries, p->n + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	p->entries = grown;
	p->entries[p->n++] = *x;
	return 0;
}

/* A rule in the default's own sense takes exceptions back. */
static int take_back(struct cg_device_plan *p, const struct cg_device_entry *x, size_t number,
		     struct err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct cg_device_entry *old = &p->entries[i];
		char rule[RULE_TEXT], former[RULE_TEXT];

		if ((old->access & x->access) && meets(old, x)) {
			if (!covers(x, old)) {
				err_unsupported(e,
						"device rule %zu: '%s %s' takes a part out of '%s "
						"%s' before it, which cgroup v1 cannot express",
						number, p->default_allow ? "allow" : "deny",
						entry_text(x, rule),
						p->default_allow ? "deny" : "allow",
						entry_text(old, former));
				return err_hint(e,
						"name the devices one by one, or use a host with "
						"cgroup v2");
			}
			old->access &= ~x->access;
		}
		if (old->access)
			p->entries[kept++] = *old;
	}
	p->n = kept;
	return 0;
}

static int fold_rule(struct cg_device_plan *p, const struct cg_device_rule *r, size_t number,
		     struct err *e)
{
	struct cg_device_entry x = {
		.major = r->major, .minor = r->minor, .access = cg_device_access(r)};
	int ret = 0;

	if (r->type == 'a' && r->major == -1 && r->minor == -1 && x.access == CG_DEV_ALL) {
		p->default_allow = r->allow;
		p->n = 0;
		return 0;
	}
	for (const char *t = "bc"; ret == 0 && *t; t++) {
		if (r->type != 'a' && r->type != *t)
			continue;
		x.type = *t;
		ret = r->allow == p->default_allow ? take_back(p, &x, number, e)
						   : add_exception(p, &x, e);
	}
	return ret;
}

/* Under "deny": where two exceptions meet, one must hold the sum of their accesses. */
static int widen(struct cg_device_plan *p, struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->n; k++) {
			const struct cg_device_entry *a = &p->entries[i], *b = &p->entries[k];
			struct cg_device_entry both = *a;
			int r;

			if (i == k || !meets(a, b) || (a->access | b->access) == a->access ||
			    (a->access | b->access) == b->access)
				continue;
			both.major = a->major == -1 ? b->major : a->major;
			both.minor = a->minor == -1 ? b->minor : a->minor;
			both.access = a->access | b->access;
			r = add_exception(p, &both, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int cg_devices_plan(const struct cg_device_rule *rules, size_t n, struct cg_device_plan *ret,
		    struct err *e)
{
	/* A new group has what its parent has; where no rule matches, that stands. */
	struct cg_device_plan p = {.default_allow = true};
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = fold_rule(&p, &rules[i], i + 1, e);
	if (r == 0 && !p.default_allow)
		r = widen(&p, e);
	if (r < 0) {
		cg_devices_plan_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

/* ---- the kernel's files ---------------------------------------------------------------------------- */

/* The files that rules are written to, each opened once. */
struct rule_files {
	const struct cg_dir *dir;
	int fds[2]; /* by `allow` */
};

static void rule_files_done(struct rule_files *f)
{
	fd_close(f->fds[false]);
	fd_close(f->fds[true]);
}

static int write_rule(struct rule_files *f, bool allow, const char *rule, struct err *e)
{
	const char *file = allow ? "devices.allow" : "devices.deny";
	int r;

	if (f->fds[allow] < 0)
		f->fds[allow] = cg_file_open_write(f->dir->fd, file, rule, e);
	if (f->fds[allow] < 0)
		return f->fds[allow];
	r = cg_file_put(f->fds[allow], file, rule, e);
	if (r == -EPERM && allow)
		err_hint(e, "the parent cgroup does not have this device itself");
	if (r == -EINVAL)
		err_hint(e, "the group has sub-groups; device rules must be set before");
	return r;
}

static bool listed(const char *list, const char *entry)
{
	size_t len = strlen(entry);

	for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, entry, len) == 0 && (line[len] == '\n' || line[len] == '\0'))
			return true;
	return false;
}

/* Where the group denies by default already (an update), only the differences are written: nothing
 * that stays allowed is ever denied in between, and sub-groups are no obstacle. */
static int write_differences(struct rule_files *files, const struct cg_device_plan *p, char *list,
			     struct err *e)
{
	struct strbuf wanted = {0};
	_cleanup_free_ char *want = NULL;
	char *save = NULL;
	char text[RULE_TEXT];
	int r = 0;

	for (size_t i = 0; i < p->n; i++)
		strbuf_addf(&wanted, "%s\n", entry_text(&p->entries[i], text));
	strbuf_add(&wanted, "");
	if (strbuf_take(&wanted, &want) < 0)
		return err_nomem(e);
	for (size_t i = 0; r == 0 && i < p->n; i++)
		if (!listed(list, entry_text(&p->entries[i], text)))
			r = write_rule(files, true, text, e);
	for (char *line = strtok_r(list, "\n", &save); r == 0 && line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct cg_device_entry old = {0};
		bool kept = listed(want, line);

		/* Accesses are taken away one by one: an entry of the plan may have some of them. */
		for (size_t i = 0; !kept && i < p->n; i++) {
			const char *access = strrchr(line, ' ');

			old = p->entries[i];
			entry_text(&old, text);
			if (!access || strncmp(text, line, (size_t)(access - line) + 1) != 0)
				continue;
			kept = true;
			for (const char *a = "rwm"; r == 0 && *a; a++) {
				unsigned bit = *a == 'r'   ? CG_DEV_READ
					       : *a == 'w' ? CG_DEV_WRITE
							   : CG_DEV_MKNOD;
				struct cg_device_entry surplus = old;

				surplus.access = bit;
				if (!(old.access & bit) && strchr(access, *a))
					r = write_rule(files, false, entry_text(&surplus, text), e);
			}
		}
		if (!kept && r == 0)
			r = write_rule(files, false, line, e);
	}
	return r;
}

int cg_devices_v1_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	_cleanup_(cg_devices_plan_done) struct cg_device_plan p = {0};
	_cleanup_(rule_files_done) struct rule_files files = {.dir = d, .fds = {-1, -1}};
	_cleanup_free_ char *list = NULL;
	char text[RULE_TEXT];
	int r = cg_devices_plan(l->devices, l->n_devices, &p, e);

	if (r == 0)
		r = cg_file_slurp(d->fd, "devices.list", &list, e);
	if (r < 0)
		return r;
	if (!p.default_allow && !str_has_prefix(list, "a "))
		return write_differences(&files, &p, list, e);
	r = write_rule(&files, p.default_allow, "a", e);
	for (size_t i = 0; r == 0 && i < p.n; i++)
		r = write_rule(&files, !p.default_allow, entry_text(&p.entries[i], text), e);
	return r;
}
