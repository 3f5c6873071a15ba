/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The validation suite of the OCI runtime specification.
 *
 *	suite [--only WORD] [--list] [--document FILE]
 *
 * runs every check (or those with WORD in their name) against the built insula-oci, and for comparison against crun and runc
 * where they are installed; with RUNTIME=NAME|PATH against that one alone. Results are TAP, those of our runtime (or of the
 * named one) alone; then where we and the others differ. The last test is that we are behind neither of them. --document
 * writes docs/oci-conformance.md.
 *
 * Each runtime has workers that make its checks, each in a process of its own, so that what a check opens, or how it dies, is no
 * matter of the next one.
 */
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define CHECK_SEC 150
#define WORKERS   4 /* for each runtime: most of the time the kernel is waited for */
#define CHUNK     8

static const struct check_table *const tables[] = {
	&lifecycle_checks_table, &bundle_checks_table,     &process_checks_table,
	&terminal_checks_table,  &scheduling_checks_table, &file_checks_table,
	&mount_checks_table,     &device_checks_table,     &namespace_checks_table,
	&cgroup_checks_table,    &seccomp_checks_table,    &notify_checks_table,
	&hook_checks_table,      &value_checks_table,      &feature_checks_table,
};

size_t checks_len(void)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT(tables); i++)
		n += tables[i]->len;
	return n;
}

const struct check *check_at(size_t at)
{
	for (size_t i = 0; i < COUNT(tables); i++) {
		if (at < tables[i]->len)
			return &tables[i]->checks[at];
		at -= tables[i]->len;
	}
	return NULL;
}

/* ---- one check, in its own process -------------------------------------------------------- */

static struct outcome *mine;

static _Noreturn void end(enum verdict verdict, const char *fmt, va_list ap)
{
	size_t len = strlen(env.dir);

	vsnprintf(mine->text, sizeof(mine->text), fmt, ap);
	/* Our own directory's name is another one each time. */
	for (char *at; len && (at = strstr(mine->text, env.dir));)
		memmove(at, at + len, strlen(at + len) + 1);
	for (char *p = mine->text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	mine->verdict = verdict;
	_exit(0);
}

void check_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	end(VERDICT_FAIL, fmt, ap);
}

void check_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	end(VERDICT_SKIP, fmt, ap);
}

/* The report of a container that several checks share: its file is named by the address of the changes. */
static char *shared_report(const struct check *c)
{
	struct box b;
	char path[200], failure[256];
	char *report = slurp("%s/scene-%p", env.dir, (const void *)c->config);

	if (report)
		return report;
	report = slurp("%s/scene-%p.failed", env.dir, (const void *)c->config);
	if (report)
		check_fail("%s", report);
	snprintf(path, sizeof(path), "%s/scene-%p", env.dir, (const void *)c->config);
	snprintf(failure, sizeof(failure), "%s.failed", path);
	box_bundle(&b, c->config);
	int code = runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id));

	if (code != 0) {
		char text[256];

		snprintf(text, sizeof(text), "run failed (%d): %s", code, complaint(b.id));
		put_file(failure, text, 0644);
		check_fail("%s", text);
	}
	report = text_of(b.id, "out");
	put_file(path, report, 0644);
	return report;
}

static void must_be_refused(const struct check *c)
{
	struct box b;

	box_bundle(&b, c->config);
	if (box_create(&b) == 0)
		check_fail("accepted");
	box_must_be_gone(&b);
}

static _Noreturn void make_check(const struct check *c)
{
	mine->verdict = VERDICT_FAIL;
	snprintf(mine->text, sizeof(mine->text), "the check died");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	alarm(CHECK_SEC);
	if (c->run) {
		c->run(c);
	} else if (c->refused) {
		must_be_refused(c);
	} else {
		char *report = shared_report(c);

		report_want(report, c->want);
		free(report);
	}
	mine->verdict = VERDICT_PASS;
	mine->text[0] = '\0';
	_exit(0);
}

/* What a check left: its containers, and their processes, which are our children now. */
static void clear_left_over(void)
{
	DIR *d = opendir(env.root);

	for (struct dirent *entry; d && (entry = readdir(d));) {
		pid_t pid;

		if (entry->d_name[0] == '.')
			continue;
		pid = fork();
		if (pid == 0) {
			int null = open("/dev/null", O_RDWR | O_CLOEXEC);

			dup2(null, 0), dup2(null, 1), dup2(null, 2);
			execl(env.runtime, env.runtime, "--root", env.root, "delete", "--force",
			      entry->d_name, NULL);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
	}
	if (d)
		closedir(d);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}

static void run_check(const struct check *c, struct outcome *outcome)
{
	pid_t pid = fork();
	int status;

	mine = outcome;
	if (pid == 0)
		make_check(c);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(outcome->text, sizeof(outcome->text), "no end within %d s", CHECK_SEC);
	/* A microVM refuses by name what has no meaning in it (docs/oci-support.md): that is no check that failed. */
	if (env.vm && outcome->verdict == VERDICT_FAIL &&
	    strstr(outcome->text, "not supported by the vm driver"))
		outcome->verdict = VERDICT_SKIP;
	clear_left_over();
}

/* ---- a worker: checks of one runtime, one after the other ------------------------------------------------------ */

static void copy_into(const char *from, const char *dir, const char *name)
{
	char command[1200];

	snprintf(command, sizeof(command), "cp '%s' '%s/%s' && chmod 755 '%s/%s'", from, dir, name,
		 dir, name);
	if (system(command) != 0)
		fprintf(stderr, "%s cannot be copied\n", from);
}

/* crun refuses a hybrid machine whose v2 hierarchy has controllers. It gets a /sys/fs/cgroup of its own, with the v1
 * hierarchies alone. */
static void hide_unified(void)
{
	DIR *d = opendir("/sys/fs/cgroup");

	if (access("/sys/fs/cgroup/unified", F_OK) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("cgroup", "/mnt", "tmpfs", 0, "mode=755") < 0)
		return;
	for (struct dirent *entry; d && (entry = readdir(d));) {
		char from[300], to[300];

		snprintf(from, sizeof(from), "/sys/fs/cgroup/%s", entry->d_name);
		snprintf(to, sizeof(to), "/mnt/%s", entry->d_name);
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "unified") == 0)
			continue;
		mkdir(to, 0755);
		mount(from, to, NULL, MS_BIND, NULL);
	}
	mount("/mnt", "/sys/fs/cgroup", NULL, MS_MOVE, NULL);
	mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL);
	if (d)
		closedir(d);
}

static void enter_env(const char *dir, const struct run_of *r, unsigned worker)
{
	char program[512];

	if (strcmp(r->name, "crun") == 0)
		hide_unified();

	env.runtime = r->runtime;
	env.name = r->name;
	env.vm = strstr(r->name, "-vm") != NULL;
	snprintf(env.dir, sizeof(env.dir), "%.40s/%.40s-%u", dir, r->name, worker);
	snprintf(env.root, sizeof(env.root), "%s/state", env.dir);
	snprintf(env.cgroup, sizeof(env.cgroup), "/insula-oci-suite-%d/%.20s-%u", getppid(),
		 r->name, worker);
	mkdir(env.dir, 0755);
	mkdir(env.root, 0700);
	build_path("tests/oci/inspect", program, sizeof(program));
	copy_into(program, env.dir, "inspect");
	copy_into("/bin/busybox", env.dir, "busybox");
}

/* A worker takes the next few checks as long as there are some; neighbours often share a container. */
static _Noreturn void run_some(const char *dir, const struct run_of *r, unsigned worker,
			       const char *only)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	enter_env(dir, r, worker);
	for (;;) {
		size_t first = atomic_fetch_add(r->next, CHUNK);

		if (first >= checks_len())
			_exit(0);
		for (size_t i = first; i < first + CHUNK && i < checks_len(); i++)
			if (!only || strstr(check_at(i)->id, only))
				run_check(check_at(i), &r->outcomes[i]);
	}
}

/* ---- what is left of all ------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

/* Mounts below come off first; while there is one, nothing is removed: it could be anything of the machine. */
static void remove_dir(const char *dir)
{
	for (int round = 0; round < 64; round++) {
		char *text = slurp("/proc/self/mountinfo"), *at = strstr(text, dir);

		if (!at) {
			free(text);
			nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
			return;
		}
		at[strcspn(at, " ")] = '\0';
		umount2(at, MNT_DETACH);
		free(text);
	}
	fprintf(stderr, "%s has mounts that do not go; it stays\n", dir);
}

static int remove_group(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)at;
	if (type == FTW_DP)
		rmdir(path);
	return 0;
}

static void remove_groups(void)
{
	DIR *d = opendir("/sys/fs/cgroup");
	char path[512];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/insula-oci-suite-%d", getpid());
	nftw(path, remove_group, 32, FTW_DEPTH | FTW_PHYS);
	for (struct dirent *entry; d && (entry = readdir(d));) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/insula-oci-suite-%d", entry->d_name,
			 getpid());
		if (entry->d_name[0] != '.' && access(path, F_OK) == 0)
			nftw(path, remove_group, 32, FTW_DEPTH | FTW_PHYS);
	}
	if (d)
		closedir(d);
}

/* ---- results ------------------------------------------------------------------------------ */

static int print_tap(const struct run_of *r)
{
	bool ours = strcmp(r->name, "insula-oci") == 0;
	int failed = 0, n = 0;

	for (size_t i = 0; i < checks_len(); i++) {
		const struct outcome *o = &r->outcomes[i];
		const char *id = check_at(i)->id, *known = ours ? known_failure(id) : NULL;

		if (o->verdict == VERDICT_NONE)
			continue;
		n++;
		if (o->verdict == VERDICT_SKIP) {
			printf("not ok %d # SKIP %s: %s\n", n, id, o->text);
		} else if (o->verdict == VERDICT_FAIL && known) {
			printf("not ok %d # SKIP %s: %s\n", n, id, known);
		} else if (o->verdict == VERDICT_PASS && known) {
			printf("not ok %d - %s\n# passes, but is listed as a known failure\n", n,
			       id);
			failed++;
		} else if (o->verdict == VERDICT_PASS) {
			printf("ok %d - %s\n", n, id);
		} else {
			printf("not ok %d - %s\n# %s: %s\n", n, id, check_at(i)->req, o->text);
			failed++;
		}
	}
	return failed;
}

/* How we stand beside the others; the number of checks that one of them passes and we do not. */
static int print_comparison(const struct run_of *runs, size_t n)
{
	int behind = 0;

	for (size_t k = 0; k < n; k++) {
		int passed = 0, failed = 0, skipped = 0;

		for (size_t i = 0; i < checks_len(); i++) {
			enum verdict v = runs[k].outcomes[i].verdict;

			passed += v == VERDICT_PASS;
			failed += v == VERDICT_FAIL;
			skipped += v == VERDICT_SKIP;
		}
		printf("#= %-12s %-10s passed %d, failed %d, skipped %d\n", runs[k].name,
		       runs[k].version, passed, failed, skipped);
	}
	for (size_t i = 0; i < checks_len(); i++) {
		for (size_t k = 1; k < n; k++) {
			const struct outcome *o = &runs[k].outcomes[i];

			if (o->verdict == VERDICT_FAIL &&
			    runs[0].outcomes[i].verdict == VERDICT_PASS)
				printf("# %s fails %s: %s\n", runs[k].name, check_at(i)->id,
				       o->text);
			if (o->verdict == VERDICT_PASS &&
			    runs[0].outcomes[i].verdict == VERDICT_FAIL) {
				printf("# %s passes what we fail: %s\n", runs[k].name,
				       check_at(i)->id);
				behind += !known_failure(check_at(i)->id);
			}
		}
	}
	return behind;
}

/* Every check names a requirement, every requirement has a check or a reason, names are unique. */
static int tables_are_whole(void)
{
	int bad = 0;

	for (size_t i = 0; i < checks_len(); i++) {
		if (!requirement_find(check_at(i)->req))
			bad += fprintf(stderr, "%s: no requirement %s\n", check_at(i)->id,
				       check_at(i)->req);
		for (size_t j = 0; j < i; j++)
			if (strcmp(check_at(i)->id, check_at(j)->id) == 0)
				bad += fprintf(stderr, "two checks are named %s\n",
					       check_at(i)->id);
	}
	for (size_t k = 0; k < requirements_len; k++) {
		bool checked = false;

		for (size_t i = 0; i < checks_len(); i++)
			checked |= strcmp(check_at(i)->req, requirements[k].id) == 0;
		if (checked == !!requirements[k].unchecked)
			bad += fprintf(stderr, "%s: %s\n", requirements[k].id,
				       checked ? "has a check and a reason for none"
					       : "has no check");
	}
	return bad;
}

/* Is the committed document about these checks? */
static bool document_is_current(const char *path)
{
	char *text = slurp("%s", path), cell[128];
	bool current = text != NULL;
	size_t rows = 0;

	for (const char *p = text; p && (p = strstr(p, "\n| `")); p++)
		rows++;
	for (size_t i = 0; current && i < checks_len(); i++) {
		snprintf(cell, sizeof(cell), "\n| `%s` | ", check_at(i)->id);
		current = strstr(text, cell) != NULL;
	}
	free(text);
	return current && rows == checks_len() + requirements_len;
}

/* ---- the runtimes ------------------------------------------------------------------------- */

static const char *in_path(const char *name)
{
	static const char *const dirs[] = {"/usr/bin",        "/usr/sbin", "/usr/local/bin",
					   "/usr/local/sbin", "/sbin",     "/bin"};
	static char found[4][256];
	static unsigned n;
	char *path = found[n++ % 4];

	if (strchr(name, '/'))
		return name;
	for (size_t i = 0; i < COUNT(dirs); i++) {
		snprintf(path, sizeof(found[0]), "%s/%s", dirs[i], name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

static bool runtime_describe(struct run_of *r, const char *path, size_t outcomes_len)
{
	struct run_result version;

	if (!path || access(path, X_OK) < 0)
		return false;
	r->runtime = path;
	snprintf(r->name, sizeof(r->name), "%s",
		 strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	version = run(&(struct run_spec){.argv = ARGV(path, "--version")});
	char *at = version.out + strcspn(version.out, "0123456789");

	snprintf(r->version, sizeof(r->version), "%.*s", (int)strcspn(at, " +~\n"), at);
	run_result_done(&version);
	r->outcomes = mmap(NULL, outcomes_len * sizeof(struct outcome) + sizeof(*r->next),
			   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	r->next = (atomic_size_t *)(void *)(r->outcomes + outcomes_len);
	return r->outcomes != MAP_FAILED;
}

static size_t find_runtimes(struct run_of *runs)
{
	static char ours[512];
	const char *asked = getenv("RUNTIME");
	size_t n = 0;

	if (asked) {
		bool built = strncmp(asked, "insula-oci", 10) == 0;

		if (built)
			build_path(asked, ours, sizeof(ours));
		return runtime_describe(&runs[0], built ? ours : in_path(asked), checks_len());
	}
	build_path("insula-oci", ours, sizeof(ours));
	n += runtime_describe(&runs[n], ours, checks_len());
	n += n && runtime_describe(&runs[n], in_path("crun"), checks_len());
	n += n && runtime_describe(&runs[n], in_path("runc"), checks_len());
	return n;
}

static void run_runtimes(const char *dir, const struct run_of *runs, size_t n, const char *only)
{
	pid_t pids[3 * WORKERS];

	fflush(stdout);
	for (unsigned i = 0; i < n * WORKERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			run_some(dir, &runs[i / WORKERS], i % WORKERS, only);
	}
	for (size_t i = 0; i < n * WORKERS; i++)
		waitpid(pids[i], NULL, 0);
}

static bool enter_private_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) == 0;
}

static int run_suite(const char *only, const char *document)
{
	struct run_of runs[3] = {0};
	char dir[] = "/tmp/insula-oci-suite.XXXXXX";
	size_t n = find_runtimes(runs);
	int failed, behind;

	if (n == 0) {
		fprintf(stderr, "there is no such runtime\n");
		return 1;
	}
	if (!enter_private_mounts() || !mkdtemp(dir)) {
		fprintf(stderr, "a private mount namespace, a directory: %s\n", strerror(errno));
		return 1;
	}
	chmod(dir, 0755);
	run_runtimes(dir, runs, n, only);
	failed = print_tap(&runs[0]);
	behind = print_comparison(runs, n);
	if (n > 1 && !only) {
		printf("%sok %zu - behind neither crun nor runc\n", behind ? "not " : "",
		       checks_len() + 1);
		failed += behind > 0;
	}
	if (document && freopen(document, "w", stdout))
		document_write(runs, n);
	remove_dir(dir);
	remove_groups();
	return failed > 0;
}

int main(int argc, char **argv)
{
	const char *only = NULL, *document = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0) {
			for (size_t k = 0; k < checks_len(); k++)
				puts(check_at(k)->id);
			return 0;
		}
		if (i + 1 < argc && strcmp(argv[i], "--only") == 0)
			only = argv[++i];
		else if (i + 1 < argc && strcmp(argv[i], "--document") == 0)
			document = argv[++i];
		else if (i + 1 < argc && strcmp(argv[i], "--current") == 0)
			return document_is_current(argv[++i]) ? 0 : 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (tables_are_whole())
		return 1;
	if (geteuid() != 0) {
		fprintf(stderr, "the suite makes containers as root\n");
		return 1;
	}
	return run_suite(only, document);
}
