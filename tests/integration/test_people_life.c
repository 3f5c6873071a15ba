/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takes people more than one line: sandboxes that go on by themselves, real terminals, signals, files that stay, images
 * that are kept. Each story is lived by root, by an ordinary user with subordinate ids and by one without; some of
 * them in a microVM as well.
 *
 * TEST_ONLY=text, TEST_KIND=container|vm as in people_rows.h.
 */
#include "people.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* Whose story is told. */
static const struct person *who;
static bool is_vm;

#define insula(...) person_run(who, ARGV(__VA_ARGS__))
#define KIND        (is_vm ? "--vm=true" : "--vm=false")
#define OWN         KIND, "--rootfs", "{ROOTFS}"
#define SH(script)  "sh", "-c", script

static void type(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* What comes after `from`; a failure shows what came instead. */
static void await(int fd, char *buf, size_t size, const char *needle)
{
	if (!read_until(fd, needle, buf, size, 60))
		fail_msg("no '%s' in: %s", needle, buf);
}

/* ---- detached ------------------------------------------------------------------------------- */

static void detached_life(void)
{
	int fd;
	char buf[4096] = "";

	expect_result(insula("run", "-d", "--name", "web", "--label", "tier=front", "--stop-signal",
			     "USR1", OWN,
			     SH("trap 'echo bye; exit 3' USR1; echo ready; while :; do sleep 0.1; "
				"done")),
		      0, "web\n", "");
	pid_t logs = person_start(who, ARGV("logs", "-f", "web"), false, &fd);

	await(fd, buf, sizeof(buf), "ready\n");
	expect_result(insula("ps", "--filter", "label=tier=front", "--format",
			     "{{.Names}} {{.State}} {{.Kind}}"),
		      0, is_vm ? "web running vm\n" : "web running container\n", "");
	expect_result(insula("ps", "-q", "--filter", "label=tier=back"), 0, "", "");
	expect_result(insula("exec", "web", SH("echo inside; exit 7")), 7, "inside\n", "");
	expect_error(insula("exec", "web", "no-such-command"), 127, "no-such-command|not found");
	expect_error(insula("exec", "web", "/etc/plain"), 126, "/etc/plain|permission denied");
	/* In a container the reader of the pipe waits for whoever holds it; a guest's pipes are ours. */
	if (is_vm)
		expect_result(insula("exec", "web", SH("sleep 1000 & echo left")), 0, "left\n", "");
	/* The name is taken, and it cannot be removed while it lives. */
	expect_error(insula("run", "-d", "--name", "web", OWN, "true"), 125, "web|exists");
	expect_error(insula("rm", "web"), 125, "web|stop");
	expect_result(insula("stop", "web"), 0, "web\n", "");
	assert_int_equal(finish(logs, 30), 0);
	await(fd, buf, sizeof(buf), "bye\n");
	close(fd);
	expect_result(insula("wait", "web"), 0, "3\n", "");
	expect_result(insula("ps", "-q"), 0, "", "");
	expect_result(insula("ps", "-a", "--format", "{{.Names}} {{.ExitCode}}"), 0, "web 3\n", "");
	expect_result(
		insula("inspect", "--format", "{{.State.ExitCode}} {{.State.Running}}", "web"), 0,
		"3 false\n", "");
	expect_error(insula("exec", "web", "true"), 125, "web");
	expect_result(insula("rm", "web"), 0, "web\n", "");
	expect_result(insula("ps", "-aq"), 0, "", "");
}

static void removed_by_itself(void)
{
	expect_result(
		insula("run", "-di", "--rm", "--name", "brief", OWN, SH("read x; echo $x; exit 4")),
		0, "brief\n", "");
	expect_result(person_pipe(who, ARGV("attach", "brief"), "a line\n"), 4, "a line\n", "");
	expect_result(insula("ps", "-aq"), 0, "", "");
}

static void replaced(void)
{
	expect_result(insula("run", "-d", "--name", "a", OWN, "sleep", "1000"), 0, "a\n", "");
	/* What cannot start costs nobody the old one. */
	expect_error(insula("run", "-d", "--name", "a", "--replace", "--rootfs", "{DATA}/nothing",
			    "true"),
		     125, "nothing");
	expect_result(insula("run", "-di", "--name", "a", "--replace", OWN, SH("echo new; read x")),
		      0, "a\n", "");
	expect_result(person_pipe(who, ARGV("attach", "a"), "\n"), 0, NULL, "");
	expect_result(insula("logs", "a"), 0, "new\n", "");
	expect_result(insula("rm", "a"), 0, "a\n", "");
}

static void killed_when_deaf(void)
{
	expect_result(insula("run", "-d", "--name", "deaf", OWN, "sleep", "1000"), 0, "deaf\n", "");
	/* Process 1 of a sandbox does not hear a signal that it does not expect. */
	expect_result(insula("stop", "-t", "1", "deaf"), 0, "deaf\n", "");
	expect_result(insula("wait", "deaf"), 0, "137\n", "");
	expect_result(insula("rm", "deaf"), 0, "deaf\n", "");
}

static void paused(void)
{
	expect_result(insula("run", "-d", "--name", "ice", OWN, "sleep", "1000"), 0, "ice\n", "");
	if (who->who == ROOT) {
		expect_result(insula("pause", "ice"), 0, "ice\n", "");
		expect_result(insula("ps", "-a", "--format", "{{.State}}"), 0, "paused\n", "");
		expect_result(insula("unpause", "ice"), 0, "ice\n", "");
	} else {
		expect_error(insula("pause", "ice"), 125, "ice|cgroup");
	}
	expect_result(insula("rm", "-f", "ice"), 0, "ice\n", "");
}

/* ---- terminals -------------------------------------------------------------------------------- */

static struct termios modes(int fd)
{
	struct termios t;

	assert_int_equal(tcgetattr(fd, &t), 0);
	return t;
}

/* A shell's own line discipline again: what is typed is seen, and Ctrl-C is a signal. */
static void expect_usual_modes(int fd)
{
	struct termios t = modes(fd);
	const tcflag_t local = ICANON | ECHO | ISIG;

	assert_int_equal(t.c_lflag & local, local);
	assert_int_equal(t.c_oflag & OPOST, OPOST);
	assert_int_equal(t.c_iflag & ICRNL, ICRNL);
}

static void terminal(void)
{
	int fd;
	char buf[16384] = "";
	struct winsize size = {.ws_row = 40, .ws_col = 100};
	pid_t pid = person_start(who, ARGV("run", "--rm", "-it", KIND, "--rootfs", "/", "sh"), true,
				 &fd);

	/* What is typed is shown, too: the answers are none of the words. */
	type(fd, "tty; echo first$((1+1))\n");
	await(fd, buf, sizeof(buf), "first2");
	assert_non_null(strstr(buf, "/dev/pts/"));
	assert_int_equal(modes(fd).c_lflag & (ICANON | ECHO | ISIG), 0);
	type(fd, "stty size\n");
	await(fd, buf, sizeof(buf), "24 80");
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	type(fd, "while [ \"$(stty size)\" != '40 100' ]; do :; done; echo resized$((1+1))\n");
	await(fd, buf, sizeof(buf), "resized2");
	/* Ctrl-C ends what runs there, not the sandbox; Ctrl-Z stops it. */
	type(fd, "echo go$((1+1)); sleep 1000\n");
	await(fd, buf, sizeof(buf), "go2");
	usleep(100000); /* until the shell has started it; too early, the prompt gets the key */
	type(fd, "\003");
	type(fd, "echo interrupted$((1+1))\n");
	await(fd, buf, sizeof(buf), "interrupted2");
	type(fd, "echo go$((2+1)); sleep 1000\n");
	await(fd, buf, sizeof(buf), "go3");
	usleep(100000);
	type(fd, "\032");
	await(fd, buf, sizeof(buf), "topped");
	type(fd, "kill -9 %1; wait %1; echo on$((1+1))\n");
	await(fd, buf, sizeof(buf), "on2");
	/* A shell asks again, when it knows of stopped jobs. */
	type(fd, "exit 6\nexit 6\n");
	assert_int_equal(finish(pid, 60), 6);
	expect_usual_modes(fd);
	close(fd);
}

static void terminal_of_one_that_is_killed(void)
{
	int fd;
	char buf[4096] = "";
	pid_t pid = person_start(who,
				 ARGV("run", "--rm", "-it", "--name", "doomed", OWN,
				      SH("echo up$((1+1)); sleep 1000")),
				 true, &fd);

	await(fd, buf, sizeof(buf), "up2");
	expect_result(insula("kill", "doomed"), 0, "doomed\n", "");
	assert_int_equal(finish(pid, 60), 128 + SIGKILL);
	expect_usual_modes(fd);
	close(fd);
}

static void left_and_met_again(void)
{
	int fd;
	char buf[8192] = "";

	expect_result(insula("run", "-dit", "--name", "desk", OWN, "sh"), 0, "desk\n", "");
	pid_t pid = person_start(who, ARGV("attach", "desk"), true, &fd);

	type(fd, "X=kept; echo one$((1+1))\n");
	await(fd, buf, sizeof(buf), "one2");
	type(fd, "\020\021"); /* ctrl-p ctrl-q */
	assert_int_equal(finish(pid, 60), 0);
	expect_usual_modes(fd);
	close(fd);
	expect_result(insula("ps", "-q"), 0, "desk\n", "");
	buf[0] = '\0';
	pid = person_start(who, ARGV("attach", "desk"), true, &fd);
	type(fd, "echo $X$((1+1)); exit 5\n");
	await(fd, buf, sizeof(buf), "kept2");
	assert_int_equal(finish(pid, 60), 5);
	close(fd);
	expect_result(insula("rm", "desk"), 0, "desk\n", "");
}

/* A further terminal, user, directory and environment in one that runs. */
static void entered(void)
{
	int fd;
	char buf[4096] = "";

	expect_result(insula("run", "-d", "--name", "host", "-e", "A=1", OWN, "sleep", "1000"), 0,
		      "host\n", "");
	pid_t pid = person_start(
		who, ARGV("exec", "-it", "host", SH("tty; stty size; read x; echo got $x; exit 3")),
		true, &fd);

	await(fd, buf, sizeof(buf), "24 80");
	assert_non_null(strstr(buf, "/dev/pts/"));
	type(fd, "it\n");
	await(fd, buf, sizeof(buf), "got it");
	assert_int_equal(finish(pid, 60), 3);
	expect_usual_modes(fd);
	close(fd);
	expect_result(insula("exec", "-w", "/tmp", "-e", "B=2", "host", SH("pwd; echo $A $B")), 0,
		      "/tmp\n1 2\n", "");
	expect_result(person_pipe(who, ARGV("exec", "-i", "host", "cat"), "in\n"), 0, "in\n", "");
	if (who->who == PLAIN)
		expect_error(insula("exec", "-u", "ada", "host", "true"), 125, "1815|/etc/subuid");
	else
		expect_result(insula("exec", "-u", "ada", "host", "id", "-un"), 0, "ada\n", "");
	expect_result(insula("rm", "-f", "host"), 0, "host\n", "");
}

static void terminal_without_one(void)
{
	expect_error(insula("run", "--rm", "-it", OWN, "true"), 125, "-t|not a terminal|leave -t");
}

/* ---- signals and streams ---------------------------------------------------------------------------- */

static void interrupted(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		int fd;
		char buf[256] = "", expected[16];
		pid_t pid =
			person_start(who, ARGV("run", "--rm", OWN, "probe", "await"), false, &fd);

		await(fd, buf, sizeof(buf), "ready");
		assert_int_equal(kill(pid, signals[i]), 0);
		assert_int_equal(finish(pid, 60), 40);
		snprintf(expected, sizeof(expected), "got %d", signals[i]);
		await(fd, buf, sizeof(buf), expected);
		close(fd);
	}
}

static struct run_result in_a_shell(const char *script)
{
	char insula[1024];

	/* INSULA in the script: the program with the flags of this person. */
	snprintf(insula, sizeof(insula), "insula() { %s --root %s --store %s \"$@\"; }\n%s",
		 who->w.insula, who->w.state, who->store, told_to(who, script));
	return run(&(struct run_spec){
		.argv = ARGV("/bin/sh", "-c", insula), .user = who->w.user, .cwd = who->data});
}

static void pipes(void)
{
	expect_result(in_a_shell("insula run --rm --rootfs / seq 5 | insula run --rm -i --rootfs "
				 "{ROOTFS} wc -l"),
		      0, "5\n", "");
	/* Endless output that nobody wants any more. */
	expect_result(in_a_shell("insula run --rm --rootfs / yes | head -n 1"), 0, "y\n", NULL);
	expect_result(in_a_shell("tar -c given | insula run --rm -i --rootfs / tar -xO"), 0,
		      "from the host\n", "");
	expect_result(in_a_shell("insula run --rm --rootfs / false || echo it failed"), 0,
		      "it failed\n", "");
	expect_result(in_a_shell("x=$(insula run --rm --rootfs / echo word); echo \"[$x]\""), 0,
		      "[word]\n", "");
}

/* Without an init nobody reaps what lost its parent. */
static bool no_zombies(void *arg)
{
	struct run_result r = insula(
		"exec", arg, SH("cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z ' || true"));
	bool none = strcmp(r.out, "0\n") == 0;

	run_result_done(&r);
	return none;
}

static void orphans_are_reaped(void)
{
	expect_result(insula("run", "-d", "--init", "--name", "house", OWN, "sleep", "1000"), 0,
		      "house\n", "");
	expect_result(insula("exec", "house", SH("(true &); (true &)")), 0, "", "");
	assert_true(eventually(no_zombies, (void *)"house", 30));
	/* And it hears TERM, for its command. */
	expect_result(insula("stop", "-t", "60", "house"), 0, "house\n", "");
	expect_result(insula("wait", "house"), 0, "143\n", "");
	expect_result(insula("rm", "house"), 0, "house\n", "");
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static uid_t own_uid(void)
{
	return who->w.user ? who->w.user->uid : 0;
}

static void expect_file(const char *path, const char *text, uid_t uid)
{
	const char *full = told_to(who, path);
	char *found = read_file(full);
	struct stat st;

	assert_non_null(found);
	assert_string_equal(found, text);
	assert_int_equal(stat(full, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(unlink(full), 0);
	free(found);
}

static void files_that_stay(void)
{
	expect_result(insula("run", "--rm", OWN, SH("echo made > /data/made")), 0, "", "");
	expect_file("{ROOTFS}/data/made", "made\n", own_uid());
	expect_result(insula("run", "--rm", KIND, "-v", "{DATA}:/data", "--rootfs", "/",
			     SH("echo made > /data/made")),
		      0, "", "");
	expect_file("{DATA}/made", "made\n", own_uid());
	if (who->who == PLAIN)
		return;
	/* Another user of the sandbox is another one here. */
	assert_int_equal(chmod(who->data, 0777), 0);
	expect_result(insula("run", "--rm", KIND, "-u", "ada", "-v", "{DATA}:/data", "--rootfs",
			     "{ROOTFS}", SH("echo hers > /data/made")),
		      0, "", "");
	assert_int_equal(chmod(who->data, 0755), 0);
	expect_file("{DATA}/made", "hers\n", who->who == ROOT ? 1815 : 200000 + 1814);
}

static void papers(void)
{
	const char *cid = told_to(who, "{DATA}/cid");
	struct run_result r;

	expect_error(insula("run", "--cidfile", "{DATA}/cid", OWN, "no-such-command"), 127,
		     "no-such-command");
	assert_int_equal(access(cid, F_OK), -1);
	expect_result(insula("run", "-d", "--cidfile", "{DATA}/cid", "--label", "colour=blue",
			     "--label", "plain", "--name", "papers", OWN, "sleep", "1000"),
		      0, "papers\n", "");
	expect_error(insula("run", "--rm", "--cidfile", "{DATA}/cid", OWN, "true"), 125,
		     "cid|exists");
	expect_result(insula("inspect", "--format",
			     "{{.Name}} {{index .Labels \"colour\"}} {{.Command}}", "papers"),
		      0, "papers blue sleep 1000\n", "");
	expect_result(insula("ps", "-q", "-f", "label=plain", "-f", "name=pap"), 0, "papers\n", "");
	r = insula("inspect", "papers");
	assert_int_equal(r.code, 0);
	assert_int_equal(r.out[0], '[');
	run_result_done(&r);
	expect_result(insula("rm", "-f", "papers"), 0, "papers\n", "");
	/* It outlives the sandbox, as docker's does. */
	char *text = read_file(cid);

	assert_non_null(text);
	assert_string_equal(text, "papers");
	free(text);
	assert_int_equal(unlink(cid), 0);
}

/* ---- images ------------------------------------------------------------------------------------------------ */

static char *layers(void)
{
	char script[256];
	struct run_result r;

	snprintf(script, sizeof(script),
		 "find %s/layers -mindepth 2 -maxdepth 2 -printf '%%p %%i %%C@\\n' | sort",
		 who->store);
	r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", script)});
	assert_int_equal(r.code, 0);
	return r.out;
}

static void kept_images(void)
{
	struct run_result r;

	expect_result(insula("load", "-i", "{IMAGES}/box.tar"), 0,
		      "Loaded image: example.org/box:1\n", NULL);
	expect_result(insula("run", "--rm", KIND, "example.org/box:1"), 0, "root\n/work\nblue\n",
		      "");
	char *before = layers();

	/* Its second run unpacks nothing. */
	expect_result(insula("run", "--rm", KIND, "example.org/box:1"), 0, "root\n/work\nblue\n",
		      "");
	char *after = layers();

	assert_string_equal(before, after);
	free(before);
	free(after);
	r = insula("import", "-c", "CMD [\"id\",\"-u\"]", "{IMAGES}/root.tar", "mine:1");
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	expect_result(insula("run", "--rm", KIND, "mine:1"), 0, "0\n", "");
	expect_result(insula("images", "--format", "{{.Repository}}:{{.Tag}}"), 0,
		      "mine:1\nexample.org/box:1\n", ""); /* the newest first */
	expect_result(insula("rmi", "mine:1", "example.org/box:1"), 0,
		      "mine:1\nexample.org/box:1\n", "");
}

/* What a sandbox of an image writes is there until it is removed, and nowhere else. */
static void changes_of_an_image(void)
{
	expect_result(insula("run", "-d", "--name", "draft", KIND, "{LAYOUT}:box", "sleep", "1000"),
		      0, "draft\n", "");
	expect_result(insula("exec", "draft", SH("echo written > /etc/new; rm -r /kept")), 0, "",
		      "");
	expect_result(insula("exec", "draft", SH("cat /etc/new; ls -d /kept 2>/dev/null")), 1,
		      "written\n", "");
	expect_result(insula("run", "--rm", KIND, "{LAYOUT}:box", SH("ls /kept; test -e /etc/new")),
		      1, "low\nup\n", "");
	expect_result(insula("inspect", "--format", "{{index .Labels \"maker\"}}", "draft"), 0,
		      "test\n", "");
	/* The image asks to be stopped by USR1. */
	expect_result(insula("stop", "-t", "0", "draft"), 0, "draft\n", "");
	expect_result(insula("rm", "draft"), 0, "draft\n", "");
	expect_result(in_a_shell("find {STORE}/sandboxes -mindepth 2"), 0, "", "");
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

static const struct story {
	const char *name;
	void (*tell)(void);
	unsigned vm; /* whose */
} stories[] = {
	{"a detached life", detached_life, ROOT | PLAIN},
	{"removed by itself", removed_by_itself, 0},
	{"replaced", replaced, 0},
	{"killed when deaf", killed_when_deaf, 0},
	{"paused", paused, 0},
	{"a terminal", terminal, ROOT | SUBIDS},
	{"the terminal of one that is killed", terminal_of_one_that_is_killed, 0},
	{"left and met again", left_and_met_again, 0},
	{"entered", entered, ROOT},
	{"a terminal is wanted without one", terminal_without_one, 0},
	{"interrupted", interrupted, 0},
	{"pipes", pipes, 0},
	{"orphans are reaped", orphans_are_reaped, 0},
	{"files that stay", files_that_stay, 0},
	{"papers", papers, 0},
	{"images that are kept", kept_images, 0},
	{"changes of an image", changes_of_an_image, 0},
};
#define N_STORIES (sizeof(stories) / sizeof(*stories))

struct test {
	const struct person *person;
	const struct story *story;
	bool vm;
};

static void tell(void **state)
{
	const struct test *t = *state;
	struct belongings before;

	who = t->person;
	is_vm = t->vm;
	if (is_vm && vm_missing()) {
		print_message("# skip: %s\n", vm_missing());
		skip();
	}
	before = belongings_note(who);
	t->story->tell();
	belongings_compare(who, &before);
}

/* What a story that failed left is no trouble to the next. */
static int tidy(void **state)
{
	const struct test *t = *state;
	struct run_result r = person_run(t->person, ARGV("rm", "-fa"));

	run_result_done(&r);
	return 0;
}

static struct test tests[N_STORIES * PEOPLE * 2];
static struct CMUnitTest units[N_STORIES * PEOPLE * 2];
static char names[N_STORIES * PEOPLE * 2][96];
static size_t n_tests;

static void add(const struct person *p, const struct story *s, bool vm)
{
	const char *only = getenv("TEST_ONLY");

	snprintf(names[n_tests], sizeof(names[0]), "%s%s: %s", p->name, vm ? ", vm" : "", s->name);
	if (only && !strstr(names[n_tests], only))
		return;
	tests[n_tests] = (struct test){p, s, vm};
	units[n_tests] = (struct CMUnitTest){names[n_tests], tell, NULL, tidy, &tests[n_tests]};
	n_tests++;
}

int main(void)
{
	const char *kind = getenv("TEST_KIND");
	void *state = NULL;
	int failed;

	if (people_setup(&state) < 0)
		return 1;
	for (const struct person *p = people(); p < people() + PEOPLE; p++)
		for (const struct story *s = stories; s < stories + N_STORIES; s++) {
			if (!kind || strcmp(kind, "vm") != 0)
				add(p, s, false);
			if ((p->who & s->vm) && (!kind || strcmp(kind, "container") != 0))
				add(p, s, true);
		}
	failed = _cmocka_run_group_tests("people's lives", units, n_tests, NULL, NULL);
	if (people_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
