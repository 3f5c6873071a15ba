/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula push to docker-registry, from which skopeo takes it again, and to a registry that lies (tests/harness/liar.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "liar.h"
#include "registry.h"

static struct real_registries real;
static struct liar liar;
static char store[128];

static int setup(void **state)
{
	int r = world_setup(state);

	if (r != 0)
		return r;
	snprintf(store, sizeof(store), "%s/store", ((struct world *)*state)->dir);
	real_registries_start(*state, &real);
	shell("cd '%s'; skopeo copy -q --dest-tls-verify=false oci:oci:one "
	      "docker://127.0.0.1:%d/a/one:1; skopeo copy -q oci:oci:one "
	      "docker-archive:one.tar:one:1; echo '{\"auths\":{\"localhost:%d\":{\"auth\":"
	      "\"YWRhOnNlY3JldA==\"}}}' > auth.json",
	      real.dir, real.http, real.tls);
	return 0;
}

static int teardown(void **state)
{
	real_registries_stop(&real);
	return world_teardown(state);
}

/* insula with this store and the authority; the words are a shell's. */
#define INSULA "SSL_CERT_FILE=%s %s --store %s "
#define AS(w)  real.ca, (w)->insula, store

static const char *digest_at(const char *options, const char *place)
{
	return shell_line("SSL_CERT_FILE=%s skopeo inspect %s --format '{{.Digest}}' docker://%s",
			  real.ca, options, place);
}

static void what_was_pulled_keeps_its_digest(void **state)
{
	const struct world *w = *state;
	char from[64], to[64], tls[64], pushed[80];

	snprintf(from, sizeof(from), "127.0.0.1:%d/a/one:1", real.http);
	snprintf(to, sizeof(to), "127.0.0.1:%d/b/two:2", real.http);
	snprintf(tls, sizeof(tls), "localhost:%d/c/three", real.tls);
	shell(INSULA "pull -q %s; " INSULA "tag %s %s", AS(w), from, AS(w), from, to);
	snprintf(pushed, sizeof(pushed), "%s", shell_line(INSULA "push -q %s", AS(w), to));
	assert_string_equal(pushed, digest_at("--tls-verify=false", from));
	assert_string_equal(pushed, digest_at("--tls-verify=false", to));
	/* Layers were taken from the other repository: nothing was uploaded. */
	shell("! find '%s/data-http' -path '*/b/two/_uploads/*' | grep .", real.dir);

	shell("REGISTRY_AUTH_FILE=%s/auth.json " INSULA "push -q %s %s", real.dir, AS(w), from,
	      tls);
	assert_string_equal(pushed,
			    digest_at("--creds ada:secret", shell_line("echo %s:latest", tls)));
	/* Once more: nothing to do. */
	shell(INSULA "push -q --authfile %s/auth.json %s docker://%s", AS(w), real.dir, from, tls);
	shell("cd %s; SSL_CERT_FILE=%s skopeo copy -q --src-creds ada:secret docker://%s "
	      "oci:back:x; "
	      "test \"$(" INSULA "--root %s run --rm oci:back:x echo runs)\" = runs",
	      real.dir, real.ca, tls, AS(w), w->state);
}

/* An archive without a manifest, and an import: their configuration and layers are what comes back. */
static void what_has_no_manifest_gets_one(void **state)
{
	const struct world *w = *state;
	char to[64], id[80];

	snprintf(to, sizeof(to), "127.0.0.1:%d/d/four:4", real.http);
	snprintf(id, sizeof(id), "%s",
		 shell_line("cd %s; tar -C %s -cf - . | " INSULA "import -q -c CMD=date - four",
			    real.dir, w->rootfs, AS(w)));
	shell(INSULA "push -q four %s", AS(w), to);
	assert_string_equal(
		id, shell_line("skopeo inspect --tls-verify=false --raw docker://%s | "
			       "grep -o '\"config\":{[^}]*}' | grep -o 'sha256:[0-9a-f]*' | "
			       "cut -c8-",
			       to));
	shell("cd %s; skopeo copy -q --src-tls-verify=false docker://%s oci:four:x; umoci unpack "
	      "--image four:x four-bundle >/dev/null; "
	      "test -x four-bundle/rootfs/bin/sh",
	      real.dir, to);
	snprintf(to, sizeof(to), "127.0.0.1:%d/e/five:5", real.http);
	shell("cd %s; " INSULA "load -q -i one.tar; " INSULA "push -q one:1 %s; "
	      "skopeo inspect --tls-verify=false docker://%s >/dev/null",
	      real.dir, AS(w), AS(w), to, to);
}

static void what_is_not_allowed(void **state)
{
	const struct world *w = *state;
	char name[64];

	setenv("SSL_CERT_FILE", real.ca, 1);
	snprintf(name, sizeof(name), "localhost:%d/c/three", real.tls);
	expect_error(run(&(struct run_spec){
			     .argv = ARGV(w->insula, "--store", store, "push", "four", name)}),
		     125, "push|without credentials|insula login");
	unsetenv("SSL_CERT_FILE");
	expect_error(run(&(struct run_spec){
			     .argv = ARGV(w->insula, "--store", store, "push", "nosuch", name)}),
		     125, "nosuch");
	expect_error(run(&(struct run_spec){
			     .argv = ARGV(w->insula, "--store", store, "push", "oci:/x", name)}),
		     125, "only stored");
	shell("echo '[[registry]]\nlocation=\"localhost:%d\"\nblocked=true' > %s/blocked", real.tls,
	      real.dir);
	expect_error(
		run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c",
						    "CONTAINERS_REGISTRIES_CONF=$1 $2 --store "
						    "$3 push four $4",
						    "sh", shell_line("echo %s/blocked", real.dir),
						    w->insula, store, name)}),
		125, "blocked");
}

static struct run_result push_to_liar(const struct world *w, const char *repository)
{
	char name[128], auth[160];

	snprintf(name, sizeof(name), "127.0.0.1:%d/%s", liar.port, repository);
	snprintf(auth, sizeof(auth), "%s/liar.json", w->dir);
	memset(liar.seen, 0, sizeof(*liar.seen));
	return run(&(struct run_spec){.argv = ARGV(w->insula, "--store", store, "push", "--timeout",
						   "5s", "--authfile", auth, "four", name)});
}

static void lies_are_refused(void **state)
{
	static const struct {
		const char *repository, *words;
	} rows[] = {
		{"pushnowhere", "layer|no place"},
		{"pushfile", "file:"},
		{"pushround", "elsewhere|307"},
		{"pushmoves", "elsewhere|307"},
		{"pushbusy", "503"},
		{"pushdenied", "not accepted"},
		{"pushlarge", "too large"},
		{"pushaccepts", "202"},
		{"pushlies", "2 bytes"},
	};
	const struct world *w = *state;
	struct run_result r;

	/* "ada:secret" */
	shell("echo '{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"YWRhOnNlY3JldA==\"}}}' > "
	      "'%s/liar.json'",
	      liar.port, w->dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		print_message("%s\n", rows[i].repository);
		expect_error(push_to_liar(w, rows[i].repository), 125, rows[i].words);
	}
	assert_int_equal(push_to_liar(w, "pushbusy").code, 125);
	assert_int_equal(liar.seen->tries, 5);
	r = push_to_liar(w, "pushonce");
	print_message("%s", r.err);
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	r = push_to_liar(w, "pushelsewhere");
	assert_int_equal(r.code, 0);
	assert_true(liar.seen->secret_at_home);
	assert_false(liar.seen->secret_elsewhere);
	run_result_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_pulled_keeps_its_digest),
		cmocka_unit_test(what_has_no_manifest_gets_one),
		cmocka_unit_test(what_is_not_allowed),
		cmocka_unit_test(lies_are_refused),
	};
	int failed;

	liar_start(&liar);
	failed = cmocka_run_group_tests_name("push", tests, setup, teardown);
	liar_stop(&liar);
	return failed;
}
