/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's verbs, as both command lines call them. All take the context first; none prints,
 * none exits.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"
#include "runtime/driver.h"
#include "runtime/oci.h"
#include "runtime/state.h"

/* Who makes the control group of a new sandbox. */
enum rt_cgroup_manager {
	RT_CGROUPFS,
	RT_CGROUP_SYSTEMD, /* a transient scope of the system's manager, or of the user's */
	RT_CGROUP_DISABLED,
	RT_CGROUP_MANAGER_COUNT,
};
/* "cgroupfs", "systemd", "disabled"; ERR_INVALID names them. */
int rt_cgroup_manager_parse(const char *name, enum rt_cgroup_manager *ret, struct err *e);

struct rt_ctx {
	const char *root; /* state root; default /run/insula, or $XDG_RUNTIME_DIR/insula */
	char **argv;      /* of main(), for self_seal() */
	struct log_sink log;
	struct cg_host *cgroups; /* opened on first use by rt_cgroups(); owned */
	enum rt_cgroup_manager cgroup_manager;
	char *owned_root;
	char *store_path; /* of images and storage; owned; NULL until it is asked for: the default */
	struct img_store *images; /* opened on first use by rt_images(); owned */
	void (*images_close)(
		struct img_store *s); /* set with it, so that who opens none links none */
};

/* root NULL: the default, made from the environment. */
int rt_ctx_init(struct rt_ctx *ctx, const char *root, char **argv, struct err *e);
void rt_ctx_done(struct rt_ctx *ctx);
int rt_cgroups(struct rt_ctx *ctx, struct cg_host **ret, struct err *e);

/* A file or a directory that a sandbox's document binds: made in its state directory or its storage, and
 * removed with them. */
struct rt_file {
	char *path; /* owned; absolute */
	char *text; /* owned; NULL: a directory */
	mode_t mode;
};
void rt_files_free(struct rt_file *v, size_t n);

/* What a monitor keeps of a detached sandbox's output; all zero: the defaults. */
struct rt_log_options {
	const char *driver; /* "k8s-file" (default) or "none" */
	uint64_t max_bytes; /* of one file; default 10 MiB */
	unsigned max_files; /* with the current one; default 2 */
};

/* Connect to a Unix socket by its path, of any length. `what` names it in errors. Returns the descriptor, or -errno. */
int rt_connect_socket(const char *path, const char *what, struct err *e);
/* Send a descriptor with `name`, which is not empty, as data. */
int rt_send_descriptor(int socket, int fd, const char *name, const char *what, struct err *e);

/* How many sockets to listen on our caller passed to us, as LISTEN_FDS and LISTEN_PID say: descriptors from 3 on. */
int rt_listen_fds(unsigned *ret, struct err *e);

/* ---- life of a sandbox ---------------------------------------------------------------- */

struct rt_checkpoint_request;

struct rt_create_request {
	const char *id;
	const char *bundle;    /* directory with config.json; or NULL with document given */
	struct json *document; /* taken over in every case */
	const char *driver;    /* name, or NULL: annotation org.insula.isolation, else container */
	struct rt_io io;
	const char *pid_file; /* or NULL */
	unsigned
		listen_fds; /* the first of io.preserve_fds are sockets to listen on (sd_listen_fds(3)) */
	bool keep_keyring, no_pivot;
	/* Not NULL: its processes come from these images, and run when it is created. Of the hooks only prestart and
	 * createRuntime run. */
	const struct rt_checkpoint_request *restore;
	bool notify; /* it gets a socket for sd_notify(3); who starts it binds that: rt_notify_open() */
	/* of `insula run` */
	const char *name;
	char *const *labels;
	bool ephemeral;
	const char *image, *image_id, *storage, *stop_signal; /* into the state; or NULL */
	int64_t stop_timeout_sec;                             /* -1: the default */
	const struct rt_file *files; /* made before anything is mounted; borrowed */
	size_t n_files;
	struct rt_log_options log; /* of a detached one */
};

/* Steps 3 of the way of a command. On success *ret is open (state created, lock dropped) and the
 * host process waits at its gate. On failure everything made is taken back. */
int rt_create(struct rt_ctx *ctx, struct rt_create_request *r, struct sandbox **ret, struct err *e);

/* Only check: configuration, support, plan. *ret_text is what --explain prints. Caller frees. */
int rt_explain(struct rt_ctx *ctx, struct rt_create_request *r, char **ret_text, struct err *e);

/* Open an existing one by id (exact). ERR_NOT_FOUND. Its configuration is loaded if with_config. */
int rt_open(struct rt_ctx *ctx, const char *id, bool with_config, struct sandbox **ret,
	    struct err *e);
void rt_close(struct sandbox *s); /* frees; NULL-safe */
static inline void rt_closep(struct sandbox **s)
{
	rt_close(*s);
}
#define _cleanup_sandbox_ __attribute__((cleanup(rt_closep)))

/* Open the gate; state running; poststart hooks. */
int rt_start(struct sandbox *s, struct err *e);

/* The process that created a sandbox (or its exec) is the parent: wait for the end. Fills exit code
 * and signal as of waitpid. Marks the state stopped with the code. */
int rt_wait(struct sandbox *s, int *ret_wait_status, struct err *e);

/* After a relay that reaped the host process: mark the state stopped with its exit code. */
int rt_finish(struct sandbox *s, int wait_status, struct err *e);

int rt_kill(struct sandbox *s, int sig, bool all, struct err *e);
int rt_pause(struct sandbox *s, struct err *e);
int rt_resume(struct sandbox *s, struct err *e);

/* Change limits; `resources` has the form of linux.resources, and only what it names changes. */
int rt_update(struct sandbox *s, const struct json *resources, struct err *e);

/* Add mounts to one that lives, all or none; remove some that were added. `mounts` is an array of the form of the
 * configuration's; of those to be removed only the destination counts. */
int rt_mounts_add(struct sandbox *s, const struct json *mounts, struct err *e);
int rt_mounts_remove(struct sandbox *s, const struct json *mounts, struct err *e);

/* A checkpoint by criu. cgroups_mode is criu's number of a way to handle control groups. */
enum rt_criu_cgroups { RT_CRIU_IGNORE = 0, RT_CRIU_SOFT = 3, RT_CRIU_FULL = 4, RT_CRIU_STRICT = 5 };
struct rt_checkpoint_request {
	const char *images;      /* directory; made by a checkpoint */
	const char *work;        /* directory for the log; NULL: images */
	const char *parent;      /* images of a pre-dump, relative to `images`; or NULL */
	const char *page_server; /* "ADDRESS:PORT", or NULL */
	const char *lsm_profile, *lsm_mount_context;
	bool pre_dump, leave_running;
	bool tcp_established, ext_unix_sk, shell_job, file_locks, auto_dedup;
	uint64_t empty_ns; /* CLONE_NEW* */
	enum rt_criu_cgroups cgroups_mode;
};
/* Write one. The container is gone then, but with pre_dump or leave_running. Restored by rt_create() with `restore`. */
int rt_checkpoint(struct sandbox *s, const struct rt_checkpoint_request *r, struct err *e);

/* What it uses, as the data of a `stats` event has it. Caller frees. */
int rt_stats_json(struct sandbox *s, struct json **ret, struct err *e);

/* Call `event` with "stats" and their data every interval, and with "oom" and NULL when the kernel killed in the sandbox
 * for want of memory, until the sandbox has ended or `event` returns something else than 0, which is returned. */
typedef int (*rt_event_fn)(void *arg, const char *type, const struct json *data);
int rt_events(struct sandbox *s, unsigned interval_sec, rt_event_fn event, void *arg,
	      struct err *e);

/* All its processes on the host, ascending; a VM's are its monitor, engine and file server. Caller frees. */
int rt_pids(struct sandbox *s, pid_t **ret, size_t *ret_n, struct err *e);

/* Remove a stopped one: poststop hooks, cgroup, state. `force` kills first, and accepts
 * half-created ones and (as runc does) a missing one. */
int rt_delete(struct rt_ctx *ctx, const char *id, bool force, struct err *e);

/* Who "app" or "1000:staff" is in a sandbox's root file system, as it is by now. Its configuration is loaded.
 * ret_home may be NULL; the caller frees *ret_home and ret->additional_gids. */
int rt_resolve_user(struct sandbox *s, const char *spec, struct iso_user *ret, char **ret_home,
		    struct err *e);

struct rt_exec_request {
	const struct iso_process *process;
	struct rt_io io;
	const char *pid_file;
	const char *cgroup; /* an existing group below the sandbox's own, or NULL */
	bool keep_keyring;
	bool ignore_paused; /* in a paused one: it begins to run when that is resumed, and we wait for it */
};
/* Start a process in a running sandbox. *ret_pid is a child of ours. */
int rt_exec(struct sandbox *s, const struct rt_exec_request *r, pid_t *ret_pid, int *ret_console,
	    struct err *e);

/* What is true now. For many: the context keeps what it learnt of the host. */
enum rt_status rt_status(struct sandbox *s);
/* For who holds many at once: what is left of it is the state as it was read. */
void rt_close_descriptors(struct sandbox *s);

/* Spec: OCI runtime-spec runtime.md "State": the JSON text. Caller frees. */
int rt_state_json(struct sandbox *s, char **ret, struct err *e);

/* ---- `insula run` ----------------------------------------------------------------------- */

struct rt_volume {
	/* options: "ro,…" or NULL; source NULL: an anonymous volume, a directory of the sandbox's own */
	char *source, *destination, *options;
};

struct img_image;

/* What a person asked for; turned into an OCI document. NULL, false, CG_UNSET: not asked for. strv are borrowed. */
struct rt_run_request {
	/* what runs */
	const char *rootfs; /* --rootfs DIR, or */
	const struct img_image
		*image;    /* an image, opened; its configuration fills what is not asked for */
	char *const *args; /* may be empty for an image */
	const char *
		entrypoint; /* replaces the image's entrypoint and command; "" clears the entrypoint */
	char *const *env; /* strv of NAME=value */
	const char *workdir, *user;
	char *const *groups; /* --group-add */
	bool interactive, tty, init;

	/* what it sees */
	const struct rt_volume *volumes;
	size_t n_volumes;
	char *const *mounts;  /* --mount, as written */
	char *const *tmpfs;   /* "DIR[:OPTIONS]" */
	char *const *devices; /* "PATH[:PATH[:rwm]]" */
	bool read_only;
	int64_t shm_bytes;
	const char *hostname, *network, *userns, *ipc, *pid, *uts;
	char *const *hosts; /* --add-host "NAME:ADDRESS" */
	char *const *dns, *const *dns_search, *const *dns_options;
	const char *domainname;
	bool no_hosts; /* no /etc/hosts of ours */

	/* what it may */
	char *const *cap_add, *const *cap_drop, *const *security, *const *sysctls, *const *ulimits;
	bool privileged;
	int64_t memory_bytes, memory_swap_bytes, cpus_micro, cpu_weight, pids_limit, oom_score_adj;
	const char *cpuset_cpus, *cpuset_mems;
	int64_t memory_reservation_bytes, cpu_shares, cpu_quota_usec, cpu_period_usec;
	char *const *device_rules; /* --device-cgroup-rule */

	/* its life */
	const char *name, *driver;
	char *const *labels, *const *annotations;
	const char *stop_signal;
	int64_t stop_timeout_sec;
	const char *
		storage; /* the sandbox's own directory in the store (rt_storage_path()); NULL: it has none */
	bool ephemeral; /* --rm: nothing of it must survive a crash of the host */
};

/* Nothing asked for. */
void rt_run_request_init(struct rt_run_request *r);

/* The files that the document of a request names: for rt_create_request. *ret: rt_files_free(). */
int rt_run_files(struct rt_ctx *ctx, const struct rt_run_request *r, const char *id,
		 struct rt_file **ret, size_t *ret_n, struct err *e);

/* The signal that stops the sandbox: the flag's or the image's, as a name or number; NULL: the default. Borrowed. */
const char *rt_run_stop_signal(const struct rt_run_request *r);

/* The OCI document for a request. Looks into the root file system for the user. */
int rt_run_document(struct rt_ctx *ctx, const struct rt_run_request *r, const char *id,
		    struct json **ret, struct err *e);

/* ---- images and what sandboxes of them keep ------------------------------------------------ */

struct img_store;

/* Another place for the store than the default: an absolute or relative path, copied. Before its first use. */
int rt_store_set(struct rt_ctx *ctx, const char *path, struct err *e);

/* The caller's store, opened on first use: /var/lib/insula, or $XDG_DATA_HOME/insula. Borrowed from ctx. */
int rt_images(struct rt_ctx *ctx, struct img_store **ret, struct err *e);

/* The ids of the images that sandboxes of this state root use. strv, caller frees. */
int rt_images_in_use(struct rt_ctx *ctx, char ***ret, struct err *e);

/* STORE/sandboxes/…/ID with diff/ and work/ for the changes of a sandbox, rootfs/ (where its root is mounted, in its own
 * mount namespace) and volumes/. Only the name; rt_create() makes what rt_create_request.storage names, once the state
 * says so, and rt_delete() removes it; so a storage without a state is a leftover (of a reboot), and removed by the next
 * creation. *ret_path: caller frees. */
int rt_storage_path(struct rt_ctx *ctx, const char *id, char **ret_path, struct err *e);
int rt_storage_create(struct rt_ctx *ctx, const char *path, struct err *e);
/* A missing one is no error. */
int rt_storage_remove(struct rt_ctx *ctx, const char *path, struct err *e);

/* ---- detached ---------------------------------------------------------------------------- */

/*
 * Create and start a sandbox under a monitor of its own (double fork, own session, subreaper), which outlives the caller,
 * writes the output to a log, notes the exit code, removes the sandbox when it is ephemeral. Returns when the
 * workload started, or with the error that kept it from it. The request is taken over.
 */
int rt_run_detached(struct rt_ctx *ctx, struct rt_create_request *r, bool keep_stdin_open,
		    struct err *e);
/* The same up to the gate: rt_start() of any process starts it. */
int rt_create_detached(struct rt_ctx *ctx, struct rt_create_request *r, bool keep_stdin_open,
		       struct err *e);
/* Check the options of a log, and fill in the defaults. ERR_INVALID, ERR_UNSUPPORTED. */
int rt_log_options_check(struct rt_log_options *o, struct err *e);

/* Wait until a sandbox that need not be ours has ended; its exit code, or -1 when nobody could note it. */
int rt_wait_for(struct rt_ctx *ctx, const char *id, int *ret_exit_code, struct err *e);

/* A fresh id: 12 hex digits. */
void rt_new_id(char ret[13]);

/* ---- notifications to a service manager ----------------------------------------------------- */

/* The value of NOTIFY_SOCKET, or NULL. */
const char *rt_notify_address(void);

/* Before the start of a sandbox that was created with `notify`: bind its socket, and reach the manager at `address`. *ret is
 * NULL where address is, and for a sandbox without. What is handed on: docs/oci.md. */
struct rt_notify_proxy;
int rt_notify_open(struct sandbox *s, const char *address, struct rt_notify_proxy **ret,
		   struct err *e);
void rt_notify_close(struct rt_notify_proxy *n); /* NULL-safe */
static inline void rt_notify_closep(struct rt_notify_proxy **n)
{
	rt_notify_close(*n);
}

/* After the start: until the container has said READY=1, which makes its first process the manager's main one, or has ended. */
int rt_notify_wait(struct rt_notify_proxy *n, struct sandbox *s, struct err *e);

/* For an event loop: what to poll for (fd -1 for NULL), and to be called when that came. Never blocks; true: there may be
 * more at once. */
struct pollfd rt_notify_poll(const struct rt_notify_proxy *n);
bool rt_notify_handle(struct rt_notify_proxy *n);

/* ---- relay ------------------------------------------------------------------------------ */

/* Copy between our terminal and a console master, follow window size, forward signals to the
 * sandbox (none with a terminal, whose line discipline does it), until the process `pid` ended and
 * its output is drained. s may be NULL-driver safe. stdin is only read when `interactive`. Restores
 * the terminal in every case. */
struct rt_relay {
	struct sandbox *sandbox; /* for signals; exec: signals go to pid */
	pid_t pid;
	int console_fd; /* master, or -1 without a terminal */
	bool interactive;
	bool forward_signals;
	bool is_exec;
	struct rt_notify_proxy *notify; /* kept going meanwhile; or NULL */
};
int rt_relay_run(struct rt_relay *r, int *ret_wait_status, struct err *e);
/* Before the workload starts: from here on the signals that the relay will take wait for it, so that
 * none of them ends us in between (they stay blocked afterwards); and its terminal gets our size now, since
 * later the change would be a SIGWINCH that nobody caused. */
void rt_relay_prepare(const struct rt_relay *r);
