/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images at hand, as people use them: layouts that umoci wrote, archives that skopeo wrote, tars; run by root and by
 * ordinary users, as containers and as microVMs; several at once; killed in between; hostile.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static struct world *world;
static char store[160], layout[160];

/* ---- making them ------------------------------------------------------------------------------ */

static void shell(const char *script)
{
	struct run_result r = run(&(struct run_spec){
		.argv = ARGV("/bin/sh", "-ec", script, "sh", world->dir, world->rootfs)});

	if (r.code != 0)
		fail_msg("%s\n%s%s", script, r.out, r.err);
	run_result_done(&r);
}

/* Two layers; the upper one takes a directory away, replaces one, and adds a file. */
static const char make_layout[] =
	"cd \"$1\"; umoci init --layout layout; umoci new --image layout:app\n"
	"umoci unpack --image layout:app b >/dev/null 2>&1\n"
	"cp -a \"$2/.\" b/rootfs/\n"
	"mkdir -p b/rootfs/gone b/rootfs/replaced b/rootfs/kept\n"
	"echo old > b/rootfs/replaced/old; echo low > b/rootfs/kept/low; echo x > b/rootfs/gone/x\n"
	"umoci repack --image layout:app b >/dev/null; rm -rf b\n"
	"umoci unpack --image layout:app b >/dev/null 2>&1\n"
	"rm -rf b/rootfs/gone b/rootfs/replaced; mkdir b/rootfs/replaced; echo new > "
	"b/rootfs/replaced/new\n"
	"echo up > b/rootfs/kept/up; mkdir -p b/rootfs/work; chown 1815:1815 b/rootfs/work\n"
	"umoci repack --image layout:app b >/dev/null; rm -rf b\n"
	"umoci config --image layout:app --config.user ada --config.env COLOUR=blue --config.env "
	"SIZE=9 "
	"--config.workingdir /work --config.cmd sh --config.cmd -c --config.cmd 'id -un; pwd; echo "
	"$COLOUR' "
	"--config.stopsignal SIGUSR1 --config.label maker=test --config.volume /vol\n"
	"cp -a layout with-entry; umoci config --image with-entry:app --config.entrypoint echo "
	"--config.entrypoint entry --clear config.cmd --config.cmd cmd --config.user 0 "
	"--config.workingdir /\n"
	"chmod -R a+rX layout with-entry\n";

static const char *missing_tools(void)
{
	static const char *const tools[] = {"/usr/bin/umoci", "/usr/bin/skopeo"};

	for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
		if (access(tools[i], X_OK) < 0)
			return tools[i];
	return NULL;
}

static int set_up(void **state)
{
	int r = world_setup(state);

	if (r < 0)
		return r;
	world = *state;
	snprintf(store, sizeof(store), "%s/store", world->dir);
	snprintf(layout, sizeof(layout), "oci:%s/layout:app", world->dir);
	shell(make_layout);
	return 0;
}

/* A store that nobody used. */
static int fresh_store(void **state)
{
	(void)state;
	shell("rm -rf \"$1/store\"");
	return 0;
}

static const char *in(const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *p = paths[next++ % 4];

	snprintf(p, sizeof(paths[0]), "%s/%s", world->dir, name);
	return p;
}

#define INSULA(...) run_insula(world, ARGV("--store", store, __VA_ARGS__))

/* What `find` prints, so that a failure shows the names. */
static void expect_files(const char *where, const char *filter, const char *want)
{
	char script[512];
	struct run_result r;

	snprintf(script, sizeof(script), "cd '%s' && find %s %s | sort", store, where, filter);
	r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", script)});
	assert_string_equal(r.out, want);
	run_result_done(&r);
}

/* No temporaries, no locks, no storage of sandboxes. */
static void expect_clean(void)
{
	expect_files("layers", "-name '.*'", "");
	expect_files("sandboxes", "-mindepth 2", "");
}

/* ---- what an image says ------------------------------------------------------------------------- */

static void test_config(bool vm)
{
	const char *kind = vm ? "--vm=true" : "--vm=false";

	expect_result(INSULA("run", "--rm", kind, layout), 0, "ada\n/work\nblue\n", NULL);
	expect_result(INSULA("run", "--rm", kind, "-e", "COLOUR=red", "-u", "0", "-w", "/", layout,
			     "sh", "-c", "id -u; pwd; echo $COLOUR $SIZE"),
		      0, "0\n/\nred 9\n", NULL);
	/* Layers: what the upper one took away, replaced and added. */
	expect_result(INSULA("run", "--rm", kind, "-u", "0", layout, "sh", "-c",
			     "ls -d /gone; ls /replaced /kept; cat /kept/low"),
		      0, "/kept:\nlow\nup\n\n/replaced:\nnew\nlow\n", "/gone");
	/* Owners of files are those of the image; root writes, and a directory can be replaced. */
	expect_result(
		INSULA("run", "--rm", kind, "-u", "0", layout, "sh", "-c",
		       "stat -c %u /work; rm -r /kept && mkdir /kept && ls /kept && touch /kept/z "
		       "&& echo ok"),
		0, "1815\nok\n", NULL);
	/* And nothing of that is in the image. */
	expect_result(INSULA("run", "--rm", kind, layout, "ls", "/kept"), 0, "low\nup\n", NULL);
	expect_result(INSULA("run", "--rm", kind, "--read-only", "-u", "0", layout, "touch", "/x"),
		      1, "", "Read-only");
	/* A volume of the image can be written to, and starts with what the image has there. */
	expect_result(INSULA("run", "--rm", kind, "-u", "0", layout, "sh", "-c",
			     "touch /vol/x && grep -c ' /vol ' /proc/self/mountinfo"),
		      0, "1\n", NULL);
}

static void test_config_container(void **state)
{
	struct snapshot before = snapshot_take(world), after;

	(void)state;
	test_config(false);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
	expect_clean();
}

static void test_config_vm(void **state)
{
	(void)state;
	if (vm_missing()) {
		print_message("[  SKIP    ] %s\n", vm_missing());
		skip();
	}
	test_config(true);
	expect_clean();
}

static void test_entrypoint(void **state)
{
	const char *image = in("with-entry:app");
	char reference[256];

	(void)state;
	snprintf(reference, sizeof(reference), "oci:%s", image);
	expect_result(INSULA("run", "--rm", reference), 0, "entry cmd\n", NULL);
	expect_result(INSULA("run", "--rm", reference, "other", "words"), 0, "entry other words\n",
		      NULL);
	/* Another entrypoint makes the image's command meaningless, as with docker. */
	expect_result(INSULA("run", "--rm", "--entrypoint", "echo", reference), 0, "\n", NULL);
	expect_result(INSULA("run", "--rm", "--entrypoint", "", reference, "echo", "bare"), 0,
		      "bare\n", NULL);
}

static void test_missing_command(void **state)
{
	(void)state;
	expect_error(INSULA("run", "--rm", layout, "no-such-program"), 127, "no-such-program");
	expect_clean();
}

/* ---- archives ------------------------------------------------------------------------------------ */

static void test_archives(void **state)
{
	static const char *const references[] = {
		"oci-archive:%s/a.tar",
		"oci-archive:%s/a.tar.zst",
		"docker-archive:%s/d.tar",
		"docker-archive:%s/d.tar.gz",
		"docker-archive:%s/d.tar:h/app:1",
	};

	(void)state;
	shell("cd \"$1\"; skopeo copy -q oci:layout:app oci-archive:a.tar:app\n"
	      "skopeo copy -q oci:layout:app docker-archive:d.tar:h/app:1\n"
	      "gzip -k d.tar; zstd -q a.tar -o a.tar.zst\n");
	for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
		char reference[300];

		snprintf(reference, sizeof(reference), references[i], world->dir);
		expect_result(INSULA("run", "--rm", reference), 0, "ada\n/work\nblue\n", NULL);
		/* The short way gives the same. */
		expect_result(INSULA("run", "--rm", reference), 0, "ada\n/work\nblue\n", NULL);
	}
	expect_clean();
	expect_error(INSULA("run", "--rm", "docker-archive:/etc/passwd"), 125, "/etc/passwd");
	shell("cd \"$1\"; head -c 100000 a.tar > cut.tar; head -c 100000 d.tar.gz > cut.tar.gz");
	for (size_t i = 0; i < 2; i++) {
		char reference[300];

		fresh_store(NULL);
		snprintf(reference, sizeof(reference), i ? "docker-archive:%s" : "oci-archive:%s",
			 i ? in("cut.tar.gz") : in("cut.tar"));
		expect_error(INSULA("run", "--rm", reference), 125, "cut.tar");
		expect_files("layers images names", "-mindepth 2", "");
	}
}

/* ---- the store ------------------------------------------------------------------------------------- */

static void test_load_and_remove(void **state)
{
	(void)state;
	shell("cd \"$1\"; rm -f l.tar; skopeo copy -q oci:layout:app "
	      "docker-archive:l.tar:example.com/app:1");
	expect_result(INSULA("load", "-i", in("l.tar")), 0, "Loaded image: example.com/app:1\n",
		      NULL);
	expect_result(INSULA("run", "--rm", "example.com/app:1"), 0, "ada\n/work\nblue\n", NULL);
	expect_result(INSULA("images", "--format", "{{.Repository}} {{.Tag}}"), 0,
		      "example.com/app 1\n", NULL);
	expect_result(INSULA("tag", "example.com/app:1", "short"), 0, "", NULL);
	expect_result(INSULA("run", "--rm", "short", "echo", "hi"), 0, "hi\n", NULL);
	expect_result(INSULA("run", "-d", "--name", "img-user", "short", "sleep", "1000"), 0, NULL,
		      NULL);
	expect_result(INSULA("rmi", "short"), 0, "short\n", NULL); /* only a name of two */
	expect_error(INSULA("rmi", "example.com/app:1"), 125, "used by a sandbox");
	expect_result(INSULA("rm", "-f", "img-user"), 0, NULL, NULL);
	expect_result(INSULA("rmi", "example.com/app:1"), 0, "example.com/app:1\n", NULL);
	expect_error(INSULA("run", "--rm", "--pull", "never", "example.com/app:1"), 125,
		     "example.com/app:1|load");
	expect_files("layers images names", "-mindepth 2", "");
	expect_clean();
}

static void test_import(void **state)
{
	char reference[] = "me/app:v2";

	(void)state;
	shell("tar -C \"$2\" -cf \"$1/root.tar\" .; gzip -k \"$1/root.tar\"");
	expect_result(INSULA("import", "-c", "CMD [\"sh\",\"-c\",\"echo $A; pwd; id -u\"]", "-c",
			     "ENV A=1", "-c", "WORKDIR=/tmp", "-c", "USER 1000", in("root.tar.gz"),
			     reference),
		      0, NULL, NULL);
	expect_result(INSULA("run", "--rm", reference), 0, "1\n/tmp\n1000\n", NULL);
	expect_error(INSULA("import", "https://example.com/x.tar", "x"), 125, "network|curl");
	expect_error(INSULA("import", in("rootfs"), "x"), 125, "directory|tar -C");
	expect_error(INSULA("import", in("root.tar"), "X"), 125, "lower case");
	expect_error(INSULA("import", "-c", "NOPE=1", in("root.tar"), "x"), 125, "NOPE|CMD");
	/* Nobody makes devices in a user namespace, and this one would be a whiteout: left out, and told. */
	shell("mkdir \"$1/dev-tree\"; mknod \"$1/dev-tree/odd\" c 0 0; tar -C \"$1/dev-tree\" -cf "
	      "\"$1/dev.tar\" .");
	expect_result(INSULA("import", in("dev.tar"), "device"), 0, NULL,
		      "left out: device nodes: 1; the first: 'odd'");
}

/* What two sandboxes of an image write is their own, and goes with them. */
static void test_storage(void **state)
{
	(void)state;
	expect_result(
		INSULA("run", "--name", "img-one", "-u", "0", layout, "sh", "-c", "echo 1 > /mine"),
		0, "", NULL);
	expect_result(INSULA("run", "--name", "img-two", "-u", "0", layout, "ls", "/mine"), 1, "",
		      "/mine");
	expect_files("sandboxes", "-name mine -printf '%f\\n'", "mine\n");
	expect_result(INSULA("rm", "img-one", "img-two"), 0, NULL, NULL);
	expect_clean();
}

/* ---- several at once, and deaths --------------------------------------------------------------------- */

static const char *faults_insula(void)
{
	static char path[600];
	char *slash;

	if (!world->faults_oci[0])
		return NULL;
	snprintf(path, sizeof(path), "%s", world->faults_oci);
	slash = strrchr(path, '/');
	strcpy(slash + 1, "insula");
	return access(path, X_OK) == 0 ? path : NULL;
}

static struct run_result run_with_fault(const char *fault)
{
	char variable[128];

	snprintf(variable, sizeof(variable), "INSULA_FAULT=%s", fault);
	return run(&(struct run_spec){.argv = ARGV("/usr/bin/env", variable, faults_insula(),
						   "--root", world->state, "--store", store, "run",
						   "--rm", layout)});
}

static const char *const fault_points[] = {
	"layer-temporary", "layer-extracted", "layer-sync",
	"layer-published", "image-record",    "storage",
};

static void test_faults(void **state)
{
	(void)state;
	if (!faults_insula()) {
		print_message("[  SKIP    ] no build with fault points (make faults)\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(fault_points); i++) {
		char fault[64];
		struct run_result r;

		fresh_store(NULL);
		expect_error(run_with_fault(fault_points[i]), 125, "Input/output error");
		expect_files("layers", "-name '.*'", "");
		expect_files("sandboxes", "-mindepth 2", "");

		fresh_store(NULL);
		snprintf(fault, sizeof(fault), "%s:kill", fault_points[i]);
		r = run_with_fault(fault);
		assert_int_equal(r.code, 128 + SIGKILL);
		run_result_done(&r);
		/* The next run finds a correct store, and cleans up. */
		expect_result(INSULA("run", "--rm", layout), 0, "ada\n/work\nblue\n", NULL);
		expect_files("layers", "-name '.*'", "");
		delete_left_over(world);
	}
}

/* Whoever comes second waits for the first, and extracts nothing. */
static void test_parallel(void **state)
{
	enum { CLIENTS = 6 };
	struct run_result r;
	char script[1200];

	(void)state;
	if (!faults_insula()) {
		print_message("[  SKIP    ] no build with fault points (make faults)\n");
		skip();
	}
	snprintf(script, sizeof(script),
		 "for i in 1 2 3 4 5 6; do INSULA_FAULT=trace '%s' --root '%s' --store '%s' run "
		 "--rm '%s' echo hi "
		 "2> '%s'/trace.$i & pids=\"$pids $!\"; done\n"
		 "for p in $pids; do wait $p || echo failed; done\n"
		 "cat '%s'/trace.* | grep -c 'fault point: layer-extracted'",
		 faults_insula(), world->state, store, layout, world->dir, world->dir);
	r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", script)});
	assert_string_equal(r.out, "hi\nhi\nhi\nhi\nhi\nhi\n2\n"); /* two layers */
	run_result_done(&r);
	expect_clean();
}

static bool no_lock_is_held(void *arg)
{
	struct run_result r = INSULA("run", "--rm", layout, "true");
	struct run_result f;
	bool clean;
	char script[300];

	(void)arg;
	snprintf(script, sizeof(script), "find '%s/layers' -name '.*'", store);
	f = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", script)});
	clean = r.code == 0 && f.out_len == 0;
	run_result_done(&r);
	run_result_done(&f);
	fresh_store(NULL);
	return clean;
}

/* Killed while the worker unpacks: it waits for more of the tar. */
static void test_kill_while_unpacking(void **state)
{
	char script[1500];

	(void)state;
	snprintf(script, sizeof(script),
		 "mkfifo '%s/pipe'; '%s' --root '%s' --store '%s' import - x < '%s/pipe' & pid=$!\n"
		 "exec 3> '%s/pipe'; head -c 1500000 '%s/root.tar' >&3\n"
		 "until find '%s/layers' -path '*/.tmp-*/*' '(' -path '*/diff/*' -o -name "
		 "layer.erofs -size +0 ')' 2>/dev/null | grep -q .; do :; done; kill -9 $pid; "
		 "wait $pid; exit 0",
		 world->dir, world->insula, world->state, store, world->dir, world->dir, world->dir,
		 store);
	shell("tar -C \"$2\" -cf \"$1/root.tar\" .");
	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", script)}), 0, "", NULL);
	assert_true(eventually(no_lock_is_held, NULL, 20));
}

/* ---- hostile -------------------------------------------------------------------------------------------- */

static void test_hostile_tars(void **state)
{
	static const struct {
		const char *make; /* of $1/evil.tar */
		const char *words;
	} cases[] = {
		{"cd \"$1\"; echo x > x; tar -P -cf evil.tar --transform 's,x,../../escape,' x",
		 "escape"},
		{"cd \"$1\"; mkdir -p d; echo x > 'd/.wh.'; tar -cf evil.tar d", ".wh."},
		{"cd \"$1\"; head -c 5000 /dev/urandom > evil.tar", "evil.tar"},
		{"cd \"$1\"; : > evil.tar", "evil.tar"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fresh_store(NULL);
		shell(cases[i].make);
		expect_error(INSULA("import", in("evil.tar"), "x"), 125, cases[i].words);
		expect_files("layers images names", "-mindepth 2", "");
		shell("rm -rf \"$1/evil.tar\" \"$1/x\" \"$1/d\"; ! ls \"$1/escape\" "
		      "\"$1/store/escape\" 2>/dev/null");
	}
}

/* A working directory of the image that leads through an absolute link is made inside the sandbox, never outside. */
static void test_link_stays_inside(void **state)
{
	char reference[256];
	struct run_result r;

	(void)state;
	shell("cd \"$1\"; mkdir -p outside; cp -a layout links\n"
	      "umoci unpack --image links:app b >/dev/null 2>&1; ln -s \"$1/outside\" "
	      "b/rootfs/out\n"
	      "umoci repack --image links:app b >/dev/null; rm -rf b\n"
	      "umoci config --image links:app --config.user 0 --config.workingdir /out/made\n");
	snprintf(reference, sizeof(reference), "oci:%s:app", in("links"));
	r = INSULA("run", "--rm", reference, "true");
	run_result_done(&r);
	shell("test -z \"$(ls -A \"$1/outside\")\"");
}

/* An engine's users set annotations: layers of the host's choosing must not come in by them. */
static void test_bundle_annotation(void **state)
{
	static const char *const texts[] = {
		"{\"org.insula.rootfs\":\"layers\",\"org.insula.rootfs.layers\":\"[\\\"/"
		"etc\\\"]\"}",
		"{\"org.insula.rootfs.layers\":\"[\\\"/etc\\\"]\"}",
		"{\"org.insula.rootfs.upper\":\"/root\"}",
		"{\"org.insula.rootfs.ephemeral\":\"true\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *dir =
			bundle(world, "annotated", "true", CHANGES("annotations", texts[i]));

		expect_error(run_oci(world, ARGV("create", "--bundle", dir, world->id)), 1,
			     "org.insula.rootfs|bundle");
	}
}

/* ---- ordinary users --------------------------------------------------------------------------------------- */

static void run_as_user(const char *name, uid_t uid, const char *subids)
{
	const struct user *u = world_add_user(world, name, uid, subids);
	struct world mine = world_as(world, u);
	char script[512], reference[256];

	snprintf(script, sizeof(script), "cp -a \"$1/layout\" '%s/'; chmod -R a+rX '%s/layout'",
		 u->dir, u->dir);
	shell(script);
	snprintf(reference, sizeof(reference), "oci:%s/layout:app", u->dir);
	for (int i = 0; i < 2; i++)
		expect_result(
			run_insula(&mine,
				   ARGV("run", "--rm", "-u", "0", reference, "sh", "-c",
					"mkdir -m 700 /new && touch /new/x && cat /kept/low && "
					"rm -r /kept && mkdir /kept && ls /kept && id -u")),
			0, "low\n0\n", NULL);
	if (subids)
		expect_result(run_insula(&mine, ARGV("run", "--rm", reference, "sh", "-c",
						     "id -un; touch /work/x; stat -c %u /work/x")),
			      0, "ada\n1815\n", NULL);
	if (subids)
		expect_error(run_insula(&mine, ARGV("run", "--rm", "--userns", "keep-id", reference,
						    "true")),
			     125, "--userns keep-id");
	expect_result(run_insula(&mine, ARGV("images", "--format", "{{.Repository}}")), 0,
		      "<none>\n", NULL);
	snprintf(script, sizeof(script),
		 "insula() { '%s' \"$@\"; }; insula rmi $(insula images -q) >/dev/null; "
		 "find ~/.local/share/insula -mindepth 2 ! -path '*/layers/*' ! -path "
		 "'*/sandboxes/*' "
		 "-o -path '*/layers/*/*' -o -path '*/sandboxes/*/*'",
		 u->insula);
	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", script), .user = u}), 0,
		      "", NULL);
}

static void test_user_with_subids(void **state)
{
	(void)state;
	run_as_user("imgsub", 64321, "7000000:65536");
}

static void test_user_without_subids(void **state)
{
	(void)state;
	run_as_user("imgone", 64322, NULL);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config_container),
		TEST(test_entrypoint),
		TEST(test_missing_command),
		TEST(test_archives),
		TEST(test_load_and_remove),
		TEST(test_import),
		TEST(test_storage),
		TEST(test_faults),
		TEST(test_parallel),
		TEST(test_kill_while_unpacking),
		TEST(test_hostile_tars),
		TEST(test_link_stays_inside),
		TEST(test_bundle_annotation),
		TEST(test_user_with_subids),
		TEST(test_user_without_subids),
		TEST(test_config_vm),
	};

	if (missing_tools()) {
		print_message("[  SKIP    ] %s is not installed\n", missing_tools());
		return 0;
	}
	if (getenv("TEST_ONLY"))
		cmocka_set_test_filter(getenv("TEST_ONLY"));
	return cmocka_run_group_tests(tests, set_up, world_teardown);
}
