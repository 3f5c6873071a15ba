/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-systemd: speaks to systemd for the runtime (runtime/systemd_request.h), which starts it where the cgroup manager is systemd,
 * and nowhere else. So libsystemd and its D-Bus client are in no other process.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/sync.h"
#include "systemd_request.h"

static int serve(struct err *e)
{
	_cleanup_json_ struct json *document = NULL;
	struct systemd_request request;
	int r = json_parse_file_at(-1, "/proc/self/fd/4", JSON_FILE_MAX, &document, e);

	if (r == 0)
		r = systemd_request_read(document, &request, e);
	if (r < 0)
		return err_wrap(e, "read the request");
	r = systemd_serve(&request, SYSTEMD_FD_SYNC, e);
	systemd_request_done(&request);
	return r;
}

int main(int argc, _unused_ char **argv)
{
	struct err e = ERR_INIT;
	struct stat st;

	if (argc != 1 || fstat(SYSTEMD_FD_SYNC, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		fprintf(stderr, "insula-systemd: a part of insula, which starts it by itself\n");
		return 125;
	}
	signal(SIGPIPE, SIG_IGN);
	if (serve(&e) == 0)
		return 0;
	sync_send_error(SYSTEMD_FD_SYNC, &e);
	return 1;
}
