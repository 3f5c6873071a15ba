/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine: one facade over engines. The engine `qemu` drives the installed QEMU (KVM
 * where the probe says that it really works, else software emulation); `kvm` is our own VMM.
 *
 * A VM lives in the process that called vm_start() (the monitor process of its sandbox), which
 * polls vm_poll_fd() and the agent's descriptor. Nothing here knows what a sandbox or an OCI
 * configuration is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"
#include "hypervisor/disk.h"

/* Does hardware virtualisation really work here? A /dev/kvm that opens is no proof: the probe runs
 * a tiny 64-bit guest that executes cmpxchg16b, xrstor and int3. */
enum vm_kvm_verdict {
	VM_KVM_WORKS,
	VM_KVM_ABSENT,    /* no /dev/kvm */
	VM_KVM_FORBIDDEN, /* no permission */
	VM_KVM_TOO_WEAK,  /* opens, but cannot run Linux (instruction emulation only) */
};
/* cache_dirfd: where the verdict is kept for this boot (file ".kvm-probe"), or -1. *ret_why (may be
 * NULL): one line for people; caller frees. */
enum vm_kvm_verdict vm_kvm_probe(int cache_dirfd, char **ret_why);
const char *vm_kvm_verdict_name(enum vm_kvm_verdict v);

/* A guest kernel as kept on disk: a directory with `vmlinuz` and `initramfs` (uncompressed cpio
 * with the guest program as /init and the modules it needs, in load order, under /modules), and
 * `vmlinux` if the kernel can be started without its decompressor; `image` is then that one. */
struct vm_kernel {
	char *dir;     /* owned */
	char *release; /* owned; "6.1.0-…-cloud-amd64" */
	char *image;   /* owned path of the kernel */
	char *initramfs;
};
void vm_kernel_done(struct vm_kernel *k);

/* Look for a guest kernel in each directory of `search` (strv), in order. ERR_NOT_FOUND with the
 * way out as hint. */
int vm_kernel_find(char *const *search, struct vm_kernel *ret, struct err *e);

/* Make a guest kernel directory `dest` from an unpacked Debian kernel package (`tree` holds
 * boot/vmlinuz-R and lib/modules/R) and the static guest program. Atomic: dest appears whole or not
 * at all. */
int vm_kernel_install(const char *tree, const char *guest_program, const char *dest, struct err *e);

enum vm_accel { VM_ACCEL_AUTO, VM_ACCEL_KVM, VM_ACCEL_TCG };

/* AUTO is qemu until our own VMM (kvm) has all devices. */
enum vm_engine_choice { VM_ENGINE_AUTO, VM_ENGINE_KVM, VM_ENGINE_QEMU };

/* A disk: a file or block device. Nothing in it is ever taken for a format. */
#define VM_DISKS_MAX 4
struct vm_disk {
	int fd; /* borrowed, opened for writing unless read_only */
	bool read_only;
	enum vm_disk_format format; /* the engine kvm takes raw ones */
	/* with has_overlay: takes the changes; empty at first, then in a format of the engine's. fd is opened for reading. */
	int overlay_fd;
	bool has_overlay;
};

/* A guest that is a whole system of its own: booted from disks[0], its serial console is a stream of the caller's
 * (vm_console_fd()), no agent, no shared directory; it may restart by itself, and waits for vm_resume(). */
struct vm_system {
	enum vm_boot boot;
	const char
		*root; /* VM_BOOT_KERNEL: "/dev/nvme0n1p1" (disk 1, partition 1, whatever the engine
		       * calls it), or NULL: the caller's command line says it */
	const char *initrd; /* of a kernel of the caller's, or NULL */
	int uefi_vars_fd; /* VM_BOOT_UEFI: a copy of the firmware's variables, opened for writing */
};
/* The firmware's template for that copy, to be opened by the caller. ERR_NOT_FOUND with the package to install. */
int vm_uefi_vars_path(const char **ret, struct err *e);

/* Stream sockets between guest and host. From the host: connect to the Unix socket `path`, write "CONNECT <port>\n", read
 * "OK <own port>\n". From the guest: CID 2, port N is the Unix socket "<path>_N", which vm_handle() connects to. */
struct vm_vsock {
	uint64_t guest_cid; /* 3 and up */
	const char *path;   /* made by vm_start() for its user alone, removed by vm_kill() */
};

struct vm_config {
	const char *name; /* for process titles and messages */
	struct vm_kernel *kernel;
	const char *cmdline;   /* beyond what the engine needs itself; may be NULL */
	uint64_t memory_bytes; /* RAM of the guest; at least VM_MEMORY_MIN_BYTES */
	unsigned vcpus;
	enum vm_accel accel;
	enum vm_engine_choice engine; /* kvm with accel TCG is refused */
	const char
		*share_dir; /* exported to the guest by virtiofs, tag "insula", submounts announced;
			     * its read-only mounts are the host's to enforce. NULL: none */
	const char *run_dir; /* private directory for sockets */
	int cache_dirfd;     /* for the probe; or -1 */
	int net_tap_fd;      /* -1: no network device; a tap with IFF_VNET_HDR for the engine kvm */
	const char *helper_dir;      /* of insula-kvm; NULL: beside this program, or as installed */
	const struct vm_disk *disks; /* engine kvm: /dev/vda and so on; qemu: with `system` */
	unsigned n_disks;
	const struct vm_system *system; /* NULL: a guest with our agent */
	const struct vm_vsock *vsock;   /* NULL: none; the engine qemu refuses it */
	const struct log_sink *log;
};
/* Debian's cloud kernel with our initramfs boots from 80 MiB on (at 72 it panics while unpacking);
 * with 96 a workload has 40 MiB. */
#define VM_MEMORY_MIN_BYTES (96ull << 20)

struct vm;

/* Check what can be checked without starting anything: programs installed, memory, vCPUs. */
int vm_config_check(const struct vm_config *c, struct err *e);

/* Host memory that the VM takes beyond its RAM, measured per engine; for the cgroup's limit. */
uint64_t vm_overhead_bytes(const struct vm_config *c);

/* Start the helper processes (file server, engine) as children of the caller; the guest boots. */
int vm_start(const struct vm_config *c, struct vm **ret, struct err *e);

/* The channel to the guest's agent: a byte stream, non-blocking, borrowed. */
int vm_agent_fd(const struct vm *vm);

/* Poll this for input; then vm_handle(): drains the guest's console into a ring, reaps children.
 * Returns 0 while the VM lives, -ECHILD once it ended (whatever the reason: *ret_why tells in a
 * line, caller frees). */
int vm_poll_fd(const struct vm *vm);
int vm_handle(struct vm *vm, char **ret_why);

/* The last lines of the guest's console (kernel messages), for errors. Borrowed, NUL-terminated,
 * printable. */
const char *vm_console_tail(struct vm *vm);

/* Of a `system`: its serial console, both ways, non-blocking, borrowed; nobody else reads it. */
int vm_console_fd(const struct vm *vm);
/* Press the power button. The guest may ignore it. */
int vm_power_button(struct vm *vm, struct err *e);
/* Of an ended `system`: by powering off, as opposed to any kind of failure. */
bool vm_powered_off(const struct vm *vm);

/* Stop and resume the vCPUs. */
int vm_pause(struct vm *vm, struct err *e);
int vm_resume(struct vm *vm, struct err *e);

/* How much of its memory the guest is to give back; it does so in its own time, as vm_stats() shows. */
int vm_balloon(struct vm *vm, uint64_t bytes, struct err *e);

/* The guest's own view comes from its balloon driver and may be anything. */
enum vm_guest_stat {
	VM_GUEST_FREE_BYTES,
	VM_GUEST_TOTAL_BYTES,
	VM_GUEST_AVAILABLE_BYTES,
	VM_GUEST_CACHES_BYTES,
	VM_GUEST_SWAP_IN_BYTES,
	VM_GUEST_SWAP_OUT_BYTES,
	VM_GUEST_MAJOR_FAULTS,
	VM_GUEST_MINOR_FAULTS,
	VM_GUEST_STATS
};
struct vm_stats {
	uint64_t exits, port_accesses, mmio_accesses; /* of all vCPUs */
	uint64_t balloon_bytes;
	uint64_t guest_answers; /* how often the guest told; 0: not yet. Each call asks it anew */
	uint32_t guest_known;   /* a bit per enum vm_guest_stat */
	uint64_t guest[VM_GUEST_STATS];
};
int vm_stats(struct vm *vm, struct vm_stats *ret, struct err *e);

/* End it and all its helper processes now; wait for them; free. NULL-safe. */
void vm_kill(struct vm *vm);

/* Name of the engine and accelerator in use: "qemu (tcg)", "kvm". Static. */
const char *vm_engine_name(const struct vm *vm);
