/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite's parts: requirements (requirements.c), checks (check_*.c), the runtime under test (runtime.c), what the
 * inspector reported (report.c), the runs and their results (main.c), the document (document.c).
 *
 * Each check runs in a process of its own and ends by the first failure; whatever it made is removed behind it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* ---- requirements ------------------------------------------------------------------------ */

enum level {
	LEVEL_MUST,
	LEVEL_SHOULD,
	LEVEL_MAY,
	LEVEL_CLI, /* not in the specification: what engines expect of the command line */
	LEVEL_COUNT,
};

struct requirement {
	/* As in the list of runtime-tools (specerror); where that list, which is older, has none: the name of the
	 * specification's section. */
	const char *id;
	enum level level;
	const char *where;     /* document#section */
	const char *text;      /* in short */
	const char *unchecked; /* why no check names it; NULL: at least one must */
};

extern const struct requirement requirements[];
extern const size_t requirements_len;
const struct requirement *requirement_find(const char *id);

/* ---- checks ------------------------------------------------------------------------------ */

/*
 * Either `run`, or a configuration (changes to the basic one: pairs of path and JSON text, as in
 * tests/include/oci_document.h, NULL-terminated) with what the inspector must report of it, or with `refused`: creating
 * a container of it must fail, and leave none. Checks that point to the same changes share one container.
 *
 * What is wanted, one string for each: "KEY=VALUE" exactly, "KEY~ITEM" a comma-separated list has it, "KEY!ITEM" it has
 * not, "KEY" there is one, "!KEY" there is none.
 */
struct check {
	const char *id;  /* its name in the results */
	const char *req; /* a requirement's id */
	const char *how; /* for people */
	const char *const *config;
	const char *const *want;
	bool refused;
	void (*run)(const struct check *c);
	const char *arg; /* for `run` */
};

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define CHECKS(name)                                                 \
	const struct check_table name##_table = {name, COUNT(name)}; \
	_Static_assert(sizeof(name) / sizeof(name[0]) > 0, "no checks")

struct check_table {
	const struct check *checks;
	size_t len;
};
extern const struct check_table process_checks_table, scheduling_checks_table, file_checks_table,
	mount_checks_table, device_checks_table, namespace_checks_table, cgroup_checks_table,
	seccomp_checks_table, notify_checks_table, hook_checks_table, lifecycle_checks_table,
	bundle_checks_table, value_checks_table, terminal_checks_table, feature_checks_table;

/* The check ends here. A skip says what the machine lacks. */
_Noreturn void check_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void check_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- the runtime under test -------------------------------------------------------------- */

struct env {
	const char *runtime; /* path of the program */
	const char *name;    /* its last part */
	char dir[96];        /* files of this run */
	char root[112];      /* --root */
	char cgroup[64];     /* all groups are below it, "/…" in each hierarchy */
	bool vm;             /* containers are microVMs */
};
extern struct env env;

/* Run `RUNTIME --root ROOT words…` and wait; the exit code. Its standard output and error go to files, that a container made
 * by it keeps: DIR/NAME.out and DIR/NAME.err. */
int runtime_verb(const char *name, const char *const *words);
/* "…" of the last call of that name; caller frees. */
char *text_of(const char *name, const char *suffix);
/* The first line on its standard error, for messages. Static. */
const char *complaint(const char *name);

struct box {
	char id[48];
	char bundle[160], rootfs[176], cgroup[128];
};

/* A bundle of the basic configuration with changes; in their texts @ROOTFS@, @BUNDLE@, @DIR@ and @CGROUP@ are replaced. */
void box_bundle(struct box *b, const char *const *changes);
/* Further changes at the bundle. */
void box_change(const struct box *b, const char *const *changes);
int box_create(const struct box *b); /* exit code; output under the name b->id */
int box_start(const struct box *b);
int box_kill(const struct box *b, const char *signal);
int box_delete(const struct box *b);
/* create, or run to the end, and it must work. */
void box_created(struct box *b, const char *const *changes);
void box_started(struct box *b, const char *const *changes);
char *box_run(struct box *b, const char *const *changes); /* the report; caller frees */
/* A member of the state, as JSON text without quotation marks; "" without one or without a container. Caller frees. */
char *box_state(const struct box *b, const char *member);
pid_t box_pid(const struct box *b);
/* Fails the check unless the status becomes that (within a minute). */
void box_await(const struct box *b, const char *status);
/* Fails the check unless the container's output has that line (within a minute). */
void box_await_line(const struct box *b, const char *line);
bool box_exists(const struct box *b);
/* Everything that was made is gone. */
void box_must_be_gone(const struct box *b);
/* Where the container is in the hierarchy of a controller, below its mount point, which is stored too. False: there is no such
 * controller here. */
bool cgroup_of(pid_t pid, const char *controller, bool *ret_v2, char *ret_dir, size_t size);

/* ---- what the inspector reported ---------------------------------------------------------- */

/* The value of a key, or NULL. Caller frees. */
char *report_get(const char *report, const char *key);
/* Fails the check unless all hold. */
void report_want(const char *report, const char *const *want);

/* Files. NULL when there is none; caller frees. */
char *slurp(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void put_file(const char *path, const char *text, mode_t mode);
bool await(bool (*condition)(const void *arg), const void *arg);

/* ---- results ------------------------------------------------------------------------------ */

enum verdict { VERDICT_NONE, VERDICT_PASS, VERDICT_FAIL, VERDICT_SKIP };

struct outcome {
	enum verdict verdict;
	char text[200];
};

struct run_of {
	const char *runtime; /* path; NULL: there is none of it here */
	char name[48], version[64];
	struct outcome *outcomes; /* as check_at() counts */
	atomic_size_t *next;      /* the first check that no worker has taken */
};

size_t checks_len(void);
const struct check *check_at(size_t i);

/* Why a check that we fail is failed for a reason, or NULL. */
const char *known_failure(const char *id);

/* docs/oci-conformance.md from the results of our runtime and of the others. */
void document_write(const struct run_of *runs, size_t n);
