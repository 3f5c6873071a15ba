/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facade: what every engine's VM has in common. It checks the configuration, chooses engine and
 * accelerator, makes the agent's channel and the console, starts the file server, and then lets the
 * engine start the guest. While the VM runs, one epoll descriptor stands for everything that can
 * happen to it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine.h"
#include "virtiofsd.h"

/* Per call of vm_handle(): a guest that floods its console must not keep the monitor from all else.
 */
#define CONSOLE_READ_MAX (64u << 10)
#define CONSOLE_LINES    40 /* a panic with its call trace */

/* The kernel's COMMAND_LINE_SIZE on x86 and arm64 is 2048; the engine's own words need some. */
#define CMDLINE_MAX 1536

static const struct vm_engine *find_engine(const struct vm_config *c)
{
	switch (c->engine) {
	case VM_ENGINE_KVM:
		return &vm_engine_kvm;
	case VM_ENGINE_AUTO:
	case VM_ENGINE_QEMU:
		break;
	}
	return &vm_engine_qemu;
}

int vm_watch(struct vm *vm, int fd, struct err *e)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(vm->poll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_sys(e, errno, "epoll_ctl");
	return 0;
}

void vm_unwatch(struct vm *vm, int fd)
{
	if (fd >= 0)
		epoll_ctl(vm->poll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static int check_kernel(const struct vm_config *c, struct err *e)
{
	const struct vm_kernel *k = c->kernel;

	if (c->system && c->system->boot != VM_BOOT_KERNEL)
		return 0;
	if (!k || !k->image || (!k->initramfs && !c->system))
		return err_invalid(e, "no guest kernel given");
	if (access(k->image, R_OK) < 0)
		return err_sys(e, errno, "guest kernel '%s'", k->image);
	if (!c->system && access(k->initramfs, R_OK) < 0)
		return err_sys(e, errno, "guest initramfs '%s'", k->initramfs);
	return 0;
}

static int check_cmdline(const char *cmdline, struct err *e)
{
	if (!cmdline)
		return 0;
	if (strlen(cmdline) > CMDLINE_MAX)
		return err_invalid(e, "kernel command line: longer than %d bytes", CMDLINE_MAX);
	for (const char *p = cmdline; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			return err_invalid(e, "kernel command line: has a control or non-ASCII "
					      "character");
	return 0;
}

int vm_config_check(const struct vm_config *c, struct err *e)
{
	char have[STR_SIZE_MAX], need[STR_SIZE_MAX];
	int r;

	if (!c->name || !str_is_name(c->name))
		return err_invalid(e, "VM name: not a sandbox name");
	if (c->memory_bytes < VM_MEMORY_MIN_BYTES) {
		err_set(e, ERR_LIMIT, EINVAL,
			"memory of the VM: %s is too little, a guest needs %s",
			str_size(c->memory_bytes, have), str_size(VM_MEMORY_MIN_BYTES, need));
		return err_hint(e, "give at least --memory %llum", VM_MEMORY_MIN_BYTES >> 20);
	}
	if (c->memory_bytes & ((1u << 20) - 1))
		return err_invalid(e, "memory of the VM: %ju bytes are not whole MiB",
				   (uintmax_t)c->memory_bytes);
	r = check_kernel(c, e);
	if (r == 0)
		r = check_cmdline(c->cmdline, e);
	if (r == 0 && c->vsock)
		r = vm_vsock_check(c->vsock, e);
	if (r == 0 && c->share_dir)
		r = virtiofsd_check(e);
	if (r == 0)
		r = find_engine(c)->check(c, e);
	return r;
}

uint64_t vm_overhead_bytes(const struct vm_config *c)
{
	return find_engine(c)->overhead_bytes(c);
}

int vm_accel_resolve(const struct vm_config *c, enum vm_accel *ret, struct err *e)
{
	_cleanup_free_ char *why = NULL;
	enum vm_kvm_verdict v;

	if (c->accel == VM_ACCEL_TCG) {
		*ret = VM_ACCEL_TCG;
		return 0;
	}
	v = vm_kvm_probe(c->cache_dirfd, &why);
	if (v == VM_KVM_WORKS) {
		*ret = VM_ACCEL_KVM;
		return 0;
	}
	if (c->engine == VM_ENGINE_KVM) {
		err_unsupported(e, "engine kvm: %s", why ? why : vm_kvm_verdict_name(v));
		return err_hint(e, "use --engine qemu");
	}
	if (c->accel == VM_ACCEL_KVM)
		return err_unsupported(e, "accelerator kvm: %s",
				       why ? why : vm_kvm_verdict_name(v));
	log_to(c->log, LOG_LEVEL_DEBUG, "VM '%s': software emulation, as %s", c->name,
	       why ? why : vm_kvm_verdict_name(v));
	*ret = VM_ACCEL_TCG;
	return 0;
}

/* A connected pair: ours is non-blocking, the guest's end goes to the engine. */
static int make_channel(int *ret_ours, int *ret_theirs, struct err *e)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	r = fd_set_nonblock(pair[0], true);
	if (r < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_sys(e, r, "socketpair");
	}
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

static int start_parts(struct vm *vm, const struct vm_config *c, struct err *e)
{
	_cleanup_close_ int agent_end = -EBADF, console_end = -EBADF, share = -EBADF;
	int r;

	if ((r = make_channel(&vm->agent_fd, &agent_end, e)) < 0 ||
	    (r = make_channel(&vm->console_fd, &console_end, e)) < 0 ||
	    (!c->system && (r = vm_watch(vm, vm->console_fd, e)) < 0))
		return r;
	if (c->vsock && (r = vm_socket_make(&vm->vsock, c->vsock->path, e)) < 0)
		return r;
	if (c->share_dir) {
		r = virtiofsd_start(&vm->files, c->share_dir, c->run_dir, &share, e);
		if (r < 0)
			return r;
		if ((r = vm_watch(vm, vm->files.pidfd, e)) < 0 ||
		    (r = vm_watch(vm, vm->files.stderr_fd, e)) < 0)
			return r;
	}
	return vm->engine->start(vm, c, share, agent_end, console_end, e);
}

/* The engine waits for the file server: when that one ended first, it is the cause. */
static int blame(struct vm *vm, int r, struct err *e)
{
	_cleanup_free_ char *epitaph = NULL;

	if (vm->files.pid <= 0 || !vm_child_check(&vm->files))
		return r;
	if (vm_child_epitaph(&vm->files, &epitaph) < 0)
		return r;
	if (vm->files.status == 0) /* it follows an engine that went away */
		return r;
	return err_set(e, ERR_INTERNAL, ECHILD, "%s", epitaph);
}

int vm_start(const struct vm_config *c, struct vm **ret, struct err *e)
{
	struct vm *vm;
	int r;

	r = vm_config_check(c, e);
	if (r < 0)
		return r;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return err_nomem(e);
	vm->engine = find_engine(c);
	vm->log = c->log;
	vm->is_system = c->system != NULL;
	vm->agent_fd = vm->console_fd = -EBADF;
	vm->vsock = VM_SOCKET_INIT;
	vm->files = VM_CHILD_INIT("virtiofsd");
	vm->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	vm->name = strdup(c->name);
	if (vm->poll_fd < 0 || !vm->name)
		r = err_sys(e, vm->name ? errno : ENOMEM, "prepare");
	if (r == 0)
		r = vm_accel_resolve(c, &vm->accel, e);
	if (r == 0) {
		r = start_parts(vm, c, e);
		if (r < 0)
			r = blame(vm, r, e);
	}
	if (r < 0) {
		vm_kill(vm);
		err_wrap(e, "start VM '%s'", c->name);
		return r;
	}
	*ret = vm;
	return 0;
}

int vm_agent_fd(const struct vm *vm)
{
	return vm->agent_fd;
}

int vm_poll_fd(const struct vm *vm)
{
	return vm->poll_fd;
}

static void drain_console(struct vm *vm)
{
	char buf[4096];

	if (vm->is_system)
		return;
	for (size_t total = 0; vm->console_fd >= 0 && total < CONSOLE_READ_MAX;) {
		ssize_t n = read(vm->console_fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			vm_unwatch(vm, vm->console_fd);
			vm->console_fd = fd_close(vm->console_fd);
			return;
		}
		console_ring_add(&vm->console, buf, (size_t)n);
		total += (size_t)n;
	}
}

/* -ECHILD if the file server's end is the end of the VM. */
static int handle_files(struct vm *vm, char **ret_why)
{
	if (!vm_child_listen(&vm->files))
		vm_unwatch(vm, vm->files.stderr_fd);
	if (vm->files.pid <= 0 || !vm_child_check(&vm->files))
		return 0;
	vm_unwatch(vm, vm->files.pidfd);
	/* It ends by itself when the engine closes the connection. */
	if (vm->engine->is_ending(vm))
		return 0;
	if (vm_child_epitaph(&vm->files, ret_why) < 0)
		*ret_why = NULL;
	return -ECHILD;
}

int vm_handle(struct vm *vm, char **ret_why)
{
	_cleanup_free_ char *why = NULL;
	int r;

	drain_console(vm);
	r = vm->engine->handle(vm, &why);
	if (r == 0)
		r = handle_files(vm, &why);
	if (r < 0) {
		drain_console(vm);
		if (ret_why)
			*ret_why = TAKE_PTR(why);
	}
	return r;
}

const char *vm_console_tail(struct vm *vm)
{
	drain_console(vm);
	return console_ring_tail(&vm->console, CONSOLE_LINES);
}

int vm_console_fd(const struct vm *vm)
{
	return vm->console_fd;
}

int vm_power_button(struct vm *vm, struct err *e)
{
	int r = vm->engine->power_button ? vm->engine->power_button(vm, e)
					 : err_unsupported(e, "this engine has no power button");

	return r < 0 ? err_wrap(e, "VM '%s'", vm->name), r : 0;
}

bool vm_powered_off(const struct vm *vm)
{
	return vm->powered_off;
}

int vm_balloon(struct vm *vm, uint64_t bytes, struct err *e)
{
	int r = vm->engine->balloon
			? vm->engine->balloon(vm, bytes, e)
			: err_unsupported(e, "balloon: not with the engine %s", vm->engine->name);

	return r < 0 ? err_wrap(e, "VM '%s'", vm->name), r : 0;
}

int vm_stats(struct vm *vm, struct vm_stats *ret, struct err *e)
{
	int r = vm->engine->stats ? vm->engine->stats(vm, ret, e)
				  : err_unsupported(e, "statistics: not with the engine %s",
						    vm->engine->name);

	return r < 0 ? err_wrap(e, "VM '%s'", vm->name), r : 0;
}

int vm_pause(struct vm *vm, struct err *e)
{
	int r = vm->engine->pause(vm, e);

	return r < 0 ? err_wrap(e, "pause VM '%s'", vm->name), r : 0;
}

int vm_resume(struct vm *vm, struct err *e)
{
	int r = vm->engine->resume(vm, e);

	return r < 0 ? err_wrap(e, "resume VM '%s'", vm->name), r : 0;
}

void vm_kill(struct vm *vm)
{
	if (!vm)
		return;
	vm->engine->kill(vm);
	vm_child_kill(&vm->files);
	vm_socket_remove(&vm->vsock);
	fd_close(vm->agent_fd);
	fd_close(vm->console_fd);
	fd_close(vm->poll_fd);
	free(vm->name);
	free(vm);
}

const char *vm_engine_name(const struct vm *vm)
{
	return vm->engine->describe(vm);
}
