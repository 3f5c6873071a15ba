/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the hostile program against the fake host, and looking for what it did outside.
 */
#include "fake_host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "hostile.h"

#define WORDS_MAX      128
#define ATTACK_SECONDS 240

static struct fake_row *row_of(struct fake_host *h, const char *name)
{
	for (size_t i = 0; i < h->n_rows; i++)
		if (strcmp(h->rows[i].name, name) == 0)
			return &h->rows[i];
	return NULL;
}

const struct fake_row *fake_host_row(const struct fake_host *h, const char *name)
{
	return row_of((struct fake_host *)h, name);
}

static void note(struct fake_host *h, const char *name, bool changed, const char *how)
{
	struct fake_row *row = row_of(h, name);

	if (!row)
		return;
	if (changed) {
		strcpy(row->verdict, "BREACH");
		snprintf(row->detail, sizeof(row->detail), "%s", how);
	} else if (strcmp(row->verdict, "tried") == 0) {
		strcpy(row->verdict, "refused");
	}
}

/* Lines of the program inside. */
static bool take_rows(struct fake_host *h, char *output)
{
	bool ended = false;

	for (char *save, *line = strtok_r(output, "\r\n", &save); line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		char *verdict = strchr(line, '\t');
		char *what = verdict ? strchr(verdict + 1, '\t') : NULL;
		struct fake_row *row;

		if (!what)
			continue;
		*verdict++ = '\0';
		*what++ = '\0';
		if (strcmp(line, "end") == 0) {
			ended = true;
			continue;
		}
		row = row_of(h, line);
		if (!row) {
			assert_true(h->n_rows < FAKE_ROWS_MAX);
			row = &h->rows[h->n_rows++];
		}
		snprintf(row->name, sizeof(row->name), "%.31s", line);
		snprintf(row->verdict, sizeof(row->verdict), "%.11s", verdict);
		snprintf(row->detail, sizeof(row->detail), "%.255s", what);
	}
	return ended;
}

static const char *const *words_for(struct fake_host *h, const char *const *command,
				    const char *which, const char **words)
{
	size_t n = 0;

	/* A caller who forgot to close a directory with a secret in it. */
	words[n++] = "/bin/sh";
	words[n++] = "-c";
	words[n++] = "exec 9</opt/leak; exec \"$@\"";
	words[n++] = "sh";
	for (; *command; command++)
		words[n++] = *command;
	words[n++] = FAKE_PROGRAM;
	words[n++] = "try";
	words[n++] = which;
	for (size_t i = 0; i < h->n_facts; i++)
		words[n++] = h->facts[i];
	assert_true(n < WORDS_MAX);
	words[n] = NULL;
	return words;
}

/* ---- what is to stay as it is -------------------------------------------------------------------------------- */

static char *files_text(const struct fake_host *h)
{
	const char *dirs[] = {h->home_at, "/etc", "/opt", "/var/spool"};
	char *all = strdup("");

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		char *one = tree_text(dirs[i]), *more;

		assert_true(asprintf(&more, "%s%s\n%s", all, dirs[i], one) > 0);
		free(one);
		free(all);
		all = more;
	}
	return all;
}

static const char *files_changed(const struct fake_host *h, bool home)
{
	char *now = home ? tree_text(h->home_at) : files_text(h);
	bool same = home ? strstr(h->before, now) != NULL : strcmp(h->before, now) == 0;

	free(now);
	return same ? NULL : home ? "files of the home changed outside" : "files changed outside";
}

static void look_at_files(struct fake_host *h)
{
	static const char *const left[] = {"/tmp/planted", "/var/tmp/planted", "/dev/shm/planted"};
	const char *home = files_changed(h, true), *all = files_changed(h, false);
	bool found = false;
	char name[65] = "";

	note(h, "persist-home", home, home);
	note(h, "persist-system", !home && all, all);
	note(h, "destroy", all, all);
	for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++)
		found |= unlink(left[i]) == 0;
	note(h, "shared-places", found, "a file outside");
	gethostname(name, sizeof(name) - 1);
	note(h, "set-hostname", strcmp(name, h->hostname) != 0, name);
}

static void look_at_sockets(struct fake_host *h)
{
	static const char *const names[][2] = {
		{"userbus", "session-bus"},      {"systembus", "system-bus"},
		{"abstractbus", "abstract-bus"}, {"abstractx11", "abstract-x11"},
		{"agent", "ssh-agent"},          {"gpg", "gpg-agent"},
		{"port", "local-port"}};

	for (size_t i = 0; i < h->n_sockets; i++) {
		const char *row = h->sockets[i].name;
		int fd = accept4(h->sockets[i].fd, NULL, NULL, SOCK_CLOEXEC);

		for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
			if (strcmp(names[k][0], row) == 0)
				row = names[k][1];
		note(h, row, fd >= 0, "a connection arrived");
		if (fd >= 0)
			close(fd);
	}
}

static void look_at_victim(struct fake_host *h)
{
	char last[128] = "";

	close(h->to_victim);
	h->to_victim = -1;
	(void)!read(h->from_victim, last, sizeof(last) - 1);
	if (strncmp(last, "0 signals", 9) != 0)
		note(h, "signals", true, *last ? last : "the process is gone");
	note(h, "write-memory", strstr(last, "memory changed"), last);
	note(h, "keyring-add", strstr(last, "planted"), "a key outside");
}

/* ---- the terminal ------------------------------------------------------------------------------------------ */

struct terminal {
	int master, slave;
	struct termios before;
};

static void terminal_make(struct terminal *t)
{
	char name[64];

	t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(t->master >= 0 && grantpt(t->master) == 0 && unlockpt(t->master) == 0);
	assert_int_equal(ptsname_r(t->master, name, sizeof(name)), 0);
	t->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(t->slave >= 0);
	/* What is pushed in can be read at once, and is not echoed into the output. */
	assert_int_equal(tcgetattr(t->slave, &t->before), 0);
	t->before.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	assert_int_equal(tcsetattr(t->slave, TCSANOW, &t->before), 0);
}

static pid_t terminal_start(const struct fake_host *h, const struct terminal *t,
			    const char *const *argv)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setsid();
		if (h->user)
			(void)!fchown(t->slave, h->user->uid, h->user->gid);
		(void)!ioctl(t->slave, TIOCSCTTY, 0);
		for (int i = 0; i < 3; i++)
			dup2(t->slave, i);
		if (h->user)
			user_become(h->user, true);
		execv(argv[0], (char *const *)argv);
		_exit(126);
	}
	return pid;
}

static void attack_terminal(struct fake_host *h, const char *const *command)
{
	const char *words[WORDS_MAX];
	static char output[16384];
	struct terminal t;
	struct termios after;
	int waiting = 0;
	pid_t pid;

	terminal_make(&t);
	pid = terminal_start(h, &t, words_for(h, command, "tiocsti,tty-settings", words));
	output[0] = '\0';
	read_until(t.master, "end\t\t", output, sizeof(output), 60);
	finish(pid, 60);
	take_rows(h, output);
	assert_int_equal(ioctl(t.slave, FIONREAD, &waiting), 0);
	note(h, "tiocsti", waiting > 0, "the caller's shell would read it");
	assert_int_equal(tcgetattr(t.slave, &after), 0);
	note(h, "tty-settings",
	     after.c_lflag != t.before.c_lflag || after.c_cc[VINTR] != t.before.c_cc[VINTR],
	     "the terminal stays changed");
	close(t.master);
	close(t.slave);
}

/* ---- all of it ----------------------------------------------------------------------------------------------- */

bool fake_host_attack(struct fake_host *h, const char *const *command, char **ret_why)
{
	const char *words[WORDS_MAX];
	struct run_spec s = {.user = h->user, .timeout_sec = ATTACK_SECONDS};
	struct run_result r;
	bool ran;

	h->n_rows = 0;
	free(h->before);
	h->before = files_text(h);
	s.argv = words_for(h, command, "all", words);
	setenv("SECRET_TOKEN", h->mark, 1);
	r = run(&s);
	ran = take_rows(h, r.out);
	if (!ran && asprintf(ret_why, "exit code %d: %.600s", r.code, r.err) < 0)
		*ret_why = NULL;
	run_result_done(&r);
	if (ran)
		attack_terminal(h, command);
	unsetenv("SECRET_TOKEN");
	look_at_files(h);
	look_at_sockets(h);
	look_at_victim(h);
	return ran;
}
