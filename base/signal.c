/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: their names, and putting them back to what a new program may expect (base/proc.h).
 *
 * The numbers differ between architectures, so libc is asked for the names of the classic ones. The
 * real-time signals are counted from SIGRTMIN as libc has it (34: the two below are its own).
 */
#include "base/proc.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

static const char *const realtime_names[] = {
	"RTMIN",    "RTMIN+1",  "RTMIN+2",  "RTMIN+3",  "RTMIN+4",  "RTMIN+5",  "RTMIN+6",
	"RTMIN+7",  "RTMIN+8",  "RTMIN+9",  "RTMIN+10", "RTMIN+11", "RTMIN+12", "RTMIN+13",
	"RTMIN+14", "RTMIN+15", "RTMAX-14", "RTMAX-13", "RTMAX-12", "RTMAX-11", "RTMAX-10",
	"RTMAX-9",  "RTMAX-8",  "RTMAX-7",  "RTMAX-6",  "RTMAX-5",  "RTMAX-4",  "RTMAX-3",
	"RTMAX-2",  "RTMAX-1",  "RTMAX",
};

static const struct {
	const char *name;
	int sig;
} aliases[] = {
	{"IOT", SIGABRT},
	{"CLD", SIGCHLD},
	{"IO", SIGIO},
	{"POLL", SIGPOLL},
};

#define SIGNAL_MAX 64 /* of Linux, everywhere but on MIPS (127) */

const char *signal_name(int sig)
{
	if (sig >= SIGRTMIN && (size_t)(sig - SIGRTMIN) < ARRAY_SIZE(realtime_names))
		return realtime_names[sig - SIGRTMIN];
	return sig > 0 && sig < SIGRTMIN ? sigabbrev_np(sig) : NULL;
}

/* "RTMIN", "RTMIN+3", "RTMAX-2" */
static int parse_realtime(const char *s, int *ret)
{
	bool from_min = strncasecmp(s, "RTMIN", 5) == 0;
	uint32_t offset = 0;
	int sig;

	if (!from_min && strncasecmp(s, "RTMAX", 5) != 0)
		return -EINVAL;
	s += 5;
	if (*s != '\0' && (*s != (from_min ? '+' : '-') || parse_u32(s + 1, &offset) < 0))
		return -EINVAL;
	if (offset > (uint32_t)(SIGRTMAX - SIGRTMIN))
		return -EINVAL;
	sig = from_min ? SIGRTMIN + (int)offset : SIGRTMAX - (int)offset;
	*ret = sig;
	return 0;
}

int signal_parse(const char *s, int *ret)
{
	uint32_t number;

	if (parse_u32(s, &number) == 0) {
		if (number < 1 || number > SIGNAL_MAX)
			return -EINVAL;
		*ret = (int)number;
		return 0;
	}
	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	for (int sig = 1; sig < SIGRTMIN; sig++) {
		const char *name = sigabbrev_np(sig);

		if (name && strcasecmp(s, name) == 0) {
			*ret = sig;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (strcasecmp(s, aliases[i].name) == 0) {
			*ret = aliases[i].sig;
			return 0;
		}
	}
	return parse_realtime(s, ret);
}

/* By the kernel's calls: libc's refuse the two signals that its threads use (32 and 33), and make(1), for one,
 * hands those down ignored. A zeroed action is SIG_DFL with no flags in every architecture's layout.
 * Fails for SIGKILL and SIGSTOP, which need it least. */
void proc_reset_signals(void)
{
	static const uint64_t dfl[8], none;

	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		syscall(SYS_rt_sigaction, sig, dfl, NULL, sizeof(none));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}
