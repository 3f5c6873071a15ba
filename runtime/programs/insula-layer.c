/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-layer: unpacks layers of images, and is the only program that reads what may be a hostile archive. It is started by the
 * runtime (runtime/image_worker.c) in namespaces of its own, never by people, and is given everything as descriptors
 * (images/worker.h). Before it reads the first byte it shuts itself in: the directory that it fills is all there is of a
 * file tree, there is no network, no other process, no capability but those over files, and few system calls.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "images/layer_worker.h"
#include "layer_jail.h"

/* One id alone is mapped: nothing can be given to another. */
static int has_other_ids(bool *ret, struct err *e)
{
	_cleanup_free_ char *map = NULL;
	unsigned inside, outside, count;
	int r, n = 0;

	r = path_read_file_at(-1, "/proc/self/uid_map", 1u << 16, &map, NULL, e);
	if (r < 0)
		return r;
	if (sscanf(map, "%u %u %u %n", &inside, &outside, &count, &n) != 3)
		return err_set(e, ERR_INTERNAL, EINVAL, "the map of user ids is not understood");
	*ret = count > 1 || map[n] != '\0';
	return 0;
}

static int prepare(const struct layer_mode *mode, bool *ret_keep_owners, struct err *e)
{
	int r = has_other_ids(ret_keep_owners, e);

	if (r < 0)
		return r;
	/* Modes are exact, and a reader that went away is an error like others. */
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return layer_jail_enter(mode->directory_fd, e);
}

int main(int argc, char **argv)
{
	const struct layer_mode *mode = argc > 1 ? layer_mode_find(argv[1]) : NULL;
	struct img_worker_report report = {0};
	struct stat st;
	bool keep_owners = false;
	int status;

	if (!mode || argc != 2 + mode->n_args || fstat(mode->report_fd, &st) < 0 ||
	    !S_ISFIFO(st.st_mode)) {
		fprintf(stderr, "insula-layer: a part of insula, which starts it by itself\n");
		return 125;
	}
	if (prepare(mode, &keep_owners, &report.error) == 0)
		layer_mode_run(mode, argv + 2, keep_owners, &report);
	status = layer_mode_report(mode, &report);
	/* Nothing is left that exit() could be needed for. */
	proc_exit_as(status << 8);
}
