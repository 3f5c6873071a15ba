/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-oci: the OCI runtime for engines (podman, containerd, Docker, CRI-O, buildah), with the
 * command line that runc made customary. Called as `insula-oci-vm` it makes microVMs.
 */
#include "oci.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

#define GLOBAL(member) offsetof(struct cli_global, member)

static const struct opt global_opts[] = {
	{"root", 0, OPT_STRING, "DIR", "directory of the sandboxes' state", GLOBAL(root)},
	{"log", 0, OPT_STRING, "FILE", "append errors and warnings to FILE", GLOBAL(log)},
	{"log-format", 0, OPT_STRING, "FORMAT", "text or json", GLOBAL(log_format)},
	{"debug", 0, OPT_FLAG, NULL, "log more", GLOBAL(debug)},
	{"isolation", 0, OPT_STRING, "KIND",
	 "container or vm; default: the annotation org.insula.isolation, else container",
	 GLOBAL(isolation)},
	{"systemd-cgroup", 0, OPT_FLAG, NULL, "the same as --cgroup-manager systemd",
	 GLOBAL(systemd_cgroup)},
	{"rootless", 0, OPT_STRING, "MODE", "auto or false; true is refused", GLOBAL(rootless)},
	{"cgroup-manager", 0, OPT_STRING, "MANAGER",
	 "who makes the control groups: cgroupfs (default), systemd (a transient scope) or "
	 "disabled",
	 GLOBAL(cgroup_manager)},
	{"version", 'v', OPT_FLAG, NULL, "print the version", GLOBAL(version)},
	{"man", 0, OPT_FLAG, NULL, "print the manual page", GLOBAL(man)},
	{"completion", 0, OPT_FLAG, NULL, "print a completion script for bash", GLOBAL(completion)},
};

static const struct opt_table globals = OPT_TABLE(global_opts);

static const struct command commands[] = {
	{.name = "create",
	 .args = "[flags] ID",
	 .summary = "Create a sandbox from a bundle; its command waits for start",
	 .opts = &oci_create_options,
	 .run = oci_create,
	 .seal = true},
	{.name = "start",
	 .args = "ID",
	 .summary = "Let a created sandbox run its command",
	 .run = oci_start},
	{.name = "run",
	 .args = "[flags] ID",
	 .summary = "Create, start, wait and delete in one; exits as the command did",
	 .opts = &oci_run_options,
	 .run = oci_run,
	 .seal = true},
	{.name = "state", .args = "ID", .summary = "Print the state as JSON", .run = oci_state},
	{.name = "kill",
	 .args = "[flags] ID [SIGNAL]",
	 .summary = "Send a signal (default TERM)",
	 .opts = &oci_kill_options,
	 .run = oci_kill},
	{.name = "delete",
	 .args = "[flags] ID",
	 .summary = "Remove a stopped sandbox",
	 .opts = &oci_delete_options,
	 .run = oci_delete},
	{.name = "exec",
	 .args = "[flags] ID COMMAND [ARGUMENT…]",
	 .summary = "Run a further command in a running sandbox",
	 .opts = &oci_exec_options,
	 .run = oci_exec,
	 .seal = true},
	{.name = "list",
	 .args = "[flags]",
	 .summary = "List the sandboxes",
	 .opts = &oci_list_options,
	 .run = oci_list},
	{.name = "pause", .args = "ID", .summary = "Stop all processes", .run = oci_pause},
	{.name = "resume", .args = "ID", .summary = "Let them go on", .run = oci_resume},
	{.name = "spec",
	 .args = "[flags]",
	 .summary = "Write an ordinary config.json into the bundle",
	 .opts = &oci_spec_options,
	 .run = oci_spec,
	 .no_runtime = true},
	{.name = "features",
	 .args = "[flags]",
	 .opts = &oci_features_options,
	 .summary = "Print what this runtime can do, as JSON",
	 .run = oci_features,
	 .no_runtime = true},
	{.name = "ps",
	 .args = "[flags] ID [OPTION OF ps…]",
	 .summary = "List the processes of a sandbox",
	 .opts = &oci_ps_options,
	 .run = oci_ps},
	{.name = "update",
	 .args = "[flags] ID",
	 .summary = "Change the limits of a sandbox that lives",
	 .opts = &oci_update_options,
	 .run = oci_update},
	{.name = "events",
	 .args = "[flags] ID",
	 .summary = "Print statistics, and what happens to it, as lines of JSON",
	 .opts = &oci_events_options,
	 .run = oci_events},
	{.name = "mounts",
	 .args = "add|remove ID FILE",
	 .summary = "Add mounts to a container that lives, or remove those that were added",
	 .details = "FILE holds a JSON array of the form of `mounts` in config.json; - is standard "
		    "input. All of them are added, or none. Missing destinations are made. Of "
		    "mounts to be removed only the destination counts, and only what was "
		    "added by this command can be removed: files that are open stay usable.",
	 .run = oci_mounts,
	 .seal = true},
	{.name = "checkpoint",
	 .args = "[flags] ID",
	 .summary = "Write the state of a container's processes to files, by criu, and end it",
	 .opts = &oci_checkpoint_options,
	 .run = oci_checkpoint},
	{.name = "restore",
	 .args = "[flags] ID",
	 .summary = "Make a container from a bundle and the files of a checkpoint",
	 .opts = &oci_restore_options,
	 .run = oci_restore,
	 .seal = true},
};

static const struct program program = {
	.name = "insula-oci",
	.summary = "OCI runtime for containers and microVMs",
	.description =
		"Runs OCI bundles for an engine such as podman, containerd or Docker, as "
		"a container or, with --isolation vm, in a microVM with a kernel of its own.",
	.opts = &globals,
	.commands = commands,
	.n_commands = ARRAY_SIZE(commands),
	.exit_error = 1,
};

int main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}
