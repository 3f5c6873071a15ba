/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server of a VM's shared tree: the system's virtiofsd.
 */
#pragma once

#include "base/err.h"
#include "child.h"

#define VIRTIOFS_TAG "insula"

/* Is it installed? ERR_NOT_FOUND with the package as hint. */
int virtiofsd_check(struct err *e);

/* Serve share_dir over vhost-user. `run_dir` is private; nothing stays in it. *ret_fd is a
 * connection for the engine; the caller closes it once the engine has it. */
int virtiofsd_start(struct vm_child *c, const char *share_dir, const char *run_dir, int *ret_fd,
		    struct err *e);
