/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `insula run` gives a workload by default, that an app on the host's own system sees none of the host's secrets
 * unless they are named with -v, and what a microVM's guest cannot do to the host's files.
 *
 * The host's secrets are made up: this process has a mount namespace of its own, in which /etc, /root, /home, /run and
 * others are copies. TEST_KIND=container or TEST_KIND=vm runs one kind only, TEST_ONLY=<text> only the tests whose name
 * contains it.
 */
#include "hostile.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct world *world;

static struct run_result run_in(const char *root, const char *script)
{
	struct run_spec s = {.argv = insula_argv(world, ARGV("run", "--rm", "--rootfs", root, "sh",
							     "-c", script))};

	return run(&s);
}

/* ---- an ordinary container ------------------------------------------------------------------------ */

static void capabilities(void **state)
{
	static const char fourteen[] = "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\n"
				       "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n"
				       "CapAmb:\t0000000000000000\n";

	(void)state;
	expect_result(run_in(world->rootfs, "grep ^Cap /proc/self/status"), 0, fourteen, "");
	assert_int_equal(__builtin_popcount(0xa80425fb), 14);
}

static void filter(void **state)
{
	(void)state;
	expect_result(run_in(image(world, "filter"),
			     "grep -E '^Seccomp:' /proc/self/status; hostile calls"),
		      0, "Seccomp:\t2\nend\n", "");
}

static void masked_paths(void **state)
{
	/* Those that this kernel has; each one that is there shows nothing. */
	static const char script[] =
		"for f in /proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys "
		"/proc/latency_stats "
		"/proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware "
		"/sys/devices/virtual/powercap; do "
		"if [ -d $f ]; then [ -z \"$(ls -A $f)\" ] || echo \"$f: files\"; "
		"elif [ -e $f ]; then [ \"$(head -c 8 $f | wc -c)\" = 0 ] || echo \"$f: bytes\"; "
		"fi; done; "
		"[ -e /proc/interrupts ] && echo looked";

	(void)state;
	expect_result(run_in(world->rootfs, script), 0, "looked\n", "");
}

static void read_only_paths(void **state)
{
	static const char expected[] = "/proc/sysrq-trigger: Read-only file system\n"
				       "/proc/sys/kernel/core_pattern: Read-only file system\n"
				       "/proc/sys/vm/drop_caches: Read-only file system\n"
				       "/proc/irq/default_smp_affinity: Read-only file system\n"
				       "/sys/kernel/mm/ksm/run: Read-only file system\n";
	static const char script[] =
		"hostile write /proc/sysrq-trigger /proc/sys/kernel/core_pattern "
		"/proc/sys/vm/drop_caches "
		"/proc/irq/default_smp_affinity /sys/kernel/mm/ksm/run | grep -v 'No such file'; "
		"for d in /proc/bus /proc/fs /proc/irq /proc/sys /sys /sys/fs/cgroup; do "
		"[ -d $d ] && mkdir $d/made 2>&1 | grep -v -e Read-only -e 'No such'; done; true";
	struct run_result r = run_in(image(world, "paths"), script);

	(void)state;
	assert_string_equal(r.err, "");
	assert_non_null(strstr(r.out, "core_pattern: Read-only"));
	/* In the order above, lines of what this kernel lacks left out. */
	for (char *save, *line = strtok_r(r.out, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (!strstr(expected, line))
			fail_msg("%s", line);
	run_result_done(&r);
}

/* As with docker: an image's setuid programs work, and get no more than the bounding set. */
static void setuid_in_an_image(void **state)
{
	const char *root = image(world, "setuid");
	struct run_spec s = {.argv = insula_argv(world, ARGV("run", "--rm", "-u", "1234",
							     "--rootfs", root, "hostile", "ids"))};

	(void)state;
	assert_int_equal(chmod(text("%s/bin/hostile", root), 04755), 0);
	expect_result(run(&s), 0, "1234 0 0\n", "");
}

/* ---- the host's own system, with secrets ------------------------------------------------------------ */

#define MARK "the-secret-mark"

/* Replaced by copies of our own. */
static const char *const places[] = {"/etc",     "/root",      "/home", "/run",
				     "/var/lib", "/var/spool", "/opt"};

static const char *const secrets[] = {
	"/etc/shadow",
	"/etc/shadow-",
	"/etc/gshadow",
	"/etc/sudoers.d/app",
	"/etc/krb5.keytab",
	"/etc/ssh/ssh_host_ed25519_key",
	"/etc/ssl/private/site.key",
	"/etc/letsencrypt/live/site/privkey.pem",
	"/etc/wireguard/wg0.conf",
	"/etc/NetworkManager/system-connections/home.nmconnection",
	"/etc/docker/key.json",
	"/etc/kubernetes/admin.conf",
	"/root/.ssh/id_ed25519",
	"/root/.docker/config.json",
	"/root/plain",
	"/home/grace/.ssh/id_rsa",
	"/home/grace/.aws/credentials",
	"/home/grace/public",
	"/run/secrets/token",
	"/run/user/1000/bus-cookie",
	"/var/lib/docker/volumes/db/_data/row",
	"/var/lib/insula/state",
	"/var/lib/kubelet/token",
	"/var/spool/cron/crontabs/root",
};

#define N_PLACES  (sizeof(places) / sizeof(*places))
#define N_SECRETS (sizeof(secrets) / sizeof(*secrets))

static int listen_on(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(listen(s, 8), 0);
	return s;
}

static int docker_socket = -1;

static int make_secrets(void **state)
{
	static const char copy[] = "mkdir \"$1\"; mount -n -t tmpfs -o mode=755 x \"$1\"; "
				   "case $0 in /etc) cp -a /etc/. \"$1\";; esac; "
				   "[ -d $0 ] && mount -n --move \"$1\" $0";

	(void)state;
	/* Nothing is moved out of a shared mount, as which the world begins. */
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	for (size_t i = 0; i < N_PLACES; i++)
		expect_result(
			run(&(struct run_spec){.argv = ARGV("/bin/sh", "-ec", copy, places[i],
							    text("%s/place-%zu", world->dir, i))}),
			0, "", "");
	for (size_t i = 0; i < N_SECRETS; i++) {
		char *dir = strdup(secrets[i]);

		*strrchr(dir, '/') = '\0';
		make_tree(dir);
		free(dir);
		/* The modes do not help who is root inside. */
		write_file(secrets[i], MARK "\n", 0644);
	}
	docker_socket = listen_on("/run/docker.sock");
	make_tree("/opt/bin");
	expect_result(run(&(struct run_spec){
			      .argv = ARGV("/bin/cp", text("%s/bin/hostile", image(world, "host")),
					   "/opt/bin")}),
		      0, "", "");
	assert_int_equal(chmod("/opt/bin/hostile", 04755), 0);
	return 0;
}

static int remove_secrets(void **state)
{
	(void)state;
	close(docker_socket);
	for (size_t i = 0; i < N_PLACES; i++)
		umount2(places[i], MNT_DETACH);
	return 0;
}

/* Everything below the places that are ours, and every socket of the whole tree. */
static const char search[] =
	"grep -rls " MARK " /etc /root /home /run /var/lib /var/spool /opt /var/run; "
	"find / -xdev -type s 2>/dev/null; find /run /tmp /var/tmp -type s 2>/dev/null; "
	"ls -A /root /run/user 2>/dev/null | grep -v :; ls -A /home | grep -v '^user$'; "
	"echo searched";

static void secrets_are_hidden(void **state)
{
	struct run_spec s = {0};

	(void)state;
	/* What would be seen. */
	struct run_result r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", search)});

	for (size_t i = 0; i < N_SECRETS; i++)
		assert_non_null(strstr(r.out, secrets[i]));
	assert_non_null(strstr(r.out, "/run/docker.sock"));
	run_result_done(&r);
	expect_result(run_in("/", search), 0, "searched\n", "");
	s.argv = insula_argv(
		world, ARGV("run", "--rm", "-u", "4242", "--rootfs", "/", "sh", "-c", search));
	expect_result(run(&s), 0, "searched\n", NULL);
	s.argv = insula_argv(world, ARGV("run", "--rm", "--network", "host", "--rootfs", "/",
					 "/opt/bin/hostile", "connect", "/run/docker.sock"));
	expect_result(run(&s), 0, "No such file or directory\n", "");
}

static void named_secrets_are_seen(void **state)
{
	static const char script[] =
		"cat /etc/shadow /root/plain /home/grace/public /etc/ssl/private/site.key; "
		"/opt/bin/hostile connect /run/docker.sock; ls -A /home /run";
	struct run_spec s = {
		.argv = insula_argv(world, ARGV("run", "--rm", "-v", "/etc/shadow:/etc/shadow:ro",
						"-v", "/root:/root:ro", "-v",
						"/home/grace/public:/home/grace/public", "-v",
						"/etc/ssl:/etc/ssl", "-v",
						"/run/docker.sock:/run/docker.sock", "--rootfs",
						"/", "sh", "-c", script))};

	(void)state;
	expect_result(run(&s), 0,
		      MARK "\n" MARK "\n" MARK "\n" MARK
			   "\nconnected\n/home:\ngrace\n\n/run:\ndocker.sock\n",
		      "");
	/* What was not named beside it stays hidden. */
	s.argv = insula_argv(world,
			     ARGV("run", "--rm", "-v", "/home/grace/public:/home/grace/public",
				  "--rootfs", "/", "sh", "-c", search));
	expect_result(run(&s), 0, "/home/grace/public\ngrace\nsearched\n", "");
}

static void setuid_programs_gain_nothing(void **state)
{
	struct run_spec s = {
		.argv = insula_argv(world, ARGV("run", "--rm", "-u", "1234:1234", "--rootfs", "/",
						"/opt/bin/hostile", "ids"))};
	struct run_spec outside_too = {
		.argv = launched(ARGV("user", "1234"), ARGV("/opt/bin/hostile", "ids"))};

	(void)state;
	/* It is one that works. */
	expect_result(run(&outside_too), 0, "1234 0 1234\n", "");
	expect_result(run(&s), 0, "1234 1234 1234\n", "");
}

static void host_is_not_changed(void **state)
{
	struct stat st;

	(void)state;
	expect_result(run_in("/", "echo x > /opt/made; echo x > /etc/made; echo x >> /etc/passwd; "
				  "rm -r /opt/bin; "
				  "chmod 777 /etc; echo x > /etc/shadow; rm -f /etc/shadow; true"),
		      0, "", NULL);
	assert_int_equal(access("/opt/made", F_OK), -1);
	assert_int_equal(access("/etc/made", F_OK), -1);
	assert_int_equal(access("/opt/bin/hostile", X_OK), 0);
	assert_int_equal(stat("/etc", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	char *shadow = read_file("/etc/shadow"), *passwd = read_file("/etc/passwd");

	assert_string_equal(shadow, MARK "\n");
	assert_null(strstr(passwd, "\nx\n"));
	free(shadow);
	free(passwd);
}

/* ---- CVE-2025-24965, Kata's CVE-2026-24834: both kinds, and the guest's root ---------------------------- */

/* An image with links to the host wherever a runtime might want to write its configuration. */
static const char *image_with_links(const char *name)
{
	const char *root = image(world, name), *out = outside(world);
	static const char links[] =
		"for f in resolv.conf hosts hostname mtab; do ln -s \"$1/file\" "
		"\"$0/etc/$f\"; done; ln -s \"$1/file\" \"$0/config.json\"; "
		"ln -s \"$1/dir\" \"$0/.insula\"; rm -r \"$0/run\"; ln -s \"$1/dir\" \"$0/run\"";

	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-ec", links, root, out)}), 0,
		      "", "");
	return root;
}

static void nothing_is_written(bool vm)
{
	const char *root = image_with_links("config");
	char *before = tree_text(root), *after;
	struct run_spec s = {.argv = insula_argv(world, ARGV("run", "--rm", "--hostname", "box",
							     vm ? "--vm" : "--rm", "-e", "A=B",
							     "--rootfs", root, "hostname"))};

	expect_result(run(&s), 0, "box\n", NULL);
	after = tree_text(root);
	assert_string_equal(before, after);
	free(before);
	free(after);
	expect_outside_untouched(world);
}

static void nothing_is_written_into_an_image(void **state)
{
	(void)state;
	nothing_is_written(false);
}

static void vm_nothing_is_written_into_an_image(void **state)
{
	(void)state;
	nothing_is_written(true);
}

/* The guest's root with every privilege turns its side writable, and mounts the shared tree anew. */
static void vm_read_only_holds_on_the_host(void **state)
{
	static const char script[] =
		"for d in / /data; do mount -o remount,rw $d && echo remounted $d; echo x > "
		"$d/written; "
		"rm -f $d/etc/plain $d/given; echo x >> $d/given; mkdir $d/made; done; "
		"for t in $(grep virtiofs /proc/mounts | while read a b; do echo $a; done); do "
		"mount -t virtiofs $t /tmp && echo mounted; for d in /tmp/rootfs /tmp/mounts/*; do "
		"[ -d $d ] && echo x > $d/written && echo wrote $d; done; done; "
		"chmod 777 /data; chown 5 /data/given; echo end";
	static const char all[] =
		"\"CAP_SYS_ADMIN\", \"CAP_DAC_OVERRIDE\", \"CAP_CHOWN\", \"CAP_FOWNER\", "
		"\"CAP_SYS_RAWIO\", \"CAP_MKNOD\"";
	const char *root = image(world, "readonly"), *data = text("%s/given", world->dir);
	const char *mounts = text(
		"[{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"}, "
		"{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\"}, "
		"{\"destination\": \"/data\", \"type\": \"bind\", \"source\": \"%s\", \"options\": "
		"[\"rbind\", \"ro\", \"rro\"]}]",
		data);
	const char *dir,
		*caps = text("{\"bounding\": [%s], \"permitted\": [%s], \"effective\": [%s]}", all,
			     all, all);
	char *before[2], *after[2];

	(void)state;
	make_tree(data);
	write_file(text("%s/given", data), "given\n", 0644);
	dir = bundle(world, "readonly", script,
		     CHANGES("root.path", quoted(root), "root.readonly", "true", "mounts", mounts,
			     "process.capabilities", caps, "linux.maskedPaths", "null",
			     "linux.readonlyPaths", "null"));
	before[0] = tree_text(root);
	before[1] = tree_text(data);
	struct run_spec s = {.argv = oci_argv(world, ARGV("--isolation", "vm", "run", "--bundle",
							  dir, world->id))};
	struct run_result r = run(&s);

	after[0] = tree_text(root);
	after[1] = tree_text(data);
	if (r.code != 0 || !strstr(r.out, "end\n") || !strstr(r.out, "remounted /data\n") ||
	    strstr(r.out, "wrote"))
		fail_msg("exit code %d: %s\n%s", r.code, r.out, r.err);
	run_result_done(&r);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(before[i], after[i]);
		free(before[i]);
		free(after[i]);
	}
}

/* ---- all of them --------------------------------------------------------------------------------------- */

static const struct hostile_test ordinary[] = {
	{"capabilities", capabilities},
	{"system call filter", filter},
	{"masked paths", masked_paths},
	{"read-only paths", read_only_paths},
	{"setuid in an image", setuid_in_an_image},
	{"nothing is written into an image", nothing_is_written_into_an_image},
};

static const struct hostile_test on_host[] = {
	{"secrets are hidden", secrets_are_hidden},
	{"named secrets are seen", named_secrets_are_seen},
	{"setuid programs gain nothing", setuid_programs_gain_nothing},
	{"the host is not changed", host_is_not_changed},
};

static const struct hostile_test in_vm[] = {
	{"vm: read-only holds on the host", vm_read_only_holds_on_the_host},
	{"vm: nothing is written into an image", vm_nothing_is_written_into_an_image},
};

#define GROUP(group, setup, teardown, missing)                                               \
	hostile_group(world, #group, group, sizeof(group) / sizeof(*group), setup, teardown, \
		      missing)

int main(void)
{
	const char *wanted = getenv("TEST_KIND");
	int failed = 0;

	if (hostile_open(&world) < 0)
		return 1;
	if (!wanted || strcmp(wanted, "container") == 0) {
		failed += GROUP(ordinary, NULL, NULL, NULL);
		failed += GROUP(on_host, make_secrets, remove_secrets, NULL);
	}
	if (!wanted || strcmp(wanted, "vm") == 0)
		failed += GROUP(in_vm, NULL, NULL, vm_missing());
	return failed + hostile_close(world) != 0;
}
