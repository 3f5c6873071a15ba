/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula save in its three forms: what we write others read and we read again, with the same ids; damage does not get out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry.h"

static char store[128], dir[96];

static int setup(void **state)
{
	const struct world *w;
	int r = world_setup(state);

	if (r != 0)
		return r;
	w = *state;
	snprintf(dir, sizeof(dir), "%s/save", w->dir);
	snprintf(store, sizeof(store), "%s/store", w->dir);
	shell("mkdir '%s'; cd '%s'; tar -C '%s' -cf root.tar .; umoci init --layout oci; "
	      "umoci new --image oci:one; umoci raw add-layer --image oci:one root.tar; "
	      "mkdir d; echo two > d/two; tar -C d -cf two.tar .; "
	      "umoci raw add-layer --image oci:one --tag two two.tar; "
	      "%s --store %s load -q -i oci:oci:one; %s --store %s load -q -i oci:oci:two; "
	      "%s --store %s import -q root.tar plain",
	      dir, dir, w->rootfs, w->insula, store, w->insula, store, w->insula, store);
	return 0;
}

#define INSULA "%s --store %s "
#define AS(w)  (w)->insula, store

static void expect_loads(const struct world *w, const char *from, const char *name)
{
	shell("cd '%s'; rm -rf again; a=$(" INSULA "images -q --no-trunc %s); " INSULA
	      "load -q -i %s >/dev/null; "
	      "%s --store again load -q -i %s; b=$(%s --store again images -q --no-trunc %s); "
	      "test -n \"$a\"; test \"$a\" = \"$b\"; test \"$(%s --root %s --store again run --rm "
	      "%s "
	      "echo runs)\" = runs",
	      dir, AS(w), name, AS(w), from, w->insula, from, w->insula, name, w->insula, w->state,
	      name);
}

static void docker_archives(void **state)
{
	const struct world *w = *state;

	shell("cd '%s'; " INSULA "save -q -o plain.tar plain; " INSULA
	      "save -q two > two.save; " INSULA
	      "save -q two > two.save2; cmp two.save two.save2; tar -tf two.save >/dev/null",
	      dir, AS(w), AS(w), AS(w));
	expect_loads(w, "two.save", "two");
	expect_loads(w, "plain.tar", "plain");
	shell("cd '%s'; skopeo copy -q docker-archive:two.save oci:back:two; umoci unpack "
	      "--image back:two bundle >/dev/null; test \"$(cat bundle/rootfs/two)\" = two",
	      dir);
}

static void several_in_one(void **state)
{
	const struct world *w = *state;

	shell("cd '%s'; " INSULA "save -q -o all.tar one two plain; "
	      "test $(tar -tf all.tar | sort | uniq -d | wc -l) = 0; for i in one two plain; do "
	      "skopeo inspect docker-archive:all.tar:docker.io/library/$i:latest >/dev/null; done",
	      dir, AS(w));
	expect_loads(w, "docker-archive:all.tar:two", "two");
}

/* The digests are those that it came with. */
static void oci_forms(void **state)
{
	const struct world *w = *state;

	shell("cd '%s'; " INSULA "save -q --format oci-archive -o two.oci two; " INSULA
	      "save -q --format oci-dir -o two.d two; test \"$(skopeo inspect --format "
	      "'{{.Digest}}' "
	      "oci:oci:two)\" = \"$(skopeo inspect --format '{{.Digest}}' oci-archive:two.oci)\"; "
	      "test \"$(skopeo inspect --format '{{.Digest}}' oci:oci:two)\" = "
	      "\"$(skopeo inspect --format '{{.Digest}}' oci:two.d)\"; "
	      "for f in two.d/blobs/sha256/*; do "
	      "test $(sha256sum < $f | cut -c-64) = ${f##*/}; done",
	      dir, AS(w), AS(w));
	expect_loads(w, "two.oci", "two");
	expect_loads(w, "oci:two.d", "two");
	shell("cd '%s'; skopeo copy -q oci-archive:two.oci oci:back2:two; umoci unpack "
	      "--image back2:two bundle2 >/dev/null; test \"$(cat bundle2/rootfs/two)\" = two",
	      dir);
}

static void what_is_refused(void **state)
{
	const struct world *w = *state;
	const char *out = shell_line("echo %s/refused", dir);

	expect_error(run(&(struct run_spec){.argv = ARGV(w->insula, "--store", store, "save", "-o",
							 out, "nosuch")}),
		     125, "nosuch");
	shell("! test -e %s", out);
	expect_error(run(&(struct run_spec){.argv = ARGV(w->insula, "--store", store, "save",
							 "--format", "oci-dir", "two")}),
		     125, "directory|-o DIR");
	expect_error(run(&(struct run_spec){.argv = ARGV(w->insula, "--store", store, "save",
							 "--format", "oci-dir", "-o", dir, "two")}),
		     125, "not empty");
	expect_error(run(&(struct run_spec){.argv = ARGV(w->insula, "--store", store, "save",
							 "--format", "zip", "two")}),
		     125, "zip|oci-archive");
	/* A full disk. */
	expect_error(run(&(struct run_spec){.argv = ARGV(w->insula, "--store", store, "save", "-o",
							 "/dev/full", "two")}),
		     125, "save|No space");
	/* A damaged store. */
	shell("cp -a %s %s/damaged; for f in %s/damaged/blobs/*; do printf x | dd of=$f bs=1 "
	      "seek=600 conv=notrunc 2>/dev/null; done",
	      store, dir, dir);
	expect_error(run(&(struct run_spec){
			     .argv = ARGV(w->insula, "--store", shell_line("echo %s/damaged", dir),
					  "save", "--format", "oci-archive", "-o", out, "two")}),
		     125, "damaged");
	shell("! test -e %s", out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(docker_archives),
		cmocka_unit_test(several_in_one),
		cmocka_unit_test(oci_forms),
		cmocka_unit_test(what_is_refused),
	};

	return cmocka_run_group_tests_name("save", tests, setup, world_teardown);
}
