/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of insula-oci, the runc command line. */
#pragma once

#include "command.h"

int oci_create(struct cli *cli, int argc, char **argv, struct err *e);
int oci_run(struct cli *cli, int argc, char **argv, struct err *e);
int oci_start(struct cli *cli, int argc, char **argv, struct err *e);
int oci_state(struct cli *cli, int argc, char **argv, struct err *e);
int oci_kill(struct cli *cli, int argc, char **argv, struct err *e);
int oci_delete(struct cli *cli, int argc, char **argv, struct err *e);
int oci_pause(struct cli *cli, int argc, char **argv, struct err *e);
int oci_resume(struct cli *cli, int argc, char **argv, struct err *e);
int oci_list(struct cli *cli, int argc, char **argv, struct err *e);
int oci_exec(struct cli *cli, int argc, char **argv, struct err *e);
int oci_spec(struct cli *cli, int argc, char **argv, struct err *e);
int oci_features(struct cli *cli, int argc, char **argv, struct err *e);
int oci_ps(struct cli *cli, int argc, char **argv, struct err *e);
int oci_update(struct cli *cli, int argc, char **argv, struct err *e);
int oci_checkpoint(struct cli *cli, int argc, char **argv, struct err *e);
int oci_restore(struct cli *cli, int argc, char **argv, struct err *e);
int oci_mounts(struct cli *cli, int argc, char **argv, struct err *e);
int oci_events(struct cli *cli, int argc, char **argv, struct err *e);

extern const struct opt_table oci_create_options, oci_run_options, oci_kill_options,
	oci_delete_options, oci_list_options, oci_exec_options, oci_spec_options,
	oci_features_options, oci_ps_options, oci_update_options, oci_events_options,
	oci_checkpoint_options, oci_restore_options;

/* The kind that --isolation or the program's name asks for, or NULL. */
const char *oci_isolation_of(const struct cli *cli);

/* Connect to an engine's console socket (any path length). Returns the descriptor. */
int oci_connect_console(const char *path, struct err *e);
