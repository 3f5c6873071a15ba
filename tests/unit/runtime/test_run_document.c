/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request of `insula run` to an OCI document: docker's defaults, what flags change, and what
 * of the host's own system is hidden. The root file systems are small trees made here; the host's
 * own is only looked at.
 */
#include "oci_document.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/runtime.h"

#include "../../../runtime/run_document.h"

static const struct driver container = {.name = "container", .id = DRIVER_CONTAINER};
static const struct driver vm = {.name = "vm", .id = DRIVER_VM};
static char *const sh[] = {"sh", "-c", "true", NULL};

/* ---- a tree ----------------------------------------------------------------------------- */

static char tree[] = "/tmp/insula-test-run-XXXXXX";

static void write_file(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", tree, path);
	f = fopen(full, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void make_dir(const char *path)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", tree, path);
	assert_int_equal(path_mkdir_p(full, 0755, NULL), 0);
}

static int set_up(void **state)
{
	static const char *const dirs[] = {"etc/ssh",
					   "etc/ssl/private",
					   "home/alice",
					   "home/bob",
					   "root",
					   "run",
					   "tmp",
					   "var/lib/docker/x",
					   "var/lib/insula",
					   "var/backups",
					   "usr/spool",
					   "data",
					   "etc/sudoers.d"};
	char full[256];

	(void)state;
	if (!mkdtemp(tree))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		make_dir(dirs[i]);
	write_file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
				 "alice:x:1000:1001:Alice:/home/alice:/bin/sh\n"
				 "www:x:33:33:www:/var/www:/bin/sh\n");
	write_file("etc/group", "root:x:0:\nalice:x:1001:\nstaff:x:50:alice\n");
	write_file("etc/shadow", "");
	write_file("etc/ssh/ssh_host_rsa_key", "");
	write_file("etc/ssh/ssh_host_rsa_key.pub", "");
	write_file("etc/ssh/sshd_config", "");
	write_file("etc/sudoers", "");
	write_file("var/backups/shadow.bak", "");
	write_file("var/backups/dpkg.status.0", "");
	snprintf(full, sizeof(full), "%s/var/spool", tree);
	if (symlink("/usr/spool", full) < 0)
		return -1;
	make_dir("usr/spool/cron");
	/* A link that leads out of the tree, if anybody follows it from outside. */
	snprintf(full, sizeof(full), "%s/etc/wireguard", tree);
	return symlink("/proc/self/root/nonexistent", full);
}

static int tear_down(void **state)
{
	int fd = path_open_dir("/tmp", NULL);
	int r = path_remove_tree_at(fd, tree + strlen("/tmp/"), NULL);

	(void)state;
	close(fd);
	return r;
}

/* ---- requests --------------------------------------------------------------------------- */

static struct rt_run_request request(void)
{
	struct rt_run_request r;

	rt_run_request_init(&r);
	r.rootfs = tree;
	r.args = sh;
	return r;
}

/* The document, read and checked as `run` does it. */
static void make(const struct rt_run_request *r, struct oci_config *c)
{
	struct err e = ERR_INIT;
	struct json *document = NULL;

	if (rt_run_document(NULL, r, "0123456789ab", &document, &e) < 0 ||
	    oci_config_read(document, NULL, c, &e) < 0 ||
	    iso_config_check(&c->isolation, &c->process, &e) < 0 ||
	    driver_check_config(&container, c, &e) < 0 || driver_check_config(&vm, c, &e) < 0)
		fail_msg("%s", e.text);
}

static void make_fails(const struct rt_run_request *r, int errnum, const char *word)
{
	struct err e = ERR_INIT;
	struct json *document = NULL;

	assert_int_equal(rt_run_document(NULL, r, "0123456789ab", &document, &e), -errnum);
	assert_null(document);
	if (!strstr(e.text, word))
		fail_msg("'%s' lacks '%s'", e.text, word);
}

static bool has(char *const *v, const char *s)
{
	for (; v && *v; v++)
		if (STREQ(*v, s))
			return true;
	return false;
}

static const struct iso_mount *mount_on(const struct oci_config *c, const char *destination)
{
	for (size_t i = 0; i < c->isolation.n_mounts; i++)
		if (STREQ(c->isolation.mounts[i].destination, destination))
			return &c->isolation.mounts[i];
	return NULL;
}

/* ---- defaults --------------------------------------------------------------------------- */

static void test_defaults(void **state)
{
	struct rt_run_request r = request();
	const uint64_t dockers = 0xa80425fb; /* CapEff of a docker container */
	struct oci_config c;

	(void)state;
	make(&r, &c);
	assert_string_equal(c.isolation.rootfs.path, tree);
	assert_int_equal(c.isolation.rootfs.kind, ISO_ROOTFS_DIRECTORY);
	assert_false(c.isolation.rootfs.readonly);
	assert_string_equal(c.isolation.hostname, "0123456789ab");
	assert_string_equal(c.process.args[2], "true");
	assert_string_equal(c.process.cwd, "/");
	assert_false(c.process.terminal);
	assert_true(has(c.process.env, "HOME=/root"));
	assert_true(has(c.process.env, "HOSTNAME=0123456789ab"));
	assert_non_null(strv_env_get(c.process.env, "PATH"));
	assert_null(strv_env_get(c.process.env, "TERM"));
	assert_true(c.process.caps.set[ISO_CAP_BOUNDING] == dockers);
	assert_true(c.process.caps.set[ISO_CAP_EFFECTIVE] == dockers);
	assert_true(c.process.caps.set[ISO_CAP_PERMITTED] == dockers);
	assert_true(c.process.caps.set[ISO_CAP_INHERITABLE] == 0);
	assert_true(c.process.caps.set[ISO_CAP_AMBIENT] == 0);
	assert_false(c.process.no_new_privileges); /* setuid programs of an image work */
	assert_int_equal(c.process.n_rlimits, 0);
	assert_true(c.isolation.seccomp.present);
	assert_true(has(c.isolation.masked_paths, "/proc/kcore"));
	assert_true(has(c.isolation.readonly_paths, "/proc/sys"));
	for (enum iso_ns ns = 0; ns < ISO_NS_COUNT; ns++)
		assert_int_equal(c.isolation.ns[ns].mode, ns == ISO_NS_USER || ns == ISO_NS_TIME
								  ? ISO_NS_INHERIT
								  : ISO_NS_NEW);
	assert_true(mount_on(&c, "/sys")->attr_set & MOUNT_ATTR_RDONLY);
	assert_true(mount_on(&c, "/sys/fs/cgroup")->attr_set & MOUNT_ATTR_RDONLY);
	assert_string_equal(mount_on(&c, "/dev")->type, "tmpfs");
	assert_non_null(strstr(mount_on(&c, "/dev/shm")->data, "size=65536k"));
	/* Nothing of an image is hidden. */
	assert_false(has(c.isolation.masked_paths, "/etc/shadow"));
	assert_null(mount_on(&c, "/root"));
	assert_false(c.limits.devices[0].allow);
	assert_int_equal(c.limits.memory_bytes, CG_UNSET);
	assert_int_equal(c.limits.pids_max, CG_UNSET);
	assert_null(oci_annotation(&c, "org.insula.isolation"));
	oci_config_done(&c);
}

static void test_flags(void **state)
{
	char *const env[] = {"HOME=/elsewhere", "X=", "PATH=/bin", NULL};
	struct rt_run_request r = request();
	struct oci_config c;

	(void)state;
	r.env = env;
	r.user = "alice";
	r.workdir = "/data";
	r.hostname = "box";
	r.tty = true;
	r.read_only = true;
	r.network = "host";
	r.driver = "container";
	r.memory_bytes = 64 << 20;
	r.cpus_micro = 1500000;
	r.pids_limit = 100;
	make(&r, &c);
	assert_int_equal(c.process.user.uid, 1000);
	assert_int_equal(c.process.user.gid, 1001);
	assert_true(has(c.process.env, "HOME=/elsewhere"));
	assert_true(has(c.process.env, "X="));
	assert_true(has(c.process.env, "PATH=/bin"));
	assert_true(has(c.process.env, "TERM=xterm"));
	assert_true(has(c.process.env, "HOSTNAME=box"));
	assert_string_equal(c.process.cwd, "/data");
	assert_string_equal(c.isolation.hostname, "box");
	assert_true(c.process.terminal);
	assert_true(c.isolation.rootfs.readonly);
	assert_int_equal(c.isolation.ns[ISO_NS_NETWORK].mode, ISO_NS_INHERIT);
	assert_string_equal(oci_annotation(&c, "org.insula.isolation"), "container");
	assert_int_equal(c.limits.memory_bytes, 64 << 20);
	assert_int_equal(c.limits.cpu_quota_usec * 1000000 / c.limits.cpu_period_usec, 1500000);
	assert_int_equal(c.limits.pids_max, 100);
	/* Not root: nothing from the start, the usual for a setuid program. */
	assert_true(c.process.caps.set[ISO_CAP_EFFECTIVE] == 0);
	assert_true(c.process.caps.set[ISO_CAP_PERMITTED] == 0);
	assert_true(c.process.caps.set[ISO_CAP_BOUNDING] == 0xa80425fb);
	oci_config_done(&c);
}

static void test_refused_requests(void **state)
{
	struct rt_run_request r = request();

	(void)state;
	r.rootfs = "/nonexistent/root";
	make_fails(&r, ENOENT, "/nonexistent/root");
	r = request();
	r.network = "bridge";
	make_fails(&r, ENOTSUP, "bridge");
	r = request();
	r.network = "host";
	r.driver = "vm";
	make_fails(&r, ENOTSUP, "--network host");
	r = request();
	r.workdir = "data";
	make_fails(&r, EINVAL, "'data'");
	r = request();
	r.user = "1000:";
	make_fails(&r, EINVAL, "1000:");
}

/* ---- volumes ---------------------------------------------------------------------------- */

static void test_volumes(void **state)
{
	struct rt_volume v[] = {{.source = tree, .destination = "/a//b/../c/"},
				{.source = tree, .destination = "/ro", .options = "ro,noexec"},
				{.source = tree, .destination = "/s", .options = "rslave,rw"}};
	struct rt_run_request r = request();
	const struct iso_mount *m;
	struct oci_config c;

	(void)state;
	r.volumes = v;
	r.n_volumes = ARRAY_SIZE(v);
	make(&r, &c);
	m = mount_on(&c, "/a/c");
	assert_non_null(m);
	assert_string_equal(m->source, tree);
	assert_int_equal(m->flags & (ISO_MOUNT_BIND | ISO_MOUNT_REC),
			 ISO_MOUNT_BIND | ISO_MOUNT_REC);
	assert_int_equal(m->propagation, MS_PRIVATE | MS_REC);
	assert_false(m->attr_set & MOUNT_ATTR_RDONLY);
	m = mount_on(&c, "/ro");
	assert_true(m->attr_set & MOUNT_ATTR_RDONLY);
	assert_true(m->attr_rec_set & MOUNT_ATTR_RDONLY);
	assert_true(m->attr_set & MOUNT_ATTR_NOEXEC);
	assert_int_equal(mount_on(&c, "/s")->propagation, MS_SLAVE | MS_REC);
	oci_config_done(&c);
}

static void test_refused_volumes(void **state)
{
	static const struct {
		const char *source, *destination, *options;
		int errnum;
		const char *word;
	} cases[] = {
		{"/nonexistent/x", "/a", NULL, ENOENT, "does not exist"},
		{"relative", "/a", NULL, EINVAL, "absolute"},
		{"/tmp", "a", NULL, EINVAL, "absolute"},
		{"/tmp", "/", NULL, EINVAL, "root"},
		{"/tmp", "/..//.", NULL, EINVAL, "root"},
		{"/tmp", "/a", "fast", EINVAL, "fast"},
		{"/tmp", "/a", "ro,Z", ENOTSUP, "'Z'"},
		{"/tmp", "/a", "rshared", ENOTSUP, "rshared"},
		{"/tmp", "/a", "ro,", EINVAL, "''"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rt_volume v = {.source = (char *)cases[i].source,
				      .destination = (char *)cases[i].destination,
				      .options = (char *)cases[i].options};
		struct rt_run_request r = request();

		r.volumes = &v;
		r.n_volumes = 1;
		make_fails(&r, cases[i].errnum, cases[i].word);
	}
}

/* ---- the host's own system -------------------------------------------------------------- */

struct hidden {
	struct json *mounts, *masked;
};

static struct hidden hide(struct rt_volume *volumes, size_t n, const struct iso_user *user,
			  const char *home)
{
	struct hidden h = {json_new_array(), json_new_array()};
	struct rt_run_request r = request();
	struct err e = ERR_INIT;
	int fd = path_open_dir(tree, NULL);

	r.volumes = volumes;
	r.n_volumes = n;
	assert_true(fd >= 0);
	if (run_hide_host(h.mounts, h.masked, fd, &r, user, home, &e) < 0)
		fail_msg("%s", e.text);
	close(fd);
	return h;
}

static void hidden_done(struct hidden *h)
{
	json_free(h->mounts);
	json_free(h->masked);
}

static bool is_masked(const struct hidden *h, const char *path)
{
	struct json_at at = json_top(h->masked);

	for (size_t i = 0; i < json_array_len(&at); i++) {
		struct json_at item = json_array_at(&at, i);

		if (STREQ(json_peek_string(&item), path))
			return true;
	}
	return false;
}

static bool is_fresh(const struct hidden *h, const char *path)
{
	struct json_at at = json_top(h->mounts);

	for (size_t i = 0; i < json_array_len(&at); i++) {
		struct json_at item = json_array_at(&at, i), d, t;

		if (json_member(&item, "destination", &d) && json_member(&item, "type", &t) &&
		    STREQ(json_peek_string(&d), path))
			return STREQ(json_peek_string(&t), "tmpfs");
	}
	return false;
}

static const struct iso_user nobody_special = {.uid = 0};

static void test_secrets(void **state)
{
	struct hidden h = hide(NULL, 0, &nobody_special, "/root");

	(void)state;
	assert_true(is_fresh(&h, "/root"));
	assert_true(is_fresh(&h, "/home"));
	assert_true(is_fresh(&h, "/run"));
	assert_true(is_fresh(&h, "/tmp"));
	assert_true(is_masked(&h, "/etc/shadow"));
	assert_true(is_masked(&h, "/etc/ssh/ssh_host_rsa_key"));
	assert_true(is_masked(&h, "/etc/ssl/private"));
	assert_true(is_masked(&h, "/etc/sudoers"));
	assert_true(is_masked(&h, "/etc/sudoers.d"));
	assert_true(is_masked(&h, "/var/backups/shadow.bak"));
	assert_true(is_masked(&h, "/var/lib/docker"));
	assert_true(is_masked(&h, "/var/lib/insula"));
	/* By way of a symlink inside. */
	assert_true(is_masked(&h, "/var/spool/cron"));
	/* What is no secret stays. */
	assert_false(is_masked(&h, "/etc/ssh/ssh_host_rsa_key.pub"));
	assert_false(is_masked(&h, "/etc/ssh/sshd_config"));
	assert_false(is_masked(&h, "/var/backups/dpkg.status.0"));
	assert_false(is_masked(&h, "/etc/passwd"));
	/* What is not there is not written down. */
	assert_false(is_masked(&h, "/etc/gshadow"));
	assert_false(is_fresh(&h, "/var/tmp"));
	hidden_done(&h);
}

static void test_own_home_is_empty_and_own(void **state)
{
	const struct iso_user alice = {.uid = 1000, .gid = 1001};
	struct hidden h = hide(NULL, 0, &alice, "/home/alice");
	char *text = NULL;

	(void)state;
	assert_true(is_fresh(&h, "/home"));
	assert_true(is_fresh(&h, "/home/alice"));
	assert_int_equal(json_to_text(h.mounts, false, &text, NULL), 0);
	assert_non_null(strstr(text, "\"uid=1000\""));
	assert_non_null(strstr(text, "\"gid=1001\""));
	free(text);
	hidden_done(&h);
}

/* People who live elsewhere, as the host's passwd file has it; nothing that the system needs. */
static void test_homes_elsewhere(void **state)
{
	const struct iso_user ada = {.uid = 1815, .gid = 1815};
	char path[256];
	struct hidden h;

	(void)state;
	snprintf(path, sizeof(path), "%s/srv", tree);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/srv/ada", tree);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/srv/grace", tree);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/srv/service", tree);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/etc/passwd", tree);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs("root:x:0:0::/root:/bin/sh\nservice:x:120:120::/srv/service:/bin/false\n"
	      "ada:x:1815:1815::/srv/ada/:/bin/sh\nno "
	      "line\ngrace:x:1906:1906::/srv/./grace:/bin/sh\n"
	      "odd:x:2000:2000::/usr/lib/odd:/bin/sh\nodder:x:2001:2001::/:/bin/sh\n"
	      "gone:x:2002:2002::/srv/gone:/bin/sh\n",
	      f);
	fclose(f);
	h = hide(NULL, 0, &nobody_special, "/root");
	assert_true(is_masked(&h, "/srv/ada"));
	assert_true(is_masked(&h, "/srv/grace"));
	assert_false(is_masked(&h, "/srv/service"));
	assert_false(is_masked(&h, "/usr/lib/odd"));
	assert_false(is_masked(&h, "/"));
	assert_false(is_masked(&h, "/srv/gone"));
	hidden_done(&h);
	h = hide(NULL, 0, &ada, "/srv/ada");
	assert_true(is_fresh(&h, "/srv/ada"));
	assert_false(is_masked(&h, "/srv/ada"));
	assert_true(is_masked(&h, "/srv/grace"));
	hidden_done(&h);
}

static void test_volumes_win(void **state)
{
	struct rt_volume v[] = {{.source = "/x", .destination = "/etc/shadow"},
				{.source = "/x", .destination = "/root/"},
				{.source = "/x", .destination = "/etc/ssh"},
				{.source = "/x", .destination = "/var/lib/docker/x"},
				{.source = "/x", .destination = "/home/bob/project"}};
	struct hidden h = hide(v, ARRAY_SIZE(v), &nobody_special, "/root");

	(void)state;
	assert_false(is_masked(&h, "/etc/shadow"));
	assert_false(is_fresh(&h, "/root"));
	/* Below a volume: its content is the caller's. */
	assert_false(is_masked(&h, "/etc/ssh/ssh_host_rsa_key"));
	/* A volume inside of something hidden: the rest of it stays hidden, by a mount that comes
	 * before the volume instead of a mask that would come after. */
	assert_false(is_masked(&h, "/var/lib/docker"));
	assert_true(is_fresh(&h, "/var/lib/docker"));
	assert_true(is_fresh(&h, "/home"));
	assert_true(is_masked(&h, "/etc/ssl/private"));
	hidden_done(&h);
}

/* The real root: only the document is made. */
static void test_host_root(void **state)
{
	struct rt_volume v = {.source = tree, .destination = "/root/project"};
	struct rt_run_request r = request();
	struct oci_config c;
	size_t root = 0, volume = 0;

	(void)state;
	r.rootfs = "/";
	r.volumes = &v;
	r.n_volumes = 1;
	make(&r, &c);
	assert_int_equal(c.isolation.rootfs.kind, ISO_ROOTFS_THROWAWAY);
	assert_string_equal(c.isolation.rootfs.path, "/");
	assert_true(c.process.no_new_privileges);
	assert_string_equal(mount_on(&c, "/run")->type, "tmpfs");
	assert_string_equal(mount_on(&c, "/tmp")->type, "tmpfs");
	if (access("/etc/shadow", F_OK) == 0)
		assert_true(has(c.isolation.masked_paths, "/etc/shadow"));
	/* The volume lies in the fresh /root, so it is mounted later. */
	for (size_t i = 0; i < c.isolation.n_mounts; i++) {
		if (STREQ(c.isolation.mounts[i].destination, "/root"))
			root = i;
		if (STREQ(c.isolation.mounts[i].destination, "/root/project"))
			volume = i;
	}
	assert_true(root > 0 && volume > root);
	oci_config_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_refused_requests),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_refused_volumes),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_own_home_is_empty_and_own),
		cmocka_unit_test(test_volumes_win),
		cmocka_unit_test(test_homes_elsewhere),
		cmocka_unit_test(test_host_root),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
