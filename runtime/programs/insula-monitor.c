/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-monitor: the monitor of one detached sandbox (runtime/monitor.h). It is started by the runtime,
 * never by people, and is given everything as descriptors and in its environment. In ps it shows as "insula: monitor NAME".
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "monitor.h"

int main(int argc, char **argv)
{
	const char *root = getenv(MONITOR_ENV_ROOT), *id = getenv(MONITOR_ENV_ID);
	const char *bytes = getenv(MONITOR_ENV_LOG_BYTES), *files = getenv(MONITOR_ENV_LOG_FILES);
	struct rt_ctx ctx;
	uint64_t log_bytes;
	uint32_t log_files;
	int code;

	if (argc != 1 || !root || !id || !bytes || !files || parse_u64(bytes, &log_bytes) < 0 ||
	    parse_u32(files, &log_files) < 0 || log_files == 0 || log_files > LOG_MAX_FILES_MAX) {
		fprintf(stderr, "insula-monitor: a part of insula, which starts it by itself; "
				"see insula(1), run -d\n");
		return 125;
	}
	(void)prctl(PR_SET_NAME, "insula-monitor", 0, 0, 0);
	if (rt_ctx_init(&ctx, root, argv, NULL) < 0)
		return 125;
	code = monitor_run(&ctx, id, log_bytes, log_files);
	rt_ctx_done(&ctx);
	return code;
}
