/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What integration tests share: running the built programs as a user would, a root file system of
 * busybox, and a snapshot of everything that a sandbox could leave behind. A failure ends the current test through
 * cmocka; temporary files and whatever runs under the test's own state root are removed in every case.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

/* One test program's surroundings. */
struct world {
	char dir[64];    /* private temporary directory */
	char state[96];  /* state root below it, for --root */
	char rootfs[96]; /* busybox root file system */
	char id[32];     /* for a sandbox of the test; others on the machine use other ids */
	char insula[512], oci[512];
	struct ids *ids; /* every sandbox that there ever was in `state` (snapshot.c) */
	char faults_oci
		[512]; /* insula-oci with fault points (base/fault.h); "" when it was not built */
	const struct user *user; /* as whom run_insula() and the like run; NULL: as root */
	struct users *users;     /* made on first use (users.c) */
};

/* Group set-up and tear-down for cmocka; *state is the struct world. The tear-down deletes by force what
 * still is under the state root, and fails if there was anything. */
int world_setup(void **state);
int world_teardown(void **state);

/* Where the build put `name` ("insula", "tests/helpers/eat"). */
void build_path(const char *name, char *buf, size_t size);

/* Why microVMs cannot run here (no QEMU, no guest kernel), or NULL. */
const char *vm_missing(void);

/*
 * An ordinary user of this world. All users share one mount namespace of their own, in which /etc/passwd, /etc/group,
 * /etc/subuid and /etc/subgid are the world's, /home is a tmpfs with their homes, and the built programs lie in a
 * place that they can reach; nothing of the machine's own accounts is touched. There
 * may be no real account of that number on the machine.
 */
struct user {
	char name[32];
	uid_t uid;
	gid_t gid;         /* the same number; no supplementary groups */
	char home[64];     /* as the user sees it: /home/NAME, 0700 */
	char dir[112];     /* a directory of his, the same path for all */
	char home_at[128]; /* where the test finds the home */
	char runtime[128]; /* XDG_RUNTIME_DIR */
	char state[144];   /* the default state root: below `runtime` */
	char rootfs[128];  /* a busybox root file system that belongs to him */
	char insula[128], oci[128];
	int mounts; /* descriptor of the mount namespace */
	struct ids *ids;
};

/* Add one (at most 4). subids: one or more lines "FIRST:COUNT" of /etc/subuid and /etc/subgid, separated by blanks; NULL: none.
 * Lives as long as the world. */
const struct user *world_add_user(struct world *w, const char *name, uid_t uid, const char *subids);
/* The world as that user meets it: run_insula(), run_oci(), snapshot_take() and the like then use his programs, his state
 * root and his root file system, and run as he. Borrows from both; needs no tear-down. NULL: w itself. */
struct world world_as(const struct world *w, const struct user *u);

struct run_spec {
	const char *const *argv; /* argv[0] is a path */
	const struct user *
		user; /* as whom; NULL: as root. With env NULL his HOME, USER, XDG_RUNTIME_DIR … are
				  * set; without cwd he is in his home */
	const char *input;      /* text for standard input; NULL: /dev/null */
	size_t input_len;       /* 0: strlen(input) */
	const char *const *env; /* NULL: inherited */
	const char *cwd;
	int timeout_sec; /* 0: 120 */
	bool detaching; /* only wait for the program: what it leaves running may keep its output open.
			  * Standard input is /dev/null. */
};

struct run_result {
	int code; /* exit code, 128 + signal; 999: time was up (everything was killed) */
	char *out, *err;
	size_t out_len, err_len;
};

/* Run to the end. */
struct run_result run(const struct run_spec *s);
void run_result_done(struct run_result *r);

/* Start in the background. With a pty, *ret_fd is its master (24 rows, 80 columns), else a pipe of its standard output
 * and error. */
pid_t start(const char *const *argv, bool pty, int *ret_fd);
pid_t start_as(const struct user *u, const char *const *argv, bool pty, int *ret_fd);
/* Wait for it; as code above. The time limit counts from now. */
int finish(pid_t pid, int timeout_sec);
/* Collect from fd until `needle` appears (returns true) or the stream ends or time is up. buf keeps all text. */
bool read_until(int fd, const char *needle, char *buf, size_t size, int timeout_sec);

/* argv from words; NULL-terminated, static storage of the caller's scope. */
#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_WORDS  ((const char *const[]){NULL})

/* `insula-oci --root STATE words…` and `insula --root STATE words…` in this world, run as `detaching`. */
struct run_result run_oci(const struct world *w, const char *const *words);
struct run_result run_insula(const struct world *w, const char *const *words);
/* The same words as an argv for start() and run(). Valid until the next call. */
const char *const *oci_argv(const struct world *w, const char *const *words);
const char *const *insula_argv(const struct world *w, const char *const *words);
/* Fails the test with the whole result unless the exit code is `code`, standard output is exactly `out`
 * and standard error contains `err` (NULL: not looked at). Frees the result. */
void expect_result(struct run_result r, int code, const char *out, const char *err);
/* The same of an error as a user should meet it: one or two lines without control characters on standard
 * error, that contain each of the `words` (separated by '|'); nothing on standard output. */
void expect_error(struct run_result r, int code, const char *words);

/* ---- bundles ---------------------------------------------------------------------------- */

/* Write DIR/bundle-NAME/config.json: what `spec` writes, with the world's root file system, no terminal,
 * `command` for "sh -c", and then the changes: pairs of a path as in tests/include/oci_document.h and a
 * JSON text ("null" removes), NULL-terminated. Returns the directory, valid until the next 8 calls. */
const char *bundle(const struct world *w, const char *name, const char *command,
		   const char *const *changes);
#define CHANGES(...) ARGV(__VA_ARGS__)

/* A member of `insula-oci state ID`, as text; "" when there is none or the command failed. Caller frees. */
char *oci_state(const struct world *w, const char *id, const char *member);
/* Fails the test unless `insula-oci list -q` shows exactly these (sorted). */
void expect_ids(const struct world *w, const char *const *ids);
/* Fails the test unless the status becomes `status` within a minute. */
void expect_status(const struct world *w, const char *id, const char *status);

/* What exists outside: mounts of our namespace (private since world_setup(), so others' are not seen), groups of the
 * sandboxes that were ever made in this world, processes of ours, our own descriptors, entries of the state root. */
struct snapshot {
	char *text;
};
/* Begin to note the ids that appear in the state root, which must exist. */
struct ids *ids_watch(const char *state_root);
/* Take up what appeared until now, where much does: the kernel keeps 16384 notices. snapshot_take() does it, too. */
void ids_note(struct ids *ids);
void ids_free(struct ids *ids);
struct snapshot snapshot_take(const struct world *w);
/* Fails the test and shows the difference. Frees both. */
void snapshot_compare(struct snapshot *before, struct snapshot *after);

/* users.c, for this folder: in a child, become that user; only returns when done. */
void user_become(const struct user *u, bool with_env);
void users_free(struct world *w);
int users_delete_left_over(const struct world *w);
/* world.c, for this folder */
void make_rootfs(const char *root);
int delete_left_over(const struct world *w);

/* Files. */
void write_file(const char *path, const char *text, mode_t mode);
char *read_file(const char *path); /* NULL if missing; caller frees */

/* Poll `condition` until it holds, at most timeout_sec: for what has no event to wait on. */
bool eventually(bool (*condition)(void *arg), void *arg, int timeout_sec);
