/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flags of `insula run` become in the OCI document, and what an image's configuration does beneath them. Docker's
 * and podman's documentation says what is expected; what a value means inside is asserted by the integration test of
 * the same name.
 */
#include "oci_document.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/runtime.h"

#include "../../../runtime/run_document.h"

static char tree[] = "/tmp/insula-test-flags-XXXXXX";
static char *const sh[] = {"sh", NULL};
#define LIST(...) ((char *const[]){__VA_ARGS__, NULL})

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(tree) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(tree);
}

static struct rt_run_request request(void)
{
	struct rt_run_request r;

	rt_run_request_init(&r);
	r.rootfs = tree;
	r.args = sh;
	r.no_hosts = true;
	return r;
}

static void make(const struct rt_run_request *r, struct oci_config *c)
{
	struct err e = ERR_INIT;
	struct json *document = NULL;

	if (rt_run_document(NULL, r, "0123456789ab", &document, &e) < 0 ||
	    oci_config_read(document, NULL, c, &e) < 0 ||
	    iso_config_check(&c->isolation, &c->process, &e) < 0)
		fail_msg("%s", e.text);
}

static void fails(const struct rt_run_request *r, int errnum, const char *word)
{
	struct err e = ERR_INIT;
	struct json *document = NULL;
	int rc = rt_run_document(NULL, r, "0123456789ab", &document, &e);

	json_free(document);
	if (rc != -errnum || !strstr(e.text, word))
		fail_msg("%d '%s' instead of %d '%s'", rc, e.text, -errnum, word);
}

static const struct iso_mount *mount_on(const struct oci_config *c, const char *destination)
{
	for (size_t i = 0; i < c->isolation.n_mounts; i++)
		if (STREQ(c->isolation.mounts[i].destination, destination))
			return &c->isolation.mounts[i];
	return NULL;
}

/* ---- --mount, --tmpfs --------------------------------------------------------------------- */

static void test_mount_flags(void **state)
{
	static const struct {
		const char *flag, *on, *type, *source, *data;
		uint32_t flags;
		uint64_t set, propagation;
	} cases[] = {
		{"type=bind,source=/etc,target=/a", "/a", NULL, "/etc", NULL,
		 ISO_MOUNT_BIND | ISO_MOUNT_REC, 0, MS_PRIVATE | MS_REC},
		{"src=/etc,dst=/a/../b,type=bind,ro", "/b", NULL, "/etc", NULL,
		 ISO_MOUNT_BIND | ISO_MOUNT_REC, MOUNT_ATTR_RDONLY, MS_PRIVATE | MS_REC},
		{"type=bind,source=/etc,destination=/a,readonly=false,noexec", "/a", NULL, "/etc",
		 NULL, ISO_MOUNT_BIND | ISO_MOUNT_REC, MOUNT_ATTR_NOEXEC, MS_PRIVATE | MS_REC},
		{"type=bind,source=/etc,dst=/a,bind-propagation=rslave", "/a", NULL, "/etc", NULL,
		 ISO_MOUNT_BIND | ISO_MOUNT_REC, 0, MS_SLAVE | MS_REC},
		{"type=bind,source=/etc,dst=/a,bind-recursive=disabled", "/a", NULL, "/etc", NULL,
		 ISO_MOUNT_BIND, 0, MS_PRIVATE | MS_REC},
		{"type=bind,source=/etc,dst=/a,bind-nonrecursive", "/a", NULL, "/etc", NULL,
		 ISO_MOUNT_BIND, 0, MS_PRIVATE | MS_REC},
		{"\"type=bind\",source=/etc,\"dst=/a,\"\"b\"\"\"", "/a,\"b\"", NULL, "/etc", NULL,
		 ISO_MOUNT_BIND | ISO_MOUNT_REC, 0, MS_PRIVATE | MS_REC},
		{"type=tmpfs,destination=/t", "/t", "tmpfs", "tmpfs", NULL, 0,
		 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0},
		{"type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0700,exec,tmpcopyup", "/t", "tmpfs",
		 "tmpfs", "size=1m,mode=0700", ISO_MOUNT_TMPCOPYUP,
		 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0},
		{"dst=/v", "/v", NULL, "/store/x/volumes/0", NULL,
		 ISO_MOUNT_BIND | ISO_MOUNT_REC | ISO_MOUNT_FILL, MOUNT_ATTR_NODEV,
		 MS_PRIVATE | MS_REC},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rt_run_request r = request();
		const struct iso_mount *m;
		struct oci_config c;

		r.storage = "/store/x";
		r.mounts = LIST((char *)cases[i].flag);
		make(&r, &c);
		m = mount_on(&c, cases[i].on);
		if (!m || (m->type && (!cases[i].type || !STREQ(m->type, cases[i].type))) ||
		    !STREQ(m->source, cases[i].source) || m->flags != cases[i].flags ||
		    m->attr_set != cases[i].set || m->propagation != cases[i].propagation ||
		    !STREQ(m->data ?: "", cases[i].data ?: ""))
			fail_msg("%s", cases[i].flag);
		oci_config_done(&c);
	}
}

static void test_refused_mount_flags(void **state)
{
	static const struct {
		const char *flag;
		int errnum;
		const char *word;
	} cases[] = {
		{"", EINVAL, "empty key"},
		{"type=bind,,dst=/a", EINVAL, "empty key"},
		{"type=bind,src=/etc,src=/etc,dst=/a", EINVAL, "twice"},
		{"type=bind,src=,dst=/a", EINVAL, "no value"},
		{"type=bind,src=/etc,dst=a", EINVAL, "absolute"},
		{"type=bind,src=/etc,dst=/", EINVAL, "root"},
		{"type=bind,src=/nonexistent/x,dst=/a", ENOENT, "does not exist"},
		{"type=bind,src=/etc,dst=/a,ro=perhaps", EINVAL, "perhaps"},
		{"type=bind,src=/etc,dst=/a,bind-propagation=rshared", ENOTSUP, "rshared"},
		{"type=bind,src=/etc,dst=/a,tmpfs-size=1m", EINVAL, "tmpfs-size"},
		{"type=bind,src=/etc,dst=/a,relabel=shared", ENOTSUP, "SELinux"},
		{"type=bind,src=/etc,dst=/a,U=true", ENOTSUP, "owners"},
		{"type=tmpfs,src=/etc,dst=/a", EINVAL, "no source"},
		{"type=volume,src=data,dst=/a", ENOTSUP, "named volumes"},
		{"type=volume,dst=/a", ENOTSUP, "no storage"},
		{"type=cluster,dst=/a", ENOTSUP, "cluster"},
		{"type=bond,dst=/a", EINVAL, "bond"},
		{"type=bind,src=\"/etc\",dst=/a", EINVAL, "quote"},
		{"\"type=bind\"x,dst=/a", EINVAL, "behind"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rt_run_request r = request();

		r.mounts = LIST((char *)cases[i].flag);
		fails(&r, cases[i].errnum, cases[i].word);
	}
}

/* What is mounted on the place of an ordinary mount replaces it; nearer to the root comes first. */
static void test_order_of_mounts(void **state)
{
	struct rt_volume v[] = {{.source = tree, .destination = "/x/y/z"},
				{.source = tree, .destination = "/dev/shm"},
				{.source = tree, .destination = "/x"}};
	struct rt_run_request r = request();
	size_t shm = 0, x = 0, y = 0, z = 0;
	struct oci_config c;

	(void)state;
	r.volumes = v;
	r.n_volumes = ARRAY_SIZE(v);
	r.tmpfs = LIST("/x/y");
	make(&r, &c);
	for (size_t i = 0; i < c.isolation.n_mounts; i++) {
		const char *on = c.isolation.mounts[i].destination;

		shm += STREQ(on, "/dev/shm");
		x = STREQ(on, "/x") ? i : x;
		y = STREQ(on, "/x/y") ? i : y;
		z = STREQ(on, "/x/y/z") ? i : z;
	}
	assert_int_equal(shm, 1);
	assert_null(mount_on(&c, "/dev/shm")->type);
	assert_true(x > 0 && x < y && y < z);
	oci_config_done(&c);
	r.tmpfs = LIST("/x/");
	fails(&r, EINVAL, "two mounts on '/x'");
}

/* ---- limits ------------------------------------------------------------------------------- */

static void test_limits(void **state)
{
	struct rt_run_request r = request();
	struct oci_config c;

	(void)state;
	r.memory_bytes = 64 << 20;
	r.memory_swap_bytes = -1;
	r.memory_reservation_bytes = 32 << 20;
	r.cpu_quota_usec = 50000;
	r.cpu_period_usec = 25000;
	r.cpuset_cpus = "0-1,3";
	r.cpuset_mems = "0";
	r.pids_limit = -1;
	r.oom_score_adj = -5;
	make(&r, &c);
	assert_int_equal(c.limits.memory_bytes, 64 << 20);
	assert_int_equal(c.limits.memory_swap_bytes, CG_MAX);
	assert_int_equal(c.limits.memory_low_bytes, 32 << 20);
	assert_int_equal(c.limits.cpu_quota_usec, 50000);
	assert_int_equal(c.limits.cpu_period_usec, 25000);
	assert_string_equal(c.limits.cpuset_cpus, "0-1,3");
	assert_string_equal(c.limits.cpuset_mems, "0");
	assert_int_equal(c.limits.pids_max, CG_MAX);
	assert_true(c.process.has_oom_score_adj);
	assert_int_equal(c.process.oom_score_adj, -5);
	oci_config_done(&c);
}

/* OCI has the old scale alone: it must come back as the weight that was asked for. */
static void test_weights(void **state)
{
	static const int64_t weights[] = {1, 2, 10, 99, 100, 101, 5000, 9999, 10000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(weights); i++) {
		struct rt_run_request r = request();
		struct oci_config c;

		r.cpu_weight = weights[i];
		make(&r, &c);
		assert_true(c.limits.cpu_shares >= 2 && c.limits.cpu_shares <= 262144);
		assert_int_equal(cg_weight_of_shares((uint64_t)c.limits.cpu_shares), weights[i]);
		oci_config_done(&c);
	}
}

static void test_ulimits(void **state)
{
	struct rt_run_request r = request();
	struct oci_config c;

	(void)state;
	r.ulimits = LIST("nofile=10:20", "core=0", "NPROC=5", "host", "nofile=11");
	make(&r, &c);
	assert_int_equal(c.process.n_rlimits, 3);
	assert_int_equal(c.process.rlimits[0].resource, RLIMIT_NOFILE);
	assert_int_equal(c.process.rlimits[0].soft, 11); /* the last of a name */
	assert_int_equal(c.process.rlimits[0].hard, 11);
	assert_int_equal(c.process.rlimits[1].resource, RLIMIT_CORE);
	assert_int_equal(c.process.rlimits[2].resource, RLIMIT_NPROC);
	oci_config_done(&c);
	r.ulimits = LIST("core=-1");
	make(&r, &c);
	assert_true(c.process.rlimits[0].soft == UINT64_MAX);
	oci_config_done(&c);
	r.ulimits = LIST("nofile");
	fails(&r, EINVAL, "names no limit");
	r.ulimits = LIST("nofile=1:x");
	fails(&r, EINVAL, "SOFT");
	r.ulimits = LIST("=1");
	fails(&r, EINVAL, "names no limit");
}

/* ---- what it may -------------------------------------------------------------------------- */

#define USUAL    UINT64_C(0xa80425fb)
#define BIT(cap) (UINT64_C(1) << (cap))

static void test_capabilities(void **state)
{
	const uint64_t all = BIT(iso_cap_last() + 1) - 1;
	const struct {
		char *const *add, *const *drop;
		bool privileged;
		uint64_t set;
	} cases[] = {
		{NULL, NULL, false, USUAL},
		{LIST("sys_admin"), NULL, false, USUAL | BIT(CAP_SYS_ADMIN)},
		{NULL, LIST("CAP_CHOWN", "kill"), false, USUAL & ~BIT(CAP_CHOWN) & ~BIT(CAP_KILL)},
		{LIST("CHOWN"), LIST("ALL"), false, BIT(CAP_CHOWN)},
		{LIST("all"), LIST("SYS_ADMIN"), false, all & ~BIT(CAP_SYS_ADMIN)},
		{NULL, NULL, true, all},
		{NULL, LIST("ALL"), true, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rt_run_request r = request();
		uint64_t set = 0, added = 0;

		r.cap_add = cases[i].add;
		r.cap_drop = cases[i].drop;
		r.privileged = cases[i].privileged;
		assert_int_equal(run_caps_take(&r, &set, &added, NULL), 0);
		if (set != cases[i].set)
			fail_msg("%zu: %" PRIx64, i, set);
	}
}

static void test_security_options(void **state)
{
	struct rt_run_request r = request();
	struct oci_config c;

	(void)state;
	r.security = LIST("seccomp=unconfined", "no-new-privileges", "mask=/a:/b//c/",
			  "unmask=/proc/kcore:/proc/bus", "apparmor=mine");
	make(&r, &c);
	assert_false(c.isolation.seccomp.present);
	assert_true(c.process.no_new_privileges);
	assert_string_equal(c.process.apparmor_profile, "mine");
	assert_true(strv_len(c.isolation.masked_paths) > 3);
	for (char **m = c.isolation.masked_paths; *m; m++)
		assert_string_not_equal(*m, "/proc/kcore");
	for (char **m = c.isolation.readonly_paths; *m; m++)
		assert_string_not_equal(*m, "/proc/bus");
	oci_config_done(&c);
	r.security = LIST("unmask=/proc/*");
	make(&r, &c);
	for (char **m = c.isolation.masked_paths; *m; m++)
		assert_true(strncmp(*m, "/proc/", 6) != 0);
	assert_int_equal(strv_len(c.isolation.readonly_paths), 0);
	oci_config_done(&c);
}

static void test_privileged(void **state)
{
	struct rt_run_request r = request();
	struct oci_config c;

	(void)state;
	r.privileged = true;
	make(&r, &c);
	assert_false(c.isolation.seccomp.present);
	assert_int_equal(strv_len(c.isolation.masked_paths), 0);
	assert_int_equal(strv_len(c.isolation.readonly_paths), 0);
	assert_false(mount_on(&c, "/sys")->attr_set & MOUNT_ATTR_RDONLY);
	assert_false(mount_on(&c, "/sys/fs/cgroup")->attr_set & MOUNT_ATTR_RDONLY);
	assert_true(c.limits.devices[0].allow);
	/* What every sandbox has of its own is not the host's. */
	for (size_t i = 0; i < c.isolation.n_devices; i++) {
		assert_string_not_equal(c.isolation.devices[i].path, "/dev/ptmx");
		assert_string_not_equal(c.isolation.devices[i].path, "/dev/null");
	}
	oci_config_done(&c);
}

static void test_devices(void **state)
{
	struct rt_run_request r = request();
	struct oci_config c;

	(void)state;
	r.devices = LIST("/dev/null:/dev/./n:r", "/dev/zero");
	r.device_rules = LIST("c 42:* rw");
	make(&r, &c);
	assert_int_equal(c.isolation.n_devices, 2);
	assert_string_equal(c.isolation.devices[0].path, "/dev/n");
	assert_int_equal(c.isolation.devices[0].major, 1);
	assert_int_equal(c.isolation.devices[0].minor, 3);
	assert_string_equal(c.isolation.devices[1].path, "/dev/zero");
	assert_false(c.limits.devices[0].allow);
	assert_true(c.limits.devices[1].read && !c.limits.devices[1].write);
	assert_int_equal(c.limits.devices[3].major, 42);
	assert_int_equal(c.limits.devices[3].minor, -1);
	assert_false(c.limits.devices[3].mknod);
	oci_config_done(&c);
}

/* ---- namespaces --------------------------------------------------------------------------- */

static void test_namespaces(void **state)
{
	struct rt_run_request r = request();
	struct oci_config c;

	(void)state;
	r.pid = "host";
	r.ipc = "host";
	r.uts = "host";
	make(&r, &c);
	assert_int_equal(c.isolation.ns[ISO_NS_PID].mode, ISO_NS_INHERIT);
	assert_int_equal(c.isolation.ns[ISO_NS_IPC].mode, ISO_NS_INHERIT);
	assert_int_equal(c.isolation.ns[ISO_NS_UTS].mode, ISO_NS_INHERIT);
	assert_int_equal(c.isolation.ns[ISO_NS_NETWORK].mode, ISO_NS_NEW);
	assert_null(c.isolation.hostname);
	oci_config_done(&c);
	r = request();
	r.pid = "private";
	r.ipc = "none";
	make(&r, &c);
	assert_int_equal(c.isolation.ns[ISO_NS_PID].mode, ISO_NS_NEW);
	assert_int_equal(c.isolation.ns[ISO_NS_IPC].mode, ISO_NS_NEW);
	assert_null(mount_on(&c, "/dev/shm"));
	oci_config_done(&c);
	r.driver = "vm";
	r.pid = "host";
	fails(&r, ENOTSUP, "--pid host");
}

/* ---- images ------------------------------------------------------------------------------- */

/* As much of an image as its configuration has; its root is a directory here. */
static struct img_image image = {
	.name = (char *)"test",
	.config =
		{
			.env = (char *[]){"PATH=/image/bin", "LANG=C", "GONE=1", NULL},
			.entrypoint = (char *[]){"/entry", "-x", NULL},
			.cmd = (char *[]){"default", NULL},
			.stop_signal = (char *)"SIGUSR1",
			.volumes = (char *[]){"/data", "/own/", NULL},
		},
};

static void test_command_of_an_image(void **state)
{
	static const struct {
		const char *entrypoint, *const args[3], *const expected[5];
	} cases[] = {
		{NULL, {NULL}, {"/entry", "-x", "default"}},
		{NULL, {"a", "b"}, {"/entry", "-x", "a", "b"}},
		{"own", {NULL}, {"own"}},
		{"own", {"a"}, {"own", "a"}},
		{"", {"a"}, {"a"}},
		{"[\"o w n\", \"-y\"]", {"a"}, {"o w n", "-y", "a"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rt_run_request r = request();
		_cleanup_strv_ char **v = NULL;

		r.image = &image;
		r.args = (char *const *)cases[i].args;
		r.entrypoint = cases[i].entrypoint;
		assert_int_equal(run_command(&r, &v, NULL), 0);
		for (size_t k = 0; k < strv_len(v) || cases[i].expected[k]; k++)
			assert_string_equal(v[k], cases[i].expected[k]);
	}
	struct rt_run_request r = request();
	struct err e = ERR_INIT;
	char **v = NULL;

	r.image = &image;
	r.args = NULL;
	r.entrypoint = "";
	assert_int_equal(run_command(&r, &v, &e), -EINVAL);
	assert_non_null(strstr(e.text, "the image has none"));
	assert_string_equal(rt_run_stop_signal(&r), "SIGUSR1");
	r.stop_signal = "INT";
	assert_string_equal(rt_run_stop_signal(&r), "INT");
}

static void test_volumes_of_an_image(void **state)
{
	struct rt_volume v = {.source = tree, .destination = "/own"};
	struct rt_run_request r = request();
	struct run_mounts m = {0};

	(void)state;
	r.image = &image;
	r.storage = "/store/x";
	r.volumes = &v;
	r.n_volumes = 1;
	assert_int_equal(run_mounts_take(&r, &m, NULL), 0);
	assert_int_equal(m.n, 2);
	assert_int_equal(m.n_anonymous, 1);
	assert_string_equal(m.v[0].destination, "/own");
	assert_string_equal(m.v[0].source, tree);
	assert_string_equal(m.v[1].destination, "/data");
	assert_string_equal(m.v[1].source, "/store/x/volumes/0");
	run_mounts_done(&m);
}

/* ---- files -------------------------------------------------------------------------------- */

static const char *const etc_files[] = {"hostname", "hosts", "resolv.conf"};

static void make_etc(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/etc", tree);
	assert_int_equal(path_mkdir_p(path, 0755, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(etc_files); i++) {
		snprintf(path, sizeof(path), "%s/etc/%s", tree, etc_files[i]);
		assert_int_equal(path_replace_file_at(AT_FDCWD, path, "", 0, 0644, false, NULL), 0);
	}
}

static void remove_etc(void)
{
	int fd = path_open_dir(tree, NULL);

	assert_int_equal(path_remove_tree_at(fd, "etc", NULL), 0);
	close(fd);
}

static void test_files(void **state)
{
	struct rt_run_request r = request();
	struct rt_file *v = NULL;
	size_t n = 0;

	(void)state;
	make_etc();
	r.no_hosts = false;
	r.hostname = "box";
	r.storage = "/store/x";
	r.mounts = LIST("type=volume,dst=/v");
	r.dns = LIST("192.0.2.1");
	assert_int_equal(rt_run_files(NULL, &r, "id", &v, &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_string_equal(v[0].path, "/run/insula/id/hostname");
	assert_string_equal(v[0].text, "box\n");
	assert_int_equal(v[0].mode, 0644);
	assert_non_null(strstr(v[1].text, "127.0.1.1\tbox\n"));
	assert_string_equal(v[2].text, "nameserver 192.0.2.1\n");
	assert_string_equal(v[3].path, "/store/x/volumes/0");
	assert_null(v[3].text);
	rt_files_free(v, n);
	/* What the caller mounts there is left alone. */
	r.mounts = LIST("type=tmpfs,dst=/etc");
	assert_int_equal(rt_run_files(NULL, &r, "id", &v, &n, NULL), 0);
	assert_int_equal(n, 0);
	rt_files_free(v, n);
	/* A directory without such files stays without them, but for those that a flag asks for. */
	remove_etc();
	r.mounts = NULL;
	assert_int_equal(rt_run_files(NULL, &r, "id", &v, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].path, "/run/insula/id/resolv.conf");
	rt_files_free(v, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mount_flags),
		cmocka_unit_test(test_refused_mount_flags),
		cmocka_unit_test(test_order_of_mounts),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_ulimits),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_security_options),
		cmocka_unit_test(test_privileged),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_command_of_an_image),
		cmocka_unit_test(test_volumes_of_an_image),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
