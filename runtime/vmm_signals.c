/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals and terminals of the two host processes of a VM. Whoever signals one of them means the
 * workload, as with a container, where the host process *is* the workload; so every signal that can
 * be caught and is not about ourselves is passed on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm.h"

/* About ourselves: faults, our children, a peer that closed its pipe. */
static const int own_signals[] = {
	SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGCHLD, SIGPIPE,
};

int vmm_signals_open(struct err *e)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(own_signals); i++)
		sigdelset(&set, own_signals[i]);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return err_sys(e, errno, "block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd >= 0 ? fd : err_sys(e, errno, "signalfd");
}

int vmm_signals_next(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

static int open_pair(int *ret_master, int *ret_slave)
{
	_cleanup_close_ int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int slave;

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		return -errno;
	/* By descriptor: no name that somebody could have mounted over. */
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	*ret_master = TAKE_FD(master);
	*ret_slave = slave;
	return 0;
}

int vmm_terminal_open(uint16_t rows, uint16_t cols, int *ret_master, int *ret_slave, struct err *e)
{
	_cleanup_close_ int master = -EBADF, slave = -EBADF;
	struct winsize size = {.ws_row = rows, .ws_col = cols};
	struct termios t;
	int r = open_pair(&master, &slave);

	if (r < 0)
		return err_sys(e, r, "open a terminal");
	/* The line discipline that counts is the guest's; this one passes bytes. */
	if (tcgetattr(slave, &t) < 0)
		return err_sys(e, errno, "terminal settings");
	cfmakeraw(&t);
	if (tcsetattr(slave, TCSANOW, &t) < 0)
		return err_sys(e, errno, "terminal settings");
	if (rows && cols)
		ioctl(slave, TIOCSWINSZ, &size);
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_sys(e, errno, "take the terminal");
	*ret_master = TAKE_FD(master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}

uint32_t vmm_terminal_size(int fd)
{
	struct winsize size;

	if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size) < 0)
		return 0;
	return (uint32_t)size.ws_row << 16 | size.ws_col;
}
