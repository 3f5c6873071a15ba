/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --explain: what would be run and with what, and nothing is made.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "creation.h"
#include "sandbox.h"

static void add_limits(struct strbuf *b, const struct cg_limits *l)
{
	char size[STR_SIZE_MAX];
	bool any = false;

	strbuf_add(b, "limits:   ");
	if (l->memory_bytes > 0) {
		strbuf_addf(b, "memory %s", str_size((uint64_t)l->memory_bytes, size));
		any = true;
	}
	if (l->cpu_quota_usec > 0) {
		int64_t period = l->cpu_period_usec > 0 ? l->cpu_period_usec : 100000;

		strbuf_addf(b, "%scpus %.2f", any ? ", " : "",
			    (double)l->cpu_quota_usec / (double)period);
		any = true;
	}
	if (l->pids_max > 0) {
		strbuf_addf(b, "%sprocesses %lld", any ? ", " : "", (long long)l->pids_max);
		any = true;
	}
	strbuf_add(b, any ? "\n" : "none for memory, cpu and processes\n");
}

/* A guest's kernel has none of it: the configuration's annotation is for the host's. */
static void add_landlock(struct strbuf *b, const struct sandbox *s)
{
	_cleanup_free_ char *text = NULL;

	if (!s->config.isolation.landlock.present || s->plan.guest_memory_bytes > 0)
		return;
	if (iso_landlock_describe(iso_landlock_abi(), &text) == 0)
		strbuf_addf(b, "landlock: %s\n", text);
}

static void add_plan(struct strbuf *b, const struct sandbox *s)
{
	const struct rt_plan *p = &s->plan;
	const struct iso_rootfs *root = &s->config.isolation.rootfs;
	char size[STR_SIZE_MAX];

	strbuf_addf(b, "isolation %s\n", s->driver->name);
	strbuf_addf(b, "rootfs:   %s%s%s\n", root->path ? root->path : "none",
		    root->kind == ISO_ROOTFS_THROWAWAY ? ", changes are thrown away" : "",
		    root->readonly ? ", read-only" : "");
	strbuf_addf(b, "cgroup:   %s\n", s->state.cgroup_path[0] ? s->state.cgroup_path : "none");
	add_limits(b, &p->limits);
	add_landlock(b, s);
	if (p->guest_memory_bytes > 0)
		strbuf_addf(b, "guest:    memory %s, %u vCPU%s\n",
			    str_size(p->guest_memory_bytes, size), p->vcpus,
			    p->vcpus == 1 ? "" : "s");
	for (int k = 0; k < OCI_HOOK_KIND_COUNT; k++)
		for (size_t i = 0; i < s->config.hooks[k].n; i++)
			strbuf_addf(b, "hook:     %s %s\n", oci_hook_name((enum oci_hook_kind)k),
				    s->config.hooks[k].v[i].path);
	if (p->note)
		strbuf_addf(b, "note:     %s\n", p->note);
}

static int explain(struct creation *c, char **ret, struct err *e)
{
	struct strbuf b = {0};
	_cleanup_free_ char *document = NULL;
	int r = creation_load(c, e);

	if (r == 0)
		r = creation_plan(c, e);
	if (r < 0)
		return r;
	if (json_to_text(c->s->config.document, true, &document, NULL) < 0)
		return err_nomem(e);
	strbuf_add(&b, document);
	strbuf_add(&b, "\n\n");
	add_plan(&b, c->s);
	return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
}

int rt_explain(struct rt_ctx *ctx, struct rt_create_request *r, char **ret_text, struct err *e)
{
	struct creation c = {.ctx = ctx, .request = r, .s = sandbox_new(ctx)};
	int x;

	if (!c.s) {
		json_free(TAKE_PTR(r->document));
		return err_nomem(e);
	}
	x = explain(&c, ret_text, e);
	rt_close(c.s);
	return x < 0 ? err_wrap(e, "explain '%s'", r->id ? r->id : "") : 0;
}
