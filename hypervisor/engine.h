/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine is to the facade (vm.c): a dozen operations, and the part of a running VM that
 * every engine has. An engine whose vCPUs are threads of this process fits as well as one that is
 * another program: the facade only sees descriptors to poll and a verdict when the VM ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "child.h"
#include "console_ring.h"
#include "hypervisor/vm.h"
#include "vsock_host.h"

struct vm_engine;

struct vm {
	const struct vm_engine *engine;
	char *name; /* owned */
	const struct log_sink *log;
	enum vm_accel accel;   /* resolved: KVM or TCG, never AUTO */
	int poll_fd;           /* epoll over all below and what the engine adds */
	int agent_fd;          /* our end of the agent's channel */
	int console_fd;        /* our end of the guest's serial console */
	struct vm_child files; /* the file server; pid 0 if nothing is shared */
	struct console_ring console;
	bool is_system;         /* the console is the caller's to read */
	bool powered_off;       /* set by the engine when it ended so */
	struct vm_socket vsock; /* what the host's programs connect to */
	void *priv;             /* the engine's */
};

struct vm_engine {
	const char *name;

	/* Can it run this at all? Starts nothing. */
	int (*check)(const struct vm_config *c, struct err *e);

	/* Host memory beyond the guest's RAM. */
	uint64_t (*overhead_bytes)(const struct vm_config *c);

	/* Start the guest. vm has agent_fd, console_fd and the file server already. share_fd is the
	 * engine's end of the vhost-user connection (-1: none), agent_end and console_end the
	 * guest's ends; all stay the caller's. Registers with vm_watch() what it wants to hear of.
	 * On failure it cleans up after itself. */
	int (*start)(struct vm *vm, const struct vm_config *c, int share_fd, int agent_end,
		     int console_end, struct err *e);

	/* Something watched became readable. 0: it lives, -ECHILD: it ended, *ret_why says how
	 * (owned by the caller, may be NULL when memory is short). */
	int (*handle)(struct vm *vm, char **ret_why);

	/* Asked when the file server ended: true if the engine's own end is known or on its way
	 * (it may wait a second for that), so that the file server's is a consequence and not the
	 * cause. */
	bool (*is_ending)(struct vm *vm);

	int (*pause)(struct vm *vm, struct err *e);
	int (*resume)(struct vm *vm, struct err *e);
	void (*kill)(struct vm *vm); /* wait for it, free priv; idempotent */
	const char *(*describe)(const struct vm *vm);
	/* NULL where the engine has none. */
	int (*power_button)(struct vm *vm, struct err *e);
	int (*balloon)(struct vm *vm, uint64_t bytes, struct err *e);
	int (*stats)(struct vm *vm, struct vm_stats *ret, struct err *e);
};

extern const struct vm_engine vm_engine_qemu, vm_engine_kvm;

/* Add to / remove from vm->poll_fd (level triggered, input). Removing what is not there is fine. */
int vm_watch(struct vm *vm, int fd, struct err *e);
void vm_unwatch(struct vm *vm, int fd);

/* The accelerator to use: AUTO asks the probe; KVM that does not work is refused with the probe's
 * reason. Names and reasons go to c->log. */
int vm_accel_resolve(const struct vm_config *c, enum vm_accel *ret, struct err *e);
