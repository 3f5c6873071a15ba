/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole virtual machines through the facade: a stock kernel boots to a test program of ours
 * (tests/helpers/guest-probe.c), says what it sees, is paused, panics, floods, is killed; and
 * afterwards nothing is left. Needs QEMU and an unpacked kernel package (`make guest` leaves it in
 * the build directory); without them these tests are skipped, the ones of refusals are not.
 * TEST_ENGINE=kvm does the same with our own VMM (insula-kvm of the build directory).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "hypervisor/vm.h"

/* Software emulation on a busy machine with sanitizers: far above what it takes (2 s). */
#define PATIENCE_MSEC 120000

static char dir[64], share[96], run[96], guest[96];
static struct vm_kernel kernel;
static const char *missing; /* why no VM can be started here, or NULL */
static char missing_text[512];
static enum vm_engine_choice engine; /* TEST_ENGINE=kvm: our own, where its KVM works */
static const char *engine_comm = "insula-qemu", *engine_name = "qemu";
static char *build_dir;
static struct vm *running; /* for the teardown of a test that failed half-way */

/* BUILD of the Makefile: four levels above this program. */
static char *in_build(const char *name)
{
	_cleanup_free_ char *here = NULL;
	char *s = NULL;

	assert_int_equal(path_program_dir(&here, NULL), 0);
	assert_int_equal(str_printf(&s, "%s/../../../%s", here, name), 0);
	return s;
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int group_setup(void **state)
{
	_cleanup_free_ char *tree = in_build("kernel-tree");
	_cleanup_free_ char *program = in_build("tests/helpers/guest-probe");
	struct err e = ERR_INIT;
	char path[128];

	(void)state;
	build_dir = in_build("");
	if (getenv("TEST_ENGINE") && STREQ(getenv("TEST_ENGINE"), "kvm")) {
		engine = VM_ENGINE_KVM;
		engine_comm = engine_name = "insula-kvm";
	}
	snprintf(dir, sizeof(dir), "/tmp/insula-vm-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(share, sizeof(share), "%s/share", dir);
	snprintf(run, sizeof(run), "%s/run", dir);
	snprintf(guest, sizeof(guest), "%s/guest", dir);
	if (mkdir(share, 0755) < 0 || mkdir(run, 0700) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/hello", share);
	write_text(path, "from-host\n");
	if (access(tree, F_OK) < 0) {
		missing = "no unpacked kernel package: run 'make guest'";
		return 0;
	}
	if (vm_kernel_install(tree, program, guest, &e) < 0 ||
	    vm_kernel_find((char *[]){guest, NULL}, &kernel, &e) < 0) {
		print_message("# %s\n", e.text);
		return -1; /* the ingredients are there, so this must work */
	}
	struct vm_config c = {.name = "t",
			      .kernel = &kernel,
			      .memory_bytes = VM_MEMORY_MIN_BYTES,
			      .vcpus = 1,
			      .share_dir = share,
			      .run_dir = run,
			      .cache_dirfd = -1,
			      .engine = engine,
			      .helper_dir = build_dir,
			      .net_tap_fd = -1};
	if (vm_config_check(&c, &e) < 0) {
		snprintf(missing_text, sizeof(missing_text), "%.500s", e.text);
		missing = missing_text;
	}
	return 0;
}

static int group_teardown(void **state)
{
	_cleanup_close_ int tmp = path_open_dir("/tmp", NULL);

	(void)state;
	vm_kernel_done(&kernel);
	free(build_dir);
	return path_remove_tree_at(tmp, strrchr(dir, '/') + 1, NULL);
}

#define NEED_VM()                                               \
	do {                                                    \
		if (missing) {                                  \
			print_message("# skip: %s\n", missing); \
			skip();                                 \
		}                                               \
	} while (0)

static struct vm_config config(const char *cmdline)
{
	static const struct log_sink sink = {.fd = -1};

	return (struct vm_config){.name = "test-vm",
				  .kernel = &kernel,
				  .cmdline = cmdline,
				  .engine = engine,
				  .helper_dir = build_dir,
				  .memory_bytes = VM_MEMORY_MIN_BYTES,
				  .vcpus = 1,
				  .share_dir = share,
				  .run_dir = run,
				  .cache_dirfd = -1,
				  .net_tap_fd = -1,
				  .log = &sink};
}

static struct vm *start(const struct vm_config *c)
{
	struct err e = ERR_INIT;
	struct vm *vm = NULL;

	if (vm_start(c, &vm, &e) < 0)
		fail_msg("%s", e.text);
	running = vm;
	return vm;
}

static void stop(struct vm *vm)
{
	running = NULL;
	vm_kill(vm);
}

static int teardown(void **state)
{
	(void)state;
	stop(running);
	return 0;
}

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Serve the VM until `line` of the agent's stream holds a newline (1), it ended (0), or limit_msec
 * passed (-1). */
static int serve(struct vm *vm, char *line, size_t size, char **why, int limit_msec)
{
	int64_t end = now_msec() + limit_msec;
	size_t len = line ? strlen(line) : 0;
	bool agent_open = line != NULL;

	for (;;) {
		struct pollfd p[2] = {{.fd = vm_poll_fd(vm), .events = POLLIN},
				      {.fd = agent_open ? vm_agent_fd(vm) : -1, .events = POLLIN}};
		int64_t left = end - now_msec();

		if (left <= 0)
			return -1;
		assert_true(poll(p, 2, (int)left) >= 0);
		if (p[1].revents) {
			ssize_t n = read(vm_agent_fd(vm), line + len, size - len - 1);

			agent_open = n > 0;
			if (n > 0)
				line[len += (size_t)n] = '\0';
			if (n > 0 && strchr(line, '\n'))
				return 1;
		}
		if (p[0].revents && vm_handle(vm, why) == -ECHILD)
			return 0;
	}
}

static void expect_line(struct vm *vm, const char *expected)
{
	char line[512] = "";
	int r = serve(vm, line, sizeof(line), NULL, PATIENCE_MSEC);

	if (r != 1)
		fail_msg("no line from the guest (%d); its console: %s", r, vm_console_tail(vm));
	assert_string_equal(line, expected);
}

static size_t count_entries(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n;
}

/* No child, no file in the run directory, no more descriptors than before. */
static void assert_nothing_left(size_t fds_before)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_entries(run), 2);
	assert_int_equal(count_entries("/proc/self/fd"), fds_before);
}

/* The pid of our child that runs under this name. */
static pid_t child_named(const char *name)
{
	_cleanup_free_ char *list = NULL, *path = NULL;
	char *save = NULL;

	assert_int_equal(str_printf(&path, "/proc/self/task/%d/children", getpid()), 0);
	assert_int_equal(path_read_file_at(AT_FDCWD, path, 4096, &list, NULL, NULL), 0);
	for (char *p = strtok_r(list, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
		_cleanup_free_ char *comm = NULL, *comm_path = NULL;

		assert_int_equal(str_printf(&comm_path, "/proc/%s/comm", p), 0);
		if (path_read_file_at(AT_FDCWD, comm_path, 64, &comm, NULL, NULL) == 0 &&
		    strncmp(comm, name, strlen(name)) == 0)
			return atoi(p);
	}
	fail_msg("no child called %s", name);
	return -1;
}

static void test_boots_reports_and_powers_off(void **state)
{
	size_t fds = count_entries("/proc/self/fd");
	_cleanup_free_ char *expected = NULL, *why = NULL, *back = NULL;
	struct vm_config c = config("probe=report");
	char line[512] = "", path[128];
	struct vm *vm;

	(void)state;
	NEED_VM();
	c.vcpus = 2;
	vm = start(&c);
	assert_int_equal(serve(vm, line, sizeof(line), NULL, PATIENCE_MSEC), 1);
	assert_int_equal(str_printf(&expected, "release=%s cpus=2 ", kernel.release), 0);
	assert_memory_equal(line, expected, strlen(expected));
	assert_non_null(strstr(line, " hello=from-host "));
	/* The guest's root may not leave device nodes in the host's tree. */
	assert_non_null(strstr(line, " mknod=1\n"));
	assert_int_equal(serve(vm, NULL, 0, &why, PATIENCE_MSEC), 0);
	assert_string_equal(why, "the guest powered off");
	stop(vm);

	snprintf(path, sizeof(path), "%s/from-guest", share);
	assert_int_equal(path_read_file_at(AT_FDCWD, path, 64, &back, NULL, NULL), 0);
	assert_string_equal(back, "hi\n");
	unlink(path);
	assert_nothing_left(fds);
}

static void test_pause_stops_and_resume_goes_on(void **state)
{
	size_t fds = count_entries("/proc/self/fd");
	struct vm_config c = config("probe=echo");
	char line[64] = "";
	struct vm *vm;

	(void)state;
	NEED_VM();
	c.share_dir = NULL; /* also without a file server */
	vm = start(&c);
	expect_line(vm, "ready\n");
	assert_int_equal(write(vm_agent_fd(vm), "one\n", 4), 4);
	expect_line(vm, "one\n");
	assert_int_equal(vm_pause(vm, NULL), 0);
	assert_int_equal(vm_pause(vm, NULL), 0);
	assert_int_equal(write(vm_agent_fd(vm), "two\n", 4), 4);
	assert_int_equal(serve(vm, line, sizeof(line), NULL, 300), -1);
	assert_int_equal(vm_resume(vm, NULL), 0);
	expect_line(vm, "two\n");
	stop(vm);
	assert_nothing_left(fds);
}

static void test_panic_ends_the_vm_and_is_told(void **state)
{
	size_t fds = count_entries("/proc/self/fd");
	_cleanup_free_ char *why = NULL;
	struct vm_config c = config("probe=panic");
	struct vm *vm;

	(void)state;
	NEED_VM();
	vm = start(&c);
	assert_int_equal(serve(vm, NULL, 0, &why, PATIENCE_MSEC), 0);
	assert_non_null(strstr(why, "panicked"));
	assert_non_null(strstr(vm_console_tail(vm), "Kernel panic"));
	stop(vm);
	assert_nothing_left(fds);
}

static void test_flood_is_bounded_and_printable(void **state)
{
	size_t fds = count_entries("/proc/self/fd");
	struct vm_config c = config("probe=flood");
	struct vm *vm;
	const char *tail;

	(void)state;
	NEED_VM();
	vm = start(&c);
	expect_line(vm, "ready\n");
	/* It goes on for ever; every call comes back, and another VM operation still works. */
	for (int i = 0; i < 200; i++) {
		struct pollfd p = {.fd = vm_poll_fd(vm), .events = POLLIN};

		assert_int_equal(poll(&p, 1, PATIENCE_MSEC), 1);
		assert_int_equal(vm_handle(vm, NULL), 0);
	}
	assert_int_equal(vm_pause(vm, NULL), 0);
	tail = vm_console_tail(vm);
	assert_non_null(strstr(tail, "endless"));
	for (const char *p = tail; *p; p++)
		assert_true(*p == '\n' || (*p >= 0x20 && *p <= 0x7e));
	stop(vm);
	assert_nothing_left(fds);
}

static void test_file_server_that_dies_is_named(void **state)
{
	size_t fds = count_entries("/proc/self/fd");
	_cleanup_free_ char *why = NULL;
	struct vm_config c = config("probe=echo");
	struct vm *vm;

	(void)state;
	NEED_VM();
	vm = start(&c);
	expect_line(vm, "ready\n");
	assert_int_equal(kill(child_named("virtiofsd"), SIGKILL), 0);
	assert_int_equal(serve(vm, NULL, 0, &why, PATIENCE_MSEC), 0);
	assert_string_equal(why, "virtiofsd was killed by signal KILL");
	stop(vm);
	assert_nothing_left(fds);
}

static void test_engine_that_dies_is_named(void **state)
{
	size_t fds = count_entries("/proc/self/fd");
	_cleanup_free_ char *why = NULL;
	struct vm_config c = config("probe=echo");
	char want[64];
	struct vm *vm;

	(void)state;
	NEED_VM();
	vm = start(&c);
	assert_int_equal(kill(child_named(engine_comm), SIGKILL), 0);
	assert_int_equal(serve(vm, NULL, 0, &why, PATIENCE_MSEC), 0);
	snprintf(want, sizeof(want), "%s was killed by signal KILL", engine_name);
	assert_string_equal(why, want);
	stop(vm);
	assert_nothing_left(fds);
}

static void test_engine_that_refuses_is_quoted(void **state)
{
	size_t fds = count_entries("/proc/self/fd");
	struct vm_config c = config(NULL);
	struct vm_kernel bad = kernel;
	struct err e = ERR_INIT;
	struct vm *vm = NULL;
	char path[128];

	(void)state;
	NEED_VM();
	snprintf(path, sizeof(path), "%s/no-kernel", dir);
	write_text(path, "this is not a kernel\n");
	bad.image = path;
	c.kernel = &bad;
	assert_true(vm_start(&c, &vm, &e) < 0);
	assert_null(vm);
	assert_true(
		str_has_prefix(e.text, engine == VM_ENGINE_KVM
					       ? "start VM 'test-vm': guest kernel: neither"
					       : "start VM 'test-vm': qemu ended with status 1: "));
	assert_non_null(strstr(e.text, "kernel")); /* its own words */
	unlink(path);
	assert_nothing_left(fds);
}

static void test_share_that_is_not_there(void **state)
{
	size_t fds = count_entries("/proc/self/fd");
	struct vm_config c = config(NULL);
	struct err e = ERR_INIT;
	struct vm *vm = NULL;

	(void)state;
	NEED_VM();
	c.share_dir = "/nonexistent/tree";
	assert_int_equal(vm_start(&c, &vm, &e), -ENOENT);
	assert_non_null(strstr(e.text, "'/nonexistent/tree'"));
	assert_nothing_left(fds);
}

/* Start a VM, tell the pids of its processes, and wait to be killed. */
static void monitor_child(int out)
{
	struct vm_config c = config("probe=echo");
	struct vm *vm = NULL;
	pid_t pids[2];

	if (vm_start(&c, &vm, NULL) < 0)
		_exit(1);
	pids[0] = child_named(engine_comm);
	pids[1] = child_named("virtiofsd");
	if (write(out, pids, sizeof(pids)) != sizeof(pids))
		_exit(1);
	for (;;)
		pause();
}

static void test_helpers_die_with_the_monitor(void **state)
{
	size_t fds = count_entries("/proc/self/fd");
	pid_t monitor, pids[2];
	int pipefd[2], pidfds[2], status;

	(void)state;
	NEED_VM();
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	monitor = fork();
	assert_true(monitor >= 0);
	if (monitor == 0)
		monitor_child(pipefd[1]);
	close(pipefd[1]);
	assert_int_equal(read(pipefd[0], pids, sizeof(pids)), sizeof(pids));
	close(pipefd[0]);
	for (int i = 0; i < 2; i++) {
		pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
		assert_true(pidfds[i] >= 0);
	}
	assert_int_equal(kill(monitor, SIGKILL), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(proc_wait_exit(pidfds[i], PATIENCE_MSEC, NULL), 0);
		close(pidfds[i]);
	}
	assert_int_equal(proc_reap(monitor, &status, NULL), 0);
	assert_nothing_left(fds);
}

static void test_refusals(void **state)
{
	_cleanup_free_ char *longline = NULL;
	struct vm_kernel some = {.dir = dir, .image = dir, .initramfs = dir};
	struct vm_kernel none = {
		.dir = dir, .image = (char *)"/nonexistent/vmlinuz", .initramfs = dir};
	struct vm_config c = config(NULL);
	struct err e = ERR_INIT;

	(void)state;
	c.kernel = &some;
	longline = calloc(1, 5000);
	memset(longline, 'x', 4999);

#define REFUSED(member, value, number, words)                              \
	do {                                                               \
		struct vm_config bad = c;                                  \
		bad.member = (value);                                      \
		assert_int_equal(vm_config_check(&bad, &e), -(number));    \
		if (!strstr(e.text, (words)))                              \
			fail_msg("'%s' does not say '%s'", e.text, words); \
	} while (0)

	REFUSED(memory_bytes, VM_MEMORY_MIN_BYTES - (1 << 20), EINVAL, "memory");
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_non_null(strstr(e.hint, "--memory"));
	REFUSED(memory_bytes, VM_MEMORY_MIN_BYTES + 1, EINVAL, "MiB");
	REFUSED(name, "a,b", EINVAL, "name");
	REFUSED(name, NULL, EINVAL, "name");
	REFUSED(kernel, NULL, EINVAL, "kernel");
	REFUSED(kernel, &none, ENOENT, "/nonexistent/vmlinuz");
	REFUSED(cmdline, "a\nb", EINVAL, "command line");
	REFUSED(cmdline, longline, EINVAL, "command line");
	if (!missing) {
		REFUSED(vcpus, 0, EINVAL, "vCPUs");
		REFUSED(vcpus, 100000, EINVAL, "vCPUs");
	}
}

static void test_no_kernel_says_the_way_out(void **state)
{
	struct vm_kernel k = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(vm_kernel_find((char *[]){share, (char *)"/nonexistent", NULL}, &k, &e),
			 -ENOENT);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "'/nonexistent'"));
	assert_non_null(strstr(e.hint, "make guest"));
	assert_int_equal(vm_kernel_find(NULL, &k, &e), -ENOENT);
}

/* Whatever is wrong with the ingredients, the destination stays as it was and nothing is beside it.
 */
static void test_install_is_all_or_nothing(void **state)
{
	struct err e = ERR_INIT;
	char dest[128], path[160];
	size_t before;

	(void)state;
	/* It leaves by longjmp(), which frees nothing. */
	NEED_VM();
	_cleanup_free_ char *tree = in_build("kernel-tree");
	_cleanup_free_ char *program = in_build("tests/helpers/guest-probe");

	snprintf(dest, sizeof(dest), "%s/dest", dir);
	before = count_entries(dir);
	assert_true(vm_kernel_install(share, program, dest, &e) < 0);
	assert_true(vm_kernel_install("/nonexistent", program, dest, &e) < 0);
	assert_true(vm_kernel_install(tree, "/nonexistent", dest, &e) < 0);
	snprintf(path, sizeof(path), "%s/hello", share);
	assert_int_equal(vm_kernel_install(tree, path, dest, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not an ELF program"));
	assert_int_equal(count_entries(dir), before);

	/* Again over one that is there. */
	assert_int_equal(vm_kernel_install(tree, program, dest, &e), 0);
	snprintf(path, sizeof(path), "%s/stale", dest);
	write_text(path, "x");
	assert_int_equal(vm_kernel_install(tree, program, dest, &e), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(count_entries(dir), before + 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_no_kernel_says_the_way_out),
		cmocka_unit_test(test_install_is_all_or_nothing),
		T(test_boots_reports_and_powers_off),
		T(test_pause_stops_and_resume_goes_on),
		T(test_panic_ends_the_vm_and_is_told),
		T(test_flood_is_bounded_and_printable),
		T(test_file_server_that_dies_is_named),
		T(test_engine_that_dies_is_named),
		T(test_engine_that_refuses_is_quoted),
		T(test_share_that_is_not_there),
		T(test_helpers_die_with_the_monitor),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
