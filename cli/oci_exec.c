/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-oci exec: a further process, described by a file (engines) or by flags over the configuration's own
 * process (people).
 */
#include "oci.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "attend.h"
#include "exec_process.h"

struct exec_opts {
	const char *console_socket, *cwd, *user, *process, *pid_file, *label, *apparmor, *cgroup,
		*pidfd_socket;
	char **env, **gids, **caps;
	int64_t preserve_fds;
	bool tty, detach, no_new_privs, ignore_paused;
};

#define FIELD(member) offsetof(struct exec_opts, member)

static const struct opt exec_opts[] = {
	{"console-socket", 0, OPT_STRING, "SOCKET",
	 "Unix socket that receives the terminal's master", FIELD(console_socket)},
	{"cwd", 0, OPT_STRING, "DIR", "working directory in the sandbox", FIELD(cwd)},
	{"env", 'e', OPT_LIST, "NAME=VALUE", "set an environment variable", FIELD(env)},
	{"tty", 't', OPT_FLAG, NULL, "give it a terminal", FIELD(tty)},
	{"user", 'u', OPT_STRING, "UID[:GID]", "identity", FIELD(user)},
	{"additional-gids", 'g', OPT_LIST, "GID", "supplementary group", FIELD(gids)},
	{"process", 'p', OPT_STRING, "FILE", "the process object of the specification as JSON",
	 FIELD(process)},
	{"detach", 'd', OPT_FLAG, NULL, "do not wait for it", FIELD(detach)},
	{"pid-file", 0, OPT_STRING, "FILE", "write its host process's pid to FILE",
	 FIELD(pid_file)},
	{"process-label", 0, OPT_STRING, "LABEL", "SELinux label", FIELD(label)},
	{"apparmor", 0, OPT_STRING, "PROFILE", "AppArmor profile", FIELD(apparmor)},
	{"no-new-privs", 0, OPT_FLAG, NULL, "set no_new_privs", FIELD(no_new_privs)},
	{"cap", 'c', OPT_LIST, "CAP", "add a capability", FIELD(caps)},
	{"preserve-fds", 0, OPT_NUMBER, "N", "pass N descriptors from 3 on", FIELD(preserve_fds)},
	{"cgroup", 0, OPT_STRING, "PATH", "an existing group below the sandbox's own",
	 FIELD(cgroup)},
	{"ignore-paused", 0, OPT_FLAG, NULL,
	 "in a paused sandbox, too: it runs once that is resumed", FIELD(ignore_paused)},
	{"pidfd-socket", 0, OPT_STRING, "SOCKET",
	 "Unix socket that receives a pidfd of its host process", FIELD(pidfd_socket)},
};
const struct opt_table oci_exec_options = OPT_TABLE(exec_opts);

static int parse_user(const struct exec_opts *o, struct iso_user *ret, struct err *e)
{
	_cleanup_strv_ char **parts = NULL;

	if (o->user) {
		if (strv_split(o->user, ':', &parts) < 0)
			return err_nomem(e);
		if (strv_len(parts) > 2 || parse_u32(parts[0], &ret->uid) < 0 ||
		    (parts[1] && parse_u32(parts[1], &ret->gid) < 0))
			return err_invalid(e, "--user: '%s' is not UID or UID:GID", o->user);
	}
	if (!o->gids)
		return 0;
	ret->additional_gids = calloc(strv_len(o->gids), sizeof(*ret->additional_gids));
	if (!ret->additional_gids)
		return err_nomem(e);
	for (char **g = o->gids; *g; g++)
		if (parse_u32(*g, &ret->additional_gids[ret->n_additional_gids++]) < 0)
			return err_invalid(e, "--additional-gids: '%s' is not a number", *g);
	return 0;
}

/* The configuration's process with the flags laid over it. */
static int process_of_flags(const struct sandbox *s, const struct exec_opts *o, char **args,
			    struct json **ret, struct err *e)
{
	const struct iso_user *configured = &s->config.process.user;
	struct iso_user user = {.uid = configured->uid, .gid = configured->gid};
	struct exec_changes c = {
		.args = args,
		.env = o->env,
		.caps = o->caps,
		.cwd = o->cwd,
		.selinux_label = o->label,
		.apparmor_profile = o->apparmor,
		.user = &user,
		.set_gids = o->gids != NULL,
		.tty = o->tty,
		.no_new_privileges = o->no_new_privs,
	};
	int r = parse_user(o, &user, e);

	if (r >= 0)
		r = exec_process_json(s, &c, ret, e);
	free(user.additional_gids);
	return r;
}

static int read_process(const struct sandbox *s, const struct exec_opts *o, char **args,
			struct iso_process *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	int r;

	if (o->process)
		r = json_parse_file_at(AT_FDCWD, o->process, JSON_FILE_MAX, &doc, e);
	else
		r = process_of_flags(s, o, args, &doc, e);
	if (r < 0)
		return r;
	struct json_at top = json_top(doc);

	return oci_process_read(&top, ret, e);
}

static int check(const struct cli *cli, const struct exec_opts *o, int argc, int first,
		 struct err *e)
{
	int r = command_words(cli, argc, first, o->process ? 1 : 2, o->process ? 1 : -1, e);

	if (r < 0)
		return r;
	if (o->preserve_fds > 4096)
		return err_invalid(e, "--preserve-fds: at most 4096");
	return 0;
}

/* A child of ours that nobody reaped: the number is its. When nobody takes the pidfd, it ends. */
static int send_pidfd(int socket, pid_t pid, struct err *e)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r;

	if (pidfd < 0)
		r = err_sys(e, errno, "open a pidfd of process %d", (int)pid);
	else
		r = rt_send_descriptor(socket, pidfd, "pidfd", "the pidfd to the pidfd socket", e);
	if (r < 0) {
		kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	return r;
}

static int exec_process(struct cli *cli, const char *id, const struct exec_opts *o, char **args,
			struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_(iso_process_done) struct iso_process process = {0};
	_cleanup_close_ int socket = -1, pidfd_socket = -1, console = -1;
	struct rt_exec_request request = {.process = &process,
					  .pid_file = o->pid_file,
					  .cgroup = o->cgroup,
					  .ignore_paused = o->ignore_paused};
	pid_t pid;
	int r = rt_open(&cli->ctx, id, true, &s, e);

	if (r < 0)
		return r;
	r = read_process(s, o, args, &process, e);
	if (r < 0)
		return r;
	if (process.terminal && o->detach && !o->console_socket)
		return err_invalid(e, "a detached process with a terminal needs --console-socket");
	if (o->console_socket) {
		socket = oci_connect_console(o->console_socket, e);
		if (socket < 0)
			return socket;
	}
	if (o->pidfd_socket) {
		pidfd_socket = rt_connect_socket(o->pidfd_socket, "pidfd socket", e);
		if (pidfd_socket < 0)
			return pidfd_socket;
	}
	request.io = (struct rt_io){{-1, -1, -1}, socket, (unsigned)o->preserve_fds};
	r = rt_exec(s, &request, &pid, &console, e);
	if (r == 0 && pidfd_socket >= 0)
		r = send_pidfd(pidfd_socket, pid, e);
	if (r < 0 || o->detach)
		return r;
	return attend_exec(s, pid, console, true, e);
}

int oci_exec(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct exec_opts o = {0};
	int first, r = command_parse(cli, argc, argv, true, &o, &first, e);

	if (r >= 0)
		r = check(cli, &o, argc, first, e);
	if (r >= 0)
		r = exec_process(cli, argv[first], &o, argv + first + 1, e);
	strv_free(o.env);
	strv_free(o.gids);
	strv_free(o.caps);
	return r;
}
