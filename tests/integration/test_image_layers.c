/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images whose layers are many, or hide each other, from the archive to the running sandbox, as root and as an ordinary user. The
 * archives are written by a shell, since the tools that write images are too slow for the lab host, where this
 * matters: its kernel takes lower layers only as one string, and keeps no user attributes on a tmpfs.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct world *world;
static struct world ada;

/*
 * What docker save writes, with plain tars: 1 is the directory to make it in, 2 a root file system for the first layer.
 * layer NAME…: what is there becomes the next layer. image NAME: all so far. Few processes, as each is slow in the lab.
 */
static const char archives[] =
	"mkdir \"$1/images\"; cd \"$1/images\"; chmod 755 .; n=0 files=\n"
	"layer() {\n"
	"	tar -cf $n.tar --owner 0 --group 0 \"$@\"; files=\"$files $n.tar\" n=$((n + 1))\n"
	"}\n"
	"image() {\n"
	"	layers= ids=\n"
	"	for f in $files; do layers=$layers${layers:+,}\\\"$f\\\"; done\n"
	"	sha256sum $files >sums\n"
	"	while read -r sum f; do ids=$ids${ids:+,}\\\"sha256:$sum\\\"; done <sums\n"
	"	case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; esac\n"
	"	echo '{\"architecture\": \"'$arch'\", \"os\": \"linux\", \"config\": {},' \\\n"
	"		'\"rootfs\": {\"type\": \"layers\", \"diff_ids\": ['$ids']}}' "
	">config.json\n"
	"	echo '[{\"Config\": \"config.json\", \"RepoTags\": [\"'$1':1\"],' \\\n"
	"		'\"Layers\": ['$layers']}]' >manifest.json\n"
	"	tar -cf $1.tar manifest.json config.json $files\n"
	"}\n"
	"mkdir whole part; echo a >whole/a; echo a >part/a; echo a >gone\n"
	"layer whole part gone -C \"$2\" .; first=$files\n"
	"while [ $n -lt 60 ]; do echo $n >top; echo $n >f$n; layer top f$n; done; image many\n"
	/* Takes away a file, all of a directory, then adds to it; the last hides the whole root and brings its own. */
	"files=$first; rm whole/a; touch .wh.gone whole/.wh..wh..opq; echo b >whole/b\n"
	"layer .wh.gone whole; image hiding\n"
	"mkdir own; touch .wh..wh..opq; layer .wh..wh..opq own -C \"$2\" bin; image alone\n"
	"chmod 644 *.tar\n";

static int set_up(void **state)
{
	if (world_setup(state) < 0)
		return -1;
	world = *state;
	ada = world_as(world, world_add_user(world, "ada", 4711, "100000:65536"));
	struct run_result r = run(&(struct run_spec){
		.argv = ARGV("/bin/sh", "-ec", archives, "sh", world->dir, world->rootfs)});

	if (r.code != 0)
		fail_msg("%s%s", r.out, r.err);
	run_result_done(&r);
	return 0;
}

/* Root's store is the test's own; a user's is in his home. */
static void expect_run(const struct world *w, const char *image, const char *script, int code,
		       const char *out)
{
	char store[160], reference[192];

	snprintf(store, sizeof(store), "%s/%s", w->user ? w->user->home : world->dir, "store");
	snprintf(reference, sizeof(reference), "docker-archive:%s/images/%s.tar", world->dir,
		 image);
	expect_result(
		run_insula(w, ARGV("--store", store, "run", "--rm", reference, "sh", "-c", script)),
		code, out, NULL);
}

/* TEST_SHORT leaves root out: his way differs in the store's place and in no user namespace. */
static size_t n_callers = 2;

#define FOR_EACH_CALLER(w)                                                         \
	for (const struct world *callers_[] = {&ada, world}, **at_ = callers_, *w; \
	     at_ < callers_ + n_callers && (w = *at_); at_++)

static void sixty_layers(void **state)
{
	(void)state;
	FOR_EACH_CALLER(w)
	expect_run(w, "many", "cat /top /f1 /f30 /f59; echo new > /top; cat /top", 0,
		   "59\n1\n30\n59\nnew\n");
}

static void hidden_by_layers(void **state)
{
	(void)state;
	FOR_EACH_CALLER(w)
	{
		expect_run(w, "hiding", "ls /whole /part; ls /gone 2>/dev/null", 1,
			   "/part:\na\n\n/whole:\nb\n");
		/* And by what is done in the sandbox. */
		expect_run(
			w, "hiding",
			"rm -r /part /whole && mkdir /part /whole && ls /part /whole && echo x > "
			"/gone && cat /gone",
			0, "/part:\n\n/whole:\nx\n");
	}
}

static void hidden_as_a_whole(void **state)
{
	(void)state;
	FOR_EACH_CALLER(w)
	expect_run(w, "alone", "ls -d /whole /part /own /data 2>/dev/null", 1, "/own\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hidden_by_layers),
		cmocka_unit_test(hidden_as_a_whole),
		cmocka_unit_test(sixty_layers),
	};

	if (getenv("TEST_SHORT")) {
		print_message("# short: not as root\n");
		n_callers = 1;
	}
	return cmocka_run_group_tests_name("image layers", tests, set_up, world_teardown);
}
