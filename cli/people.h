/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of insula, for people. */
#pragma once

#include "command.h"

int cmd_run(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_exec(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_ps(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_kill(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_stop(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_rm(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_inspect(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_pause(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_unpause(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_create(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_start(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_wait(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_logs(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_attach(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_images(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_rmi(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_tag(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_import(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_pull(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_push(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_save(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_login(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_logout(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_load(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_info(struct cli *cli, int argc, char **argv, struct err *e);
int cmd_version(struct cli *cli, int argc, char **argv, struct err *e);

extern const struct opt_table cmd_run_options, cmd_exec_options, cmd_ps_options, cmd_kill_options,
	cmd_stop_options, cmd_rm_options, cmd_inspect_options, cmd_pause_options, cmd_start_options,
	cmd_wait_options, cmd_logs_options, cmd_attach_options, cmd_images_options, cmd_rmi_options,
	cmd_import_options, cmd_load_options, cmd_pull_options, cmd_login_options,
	cmd_logout_options, cmd_push_options, cmd_save_options;

/* How a command that was attached ends: the sandbox's exit code; 0, with a word on where it is, when the user left it. */
int attach_result(const char *id, bool detached, int code, struct err *e);

/* The sandbox that `word` names: exact id or name, else an unambiguous beginning of an id. The
 * caller frees *ret_id. ERR_NOT_FOUND; ERR_INVALID names the candidates when there are several. */
int resolve_sandbox(const struct rt_ctx *ctx, const char *word, char **ret_id, struct err *e);
