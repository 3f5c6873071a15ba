/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-oci checkpoint and restore, with runc's options.
 */
#include "oci.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attend.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

#define DEFAULT_IMAGES "checkpoint"

struct checkpoint_opts {
	const char *images, *work, *parent, *page_server, *cgroups, *lsm_profile,
		*lsm_mount_context;
	char **empty_ns;
	bool pre_dump, leave_running;
	bool tcp_established, ext_unix_sk, shell_job, file_locks, auto_dedup;
	/* of a restore */
	const char *bundle, *pid_file;
	bool detach;
};

#define FIELD(member) offsetof(struct checkpoint_opts, member)

#define COMMON_OPTS                                                                                 \
	{"image-path", 0, OPT_STRING, "DIR", "directory of the images; default: checkpoint",        \
	 FIELD(images)},                                                                            \
		{"work-path",                                                                       \
		 0,                                                                                 \
		 OPT_STRING,                                                                        \
		 "DIR",                                                                             \
		 "directory of criu's log; default: that of the images",                            \
		 FIELD(work)},                                                                      \
		{"tcp-established",     0, OPT_FLAG, NULL, "allow established TCP connections",     \
		 FIELD(tcp_established)},                                                           \
		{"ext-unix-sk",     0, OPT_FLAG, NULL, "allow Unix sockets with a peer outside",    \
		 FIELD(ext_unix_sk)},                                                               \
		{"shell-job",     0, OPT_FLAG, NULL, "allow a session leader outside",              \
		 FIELD(shell_job)},                                                                 \
		{"file-locks", 0, OPT_FLAG, NULL, "handle file locks", FIELD(file_locks)},          \
		{"auto-dedup",     0, OPT_FLAG, NULL, "drop pages that a later image has",          \
		 FIELD(auto_dedup)},                                                                \
		{"manage-cgroups-mode",                                                             \
		 0,                                                                                 \
		 OPT_STRING,                                                                        \
		 "MODE",                                                                            \
		 "soft (default), full, strict or ignore",                                          \
		 FIELD(cgroups)},                                                                   \
		{"empty-ns",     0, OPT_LIST, "NAMESPACE", "network: restore it empty",             \
		 FIELD(empty_ns)},                                                                  \
		{"lsm-profile",     0, OPT_STRING, "TYPE:NAME", "security profile of the restored", \
		 FIELD(lsm_profile)},                                                               \
		{"lsm-mount-context",                                                               \
		 0,                                                                                 \
		 OPT_STRING,                                                                        \
		 "CONTEXT",                                                                         \
		 "security context of its mounts",                                                  \
		 FIELD(lsm_mount_context)},                                                         \
	{                                                                                           \
		"lazy-pages", 0, OPT_REFUSED, NULL, "pages on demand are not done", 0               \
	}

static const struct opt dump_opts[] = {
	COMMON_OPTS,
	{"parent-path", 0, OPT_STRING, "DIR",
	 "images of a pre-dump, relative to those of --image-path", FIELD(parent)},
	{"pre-dump", 0, OPT_FLAG, NULL, "write the memory only, and leave it running",
	 FIELD(pre_dump)},
	{"leave-running", 'R', OPT_FLAG, NULL, "do not end the container", FIELD(leave_running)},
	{"page-server", 0, OPT_STRING, "ADDRESS:PORT", "criu's page server that takes the memory",
	 FIELD(page_server)},
	{"status-fd", 0, OPT_REFUSED_VALUE, "FD", "only of use with --lazy-pages", 0},
};
const struct opt_table oci_checkpoint_options = OPT_TABLE(dump_opts);

static const struct opt restore_opts[] = {
	COMMON_OPTS,
	{"bundle", 'b', OPT_STRING, "DIR", "the bundle; default: the current directory",
	 FIELD(bundle)},
	{"detach", 'd', OPT_FLAG, NULL, "do not wait for the command", FIELD(detach)},
	{"pid-file", 0, OPT_STRING, "FILE", "write the host process's pid to FILE",
	 FIELD(pid_file)},
	{"no-subreaper", 0, OPT_HARMLESS, NULL, "we never make ourselves a subreaper", 0},
	{"no-pivot", 0, OPT_REFUSED, NULL, "criu changes the root itself", 0},
	{"console-socket", 0, OPT_REFUSED_VALUE, "SOCKET",
	 "a container with a terminal cannot be restored", 0},
};
const struct opt_table oci_restore_options = OPT_TABLE(restore_opts);

static const struct {
	const char *name;
	enum rt_criu_cgroups mode;
} cgroup_modes[] = {{"soft", RT_CRIU_SOFT},
		    {"full", RT_CRIU_FULL},
		    {"strict", RT_CRIU_STRICT},
		    {"ignore", RT_CRIU_IGNORE}};

static int parse_modes(const struct checkpoint_opts *o, struct rt_checkpoint_request *r,
		       struct err *e)
{
	bool found = !o->cgroups;

	r->cgroups_mode = RT_CRIU_SOFT;
	for (size_t i = 0; o->cgroups && i < ARRAY_SIZE(cgroup_modes); i++) {
		if (!STREQ(o->cgroups, cgroup_modes[i].name))
			continue;
		r->cgroups_mode = cgroup_modes[i].mode;
		found = true;
	}
	if (!found)
		return err_invalid(e,
				   "--manage-cgroups-mode: '%s' is not soft, full, strict or "
				   "ignore",
				   o->cgroups);
	for (char **n = o->empty_ns; n && *n; n++) {
		if (!STREQ(*n, "network"))
			return err_invalid(e, "--empty-ns: '%s' is not network", *n);
		r->empty_ns |= CLONE_NEWNET;
	}
	return 0;
}

static int request_of(const struct checkpoint_opts *o, struct rt_checkpoint_request *ret,
		      struct err *e)
{
	*ret = (struct rt_checkpoint_request){
		.images = o->images ? o->images : DEFAULT_IMAGES,
		.work = o->work,
		.parent = o->parent,
		.page_server = o->page_server,
		.lsm_profile = o->lsm_profile,
		.lsm_mount_context = o->lsm_mount_context,
		.pre_dump = o->pre_dump,
		.leave_running = o->leave_running,
		.tcp_established = o->tcp_established,
		.ext_unix_sk = o->ext_unix_sk,
		.shell_job = o->shell_job,
		.file_locks = o->file_locks,
		.auto_dedup = o->auto_dedup,
	};
	return parse_modes(o, ret, e);
}

static int parse(struct cli *cli, int argc, char **argv, struct checkpoint_opts *o,
		 struct rt_checkpoint_request *request, const char **ret_id, struct err *e)
{
	int first, r = command_parse(cli, argc, argv, false, o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, 1, e);
	if (r < 0)
		return r;
	*ret_id = argv[first];
	return request_of(o, request, e);
}

int oci_checkpoint(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct checkpoint_opts o = {0};
	struct rt_checkpoint_request request;
	_cleanup_sandbox_ struct sandbox *s = NULL;
	const char *id;
	int r = parse(cli, argc, argv, &o, &request, &id, e);

	if (r >= 0)
		r = rt_open(&cli->ctx, id, true, &s, e);
	if (r >= 0)
		r = rt_checkpoint(s, &request, e);
	strv_free(o.empty_ns);
	return r;
}

static int restore(struct cli *cli, const char *id, const struct checkpoint_opts *o,
		   const struct rt_checkpoint_request *from, struct err *e)
{
	_cleanup_free_ char *bundle = realpath(o->bundle ? o->bundle : ".", NULL);
	_cleanup_sandbox_ struct sandbox *s = NULL;
	struct rt_create_request request = {.id = id,
					    .bundle = bundle,
					    .driver = oci_isolation_of(cli),
					    .pid_file = o->pid_file,
					    .io = {{-1, -1, -1}, -1, 0},
					    .restore = from};
	int r, code;

	if (!bundle)
		return err_sys(e, errno, "bundle '%s'", o->bundle ? o->bundle : ".");
	r = rt_create(&cli->ctx, &request, &s, e);
	if (r < 0 || o->detach)
		return r;
	code = attend_running(s, e);
	if (code < 0)
		return code;
	r = rt_delete(&cli->ctx, id, true, e);
	return r < 0 ? r : code;
}

int oci_restore(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct checkpoint_opts o = {0};
	struct rt_checkpoint_request request;
	const char *id;
	int r = parse(cli, argc, argv, &o, &request, &id, e);

	if (r >= 0) {
		attend_hold();
		r = attend_interrupted(restore(cli, id, &o, &request, e), e);
	}
	strv_free(o.empty_ns);
	return r;
}
