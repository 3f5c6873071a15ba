/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random lifecycles: several clients run random verbs of insula-oci at once, and processes of ours get SIGKILL at random
 * moments. Whatever happens, no command hangs, crashes or tells what is not so; what was created stays until it is deleted; and in
 * the end everything can be listed and deleted, and nothing is left on the host: no mount, group, process, state, file.
 *
 *	STRESS_SECONDS=120  how long
 *	SEED=N              the same choices again (not the same moments); printed at the beginning
 *	STRESS_CLIENTS=8    how many at once
 *	STRESS_VM=1         one sandbox of the first client is a microVM
 *	STRESS_VERBOSE=1    every command
 *
 * All of it lives in a pid namespace, so that nobody outside can be killed, and everything ends with its first process.
 */
#include "stress.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct board *board;

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&board->stop, true);
}

static unsigned long number_of(const char *variable, unsigned long otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoul(text, NULL, 10) : otherwise;
}

/* ---- the namespace --------------------------------------------------------------------------------------- */

static int failed_to(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

/* /proc of the new pid namespace, and a /run of which every file is the test's. */
static int mount_own(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return failed_to("a private mount namespace");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return failed_to("mount /proc");
	if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
		return failed_to("mount /run");
	return 0;
}

/* ---- the run ------------------------------------------------------------------------------------------------ */

static pid_t fork_client(const struct stress *s, unsigned number)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	struct client c = {.stress = s, .number = number};

	chance_seed(&c.chance, s->seed * 1000 + number);
	client_run(&c);
	_exit(0);
}

static pid_t fork_killer(const struct stress *s)
{
	pid_t pid = fork();

	if (pid == 0) {
		killer_run(s);
		_exit(0);
	}
	return pid;
}

/* Ids are noted as they appear. */
static unsigned wait_for(const struct stress *s, const pid_t *pids, unsigned n, time_t end)
{
	unsigned left = n, bad = 0;

	while (left > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (time(NULL) >= end)
			atomic_store(&s->board->stop, true);
		if (pid <= 0) {
			ids_note(s->world->ids);
			usleep(20000);
			continue;
		}
		for (unsigned i = 0; i < n; i++)
			if (pids[i] == pid) {
				left--;
				bad += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
			}
	}
	return bad;
}

/* In a child, since a difference ends the process, and the world is still to be removed. */
static bool is_the_same(struct snapshot *before, struct snapshot *after)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		snapshot_compare(before, after);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static int stress(struct stress *s, unsigned seconds)
{
	pid_t pids[CLIENTS_MAX + 1];
	struct snapshot before, after;
	unsigned bad;
	bool clean;

	recipes_make(s);
	before = remains_take(s);
	for (unsigned i = 0; i < s->n_clients; i++)
		pids[i] = fork_client(s, i);
	pids[s->n_clients] = fork_killer(s);
	bad = wait_for(s, pids, s->n_clients + 1, time(NULL) + seconds);
	printf("%lu commands, %lu of them killed, and %lu other processes; %lu times looked for "
	       "leftovers\n",
	       atomic_load(&s->board->commands), atomic_load(&s->board->killed),
	       atomic_load(&s->board->killings) / 2, atomic_load(&s->board->checked));
	clean = remains_delete(s);
	after = remains_take(s);
	clean = is_the_same(&before, &after) && clean;
	return bad == 0 && clean && !atomic_load(&s->board->failed) ? 0 : 1;
}

static int inside(void)
{
	struct stress s = {.board = board, .seed = number_of("SEED", 0)};
	unsigned seconds = (unsigned)number_of("STRESS_SECONDS", 120);
	const char *missing;
	char guest[512];
	void *state;
	int failed;

	s.n_clients = (unsigned)number_of("STRESS_CLIENTS", 8);
	s.with_vm = number_of("STRESS_VM", 0);
	s.verbose = number_of("STRESS_VERBOSE", 0);
	if (s.n_clients < 1 || s.n_clients > CLIENTS_MAX) {
		fprintf(stderr, "STRESS_CLIENTS: 1 to %d\n", CLIENTS_MAX);
		return 1;
	}
	missing = s.with_vm ? vm_missing() : NULL;
	if (missing) {
		fprintf(stderr, "STRESS_VM: %s\n", missing);
		return 1;
	}
	if (s.seed == 0 && getrandom(&s.seed, 4, 0) != 4)
		return failed_to("a seed");
	printf("SEED=%llu, %u clients, %u s%s\n", (unsigned long long)s.seed, s.n_clients, seconds,
	       s.with_vm ? ", with a microVM" : "");
	fflush(stdout);
	if (world_setup(&state) < 0)
		return 1;
	s.world = state;
	build_path("guest", guest, sizeof(guest));
	setenv("INSULA_GUEST_DIR", guest, 1);
	failed = stress(&s, seconds);
	if (world_teardown(&state) < 0)
		failed = 1;
	printf("%s (SEED=%llu)\n", failed ? "FAILED" : "nothing found", (unsigned long long)s.seed);
	return failed;
}

/* The first process of the namespace: orphans come to it, and a container is only gone when they were reaped. */
static int reap(pid_t of_interest)
{
	int status = 0, ended;
	pid_t pid;

	while ((pid = waitpid(-1, &ended, 0)) > 0 || errno == EINTR) {
		if (pid != of_interest)
			continue;
		status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 1;
		break; /* what is left ends with us */
	}
	return status;
}

static int first_process(void)
{
	pid_t pid;

	/* Not of the terminal: Ctrl-C is for who waits outside. */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	if (mount_own())
		return 1;
	pid = fork();
	if (pid < 0)
		return failed_to("fork");
	if (pid == 0)
		exit(inside());
	return reap(pid);
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	int status;
	pid_t pid;

	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED)
		return failed_to("shared memory");
	/* The clients finish, and what they made is taken away. */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (unshare(CLONE_NEWPID) < 0)
		return failed_to("a pid namespace");
	pid = fork();
	if (pid < 0)
		return failed_to("fork");
	if (pid == 0)
		exit(first_process());
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failed_to("wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
