/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: what dump and restore of a container share. Internal to this folder. */
#pragma once

#include "criu.h"
#include "sandbox.h"

/* Of ours, beside criu's images: the streams and the mounts that were the host's. */
#define CHECKPOINT_FILE "insula.json"
#define DUMP_LOG        "dump.log"
#define RESTORE_LOG     "restore.log"
/* The key of a network namespace that the container joined. */
#define EXTERNAL_NET "insula-net"

/* The image and the work directory; work NULL: the same. `create`: made when missing. */
struct checkpoint_dirs {
	int images, work;
};
int checkpoint_dirs_open(struct checkpoint_dirs *d, const struct rt_checkpoint_request *r,
			 bool create, struct err *e);
void checkpoint_dirs_done(struct checkpoint_dirs *d);

/* Fields of criu_opts that a dump and a restore have in common. */
void checkpoint_opts(struct strbuf *b, const struct rt_checkpoint_request *r,
		     const struct checkpoint_dirs *d, const char *log);

/* What neither can do; names what is in the way. */
int checkpoint_check(const struct sandbox *s, struct err *e);

/* checkpoint_container.c, restore_container.c: the driver's two operations. */
int container_checkpoint(struct sandbox *s, const struct rt_checkpoint_request *r, struct err *e);
int container_restore(struct sandbox *s, const struct rt_checkpoint_request *r,
		      int (*made)(void *arg, pid_t pid, struct err *e), void *arg, struct err *e);
