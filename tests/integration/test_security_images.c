/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that are not to be trusted, and what names the host's objects inside of a container: descriptors, devices,
 * terminals, and the files that say who a user is. One test or more for each class that container runtimes were broken by
 * (see test_security.c).
 *
 * TEST_ONLY=<text> runs only the tests whose name contains it.
 */
#include "hostile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct world *world;

/* ---- CVE-2024-21626: descriptors of the host ---------------------------------------------------------- */

static const char *const cwd_forms[] = {"/proc/self/fd/%d", "/proc/self/fd/%d/../../..", "/link/%d",
					"/proc/thread-self/fd/%d"};

static const char *root_with_link(void)
{
	const char *root = image(world, "cwd");

	assert_int_equal(symlink("/proc/self/fd", text("%s/link", root)), 0);
	return root;
}

/* All in one go, since it is about numbers: whichever works for any of them prints where it is. */
static void cwd_on_a_descriptor(void **state)
{
	const char *root = root_with_link();

	(void)state;
	for (int i = 3; i <= 30; i++) {
		char cwd[64];

		snprintf(cwd, sizeof(cwd), i <= 12 ? cwd_forms[i % 4] : cwd_forms[0], i);
		const char *dir =
			bundle(world, "cwd", "pwd; ls",
			       CHANGES("root.path", quoted(root), "process.cwd", quoted(cwd)));
		struct run_spec s = {
			.argv = launched(ARGV("leak"),
					 oci_argv(world, ARGV("run", "--bundle", dir, world->id)))};

		expect_error(run(&s), 1, "process.cwd");
	}
	expect_ids(world, NO_WORDS);
}

static void cwd_of_an_exec_on_a_descriptor(void **state)
{
	const char *root = root_with_link();
	int fd;
	pid_t pid = bundle_start(world,
				 bundle(world, "cwd-exec", "echo ready; sleep 1000",
					CHANGES("root.path", quoted(root))),
				 "ready", &fd);

	(void)state;
	for (int i = 3; i <= 30; i++) {
		const char *cwd = i <= 12 ? text("/proc/self/fd/%d", i) : text("/link/%d", i);
		struct run_spec s = {
			.argv = launched(ARGV("leak"),
					 oci_argv(world, ARGV("exec", "--cwd", cwd, world->id, "sh",
							      "-c", "pwd; ls")))};

		expect_error(run(&s), 1, "process.cwd");
	}
	bundle_end(world, pid, fd);
}

static void descriptors_of_init(void **state)
{
	const char *dir = bundle(world, "fds", "probe fds; echo ready; sleep 1000", NULL);
	char buf[4096] = "";
	int fd;
	pid_t pid = start(
		launched(ARGV("leak"), oci_argv(world, ARGV("run", "--bundle", dir, world->id))),
		false, &fd);

	(void)state;
	assert_true(read_until(fd, "ready\n", buf, sizeof(buf), 30));
	assert_string_equal(buf, "0 1 2 \nready\n");
	struct run_spec s = {.argv = launched(ARGV("leak"), oci_argv(world, ARGV("exec", world->id,
										 "probe", "fds")))};

	expect_result(run(&s), 0, "0 1 2 \n", "");
	bundle_end(world, pid, fd);
}

/* ---- CVE-2025-31133: what masks a path ------------------------------------------------------------------ */

#define MASK_ETC "linux.maskedPaths", "[\"/etc/secret\"]", "linux.readonlyPaths", "null"

static const char *image_with_secret(void)
{
	const char *root = image(world, "null");

	write_file(text("%s/etc/secret", root), "secret\n", 0644);
	write_file(text("%s/etc/target", root), "target\n", 0644);
	assert_int_equal(symlink("/etc/target", text("%s/dev/null", root)), 0);
	return root;
}

static void dev_null_of_the_image(void **state)
{
	const char *root = image_with_secret();
	const char *bound =
		text("[" PROC ", {\"destination\": \"/dev\", \"type\": \"bind\", \"source\": "
		     "\"%s/dev\", \"options\": [\"rbind\"]}]",
		     root);
	static const char script[] = "cat /etc/secret; echo x > /etc/secret; cat /etc/target";

	(void)state;
	/* where the image's is covered, or is somebody's own /dev */
	expect_result(bundle_run(world, bundle(world, "null", script,
					       CHANGES("root.path", quoted(root), "mounts",
						       "[" PROC ", " DEV "]", MASK_ETC))),
		      0, "target\n", "");
	expect_result(bundle_run(world, bundle(world, "null", script,
					       CHANGES("root.path", quoted(root), "mounts", bound,
						       MASK_ETC))),
		      0, "target\n", "");
	/* where it would be used */
	expect_refusal(world,
		       bundle(world, "null", script,
			      CHANGES("root.path", quoted(root), "mounts", "[" PROC "]", MASK_ETC)),
		       "/dev/null|something else");
}

static void dev_null_of_the_host(void **state)
{
	const char *file = text("%s/not-null", world->dir);
	const char *dir = bundle(
		world, "null", "cat /etc/plain",
		CHANGES("linux.maskedPaths", "[\"/etc/plain\"]", "linux.readonlyPaths", "null"));
	struct run_spec s = {
		.argv = launched(ARGV("bind", file, "/dev/null"),
				 oci_argv(world, ARGV("run", "--bundle", dir, world->id)))};

	(void)state;
	write_file(file, "not null\n", 0666);
	expect_error(run(&s), 1, "/dev/null|not character device 1:3");
}

/* ---- CVE-2025-52565: consoles ------------------------------------------------------------------------------ */

/* Runs with a terminal; what comes over the console socket is closed at once. */
static struct run_result run_with_console(const char *dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/console", world->dir);
	unlink(addr.sun_path);
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s, 1), 0);
	struct run_result r = run_oci(world, ARGV("create", "--console-socket", addr.sun_path,
						  "--bundle", dir, world->id));

	close(s);
	if (r.code == 0)
		expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
	return r;
}

/* The console is a link out of the root, to a file that is there. */
static void console_leads_outside(const char *root, const char *out)
{
	const char *links[] = {text("%s/file", out), "../../outside/file",
			       "/../../../../../../../etc/hostname"};
	const char *console = text("%s/dev/console", root);

	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		assert_int_equal(unlink(console), 0);
		assert_int_equal(symlink(links[i], console), 0);
		expect_error(run_with_console(bundle(
				     world, "console", "true",
				     CHANGES("root.path", quoted(root), "mounts",
					     "[" PROC ", " MOUNT("/dev", "tmpfs", "tmpfs",
								 "\"tmpcopyup\"") ", " DEVPTS "]",
					     "process.terminal", "true", NO_MASKS))),
			     1, "/dev/console");
	}
}

static void console_goes_astray(void **state)
{
	const char *out = outside(world), *root = image(world, "console");
	const char *file =
		text("{\"type\": \"bind\", \"source\": \"%s/file\", \"options\": [\"bind\"]", out);
	const struct {
		const char *mounts, *words; /* words NULL: it works */
	} rows[] = {
		/* no /dev at all, and devpts somewhere else */
		{"[" PROC "]", "terminal|devpts"},
		{"[" PROC ", " MOUNT("/data", "devpts", "devpts", "") "]", "terminal|devpts"},
		/* a directory that looks like one */
		{text("[" PROC ", " DEV
		      ", {\"destination\": \"/dev/pts\", \"type\": \"bind\", \"source\": "
		      "\"%s/pts\", \"options\": [\"bind\"]}]",
		      world->dir),
		 "terminal|devpts"},
		/* its multiplexer is something else */
		{text("[" PROC ", " DEV ", " DEVPTS ", %s, \"destination\": \"/dev/pts/ptmx\"}]",
		      file),
		 "/dev/pts/ptmx"},
		/* the console is a link to a file of the image */
		{"[" PROC ", " MOUNT("/dev", "tmpfs", "tmpfs", "\"tmpcopyup\"") ", " DEVPTS "]",
		 "/dev/console"},
		/* a devpts in a /dev that is the image's: nothing is put there */
		{"[" PROC ", " DEVPTS "]", NULL},
	};
	char *before, *after;

	(void)state;
	expect_result(
		run(&(struct run_spec){
			.argv = ARGV("/bin/sh", "-ec",
				     "mkdir -p \"$0/pts\"; for i in 0 1 2 3; do : > \"$0/pts/$i\"; "
				     "done; : > \"$0/pts/ptmx\"; mkdir \"$1/dev/pts\";"
				     "ln -s /etc/plain \"$1/dev/console\"",
				     world->dir, root)}),
		0, "", "");
	before = tree_text("/dev");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct run_result r = run_with_console(
			bundle(world, "console", "true",
			       CHANGES("root.path", quoted(root), "mounts", rows[i].mounts,
				       "process.terminal", "true", NO_MASKS)));

		if (rows[i].words)
			expect_error(r, 1, rows[i].words);
		else
			expect_result(r, 0, "", "");
	}
	console_leads_outside(root, out);
	after = tree_text("/dev");
	assert_string_equal(before, after);
	free(before);
	free(after);
	char *plain = read_file(text("%s/etc/plain", root));

	assert_string_equal(plain, "just text\n");
	free(plain);
	expect_outside_untouched(world);
}

/* ---- CVE-2026-41579: /dev of the image is a link -------------------------------------------------------------- */

static void dev_is_a_link(void **state)
{
	const char *out = outside(world);
	const char *targets[] = {"/tmp", text("%s/dir", out), "../../outside/dir",
				 "../outside/dir"};
	const char *const mounts[] = {"[" PROC "]", "[" PROC ", " DEV ", " DEVPTS "]"};
	char *before = tree_text("/dev");
	bool there = access("/tmp/ptmx", F_OK) == 0;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 2; k++) {
			const char *root = image(world, "dev");
			const char *dev = text("%s/dev", root);

			remove_tree(dev);
			assert_int_equal(symlink(targets[i], dev), 0);
			struct run_result r = bundle_run(
				world, bundle(world, "dev", "echo x > /dev/null && echo works",
					      CHANGES("root.path", quoted(root), "mounts",
						      mounts[k], NO_MASKS)));

			/* In the image's own /tmp they do no harm; elsewhere there may be nothing to make them in. */
			if (i == 0)
				assert_string_equal(r.out, "works\n");
			run_result_done(&r);
			expect_outside_untouched(world);
		}
	char *after = tree_text("/dev");

	assert_string_equal(before, after);
	assert_int_equal(access("/tmp/ptmx", F_OK) == 0, there);
	free(before);
	free(after);
}

/* ---- CVE-2026-30892, CVE-2024-9676, CVE-2024-40635: users ------------------------------------------------------ */

static struct run_result run_as(const char *root, const char *user)
{
	struct run_spec s = {.argv = insula_argv(world, ARGV("run", "--rm", "-u", user, "--rootfs",
							     root, "hostile", "ids")),
			     .timeout_sec = 20};

	return run(&s);
}

static void user_texts(void **state)
{
	static const struct {
		const char *user, *out; /* out NULL: refused */
	} rows[] = {
		{"", NULL},
		{":", NULL},
		{"1:", NULL},
		{":1", NULL},
		{"::", NULL},
		{"1:1:", NULL},
		{"1:1:1", NULL},
		{"-1", NULL},
		{"+1", NULL},
		{" 1", NULL},
		{"1 ", NULL},
		{"0x1", NULL},
		{"1\n", NULL},
		{"4294967295", NULL},
		{"4294967296", NULL},
		{"18446744073709551616", NULL},
		{"1:4294967295", NULL},
		{"1:4294967296", NULL},
		{"../etc", NULL},
		{"1", "1 1 0\n"},
		{"1:2", "1 1 2\n"},
		{"ada", "1815 1815 1815\n"},
		{"ada:math", "1815 1815 1843\n"},
		{"4294967294", "4294967294 4294967294 0\n"},
	};
	const char *root = image(world, "users");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct run_result r = run_as(root, rows[i].user);

		if (rows[i].out)
			expect_result(r, 0, rows[i].out, "");
		else
			expect_error(r, 125, "");
	}
}

/* The low-level command takes numbers only, and -1 means "unchanged" to the kernel: root. */
static void user_texts_of_an_exec(void **state)
{
	static const char *const refused[] = {"",           ":",           "1:", ":1",
					      "1:1:1",      "ada",         "-1", "4294967295",
					      "4294967296", "1:4294967295"};
	int fd;
	pid_t pid = bundle_start(world, bundle(world, "user", "echo ready; sleep 1000", NULL),
				 "ready", &fd);

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		expect_error(
			run_oci(world, ARGV("exec", "--user", refused[i], world->id, "id", "-u")),
			1, "");
	expect_result(run_oci(world, ARGV("exec", "--user", "7:8", world->id, "id", "-u")), 0,
		      "7\n", "");
	bundle_end(world, pid, fd);
}

static const char *const passwd_shapes[] = {
	/* a file of the host, by each kind of link */
	"rm \"$0/etc/$2\"; printf 'mallory:x:0:0::/:\\n' > \"$1/host-$2\"; ln -s \"$1/host-$2\" "
	"\"$0/etc/$2\"",
	"rm \"$0/etc/$2\"; printf 'mallory:x:0:0::/:\\n' > \"$1/host-$2\"; "
	"ln -s \"../../host-$2\" \"$0/etc/$2\"",
	"rm \"$0/etc/$2\"; ln -s /etc/shadow \"$0/etc/$2\"",
	"mv \"$0/etc\" \"$0/etc-was\"; mkdir -p \"$1/host-etc\"; "
	"printf 'mallory:x:0:0::/:\\n' > \"$1/host-etc/$2\"; ln -s \"$1/host-etc\" \"$0/etc\"",
	/* what never ends, or takes all memory */
	"rm \"$0/etc/$2\"; mkfifo \"$0/etc/$2\"",
	"rm \"$0/etc/$2\"; mknod \"$0/etc/$2\" c 1 5",
	"truncate -s 100M \"$0/etc/$2\"; printf 'mallory:x:0:0::/:\\n' >> \"$0/etc/$2\"",
	"seq 1000000 > \"$0/etc/$2\"; printf 'mallory:x:0:0::/:\\n' >> \"$0/etc/$2\"",
	"rm \"$0/etc/$2\"; mkdir \"$0/etc/$2\"",
	/* numbers that overflow to root's, or to \"unchanged\" */
	"printf 'mallory:x:4294967296:4294967296::/:\\n' > \"$0/etc/$2\"",
	"printf 'mallory:x:4294967295:4294967295::/:\\n' > \"$0/etc/$2\"",
	"printf 'mallory:x:-1:-1::/:\\n' > \"$0/etc/$2\"",
	"printf 'mallory:x::::/:\\n' > \"$0/etc/$2\"",
	"printf 'mallory\\n' > \"$0/etc/$2\"",
};

static void passwd_or_group_is_a_trap(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(passwd_shapes) / sizeof(*passwd_shapes); i++)
		for (int group = 0; group < 2; group++) {
			const char *root = image(world, "passwd"),
				   *file = group ? "group" : "passwd";
			struct run_spec s = {.argv = ARGV("/bin/sh", "-ec", passwd_shapes[i], root,
							  world->dir, file)};

			expect_result(run(&s), 0, "", "");
			expect_error(run_as(root, group ? "1:mallory" : "mallory"), 125, "mallory");
			/* a number needs no file */
			expect_result(run_as(root, "7:8"), 0, "7 7 8\n", "");
		}
}

/* ---- all of them ------------------------------------------------------------------------- */

static const struct hostile_test tests[] = {
	{"cwd on a descriptor", cwd_on_a_descriptor},
	{"cwd of an exec on a descriptor", cwd_of_an_exec_on_a_descriptor},
	{"descriptors of init", descriptors_of_init},
	{"/dev/null of the image", dev_null_of_the_image},
	{"/dev/null of the host", dev_null_of_the_host},
	{"a console goes astray", console_goes_astray},
	{"/dev is a link", dev_is_a_link},
	{"texts for a user", user_texts},
	{"texts for the user of an exec", user_texts_of_an_exec},
	{"passwd or group is a trap", passwd_or_group_is_a_trap},
};

int main(void)
{
	return hostile_main("security of images", tests, sizeof(tests) / sizeof(*tests), &world);
}
