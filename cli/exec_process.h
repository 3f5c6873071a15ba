/* SPDX-License-Identifier: Apache-2.0 */
/* The process of an exec: the configuration's own process with a command line's wishes laid over it. */
#pragma once

#include "runtime/runtime.h"

/* All borrowed; NULL or false: as in the configuration. */
struct exec_changes {
	char *const *args;
	char *const *env;  /* strv of NAME=VALUE, added */
	char *const *caps; /* strv of CAP_X, added */
	const char *cwd, *selinux_label, *apparmor_profile;
	const struct iso_user *user; /* uid and gid */
	bool set_gids;               /* … and the supplementary groups of `user` */
	bool tty, no_new_privileges;
};

/* The JSON process object; the caller owns it. */
int exec_process_json(const struct sandbox *s, const struct exec_changes *c, struct json **ret,
		      struct err *e);
