/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-guest: init of a microVM's initramfs, and the agent that runs the workload there.
 *
 *	insula-guest             as PID 1 (the kernel starts it as /init); with insula.root=DEVICE on the kernel's
 *	                         command line it mounts that and gives way to the init there
 *	insula-guest --fd N      the agent alone, on an inherited stream socket, in the caller's
 *	                         namespaces. It mounts nothing, does not touch the clock and ends
 *	                         with the connection: for systems that are up already, and tests.
 *
 * As PID 1 it never exits while the kernel runs (that would be a panic): at the end it powers off.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/self.h"

static void complain(const struct err *e)
{
	fprintf(stderr, "insula-guest: %s\n", e->text);
	if (e->hint[0])
		fprintf(stderr, "insula-guest: %s\n", e->hint);
}

/* A guest system's disk is to be the root. Where that fails the end of init is a panic, with the reason above it on the
 * screen: nothing ran that could be powered off. */
static int run_system(const char *device, char **argv, struct err *e)
{
	int r = guest_boot_modules(e);

	if (r == 0)
		r = guest_root_enter(device, argv, e);
	complain(e);
	return r < 0;
}

static int run_init(char **argv)
{
	struct err e = ERR_INIT, boot_error = ERR_INIT;
	struct guest_agent_options o = {.owns_host = true};
	_cleanup_free_ char *root = NULL;
	int r = guest_boot_basics(&e);

	if (r == 0)
		r = guest_root_wish(&root, &e);
	if (root)
		return run_system(root, argv, &e);
	/* The copy is needed before any container, and cheapest before anything was opened. */
	if (r == 0)
		r = self_seal(argv, &e);
	if (r == 0)
		r = guest_boot_modules(&e);
	if (r == 0)
		r = o.fd = guest_boot_channel(&e);
	if (r < 0) {
		complain(&e);
		guest_power_off();
	}
	if (guest_boot_system(&boot_error) < 0) {
		complain(&boot_error);
		o.boot_error = &boot_error;
	}
	if (guest_agent_run(&o, &e) < 0)
		complain(&e);
	guest_power_off();
}

static int run_agent(const char *number, char **argv)
{
	struct guest_agent_options o = {0};
	struct err e = ERR_INIT;
	uint32_t fd;
	int r;

	if (parse_u32(number, &fd) < 0 || fd > INT32_MAX) {
		fprintf(stderr, "insula-guest: --fd '%s': not a descriptor\n", number);
		return 2;
	}
	o.fd = (int)fd;
	r = fd_sanitize_stdio(&e);
	if (r == 0)
		r = self_seal(argv, &e);
	if (r == 0 &&
	    ((r = fd_set_nonblock(o.fd, true)) < 0 || (r = fd_set_cloexec(o.fd, true)) < 0))
		err_sys(&e, r, "descriptor %s", number);
	if (r == 0)
		r = guest_agent_run(&o, &e);
	if (r < 0)
		complain(&e);
	return r < 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	/* A guest system's init has the kernel's further words as arguments. */
	if (getpid() == 1)
		return run_init(argv);
	if (argc == 3 && STREQ(argv[1], "--fd"))
		return run_agent(argv[2], argv);
	fprintf(stderr, "usage: insula-guest --fd N   (or as PID 1 of a microVM)\n");
	return 2;
}
