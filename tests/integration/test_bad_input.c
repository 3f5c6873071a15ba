/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bad input: configurations, command lines and ids that no one should write, some of which somebody will. Each is refused
 * in one or two lines that name the thing, with exit code 1 (insula-oci) or 125 (insula), and nothing is left.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

static struct world *world;

static void refused(const char *program, const char *const *words, int code, const char *expected)
{
	struct snapshot before = snapshot_take(world), after;
	const char *const *line =
		strcmp(program, "insula") ? oci_argv(world, words) : insula_argv(world, words);

	expect_error(run(&(struct run_spec){.argv = line, .detaching = true}), code, expected);
	expect_ids(world, NO_WORDS);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* ---- the text of config.json ------------------------------------------------------------------ */

struct text {
	const char *name;
	const char *text;   /* whole; or … */
	const char *repeat; /* … this, n times, between text and tail */
	size_t n;
	const char *tail;
	const char *words;
};

static const struct text texts[] = {
	{"empty file", "", .words = "config.json|empty"},
	{"only blanks", " \n\t ", .words = "config.json"},
	{"malformed", "{\"ociVersion\": \"1.0.2\",, }", .words = "config.json|line 1"},
	{"cut off", "{\"ociVersion\": \"1.0", .words = "config.json"},
	{"two documents", "{} {}", .words = "config.json"},
	{"not an object", "[1, 2]", .words = "config.json|object"},
	{"a comment", "{ /* no */ }", .words = "config.json"},
	{"control characters", "{\"a\": \"\x01\x1b[31m\"}", .words = "config.json"},
	{"not UTF-8", "{\"a\": \"\xff\xfe\"}", .words = "config.json"},
	{"a program",
	 "\x7f"
	 "ELF\x02\x01",
	 .words = "config.json"},
	{"too deep", "{\"a\":", "[", 100000, "", "config.json|deep"},
	{"closed and too deep", "{\"annotations\":", "{\"a\":", 5000, "", "config.json|deep"},
	{"huge", "{\"ociVersion\": \"1.0.2\", \"a\": \"", "xxxxxxxx", 600000, "\"}",
	 "config.json|larger than 4194304 bytes"},
	{"duplicate keys", "{\"ociVersion\": \"1.0.2\", \"ociVersion\": \"1.0.2\"}",
	 .words = "config.json|ociVersion|twice"},
	{"duplicate keys inside",
	 "{\"ociVersion\": \"1.0.2\", \"process\": {\"cwd\": \"/\", \"cwd\": \"/tmp\"}}",
	 .words = "config.json|cwd|twice"},
	{"no version", "{\"root\": {\"path\": \"rootfs\"}}", .words = "config.json|ociVersion"},
	{"a number that no type holds",
	 "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"/\"}, \"linux\": "
	 "{\"resources\": {\"memory\": {\"limit\": 18446744073709551616}}}}",
	 .words = "config.json|integer"},
	{"version of another world", "{\"ociVersion\": \"9.0.0\", \"root\": {\"path\": \"/\"}}",
	 .words = "config.json|ociVersion|9.0.0"},
};

static void text_is_refused(void **state)
{
	const struct text *t = *state;
	const char *dir = bundle(world, "text", "true", NULL);
	char path[256];

	snprintf(path, sizeof(path), "%s/config.json", dir);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(t->text, f);
	for (size_t i = 0; i < t->n; i++)
		fputs(t->repeat, f);
	if (t->tail)
		fputs(t->tail, f);
	assert_int_equal(fclose(f), 0);
	refused("insula-oci", ARGV("run", "--bundle", dir, world->id), 1, t->words);
}

/* ---- values ------------------------------------------------------------------------------------ */

struct value {
	const char *path, *json; /* as in tests/include/oci_document.h */
	const char *words;       /* besides the path */
	bool vm;                 /* of a microVM */
};

static const struct value values[] = {
	/* out of range */
	{"linux.resources.memory.limit", "9223372036854775808", "memory.limit"},
	{"linux.resources.memory.limit", "-2", "memory.limit"},
	{"linux.resources.memory.limit", "1e30", "memory.limit"},
	{"linux.resources.memory.limit", "1.5", "memory.limit"},
	{"linux.resources.pids.limit", "-2", "pids"},
	{"linux.resources.pids.limit", "9223372036854775807", "pids"},
	{"linux.resources.cpu.quota", "1", "quota"},
	{"linux.resources.cpu.period", "0.5", "period"},
	{"process.user.uid", "-1", "process.user.uid"},
	{"process.user.uid", "4294967296", "process.user.uid"},
	{"process.user.uid", "4294967295", "process.user.uid"},
	{"process.user.gid", "4294967296", "process.user.gid"},
	{"process.user.umask", "512", "process.user.umask"},
	{"process.user.additionalGids", "[-1]", "process.user.additionalGids"},
	{"process.oomScoreAdj", "1001", "oomScoreAdj"},
	{"process.rlimits", "[{\"type\": \"RLIMIT_NOFILE\", \"soft\": 2, \"hard\": 1}]",
	 "process.rlimits[0]"},
	{"process.rlimits", "[{\"type\": \"RLIMIT_LOTS\", \"soft\": 1, \"hard\": 1}]",
	 "RLIMIT_LOTS"},
	/* types */
	{"process.user.uid", "\"0\"", "process.user.uid|expected an integer"},
	{"process.args", "\"sh\"", "process.args|array"},
	{"process.args", "[1]", "process.args[0]|string"},
	{"process.env", "{}", "process.env|array"},
	{"process", "[]", "process|object"},
	{"process.terminal", "\"yes\"", "process.terminal"},
	{"root", "\"rootfs\"", "root|object"},
	{"mounts", "{}", "mounts|array"},
	{"linux.namespaces", "[\"pid\"]", "linux.namespaces[0]|object"},
	{"linux.resources.memory.limit", "\"1g\"", "memory.limit|expected an integer"},
	/* missing and empty */
	{"process.args", "null", "process|args|missing"},
	{"process.args", "[]", "process.args"},
	{"process.args", "[\"\"]", "process.args|empty"},
	{"process.cwd", "null", "process|cwd|missing"},
	{"process.cwd", "\"tmp\"", "process.cwd|absolute"},
	{"root", "null", "root"},
	{"root.path", "null", "root|path|missing"},
	{"root.path", "\"\"", "root"},
	{"root.path", "\"/no/such/dir\"", "/no/such/dir|does not exist"},
	{"root.path", "\"/etc/hostname\"", "/etc/hostname|not a directory"},
	{"mounts", "[{\"source\": \"x\"}]", "mounts[0]|destination"},
	/* unknown words */
	{"linux.namespaces", "[{\"type\": \"space\"}]", "space"},
	{"linux.namespaces", "[{\"type\": \"pid\"}, {\"type\": \"pid\"}]", "pid|twice"},
	{"linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_MAYBE\"}", "SCMP_ACT_MAYBE"},
	{"linux.rootfsPropagation", "\"sideways\"", "rootfsPropagation|sideways"},
	{"linux.sysctl", "{\"kernel.core_pattern\": \"|/bin/sh\"}", "kernel.core_pattern"},
	{"linux.sysctl", "{\"../../etc/x\": \"1\"}", "sysctl"},
	{"hooks.prestart[].path", "\"relative\"", "prestart|absolute"},
	{"linux.cgroupsPath", "\"/../../up\"", "cgroup"},
	{"linux.cgroupsPath", "\"/\"", "cgroup"},
	{"hostname", "\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
	 "hostname"},
	/* known, and not done */
	{"linux.intelRdt.closID", "\"guaranteed\"", "linux.intelRdt.closID"},
	{"linux.personality", "{\"domain\": \"LINUX\", \"flags\": [\"X\"]}",
	 "linux.personality.flags"},
	{"linux.resources.blockIO.leafWeight", "100", "linux.resources.blockIO.leafWeight"},
	{"linux.resources.blockIO.weight", "9",
	 "linux.resources.blockIO.weight|between 10 and 1000"},
	{"linux.resources.cpu.idle", "2", "linux.resources.cpu.idle|0 or 1"},
	{"linux.resources.hugepageLimits", "[{\"pageSize\": \"../x\", \"limit\": 1}]",
	 "huge page size"},
	{"linux.timeOffsets", "{\"monotonic\": {\"secs\": 1}}", "timeOffsets|\"time\""},
	{"hooks.createContainer[].path", "\"/bin/true\"", "hooks.createContainer", .vm = true},
	{"linux.namespaces[pid].path", "\"/proc/self/ns/pid\"", "linux.namespaces", .vm = true},
};

static void value_is_refused(void **state)
{
	const struct value *v = *state;
	const char *dir = bundle(world, "value", "true", CHANGES(v->path, v->json));

	refused("insula-oci",
		ARGV("--isolation", v->vm ? "vm" : "container", "run", "--bundle", dir, world->id),
		1, v->words);
}

/* The specification's rule of extensibility. */
static void unknown_members_are_accepted(void **state)
{
	const char *dir =
		bundle(world, "unknown", "echo fine",
		       CHANGES("notOurs", "{\"deep\": [1, {\"a\": null}]}", "linux.newIdea", "true",
			       "annotations", "{\"com.example.x\": \"y\"}"));

	(void)state;
	expect_result(run_oci(world, ARGV("run", "--bundle", dir, world->id)), 0, "fine\n", NULL);
}

/* ---- command lines ------------------------------------------------------------------------------ */

#define LONG_ID                                                                          \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct line {
	const char *program;
	const char *const command[10]; /* {BUNDLE}, {ROOTFS} stand for paths */
	const char *words;
};

static const struct line lines[] = {
	{"insula-oci", {"crate", "x"}, "unknown command 'crate'|did you mean|create"},
	{"insula-oci", {"--rootless", "true", "list"}, "--rootless|auto"},
	{"insula-oci", {"frobnicate"}, "unknown command 'frobnicate'|--help"},
	{"insula-oci", {"create", "--bundel", "x", "y"}, "--bundel|did you mean --bundle"},
	{"insula-oci", {"create", "-Z", "y"}, "-Z"},
	{"insula-oci", {"create", "--bundle"}, "--bundle|value"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}"}, "missing|usage: insula-oci create"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}", "a", "b"}, "too many|usage"},
	{"insula-oci", {"create", "--bundle", "/no/such/bundle", "x"}, "/no/such/bundle"},
	{"insula-oci",
	 {"create", "--bundle", "/etc", "x"},
	 "bundle '/etc'|config.json|insula-oci spec"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}", "../x"}, "'../x' is not a valid id"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}", ""}, "'' is not a valid id"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}", "."}, "'.' is not a valid id"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}", ".."}, "'..' is not a valid id"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}", "a/b"}, "'a/b' is not a valid id"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}", "a b"}, "'a b' is not a valid id"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}", "a\nb\x1b[31m"}, "not a valid id"},
	{"insula-oci", {"create", "--bundle", "{BUNDLE}", LONG_ID}, "not a valid id|128"},
	{"insula-oci", {"create", "--preserve-fds", "-1", "x"}, "--preserve-fds"},
	{"insula-oci", {"create", "--preserve-fds", "many", "x"}, "--preserve-fds|'many'"},
	{"insula-oci", {"--isolation", "jail", "create", "--bundle", "{BUNDLE}", "x"}, "jail|vm"},
	{"insula-oci",
	 {"--cgroup-manager", "nobody", "create", "--bundle", "{BUNDLE}", "x"},
	 "cgroupfs, systemd, disabled"},
	{"insula-oci", {"--log-format", "xml", "list"}, "--log-format|'xml'"},
	{"insula-oci", {"--log", "/no/such/dir/log", "list"}, "/no/such/dir"},
	{"insula-oci", {"list", "--format", "yaml"}, "--format|'yaml'"},
	{"insula-oci", {"checkpoint", "nobody"}, "container 'nobody' does not exist"},
	{"insula-oci", {"checkpoint", "--lazy-pages", "nobody"}, "--lazy-pages|not done"},
	{"insula-oci", {"checkpoint", "--manage-cgroups-mode", "hard", "nobody"}, "'hard'|soft"},
	{"insula-oci", {"restore", "--console-socket", "s", "nobody"}, "--console-socket|terminal"},
	{"insula-oci", {"start", "nobody"}, "container 'nobody' does not exist"},
	{"insula-oci", {"state", "nobody"}, "container 'nobody' does not exist"},
	{"insula-oci", {"kill", "nobody", "KILL"}, "container 'nobody' does not exist"},
	{"insula-oci", {"kill", "nobody", "SIGLOUD"}, "'SIGLOUD' is not a signal"},
	{"insula-oci", {"kill", "nobody", "65"}, "'65'"},
	{"insula-oci", {"exec", "nobody", "true"}, "container 'nobody' does not exist"},
	{"insula-oci", {"delete", "nobody"}, "container 'nobody' does not exist"},
	{"insula-oci", {"pause", "nobody"}, "container 'nobody' does not exist"},
	{"insula-oci", {"spec", "--bundle", "/no/such/dir"}, "/no/such/dir"},

	{"insula", {"rum"}, "unknown command 'rum'|did you mean|run"},
	{"insula", {"run"}, "--rootfs"},
	{"insula", {"run", "--pull", "never", "debian", "true"}, "'debian'|not in the store"},
	{"insula", {"run", "--rootfs", "{ROOTFS}"}, "no command"},
	{"insula", {"run", "--rootfs", "/no/such/dir", "true"}, "/no/such/dir"},
	{"insula", {"run", "--rootfs", "/etc/hostname", "true"}, "/etc/hostname"},
	{"insula", {"run", "--rootfs", "", "true"}, "root"},
	{"insula", {"run", "--rootfz", "{ROOTFS}", "true"}, "--rootfz|did you mean --rootfs"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-v", "tmp", "true"}, "-v 'tmp'"},
	{"insula",
	 {"run", "--rootfs", "{ROOTFS}", "-v", "/tmp:data", "true"},
	 "/tmp:data|absolute"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-v", "vol:/data", "true"}, "named volumes"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-v", "/tmp:/data:fast", "true"}, "fast"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-e", "=x", "true"}, "-e '=x'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-u", "", "true"}, "user"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-u", "1:", "true"}, "'1:'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-u", ":1", "true"}, "':1'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-u", "4294967295", "true"}, "4294967295"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-u", "0:nogroup-here", "true"}, "nogroup-here"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-w", "relative", "true"}, "relative|absolute"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "--name", "a/b", "true"}, "'a/b'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "--name", "", "true"}, "name"},
	{"insula",
	 {"run", "--rootfs", "{ROOTFS}", "--hostname", "a b", "true"},
	 "--hostname|'a b'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "--hostname", "", "true"}, "--hostname"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-m", "lots", "true"}, "'lots'|512m"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-m", "0", "true"}, "'0'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-m", "-1", "true"}, "'-1'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-m", "99999999999g", "true"}, "99999999999g"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "-m", "16k", "true"}, "memory"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "--cpus", "0", "true"}, "--cpus|'0'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "--cpus", "many", "true"}, "'many'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "--pids-limit", "0", "true"}, "--pids-limit"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "--pids-limit", "-2", "true"}, "'-2'"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "--network", "bridge", "true"}, "bridge|none"},
	{"insula", {"run", "--rootfs", "{ROOTFS}", "--pod", "x", "true"}, "--pod|container:ID"},
	{"insula", {"exec", "nobody", "true"}, "nobody"},
	{"insula", {"logs", "nobody"}, "no sandbox|nobody"},
	{"insula", {"stop", "nobody"}, "nobody"},
	{"insula", {"rm", "nobody"}, "nobody"},
};

static void line_is_refused(void **state)
{
	const struct line *l = *state;
	const char *words[12];
	size_t n = 0;

	for (; l->command[n]; n++) {
		words[n] = l->command[n];
		if (strcmp(words[n], "{BUNDLE}") == 0)
			words[n] = bundle(world, "line", "true", NULL);
		else if (strcmp(words[n], "{ROOTFS}") == 0)
			words[n] = world->rootfs;
	}
	words[n] = NULL;
	refused(l->program, words, strcmp(l->program, "insula") ? 1 : 125, l->words);
}

/* ---- stories -------------------------------------------------------------------------------------- */

static void id_in_use(void **state)
{
	const char *dir = bundle(world, "used", "sleep 1000", NULL);

	(void)state;
	expect_result(run_oci(world, ARGV("create", "--bundle", dir, world->id)), 0, "", NULL);
	expect_error(run_oci(world, ARGV("create", "--bundle", dir, world->id)), 1,
		     "exists already|choose another id");
	expect_error(run_insula(world, ARGV("run", "--name", world->id, "--rootfs", world->rootfs,
					    "true")),
		     125, "exists already");
	expect_status(world, world->id, "created");
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
}

/* What engines read: one JSON object per line. */
static void log_file_in_json(void **state)
{
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top, at;
	struct err e = ERR_INIT;
	char path[160];

	(void)state;
	snprintf(path, sizeof(path), "%s/log.json", world->dir);
	expect_error(run_oci(world, ARGV("--log", path, "--log-format", "json", "state", "nobody")),
		     1, "does not exist");
	char *text = read_file(path);

	assert_non_null(text);
	char *end = strchr(text, '\n');

	assert_non_null(end);
	*end = '\0';
	if (json_parse(text, strlen(text), "log", &doc, &e) < 0)
		fail_msg("%s: %s", e.text, text);
	top = json_top(doc);
	assert_true(json_member(&top, "level", &at));
	assert_string_equal(json_peek_string(&at), "error");
	assert_true(json_member(&top, "msg", &at));
	assert_non_null(strstr(json_peek_string(&at), "container 'nobody' does not exist"));
	assert_true(json_member(&top, "time", &at));
	/* RFC 3339 */
	assert_non_null(strchr(json_peek_string(&at), 'T'));
	free(text);
}

/* A file in the state directory that is no sandbox harms nobody; one with unreadable state can go. */
static void odd_things_in_the_state_directory(void **state)
{
	char path[256];

	(void)state;
	expect_result(run_oci(world, ARGV("run", "--bundle", bundle(world, "odd", "true", NULL),
					  world->id)),
		      0, "", NULL);
	snprintf(path, sizeof(path), "%s/.dot", world->state);
	write_file(path, "x", 0600);
	expect_ids(world, NO_WORDS);
	unlink(path);
	expect_result(run_oci(world, ARGV("create", "--bundle", bundle(world, "odd", "true", NULL),
					  world->id)),
		      0, "", NULL);
	snprintf(path, sizeof(path), "%s/%s/state.json", world->state, world->id);
	write_file(path, "{\"broken\": ", 0600);
	expect_ids(world, ARGV(world->id));
	expect_result(run_oci(world, ARGV("list")), 0, NULL, NULL);
	expect_error(run_oci(world, ARGV("state", world->id)), 1, "state.json");
	expect_error(run_oci(world, ARGV("delete", world->id)), 1, "state.json");
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
	expect_ids(world, NO_WORDS);
}

/* ---- all of them ---------------------------------------------------------------------------------- */

#define N(array) (sizeof(array) / sizeof(*(array)))

int main(void)
{
	enum { COUNT = N(texts) + N(values) + N(lines) };
	static char names[COUNT][120];
	struct CMUnitTest tests[COUNT + 4] = {
		cmocka_unit_test(unknown_members_are_accepted),
		cmocka_unit_test(id_in_use),
		cmocka_unit_test(log_file_in_json),
		cmocka_unit_test(odd_things_in_the_state_directory),
	};
	size_t n = 4, k = 0;
	const char *only = getenv("TEST_ONLY");
	int failed;
	void *state;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	for (size_t i = 0; i < N(texts); i++) {
		snprintf(names[k], sizeof(names[k]), "config.json: %s", texts[i].name);
		tests[n++] = (struct CMUnitTest){names[k++], text_is_refused, NULL, NULL,
						 (void *)&texts[i]};
	}
	for (size_t i = 0; i < N(values); i++) {
		snprintf(names[k], sizeof(names[k]), "%.50s = %.50s", values[i].path,
			 values[i].json);
		tests[n++] = (struct CMUnitTest){names[k++], value_is_refused, NULL, NULL,
						 (void *)&values[i]};
	}
	for (size_t i = 0; i < N(lines); i++) {
		size_t len = (size_t)snprintf(names[k], sizeof(names[k]), "%s", lines[i].program);

		for (size_t j = 0; lines[i].command[j] && len < 80; j++)
			len += (size_t)snprintf(names[k] + len, sizeof(names[k]) - len, " %.16s",
						lines[i].command[j]);
		for (char *c = names[k]; *c; c++)
			if ((unsigned char)*c < ' ')
				*c = '?';
		tests[n++] = (struct CMUnitTest){names[k++], line_is_refused, NULL, NULL,
						 (void *)&lines[i]};
	}
	for (size_t i = 0; only && i < n;) {
		if (strstr(tests[i].name, only))
			i++;
		else
			tests[i] = tests[--n];
	}
	failed = _cmocka_run_group_tests("bad input", tests, n, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
