/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-oci update: new limits, from a file of the form of `linux.resources`, or from flags, which are made into one.
 */
#include "oci.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "cgroups/limits.h"

struct update_opts {
	const char *resources, *cpus, *mems;
	int64_t blkio_weight, period, quota, burst, shares, idle, rt_period, rt_runtime;
	int64_t memory, reservation, swap, pids;
};

#define FIELD(member) offsetof(struct update_opts, member)

static const struct opt update_opts[] = {
	{"resources", 'r', OPT_STRING, "FILE",
	 "the resources object of the specification as JSON; - is standard input",
	 FIELD(resources)},
	{"blkio-weight", 0, OPT_NUMBER, "N", "block I/O weight, 10 to 1000", FIELD(blkio_weight)},
	{"cpu-period", 0, OPT_NUMBER, "USEC", "period of the CPU quota", FIELD(period)},
	{"cpu-quota", 0, OPT_SIGNED, "USEC", "CPU time per period; -1: no limit", FIELD(quota)},
	{"cpu-burst", 0, OPT_NUMBER, "USEC", "unused quota that may be saved up", FIELD(burst)},
	{"cpu-share", 0, OPT_NUMBER, "N", "weight of its CPU time, 2 to 262144", FIELD(shares)},
	{"cpu-idle", 0, OPT_NUMBER, "0|1", "run only when nobody else wants to", FIELD(idle)},
	{"cpu-rt-period", 0, OPT_NUMBER, "USEC", "real-time period (cgroup v1)", FIELD(rt_period)},
	{"cpu-rt-runtime", 0, OPT_SIGNED, "USEC", "real-time runtime (cgroup v1)",
	 FIELD(rt_runtime)},
	{"cpuset-cpus", 0, OPT_STRING, "LIST", "CPUs it may use", FIELD(cpus)},
	{"cpuset-mems", 0, OPT_STRING, "LIST", "memory nodes it may use", FIELD(mems)},
	{"memory", 0, OPT_SIZE_SIGNED, "SIZE", "memory limit; -1: none", FIELD(memory)},
	{"memory-reservation", 0, OPT_SIZE_SIGNED, "SIZE", "memory that is kept for it",
	 FIELD(reservation)},
	{"memory-swap", 0, OPT_SIZE_SIGNED, "SIZE", "memory and swap together; -1: no limit",
	 FIELD(swap)},
	{"pids-limit", 0, OPT_SIGNED, "N", "limit of processes and threads; -1: none", FIELD(pids)},
	{"kernel-memory", 0, OPT_REFUSED_VALUE, "SIZE", "kernels have no such limit any more", 0},
	{"kernel-memory-tcp", 0, OPT_REFUSED_VALUE, "SIZE", "kernels have no such limit any more",
	 0},
	{"l3-cache-schema", 0, OPT_REFUSED_VALUE, "SCHEMA", "resctrl is not done", 0},
	{"mem-bw-schema", 0, OPT_REFUSED_VALUE, "SCHEMA", "resctrl is not done", 0},
};
const struct opt_table oci_update_options = OPT_TABLE(update_opts);

/* Where a flag's number goes: object and member of linux.resources. */
static const struct {
	size_t offset;
	const char *object, *member;
} numbers[] = {
	{FIELD(blkio_weight), "blockIO", "weight"},
	{FIELD(period), "cpu", "period"},
	{FIELD(quota), "cpu", "quota"},
	{FIELD(burst), "cpu", "burst"},
	{FIELD(shares), "cpu", "shares"},
	{FIELD(idle), "cpu", "idle"},
	{FIELD(rt_period), "cpu", "realtimePeriod"},
	{FIELD(rt_runtime), "cpu", "realtimeRuntime"},
	{FIELD(memory), "memory", "limit"},
	{FIELD(reservation), "memory", "reservation"},
	{FIELD(swap), "memory", "swap"},
	{FIELD(pids), "pids", "limit"},
};

static int add(struct json *resources, const char *object, const char *member, struct json *value)
{
	struct json *o = json_object_member(resources, object, true);

	if (o)
		return json_set(o, member, value);
	json_free(value);
	return -ENOMEM;
}

/* *ret_given: at least one flag was there. */
static int resources_of_flags(const struct update_opts *o, struct json **ret, bool *ret_given,
			      struct err *e)
{
	_cleanup_json_ struct json *resources = json_new_object();
	const char *const lists[][2] = {{"cpus", o->cpus}, {"mems", o->mems}};
	int r = resources ? 0 : -ENOMEM;

	*ret_given = false;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(numbers); i++) {
		int64_t v = *(const int64_t *)((const char *)o + numbers[i].offset);

		if (v == CG_UNSET)
			continue;
		*ret_given = true;
		r = add(resources, numbers[i].object, numbers[i].member, json_new_i64(v));
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++) {
		if (!lists[i][1])
			continue;
		*ret_given = true;
		r = add(resources, "cpu", lists[i][0], json_new_string(lists[i][1]));
	}
	if (r < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(resources);
	return 0;
}

static int resources_of_file(const char *path, struct json **ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!STREQ(path, "-"))
		return json_parse_file_at(AT_FDCWD, path, JSON_FILE_MAX, ret, e);
	r = fd_read_all(STDIN_FILENO, JSON_FILE_MAX, &text, &len, "standard input", e);
	return r < 0 ? r : json_parse(text, len, "standard input", ret, e);
}

static int read_resources(const struct update_opts *o, struct json **ret, struct err *e)
{
	_cleanup_json_ struct json *flags = NULL;
	bool given;
	int r = resources_of_flags(o, &flags, &given, e);

	if (r < 0)
		return r;
	if (o->resources && given)
		return err_invalid(e, "--resources: flags cannot be given beside the file");
	if (o->resources)
		return resources_of_file(o->resources, ret, e);
	if (!given) {
		err_invalid(e, "nothing to change");
		return err_hint(e, "name a limit, such as --memory 512m; see --help");
	}
	*ret = TAKE_PTR(flags);
	return 0;
}

int oci_update(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct update_opts o = {0};
	_cleanup_json_ struct json *resources = NULL;
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int first, r;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		*(int64_t *)((char *)&o + numbers[i].offset) = CG_UNSET;
	r = command_parse(cli, argc, argv, false, &o, &first, e);
	if (r >= 0)
		r = command_words(cli, argc, first, 1, 1, e);
	if (r >= 0)
		r = read_resources(&o, &resources, e);
	if (r >= 0)
		r = rt_open(&cli->ctx, argv[first], false, &s, e);
	return r < 0 ? r : rt_update(s, resources, e);
}
