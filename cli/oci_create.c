/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-oci create and run: a bundle becomes a sandbox.
 */
#include "oci.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "attend.h"

struct create_opts {
	const char *bundle, *console_socket, *pid_file, *pidfd_socket;
	int64_t preserve_fds;
	bool no_pivot, no_new_keyring, detach, keep;
};

#define FIELD(member) offsetof(struct create_opts, member)

#define CREATE_OPTS                                                                              \
	{"bundle",     'b', OPT_STRING, "DIR", "the bundle; default: the current directory",     \
	 FIELD(bundle)},                                                                         \
		{"console-socket",                                                               \
		 0,                                                                              \
		 OPT_STRING,                                                                     \
		 "SOCKET",                                                                       \
		 "Unix socket that receives the terminal's master",                              \
		 FIELD(console_socket)},                                                         \
		{"pid-file",     0, OPT_STRING, "FILE", "write the host process's pid to FILE",  \
		 FIELD(pid_file)},                                                               \
		{"preserve-fds",     0, OPT_NUMBER, "N", "pass N descriptors from 3 on",         \
		 FIELD(preserve_fds)},                                                           \
		{"no-pivot",     0, OPT_FLAG, NULL, "MS_MOVE and chroot in place of pivot_root", \
		 FIELD(no_pivot)},                                                               \
		{"no-new-keyring",     0, OPT_FLAG, NULL, "keep the caller's session keyring",   \
		 FIELD(no_new_keyring)},                                                         \
		{"pidfd-socket",                                                                 \
		 0,                                                                              \
		 OPT_STRING,                                                                     \
		 "SOCKET",                                                                       \
		 "Unix socket that receives a pidfd of the host process",                        \
		 FIELD(pidfd_socket)},                                                           \
	{                                                                                        \
		"no-subreaper", 0, OPT_HARMLESS, NULL, "we never make ourselves a subreaper", 0  \
	}

static const struct opt create_opts[] = {CREATE_OPTS};
const struct opt_table oci_create_options = OPT_TABLE(create_opts);

static const struct opt run_opts[] = {
	CREATE_OPTS,
	{"detach", 'd', OPT_FLAG, NULL, "do not wait for the command", FIELD(detach)},
	{"keep", 0, OPT_FLAG, NULL, "keep the state when the command has ended", FIELD(keep)},
};
const struct opt_table oci_run_options = OPT_TABLE(run_opts);

int oci_connect_console(const char *path, struct err *e)
{
	return rt_connect_socket(path, "console socket", e);
}

/* The annotation decides only where neither the name nor a flag did. */
const char *oci_isolation_of(const struct cli *cli)
{
	const char *name = strrchr(cli->argv[0], '/');

	name = name ? name + 1 : cli->argv[0];
	if (cli->global.isolation)
		return cli->global.isolation;
	return str_has_suffix(name, "-vm") ? driver_name_of(DRIVER_VM) : NULL;
}

/* Take back a creation whose start did not work out. */
static void drop(struct cli *cli, const char *id)
{
	rt_delete(&cli->ctx, id, true, NULL);
}

static int create(struct cli *cli, const char *id, const struct create_opts *o,
		  struct sandbox **ret, struct err *e)
{
	_cleanup_free_ char *bundle = realpath(o->bundle ? o->bundle : ".", NULL);
	_cleanup_close_ int console = -1, pidfd_socket = -1;
	struct rt_create_request request = {
		.id = id,
		.bundle = bundle,
		.driver = oci_isolation_of(cli),
		.pid_file = o->pid_file,
		.keep_keyring = o->no_new_keyring,
		.no_pivot = o->no_pivot,
		.notify = rt_notify_address() != NULL,
	};

	int r;

	if (!bundle)
		return err_sys(e, errno, "bundle '%s'", o->bundle ? o->bundle : ".");
	if (o->console_socket) {
		console = oci_connect_console(o->console_socket, e);
		if (console < 0)
			return console;
	}
	if (o->pidfd_socket) {
		pidfd_socket = rt_connect_socket(o->pidfd_socket, "pidfd socket", e);
		if (pidfd_socket < 0)
			return pidfd_socket;
	}
	r = rt_listen_fds(&request.listen_fds, e);
	if (r < 0)
		return r;
	request.io = (struct rt_io){
		{-1, -1, -1}, console, request.listen_fds + (unsigned)o->preserve_fds};
	r = rt_create(&cli->ctx, &request, ret, e);
	if (r < 0 || pidfd_socket < 0)
		return r;
	r = rt_send_descriptor(pidfd_socket, (*ret)->pidfd, "pidfd",
			       "the pidfd to the pidfd socket", e);
	if (r < 0)
		drop(cli, id);
	return r;
}

static int check_terminal(const struct sandbox *s, const struct create_opts *o, bool detached,
			  struct err *e)
{
	bool terminal = s->config.process.terminal;

	if (terminal && detached && !o->console_socket) {
		err_invalid(e, "the configuration asks for a terminal, which nobody would hold");
		return err_hint(e, "give --console-socket, or set process.terminal to false");
	}
	if (!terminal && o->console_socket)
		return err_invalid(e, "--console-socket given, but process.terminal is false");
	return 0;
}

static int parse(struct cli *cli, int argc, char **argv, struct create_opts *o, const char **ret_id,
		 struct err *e)
{
	int first, r = command_parse(cli, argc, argv, false, o, &first, e);

	if (r < 0)
		return r;
	r = command_words(cli, argc, first, 1, 1, e);
	if (r < 0)
		return r;
	if (o->preserve_fds > 4096)
		return err_invalid(e, "--preserve-fds: at most 4096");
	*ret_id = argv[first];
	return 0;
}

int oci_create(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct create_opts o = {0};
	_cleanup_sandbox_ struct sandbox *s = NULL;
	const char *id;
	int r = parse(cli, argc, argv, &o, &id, e);

	if (r < 0)
		return r;
	r = create(cli, id, &o, &s, e);
	if (r < 0)
		return r;
	r = check_terminal(s, &o, true, e);
	if (r < 0)
		drop(cli, id);
	return r;
}

/* Detached, we are done when a service manager has heard of it. */
static int start_detached(struct sandbox *s, struct err *e)
{
	_cleanup_(rt_notify_closep) struct rt_notify_proxy *notify = NULL;
	int r = rt_notify_open(s, rt_notify_address(), &notify, e);

	if (r == 0)
		r = rt_start(s, e);
	return r < 0 ? r : rt_notify_wait(notify, s, e);
}

static int run_to_end(struct sandbox *s, const struct create_opts *o, struct err *e)
{
	_cleanup_(rt_notify_closep) struct rt_notify_proxy *notify = NULL;
	int code = rt_notify_open(s, rt_notify_address(), &notify, e), r;

	if (code == 0)
		code = attend_start(s, true, notify, e);
	if (code < 0 || o->keep)
		return code;
	r = rt_delete(s->ctx, s->state.id, true, e);
	return r < 0 ? r : code;
}

int oci_run(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct create_opts o = {0};
	_cleanup_sandbox_ struct sandbox *s = NULL;
	const char *id;
	int r = parse(cli, argc, argv, &o, &id, e);

	if (r < 0)
		return r;
	attend_hold();
	r = create(cli, id, &o, &s, e);
	if (r < 0)
		return attend_interrupted(r, e);
	r = check_terminal(s, &o, o.detach, e);
	if (r >= 0)
		r = o.detach ? start_detached(s, e) : run_to_end(s, &o, e);
	if (r < 0)
		drop(cli, id);
	return attend_interrupted(r, e);
}
