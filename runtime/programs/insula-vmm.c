/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-vmm: the host processes of a microVM sandbox. It is started by the runtime, never by
 * people, and is given everything as descriptors (runtime/vmm.h, enum vmm_fd).
 *
 *	insula-vmm           the monitor process: owns the VM and ends as the workload ends
 *	insula-vmm --exec    the host process of one exec in a running VM
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "vmm.h"

/* A person who calls it by hand has no channel there. */
static bool has_channel(void)
{
	int type;
	socklen_t size = sizeof(type);

	return getsockopt(VMM_FD_SYNC, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	       type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
	bool exec = argc == 2 && STREQ(argv[1], "--exec");

	if ((argc != 1 && !exec) || !has_channel()) {
		fprintf(stderr, "insula-vmm: a part of insula, which starts it by itself; "
				"see insula(1), run --vm\n");
		return 125;
	}
	proc_exit_as(exec ? vmm_exec_run() : vmm_monitor_run());
}
