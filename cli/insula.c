/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula: the command line for people. Words and flags are docker's and podman's wherever they have one.
 */
#include "people.h"

#include <stddef.h>

#include "base/cleanup.h"

#define GLOBAL(member) offsetof(struct cli_global, member)

static const struct opt global_opts[] = {
	{"root", 0, OPT_STRING, "DIR", "directory of the sandboxes' state", GLOBAL(root)},
	{"debug", 0, OPT_FLAG, NULL, "say more on standard error", GLOBAL(debug)},
	{"version", 'v', OPT_FLAG, NULL, "print the version", GLOBAL(version)},
	{"man", 0, OPT_FLAG, NULL, "print the manual page", GLOBAL(man)},
	{"completion", 0, OPT_FLAG, NULL, "print a completion script for bash", GLOBAL(completion)},
};

static const struct opt_table globals = OPT_TABLE(global_opts);

#define LATER(command, why)                                     \
	{                                                       \
		.name = (command), .args = "", .refusal = (why) \
	}

static const struct command commands[] = {
	{.name = "run",
	 .args = "[flags] --rootfs DIR COMMAND [ARGUMENT…]",
	 .summary = "Run a command in a sandbox: a container or, with --vm, a microVM",
	 .details = "With --rootfs / the command sees this host's own system; its changes are "
		    "thrown away, and keys, credentials, other users' homes and the sockets "
		    "under /run are hidden.\n\n"
		    "Exit code: that of the command, 128+n if signal n ended it, 127 if it was "
		    "not found, 126 if it could not be executed, 125 if Insula failed.",
	 .opts = &cmd_run_options,
	 .run = cmd_run,
	 .seal = true},
	{.name = "exec",
	 .args = "[flags] SANDBOX COMMAND [ARGUMENT…]",
	 .summary = "Run a further command in a running sandbox",
	 .opts = &cmd_exec_options,
	 .run = cmd_exec,
	 .seal = true},
	{.name = "ps",
	 .args = "[flags]",
	 .summary = "List the sandboxes of both kinds",
	 .opts = &cmd_ps_options,
	 .run = cmd_ps},
	{.name = "stop",
	 .args = "[flags] SANDBOX…",
	 .summary = "Send TERM, and KILL when it is still there after the time",
	 .opts = &cmd_stop_options,
	 .run = cmd_stop},
	{.name = "kill",
	 .args = "[flags] SANDBOX…",
	 .summary = "Send a signal (default KILL)",
	 .opts = &cmd_kill_options,
	 .run = cmd_kill},
	{.name = "rm",
	 .args = "[flags] SANDBOX…",
	 .summary = "Remove stopped sandboxes",
	 .opts = &cmd_rm_options,
	 .run = cmd_rm},
	{.name = "inspect",
	 .args = "SANDBOX",
	 .summary = "Print state and configuration as JSON",
	 .run = cmd_inspect},
	{.name = "info", .args = "", .summary = "Show what this host offers", .run = cmd_info},
	{.name = "version",
	 .args = "",
	 .summary = "Print the version",
	 .run = cmd_version,
	 .no_runtime = true},
	LATER("create", "sandboxes are made by run"),
	LATER("start", "sandboxes are made by run"),
	LATER("restart", "there is no monitor yet"),
	LATER("logs", "output goes to the terminal; there is no monitor yet"),
	LATER("attach", "there is no monitor yet"),
	LATER("wait", "there is no monitor yet"),
	LATER("pause", "use insula-oci pause"),
	LATER("unpause", "use insula-oci resume"),
	LATER("update", "limits are fixed at creation"),
	LATER("stats", "there are no statistics yet"),
	LATER("top", "use insula exec SANDBOX ps"),
	LATER("cp", "use -v to share a directory"),
	LATER("pull", "there is no image store; use --rootfs DIR"),
	LATER("push", "there is no image store"),
	LATER("images", "there is no image store; use --rootfs DIR"),
	LATER("load", "there is no image store; use --rootfs DIR"),
	LATER("import", "there is no image store; use --rootfs DIR"),
	LATER("kernel", "the guest kernel is the one that 'make guest' installed"),
	LATER("net", "only the networks none and host are there"),
	LATER("volume", "use -v DIR:DIR"),
	LATER("balance", "there is no load manager yet"),
};

static const struct program program = {
	.name = "insula",
	.summary = "run a command in a container or a microVM",
	.description =
		"Isolates a workload as a container (namespaces, cgroups, seccomp, capabilities) "
		"or as a microVM with a kernel of its own, behind the same commands.",
	.opts = &globals,
	.commands = commands,
	.n_commands = ARRAY_SIZE(commands),
	.exit_error = 125,
};

int main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}
