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
	{"store", 0, OPT_STRING, "DIR", "directory of images and of what sandboxes write",
	 GLOBAL(store)},
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
	 .args = "[flags] IMAGE [COMMAND [ARGUMENT…]] | [flags] --rootfs DIR COMMAND [ARGUMENT…]",
	 .summary = "Run a command in a sandbox: a container or, with --vm, a microVM",
	 .details = "With --rootfs / the command sees this host's own system; its changes are "
		    "thrown away, and keys, credentials, other users' homes and the sockets "
		    "under /run are hidden.\n\n"
		    "Exit code: that of the command, 128+n if signal n ended it, 127 if it was "
		    "not found, 126 if it could not be executed, 125 if Insula failed.",
	 .opts = &cmd_run_options,
	 .run = cmd_run,
	 .seal = true},
	{.name = "create",
	 .args = "[flags] IMAGE [COMMAND [ARGUMENT…]] | [flags] --rootfs DIR COMMAND [ARGUMENT…]",
	 .summary = "Make a detached sandbox that waits for insula start",
	 .details = "The flags are those of insula run.",
	 .opts = &cmd_run_options,
	 .run = cmd_create,
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
	{.name = "logs",
	 .args = "[flags] SANDBOX",
	 .summary = "Print what a detached sandbox wrote",
	 .details =
		 "Its standard output goes to standard output and its standard error to standard "
		 "error, byte by byte as it was written, also to a terminal.",
	 .opts = &cmd_logs_options,
	 .run = cmd_logs},
	{.name = "attach",
	 .args = "[flags] SANDBOX",
	 .summary = "Be with a detached sandbox: its output from now on, its input, its end",
	 .details = "Exit code: that of the sandbox when it ends, 0 when it was left by the detach "
		    "keys. What was written before is in insula logs.",
	 .opts = &cmd_attach_options,
	 .run = cmd_attach},
	{.name = "wait",
	 .args = "[flags] SANDBOX…",
	 .summary = "Wait until sandboxes have ended and print their exit codes",
	 .details = "A code that nobody could note, since the process that would have was killed, "
		    "is printed as -1.",
	 .opts = &cmd_wait_options,
	 .run = cmd_wait},
	{.name = "stop",
	 .args = "[flags] SANDBOX…",
	 .summary = "Ask sandboxes to end, all at once, and kill those still there after the time",
	 .opts = &cmd_stop_options,
	 .run = cmd_stop},
	{.name = "kill",
	 .args = "[flags] SANDBOX…",
	 .summary = "Send a signal (default KILL)",
	 .opts = &cmd_kill_options,
	 .run = cmd_kill},
	{.name = "start",
	 .args = "SANDBOX…",
	 .summary = "Start sandboxes that were created",
	 .opts = &cmd_start_options,
	 .run = cmd_start},
	{.name = "pause",
	 .args = "[flags] SANDBOX…",
	 .summary = "Freeze sandboxes",
	 .opts = &cmd_pause_options,
	 .run = cmd_pause},
	{.name = "unpause",
	 .args = "[flags] SANDBOX…",
	 .summary = "Let frozen sandboxes go on",
	 .opts = &cmd_pause_options,
	 .run = cmd_unpause},
	{.name = "rm",
	 .args = "[flags] SANDBOX…",
	 .summary = "Remove stopped sandboxes",
	 .opts = &cmd_rm_options,
	 .run = cmd_rm},
	{.name = "inspect",
	 .args = "[flags] SANDBOX…",
	 .summary = "Print what is known of sandboxes, and their configuration",
	 .details = "A JSON array of objects {id, name, …, state, config}; config is the OCI "
		    "configuration. A template names members, letters' case aside: "
		    "{{.State.ExitCode}}, {{json .Config.process.args}}, "
		    "{{index .Labels \"key\"}}.",
	 .opts = &cmd_inspect_options,
	 .run = cmd_inspect},
	{.name = "images",
	 .args = "[flags] [NAME]",
	 .summary = "List the images of the store",
	 .opts = &cmd_images_options,
	 .run = cmd_images},
	{.name = "pull",
	 .args = "[flags] NAME",
	 .summary = "Fetch an image from its registry into the store",
	 .details = "NAME is as docker and podman take it: debian, debian:12, "
		    "quay.io/org/name@sha256:…, localhost:5000/name. Prints the image's id.",
	 .opts = &cmd_pull_options,
	 .run = cmd_pull},
	{.name = "push",
	 .args = "[flags] IMAGE [NAME]",
	 .summary = "Send an image of the store to a registry",
	 .details =
		 "NAME says where to, if not where the image's own name says. The image keeps the "
		 "digest that it was pulled or loaded with. Prints the manifest's digest.",
	 .opts = &cmd_push_options,
	 .run = cmd_push},
	{.name = "login",
	 .args = "[flags] [REGISTRY]",
	 .summary = "Keep credentials for a registry, after the registry took them",
	 .details =
		 "REGISTRY is HOST[:PORT][/PATH]; default: docker.io. They are kept where "
		 "podman, skopeo and buildah look for theirs, unencrypted unless that file names "
		 "a helper (credHelpers, credsStore).",
	 .opts = &cmd_login_options,
	 .run = cmd_login},
	{.name = "logout",
	 .args = "[flags] [REGISTRY]",
	 .summary = "Forget the credentials for a registry",
	 .opts = &cmd_logout_options,
	 .run = cmd_logout,
	 .no_runtime = true},
	{.name = "load",
	 .args = "[flags] -i FILE",
	 .summary = "Keep the image of an archive under its names",
	 .opts = &cmd_load_options,
	 .run = cmd_load},
	{.name = "save",
	 .args = "[flags] IMAGE…",
	 .summary = "Write images of the store to an archive or an OCI layout",
	 .opts = &cmd_save_options,
	 .run = cmd_save},
	{.name = "import",
	 .args = "[flags] FILE|- [NAME]",
	 .summary = "Make an image of a root file system's tar",
	 .opts = &cmd_import_options,
	 .run = cmd_import},
	{.name = "tag",
	 .args = "IMAGE NAME…",
	 .summary = "Give a stored image a further name",
	 .run = cmd_tag},
	{.name = "rmi",
	 .args = "[flags] IMAGE…",
	 .summary = "Remove names of images, and images that have none left",
	 .opts = &cmd_rmi_options,
	 .run = cmd_rmi},
	{.name = "info", .args = "", .summary = "Show what this host offers", .run = cmd_info},
	{.name = "version",
	 .args = "",
	 .summary = "Print the version",
	 .run = cmd_version,
	 .no_runtime = true},
	LATER("restart",
	      "a sandbox that has ended is not started a second time; stop it, rm it, run it anew"),
	LATER("rename", "a sandbox's name is its id, which is in use as long as it is there"),
	LATER("update", "limits are fixed at creation"),
	LATER("stats", "there are no statistics yet"),
	LATER("top", "use insula exec SANDBOX ps"),
	LATER("cp", "use -v to share a directory"),
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
