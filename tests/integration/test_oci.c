/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-oci as an engine uses it: the life of a sandbox command by command, its state, its process as a child of
 * whoever reaps, terminals over sockets, further processes, hooks, and the settings of a bundle. What both kinds do is
 * tested of both.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"

static struct world *world;
static bool is_vm;

static char pid_file[160], socket_path[100]; /* a socket's name has 108 bytes */

/* `insula-oci --isolation KIND words…` */
static struct run_result of_kind(const char *const *words)
{
	const char *line[32] = {"--isolation", is_vm ? "vm" : "container"};
	size_t n = 2;

	while (*words)
		line[n++] = *words++;
	return run_oci(world, line);
}

static void create(const char *dir)
{
	expect_result(of_kind(ARGV("create", "--pid-file", pid_file, "--bundle", dir, world->id)),
		      0, "", NULL);
}

static void start_it(void)
{
	expect_result(run_oci(world, ARGV("start", world->id)), 0, "", NULL);
}

static void force_delete(void)
{
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
}

static void expect_state(const char *member, const char *value)
{
	char *text = oci_state(world, world->id, member);

	assert_string_equal(text, value);
	free(text);
}

static pid_t read_pid(const char *path)
{
	char *text = read_file(path);

	assert_non_null(text);
	pid_t pid = atoi(text);

	free(text);
	unlink(path);
	assert_true(pid > 1);
	return pid;
}

/* A file that the sandbox and the test share. */
static char *shared(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/data/%s", world->rootfs, name);
	return path;
}

static bool file_is_there(void *path)
{
	return access(path, F_OK) == 0;
}

/* ---- the life of one ---------------------------------------------------------------------- */

/* What an engine's shim does: it reaps the host process, whose status is the workload's. */
static void life(void **state)
{
	struct snapshot before = snapshot_take(world), after;
	const char *dir = bundle(world, "life",
				 "trap 'exit 7' TERM; echo > /data/up; while :; do sleep 0.1; done",
				 CHANGES("annotations", "{\"com.example.key\": \"value\"}"));
	char pid_text[16], version[16] = "1.3.0";

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	unlink(shared("up"));
	create(dir);
	pid_t pid = read_pid(pid_file);

	expect_state("status", "created");
	expect_state("id", world->id);
	expect_state("bundle", dir);
	expect_state("rootfs", world->rootfs);
	expect_state("ociVersion", version);
	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	expect_state("pid", pid_text);
	assert_int_equal(access(shared("up"), F_OK), -1);
	start_it();
	expect_state("status", "running");
	assert_true(eventually(file_is_there, shared("up"), 60));
	expect_error(run_oci(world, ARGV("start", world->id)), 1, "already running");
	expect_error(run_oci(world, ARGV("delete", world->id)), 1, "not stopped: running|--force");
	expect_status(world, world->id, "running");
	expect_result(run_oci(world, ARGV("kill", world->id, "SIGTERM")), 0, "", NULL);
	assert_int_equal(finish(pid, 30), 7);
	expect_state("status", "stopped");
	expect_state("pid", "0");
	expect_error(run_oci(world, ARGV("kill", world->id, "KILL")), 1, "container not running");
	expect_error(run_oci(world, ARGV("start", world->id)), 1, "stopped");
	expect_error(run_oci(world, ARGV("exec", world->id, "true")), 1, "container not running");
	expect_result(run_oci(world, ARGV("delete", world->id)), 0, "", NULL);
	expect_error(run_oci(world, ARGV("state", world->id)), 1, "does not exist");
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* ---- further processes -------------------------------------------------------------------- */

static int listen_for_console(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(socket_path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* The master that came over the socket. Closes the listener. */
static int take_console(int listener)
{
	char name[256], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {name, sizeof(name)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct pollfd p = {listener, POLLIN, 0};
	int master;

	assert_int_equal(poll(&p, 1, 60000), 1);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) > 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	assert_non_null(c);
	assert_int_equal(c->cmsg_type, SCM_RIGHTS);
	memcpy(&master, CMSG_DATA(c), sizeof(master));
	close(fd);
	close(listener);
	unlink(socket_path);
	return master;
}

static void talk(int master, const char *line, const char *answer)
{
	char buf[4096] = "";

	assert_int_equal(write(master, line, strlen(line)), strlen(line));
	if (!read_until(master, answer, buf, sizeof(buf), 60))
		fail_msg("no '%s' in '%s'", answer, buf);
}

static void exec_from_file(void)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/process.json", world->dir);
	write_file(path,
		   "{\"args\": [\"sh\", \"-c\", \"pwd; id -u; echo $A; exit 5\"],"
		   " \"cwd\": \"/tmp\", \"env\": [\"A=b\", \"PATH=/bin\"],"
		   " \"user\": {\"uid\": 1815, \"gid\": 1815}}",
		   0644);
	expect_result(run_oci(world, ARGV("exec", "--process", path, world->id)), 5,
		      "/tmp\n1815\nb\n", NULL);
	write_file(path, "{\"args\": \"sh\"}", 0644);
	expect_error(run_oci(world, ARGV("exec", "--process", path, world->id)), 1, "args");
	expect_error(run_oci(world, ARGV("exec", "--process", "/no/such/file", world->id)), 1,
		     "/no/such/file");
}

static void exec_by_flags(void)
{
	expect_result(run_oci(world, ARGV("exec", "--cwd", "/data", "--env", "X=y", "--user",
					  "12:34", "--additional-gids", "56", world->id, "sh", "-c",
					  "pwd; echo $X; id -u; id -G; exit 3")),
		      3, "/data\ny\n12\n34 56\n", NULL);
	expect_error(run_oci(world, ARGV("exec", world->id, "no-such-command")), 1,
		     "no-such-command|executable file not found in");
	expect_error(run_oci(world, ARGV("exec", world->id, "/etc/plain")), 1,
		     "/etc/plain|permission denied");
}

static void exec_detached(void)
{
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	expect_result(run_oci(world, ARGV("exec", "--detach", "--pid-file", pid_file, world->id,
					  "sh", "-c", "exit 9")),
		      0, "", NULL);
	assert_int_equal(finish(read_pid(pid_file), 60), 9);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void exec_with_terminal(void)
{
	int listener = listen_for_console();

	expect_result(run_oci(world, ARGV("exec", "--tty", "--detach", "--console-socket",
					  socket_path, world->id, "sh")),
		      0, "", NULL);
	int master = take_console(listener);

	talk(master, "tty && echo a$((1 + 1))b\n", "a2b");
	talk(master, "exit\n", "exit");
	close(master);
}

static void further_processes(void **state)
{
	struct snapshot before = snapshot_take(world), after;

	(void)state;
	create(bundle(world, "exec", "sleep 1000", NULL));
	unlink(pid_file);
	start_it();
	exec_by_flags();
	exec_from_file();
	exec_detached();
	exec_with_terminal();

	expect_result(run_oci(world, ARGV("pause", world->id)), 0, "", NULL);
	expect_state("status", "paused");
	expect_error(run_oci(world, ARGV("exec", world->id, "true")), 1, "paused|resume");
	expect_result(run_oci(world, ARGV("resume", world->id)), 0, "", NULL);
	expect_state("status", "running");
	expect_result(run_oci(world, ARGV("exec", world->id, "echo", "again")), 0, "again\n", NULL);

	expect_result(run_oci(world, ARGV("kill", "--all", world->id, "9")), 0, "", NULL);
	expect_status(world, world->id, "stopped");
	expect_result(run_oci(world, ARGV("delete", world->id)), 0, "", NULL);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* The terminal of the first process; and the annotation picks the kind. */
static void terminal_and_annotation(void **state)
{
	struct snapshot before = snapshot_take(world), after;
	int listener = listen_for_console();
	char *host = read_file("/proc/sys/kernel/random/boot_id"), buf[4096] = "";
	const char *dir = bundle(world, "tty",
				 "read line; echo \"<$line>\"; stty size; cat "
				 "/proc/sys/kernel/random/boot_id; echo end",
				 CHANGES("process.terminal", "true", "process.consoleSize",
					 "{\"height\": 33, \"width\": 111}", "annotations",
					 is_vm ? "{\"org.insula.isolation\": \"vm\"}"
					       : "{\"org.insula.isolation\": \"container\"}"));

	(void)state;
	expect_error(run_oci(world, ARGV("create", "--bundle", dir, world->id)), 1,
		     "terminal|--console-socket");
	expect_ids(world, NO_WORDS);
	expect_result(run_oci(world, ARGV("create", "--console-socket", socket_path, "--bundle",
					  dir, world->id)),
		      0, "", NULL);
	int master = take_console(listener);

	start_it();
	assert_int_equal(write(master, "some words\n", 11), 11);
	if (!read_until(master, "end\r\n", buf, sizeof(buf), 60) || !strstr(buf, "<some words>") ||
	    !strstr(buf, "33 111"))
		fail_msg("on the terminal: '%s'", buf);
	host[strcspn(host, "\n")] = '\0';
	assert_int_equal(strstr(buf, host) != NULL, !is_vm);
	free(host);
	close(master);
	expect_status(world, world->id, "stopped");
	expect_result(run_oci(world, ARGV("delete", world->id)), 0, "", NULL);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* ---- settings of a bundle ---------------------------------------------------------------------- */

/* All that both kinds do, in one sandbox. */
static void settings(void **state)
{
	struct snapshot before = snapshot_take(world), after;
	static const char script[] =
		"hostname; cat /proc/sys/kernel/domainname; id -G; umask; ulimit -n; "
		"cat /proc/sys/net/ipv4/ip_forward; cat /secret/key 2>&1 | wc -c; "
		"ls -A /hidden | wc -l; touch /new 2>/dev/null || echo readonly; "
		"grep -c ' /scratch tmpfs .*nosuid.*size=1024k' /proc/mounts; "
		"touch /scratch/x && echo writable; stat -c %a /scratch; "
		"cat /proc/self/oom_score_adj; pwd";
	char path[256], host_adj[32];
	char *adj = read_file("/proc/self/oom_score_adj");

	(void)state;
	snprintf(host_adj, sizeof(host_adj), "%d", atoi(adj) > 500 ? atoi(adj) : 500);
	free(adj);
	snprintf(path, sizeof(path), "%s/secret", world->rootfs);
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/secret/key", world->rootfs);
	write_file(path, "secret", 0644);
	snprintf(path, sizeof(path), "%s/hidden", world->rootfs);
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/hidden/file", world->rootfs);
	write_file(path, "hidden", 0644);
	snprintf(path, sizeof(path), "%s/scratch", world->rootfs);
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);

	const char *dir = bundle(
		world, "settings", script,
		CHANGES("hostname", "\"box\"", "domainname", "\"example.org\"",
			"process.user.additionalGids", "[7, 8]", "process.user.umask", "63",
			"process.rlimits",
			"[{\"type\": \"RLIMIT_NOFILE\", \"soft\": 100, \"hard\": 200}]",
			"linux.sysctl", "{\"net.ipv4.ip_forward\": \"1\"}", "linux.maskedPaths",
			"[\"/secret/key\", \"/hidden\", \"/not/there\"]", "root.readonly", "true",
			"process.oomScoreAdj", host_adj, "process.cwd", "\"/data\"", "mounts",
			"[{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
			"{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\"},"
			"{\"destination\": \"/scratch\", \"type\": \"tmpfs\", \"source\": "
			"\"tmpfs\", \"options\": [\"nosuid\", \"size=1m\", \"mode=1770\"]}]"));
	char expected[256];

	snprintf(expected, sizeof(expected),
		 "box\nexample.org\n0 7 8\n0077\n100\n1\n0\n0\nreadonly\n1\nwritable\n1770\n%s\n/"
		 "data\n",
		 host_adj);
	expect_result(of_kind(ARGV("run", "--bundle", dir, world->id)), 0, expected, NULL);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* ---- the container's own ------------------------------------------------------------------------ */

/* Each hook gets the state on its standard input, and may ask for it by the command: no lock is held. */
static void hooks(void **state)
{
	struct snapshot before = snapshot_take(world), after;
	char log[200], script[6][1024], runtime[700], *text;
	static const char *const kinds[] = {"prestart",       "createRuntime", "createContainer",
					    "startContainer", "poststart",     "poststop"};

	(void)state;
	/* The same file by its name on the host and in the container. */
	snprintf(log, sizeof(log), "%s", shared("hooks"));
	unlink(log);
	snprintf(runtime, sizeof(runtime), "%s --root %s state %s", world->oci, world->state,
		 world->id);
	for (size_t i = 0; i < 6; i++) {
		bool inside = i == 3; /* its path is the container's */
		bool asks = i == 0 || i == 1 || i == 4;

		snprintf(script[i], sizeof(script[i]),
			 "[\"sh\", \"-c\", \"exec >>%s 2>&1; echo %s $(grep -o "
			 "'status[^a-z]*[a-z]*')%s%s%s\"]",
			 inside ? "/data/hooks" : log, kinds[i], asks ? " asked $(" : "",
			 asks ? runtime : "", asks ? " | grep -o 'status[^a-z]*[a-z]*')" : "");
	}
	const char *dir = bundle(
		world, "hooks", "sleep 1000",
		CHANGES("hooks.prestart[].path", "\"/bin/sh\"", "hooks.prestart[].args", script[0],
			"hooks.prestart[].env", "[\"PATH=/bin:/usr/bin\"]",
			"hooks.createRuntime[].path", "\"/bin/sh\"", "hooks.createRuntime[].args",
			script[1], "hooks.createRuntime[].env", "[\"PATH=/bin:/usr/bin\"]",
			"hooks.createContainer[].path", "\"/bin/sh\"",
			"hooks.createContainer[].args", script[2], "hooks.createContainer[].env",
			"[\"PATH=/bin:/usr/bin\"]", "hooks.startContainer[].path", "\"/bin/sh\"",
			"hooks.startContainer[].args", script[3], "hooks.startContainer[].env",
			"[\"PATH=/bin:/usr/bin\"]", "hooks.poststart[].path", "\"/bin/sh\"",
			"hooks.poststart[].args", script[4], "hooks.poststart[].env",
			"[\"PATH=/bin:/usr/bin\"]", "hooks.poststop[].path", "\"/bin/sh\"",
			"hooks.poststop[].args", script[5], "hooks.poststop[].env",
			"[\"PATH=/bin:/usr/bin\"]"));

	create(dir);
	unlink(pid_file);
	start_it();
	force_delete();
	text = read_file(log);
	assert_non_null(text);
	assert_string_equal(text, "prestart status\":\"creating asked status\": \"creating\n"
				  "createRuntime status\":\"creating asked status\": \"creating\n"
				  "createContainer status\":\"creating\n"
				  "startContainer status\":\"created\n"
				  "poststart status\":\"running asked status\": \"running\n"
				  "poststop status\":\"stopped\n");
	free(text);
	unlink(log);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

static void relative_to_the_bundle(void **state)
{
	const char *dir =
		bundle(world, "relative", "cat /data/here",
		       CHANGES("root.path", "\"rootfs\"", "mounts[].destination", "\"/data\"",
			       "mounts[].type", "\"bind\"", "mounts[].source", "\"data\"",
			       "mounts[].options", "[\"bind\", \"ro\"]"));
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/rootfs", dir);
	assert_int_equal(symlink(world->rootfs, path), 0);
	snprintf(path, sizeof(path), "%s/data", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/data/here", dir);
	write_file(path, "found\n", 0644);
	/* The bundle is the current directory. */
	struct run_result r = run(&(struct run_spec){
		.argv = oci_argv(world, ARGV("run", world->id)), .cwd = dir, .detaching = true});

	expect_result(r, 0, "found\n", NULL);
}

static void spec_runs(void **state)
{
	char dir[160], path[200];
	struct run_result r;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/spec", world->dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/rootfs", dir);
	assert_int_equal(symlink(world->rootfs, path), 0);
	expect_result(run_oci(world, ARGV("spec", "--bundle", dir)), 0, "", NULL);
	expect_error(run_oci(world, ARGV("spec", "--bundle", dir)), 1, "config.json|exists");
	snprintf(path, sizeof(path), "%s/config.json", dir);
	char *text = read_file(path);

	assert_non_null(text);
	/* What a person edits. */
	char *terminal = strstr(text, "\"terminal\": true"), *sh = strstr(text, "\"sh\"");

	assert_non_null(terminal);
	assert_non_null(sh);
	memcpy(terminal, "\"terminal\":false", 16);
	memcpy(sh, "\"id\"", 4);
	write_file(path, text, 0644);
	free(text);
	r = run_oci(world, ARGV("run", "--bundle", dir, world->id));
	assert_non_null(strstr(r.out, "uid=0"));
	expect_result(r, 0, NULL, NULL);
}

static void features(void **state)
{
	static const char *const members[] = {"ociVersionMin", "ociVersionMax", "hooks",
					      "mountOptions",  "linux",         "annotations"};
	struct run_result r = run_oci(world, ARGV("features"));
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top, at;

	(void)state;
	assert_int_equal(r.code, 0);
	assert_int_equal(json_parse(r.out, r.out_len, "features", &doc, NULL), 0);
	top = json_top(doc);
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (!json_member(&top, members[i], &at))
			fail_msg("features has no member '%s'", members[i]);
	json_member(&top, "hooks", &at);
	assert_int_equal(json_array_len(&at), 6);
	run_result_done(&r);
}

static void lists(void **state)
{
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top, at, id;
	struct run_result r;

	(void)state;
	expect_result(run_oci(world, ARGV("list", "--format", "json")), 0, "[]\n", NULL);
	create(bundle(world, "list", "sleep 1000", NULL));
	unlink(pid_file);
	expect_ids(world, ARGV(world->id));
	r = run_oci(world, ARGV("list"));
	assert_non_null(strstr(r.out, "ID"));
	assert_non_null(strstr(r.out, world->id));
	assert_non_null(strstr(r.out, "created"));
	run_result_done(&r);
	r = run_oci(world, ARGV("list", "--format", "json"));
	assert_int_equal(json_parse(r.out, r.out_len, "list", &doc, NULL), 0);
	top = json_top(doc);
	assert_int_equal(json_array_len(&top), 1);
	at = json_array_at(&top, 0);
	assert_true(json_member(&at, "id", &id));
	assert_string_equal(json_peek_string(&id), world->id);
	run_result_done(&r);
	/* One that never ran may be deleted without force. */
	expect_result(run_oci(world, ARGV("delete", world->id)), 0, "", NULL);
}

/* A shell gives descriptors 3 and 4; one is asked for. */
static void preserved_descriptors(void **state)
{
	const char *dir =
		bundle(world, "fds", "unused", CHANGES("process.args", "[\"probe\", \"fds\"]"));
	char line[1500];

	(void)state;
	for (int n = 0; n < 3; n++) {
		static const char *const expected[] = {"0 1 2 \n", "0 1 2 3 \n", "0 1 2 3 4 \n"};

		snprintf(line, sizeof(line),
			 "exec 3</dev/null 4</dev/null; exec %s --root %s run --preserve-fds %d "
			 "--bundle %s %s",
			 world->oci, world->state, n, dir, world->id);
		expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", line)}), 0,
			      expected[n], NULL);
	}
}

/* ---- the microVM's own -------------------------------------------------------------------------- */

static void called_as_vm(void **state)
{
	char program[600], *host = read_file("/proc/sys/kernel/random/boot_id");
	const char *dir = bundle(world, "boot", "cat /proc/sys/kernel/random/boot_id", NULL);

	(void)state;
	snprintf(program, sizeof(program), "%s-vm", world->oci);
	struct run_result r = run(&(struct run_spec){
		.argv = ARGV(program, "--root", world->state, "run", "--bundle", dir, world->id)});

	assert_int_equal(r.code, 0);
	assert_int_equal(r.out_len, strlen(host));
	assert_string_not_equal(r.out, host);
	free(host);
	run_result_done(&r);
}

/* ---- all of them ---------------------------------------------------------------------------------- */

static const struct story {
	const char *name;
	CMUnitTestFunction function;
	bool container, vm;
} stories[] = {
	{"life", life, true, true},
	{"further processes", further_processes, true, true},
	{"terminal by socket, kind by annotation", terminal_and_annotation, true, true},
	{"settings of a bundle", settings, true, true},
	{"hooks", hooks, true, false},
	{"paths relative to the bundle", relative_to_the_bundle, true, false},
	{"spec runs", spec_runs, true, false},
	{"features", features, true, false},
	{"lists", lists, true, false},
	{"preserved descriptors", preserved_descriptors, true, false},
	{"called as insula-oci-vm", called_as_vm, false, true},
};

#define N_STORIES (sizeof(stories) / sizeof(*stories))

static void skipped(void **state)
{
	print_message("# skip: %s\n", (const char *)*state);
	skip();
}

static int run_kind(const char *missing)
{
	struct CMUnitTest tests[N_STORIES];
	static char names[N_STORIES][96];
	const char *only = getenv("TEST_ONLY");
	size_t n = 0;

	for (size_t i = 0; i < N_STORIES; i++) {
		const struct story *s = &stories[i];

		if (!(is_vm ? s->vm : s->container) || (only && !strstr(s->name, only)))
			continue;
		snprintf(names[n], sizeof(names[n]), "%s: %s", is_vm ? "vm" : "container", s->name);
		tests[n] = (struct CMUnitTest){.name = names[n],
					       .test_func = missing ? skipped : s->function,
					       .initial_state = (void *)missing};
		n++;
	}
	return _cmocka_run_group_tests(is_vm ? "oci, vm" : "oci, container", tests, n, NULL, NULL);
}

int main(void)
{
	const char *wanted = getenv("TEST_KIND");
	int failed = 0;
	void *state;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	snprintf(pid_file, sizeof(pid_file), "%s/pid", world->dir);
	snprintf(socket_path, sizeof(socket_path), "%s/console.sock", world->dir);
	if (!wanted || strcmp(wanted, "container") == 0)
		failed += run_kind(NULL);
	is_vm = true;
	if (!wanted || strcmp(wanted, "vm") == 0)
		failed += run_kind(vm_missing());
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
