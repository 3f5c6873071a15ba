/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driving the runtime under test by its command line: bundles, verbs, states, control groups.
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <poll.h>

#include "oci_document.h"

struct env env;

#define PATIENCE_SEC 60

static int open_output(const char *name, const char *suffix)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s.%s", env.dir, name, suffix);
	return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

static _Noreturn void child(const char *name, const char *const *words)
{
	const char *argv[32] = {env.runtime, "--root", env.root};
	int n = 3, in = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (; *words && n < 31; words++)
		argv[n++] = *words;
	char pid[16];

	/* Sockets that are passed to the runtime name it by its pid, which only we know. */
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (getenv("LISTEN_FDS"))
		setenv("LISTEN_PID", pid, 1);
	dup2(in, 0);
	dup2(open_output(name, "out"), 1);
	dup2(open_output(name, "err"), 2);
	execv(env.runtime, (char *const *)argv);
	_exit(127);
}

int runtime_verb(const char *name, const char *const *words)
{
	pid_t pid = fork();
	int status, fd;
	struct pollfd p;

	if (pid == 0)
		child(name, words);
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	p = (struct pollfd){.fd = fd, .events = POLLIN};
	if (poll(&p, 1, PATIENCE_SEC * 1000) != 1) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		check_fail("%s did not end within %d seconds", words[0], PATIENCE_SEC);
	}
	close(fd);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *text_of(const char *name, const char *suffix)
{
	char *text = slurp("%s/%s.%s", env.dir, name, suffix);

	return text ? text : strdup("");
}

/* Of a line of JSON or of logrus' key="value" form nothing is taken away but our own directory. */
const char *complaint(const char *name)
{
	static char line[160];
	char *text = text_of(name, "err"), *at;
	size_t len = strlen(env.dir);

	while ((at = strstr(text, env.dir)))
		memmove(at, at + len, strlen(at + len) + 1);
	text[strcspn(text, "\n")] = '\0';
	at = strstr(text, "msg=\"");
	snprintf(line, sizeof(line), "%.150s", at ? at + 5 : text);
	free(text);
	return *line ? line : "nothing said";
}

/* ---- bundles ---------------------------------------------------------------------------- */

/* What engines send, in small. */
static const char basic[] =
	"{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"},"
	" \"process\": {\"cwd\": \"/\", \"args\": [\"/inspect\"], \"user\": {\"uid\": 0, \"gid\": "
	"0},"
	"  \"env\": [\"PATH=/bin:/usr/bin\"],"
	"  \"capabilities\": {"
	"   \"bounding\": [\"CAP_KILL\", \"CAP_MKNOD\", \"CAP_SYS_ADMIN\", \"CAP_DAC_OVERRIDE\"],"
	"   \"effective\": [\"CAP_KILL\", \"CAP_MKNOD\", \"CAP_SYS_ADMIN\", \"CAP_DAC_OVERRIDE\"],"
	"   \"permitted\": [\"CAP_KILL\", \"CAP_MKNOD\", \"CAP_SYS_ADMIN\", "
	"\"CAP_DAC_OVERRIDE\"]}},"
	" \"mounts\": ["
	"  {\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
	"  {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\","
	"   \"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"]},"
	"  {\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\","
	"   \"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", "
	"\"mode=0620\"]},"
	"  {\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\","
	"   \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"]},"
	"  {\"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\","
	"   \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]}],"
	" \"linux\": {\"cgroupsPath\": \"@CGROUP@\", \"namespaces\": [{\"type\": \"pid\"},"
	"  {\"type\": \"network\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, {\"type\": "
	"\"mount\"}]}}";

static const char *const rootfs_dirs[] = {"bin", "dev", "etc", "m",       "proc",
					  "sys", "tmp", "usr", "usr/bin", "work"};

static void link_program(const char *from, const char *rootfs, const char *as)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", rootfs, as);
	if (link(from, path) < 0)
		check_fail("fixture: %s: %s", path, strerror(errno));
}

/* The programs are links to one copy: a root file system costs next to nothing. */
static void make_root(const char *rootfs)
{
	char path[256], from[256];

	mkdir(rootfs, 0755);
	for (size_t i = 0; i < COUNT(rootfs_dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", rootfs, rootfs_dirs[i]);
		mkdir(path, 0755);
	}
	snprintf(from, sizeof(from), "%s/inspect", env.dir);
	link_program(from, rootfs, "inspect");
	link_program(from, rootfs, "usr/bin/inspect");
	snprintf(from, sizeof(from), "%s/busybox", env.dir);
	link_program(from, rootfs, "bin/busybox");
	link_program(from, rootfs, "bin/sh");
	snprintf(path, sizeof(path), "%s/etc/plain", rootfs);
	put_file(path, "just text\n", 0644);
}

/* Caller frees. */
static char *replaced(const struct box *b, const char *text)
{
	const struct {
		const char *name, *value;
	} words[] = {{"@ROOTFS@", b->rootfs},
		     {"@BUNDLE@", b->bundle},
		     {"@DIR@", env.dir},
		     {"@CGROUP@", b->cgroup}};
	size_t size = strlen(text) + 4096, n = 0;
	char *out = calloc(1, size);

	while (*text && n + 256 < size) {
		size_t i;

		for (i = 0; i < COUNT(words); i++)
			if (strncmp(text, words[i].name, strlen(words[i].name)) == 0)
				break;
		if (i == COUNT(words)) {
			out[n++] = *text++;
			continue;
		}
		n += (size_t)snprintf(out + n, size - n, "%s", words[i].value);
		text += strlen(words[i].name);
	}
	return out;
}

static void write_config(const struct box *b, struct json *document)
{
	char path[192], *text = NULL;
	size_t len;

	if (json_to_text(document, true, &text, &len) < 0)
		check_fail("fixture: the document cannot be written");
	snprintf(path, sizeof(path), "%s/config.json", b->bundle);
	put_file(path, text, 0644);
	free(text);
	json_free(document);
}

static void apply(const struct box *b, struct json *document, const char *const *changes)
{
	for (; changes && changes[0]; changes += 2) {
		char *text = replaced(b, changes[1]);

		document_put(document, changes[0], document_parse(text));
		free(text);
	}
}

void box_bundle(struct box *b, const char *const *changes)
{
	static unsigned n;
	char *text;

	snprintf(b->id, sizeof(b->id), "ocisuite-%d-%u", getpid(), n++);
	snprintf(b->bundle, sizeof(b->bundle), "%s/bundle-%s", env.dir, b->id);
	snprintf(b->rootfs, sizeof(b->rootfs), "%s/rootfs", b->bundle);
	snprintf(b->cgroup, sizeof(b->cgroup), "%s/%s", env.cgroup, b->id);
	if (mkdir(b->bundle, 0755) < 0)
		check_fail("fixture: %s: %s", b->bundle, strerror(errno));
	make_root(b->rootfs);
	text = replaced(b, basic);
	struct json *document = document_parse(text);

	free(text);
	apply(b, document, changes);
	write_config(b, document);
}

void box_change(const struct box *b, const char *const *changes)
{
	char *text = slurp("%s/config.json", b->bundle);
	struct json *document = document_parse(text);

	free(text);
	apply(b, document, changes);
	write_config(b, document);
}

/* ---- verbs ------------------------------------------------------------------------------ */

int box_create(const struct box *b)
{
	return runtime_verb(b->id, LIST("create", "--bundle", b->bundle, b->id));
}

static int verb_of(const struct box *b, const char *verb, const char *more)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%s", b->id, verb);
	return runtime_verb(name, LIST(verb, b->id, more));
}

int box_start(const struct box *b)
{
	return verb_of(b, "start", NULL);
}

int box_kill(const struct box *b, const char *signal)
{
	return verb_of(b, "kill", signal);
}

int box_delete(const struct box *b)
{
	return verb_of(b, "delete", NULL);
}

void box_created(struct box *b, const char *const *changes)
{
	box_bundle(b, changes);
	int code = box_create(b);

	if (code != 0)
		check_fail("create failed (%d): %s", code, complaint(b->id));
}

void box_started(struct box *b, const char *const *changes)
{
	char name[64];

	box_created(b, changes);
	int code = box_start(b);

	snprintf(name, sizeof(name), "%s.start", b->id);
	if (code != 0)
		check_fail("start failed (%d): %s", code, complaint(name));
}

char *box_run(struct box *b, const char *const *changes)
{
	box_bundle(b, changes);
	int code = runtime_verb(b->id, LIST("run", "--bundle", b->bundle, b->id));

	if (code != 0)
		check_fail("run failed (%d): %s", code, complaint(b->id));
	return text_of(b->id, "out");
}

char *box_state(const struct box *b, const char *member)
{
	char *text, *value = NULL, key[64];
	struct err e = ERR_INIT;
	struct json *document = NULL;
	struct json_at top, at;
	size_t len;

	if (verb_of(b, "state", NULL) != 0)
		return strdup("");
	snprintf(key, sizeof(key), "%s.state", b->id);
	text = text_of(key, "out");
	if (json_parse(text, strlen(text), "state", &document, &e) < 0)
		check_fail("the state is no JSON: %s", e.text);
	free(text);
	top = json_top(document);
	if (!json_member(&top, member, &at))
		value = strdup("");
	else if (json_peek_string(&at))
		value = strdup(json_peek_string(&at));
	else
		json_to_text(at.value, false, &value, &len);
	json_free(document);
	return value;
}

pid_t box_pid(const struct box *b)
{
	char *text = box_state(b, "pid");
	pid_t pid = (pid_t)strtol(text, NULL, 10);

	free(text);
	if (pid <= 0)
		check_fail("the state has no pid");
	return pid;
}

bool await(bool (*condition)(const void *arg), const void *arg)
{
	struct timespec pause = {.tv_nsec = 5000000};

	for (int i = 0; i < PATIENCE_SEC * 200; i++) {
		if (condition(arg))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

struct awaited {
	const struct box *b;
	const char *text;
};

static bool has_status(const void *arg)
{
	const struct awaited *a = arg;
	char *status = box_state(a->b, "status");
	bool is = strcmp(status, a->text) == 0;

	free(status);
	return is;
}

void box_await(const struct box *b, const char *status)
{
	struct awaited a = {b, status};

	if (!await(has_status, &a))
		check_fail("the status did not become '%s'", status);
}

static bool has_line(const void *arg)
{
	const struct awaited *a = arg;
	char *text = text_of(a->b->id, "out"), *save = NULL;
	bool found = false;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		found |= strcmp(line, a->text) == 0;
	free(text);
	return found;
}

void box_await_line(const struct box *b, const char *line)
{
	struct awaited a = {b, line};

	if (!await(has_line, &a))
		check_fail("the container did not say '%s'", line);
}

bool box_exists(const struct box *b)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.exists", b->id);
	return runtime_verb(name, LIST("state", b->id)) == 0;
}

void box_must_be_gone(const struct box *b)
{
	char path[256], *mounts;

	if (box_exists(b))
		check_fail("the container is still known");
	snprintf(path, sizeof(path), "%s/%s", env.root, b->id);
	if (access(path, F_OK) == 0)
		check_fail("its state directory is still there");
	static const char *const hierarchies[] = {"",      "/unified", "/memory",
						  "/pids", "/devices", "/cpu"};

	for (size_t i = 0; i < COUNT(hierarchies); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s%s/cgroup.procs", hierarchies[i],
			 b->cgroup);
		if (access(path, F_OK) == 0)
			check_fail("its control group is still there: %s", hierarchies[i]);
	}
	mounts = slurp("/proc/self/mountinfo");
	if (strstr(mounts, b->bundle))
		check_fail("a mount is left on the host");
	free(mounts);
}

/* ---- control groups --------------------------------------------------------------------- */

/* The group in the hierarchy of that controller, from /proc/PID/cgroup: "N:controllers:/path". */
bool cgroup_of(pid_t pid, const char *controller, bool *ret_v2, char *ret_dir, size_t size)
{
	char *text = slurp("/proc/%d/cgroup", pid), *save = NULL;
	bool found = false;

	for (char *line = strtok_r(text, "\n", &save); line && !found;
	     line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':') + 1, *path = strchr(names, ':');
		char probe[512], *word, *inner = NULL;

		*path++ = '\0';
		if (!*names) {
			char *enabled;

			snprintf(probe, sizeof(probe), "/sys/fs/cgroup%s", path);
			if (access(probe, F_OK) < 0 || strcmp(path, "/") == 0)
				snprintf(probe, sizeof(probe), "/sys/fs/cgroup/unified%s", path);
			enabled = slurp("%s/cgroup.controllers", probe);
			if (enabled && strstr(enabled, controller)) {
				*ret_v2 = found = true;
				snprintf(ret_dir, size, "%s", probe);
			}
			free(enabled);
			continue;
		}
		for (word = strtok_r(names, ",", &inner); word && !found;
		     word = strtok_r(NULL, ",", &inner)) {
			if (strcmp(word, controller) != 0)
				continue;
			found = true;
			*ret_v2 = false;
			snprintf(ret_dir, size, "/sys/fs/cgroup/%s%s", controller, path);
		}
	}
	free(text);
	return found;
}
