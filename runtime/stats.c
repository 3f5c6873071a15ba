/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox uses, in the shape that runc's `events` gave to the field: cpu times in nanoseconds, memory in bytes.
 * A limit that is none is the largest number, as engines expect it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "sandbox.h"

static int set_u64(struct json *o, const char *key, uint64_t v)
{
	return json_set(o, key, json_new_u64(v));
}

static struct json *cpu_object(const struct cg_stats *s)
{
	_cleanup_json_ struct json *o = json_new_object();
	struct json *usage = o ? json_object_member(o, "usage", true) : NULL;
	struct json *throttling = o ? json_object_member(o, "throttling", true) : NULL;

	if (!usage || !throttling || set_u64(usage, "total", s->cpu_usec * 1000) < 0 ||
	    set_u64(usage, "kernel", s->cpu_system_usec * 1000) < 0 ||
	    set_u64(usage, "user", s->cpu_user_usec * 1000) < 0 ||
	    set_u64(throttling, "periods", s->cpu_periods) < 0 ||
	    set_u64(throttling, "throttledPeriods", s->cpu_throttled_periods) < 0 ||
	    set_u64(throttling, "throttledTime", s->cpu_throttled_usec * 1000) < 0)
		return NULL;
	return TAKE_PTR(o);
}

/* "anon 4096" lines as members. A line that is none is left out. */
static struct json *memory_table(struct cgroup *g)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (!o || cg_memory_table(g, &text, NULL) < 0)
		return TAKE_PTR(o);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *blank = strchr(line, ' ');
		uint64_t v;

		if (!blank || parse_u64(blank + 1, &v) < 0)
			continue;
		*blank = '\0';
		if (set_u64(o, line, v) < 0)
			return NULL;
	}
	return TAKE_PTR(o);
}

static struct json *memory_object(struct cgroup *g, const struct cg_stats *s)
{
	_cleanup_json_ struct json *o = json_new_object();
	struct json *usage = o ? json_object_member(o, "usage", true) : NULL;
	struct json *swap = o ? json_object_member(o, "swap", true) : NULL;

	if (!usage || !swap || set_u64(usage, "usage", s->memory_bytes) < 0 ||
	    set_u64(usage, "limit", s->memory_limit_bytes) < 0 ||
	    set_u64(usage, "max", s->memory_peak_bytes) < 0 ||
	    set_u64(usage, "failcnt", s->memory_failures) < 0 ||
	    set_u64(swap, "usage", s->swap_bytes) < 0 ||
	    set_u64(swap, "limit", s->swap_limit_bytes) < 0 ||
	    json_set(o, "raw", memory_table(g)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static struct json *pids_object(const struct cg_stats *s)
{
	_cleanup_json_ struct json *o = json_new_object();

	/* 0 says "no limit" there. */
	if (!o || set_u64(o, "current", s->pids) < 0 ||
	    (s->pids_limit != UINT64_MAX && set_u64(o, "limit", s->pids_limit) < 0))
		return NULL;
	return TAKE_PTR(o);
}

static int push_io(struct json *array, const char *op, uint64_t value)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "op", json_new_string(op)) < 0 || set_u64(o, "value", value) < 0)
		return -ENOMEM;
	return json_push(array, TAKE_PTR(o));
}

/* Sums over all devices. */
static struct json *io_object(const struct cg_stats *s)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_json_ struct json *bytes = json_new_array(), *operations = json_new_array();

	if (!o || !bytes || !operations || push_io(bytes, "Read", s->io_read_bytes) < 0 ||
	    push_io(bytes, "Write", s->io_write_bytes) < 0 ||
	    push_io(operations, "Read", s->io_reads) < 0 ||
	    push_io(operations, "Write", s->io_writes) < 0 ||
	    json_set(o, "ioServiceBytesRecursive", TAKE_PTR(bytes)) < 0 ||
	    json_set(o, "ioServicedRecursive", TAKE_PTR(operations)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

int rt_stats_json(struct sandbox *s, struct json **ret, struct err *e)
{
	_cleanup_json_ struct json *o = NULL;
	struct cg_stats stats;
	int r = sandbox_need_cgroup(s, e);

	if (r == 0 && !sandbox_has_cgroup(s)) {
		err_unsupported(e, "the sandbox has no cgroup of its own");
		r = err_hint(e, "have the cgroup controllers delegated to this user");
	}
	if (r == 0)
		r = cg_stats(s->cgroup, &stats, e);
	if (r < 0)
		return err_wrap(e, "statistics of '%s'", s->dir.id);
	o = json_new_object();
	if (!o || json_set(o, "cpu", cpu_object(&stats)) < 0 ||
	    json_set(o, "memory", memory_object(s->cgroup, &stats)) < 0 ||
	    json_set(o, "pids", pids_object(&stats)) < 0 ||
	    json_set(o, "blkio", io_object(&stats)) < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(o);
	return 0;
}
