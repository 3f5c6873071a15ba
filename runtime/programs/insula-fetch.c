/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-fetch: speaks to registries, and is the only program of ours that touches the network for images. It is started by the runtime
 * (runtime/image_fetch.c), never by people, as nobody's process in the host's network, and is given everything as descriptors
 * (images/fetch.h). Before it reads the first request it shuts itself in: of files there are copies of the few that name resolution
 * reads, there is no other process, no capability, few system calls, and of sockets those of the Internet.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "fetch_jail.h"
#include "images/fetch.h"
#include "images/fetch_worker.h"

static int prepare(struct err *e)
{
	int r;

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	r = fetch_worker_prepare(e);
	return r < 0 ? r : fetch_jail_enter(e);
}

int main(int argc, _unused_ char **argv)
{
	struct err e = ERR_INIT;
	struct stat st;
	int status;

	if (argc != 1 || fstat(FETCH_FD_ANSWERS, &st) < 0 || !S_ISFIFO(st.st_mode)) {
		fprintf(stderr, "insula-fetch: a part of insula, which starts it by itself\n");
		return 125;
	}
	if (prepare(&e) < 0) {
		fetch_worker_fail(&e);
		proc_exit_as(1 << 8);
	}
	status = fetch_worker_run();
	/* Nothing is left that exit() could be needed for. */
	proc_exit_as(status << 8);
}
