/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula pull, from a registry that lies (tests/harness/liar.c) and from docker-registry, all on the loopback address.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "liar.h"
#include "registry.h"

static struct liar liar;
static int stores;

/* A store of its own for each pull. */
static const char *new_store(const struct world *w)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/store-%d", w->dir, ++stores);
	return path;
}

static void nothing_is_left(const char *store)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "test -z \"$(find '%s' -name '.tmp-*' -o -name '.lock-*')\" && "
		 "test -z \"$(find '%s/images' '%s/names' -type f 2>/dev/null)\"",
		 store, store, store);
	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", command)}), 0, "", NULL);
}

static struct run_result pull(const struct world *w, const char *store, const char *repository,
			      const char *const *env)
{
	char name[128];

	snprintf(name, sizeof(name), "127.0.0.1:%d/%s", liar.port, repository);
	memset(liar.seen, 0, sizeof(*liar.seen));
	return run(&(struct run_spec){.argv = ARGV(w->insula, "--root", w->state, "--store", store,
						   "pull", "--timeout", "1s", name),
				      .env = env});
}

/* ---- a broken download is taken up by the next process ------------------------------------------------ */

static void part_is(const char *store, const char *size)
{
	assert_string_equal(
		shell_line("cd '%s/blobs'; stat -c %%s .part-* 2>/dev/null || :", store), size);
}

static void a_download_is_taken_up(void **state)
{
	const struct world *w = *state;
	char store[128];
	struct run_result r;

	snprintf(store, sizeof(store), "%s", new_store(w));
	expect_error(pull(w, store, "stallhalf", NULL), 125, "nothing came");
	part_is(store, "5120");
	/* This registry has no more than the second half, for who asks for it. */
	r = pull(w, store, "secondhalf", NULL);
	print_message("%s", r.err);
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	part_is(store, "");
	shell("cd '%s/blobs'; for f in *; do test $(sha256sum < $f | cut -c-64) = $f; done; "
	      "test $(ls | wc -l) = 1",
	      store);
}

static void a_damaged_beginning_is_no_harm(void **state)
{
	const struct world *w = *state;
	char store[128];
	struct run_result r;

	snprintf(store, sizeof(store), "%s", new_store(w));
	expect_error(pull(w, store, "stallhalf", NULL), 125, "nothing came");
	shell("cd '%s/blobs'; printf x | dd of=$(echo .part-*) conv=notrunc 2>/dev/null", store);
	r = pull(w, store, "honest", NULL);
	print_message("%s", r.err);
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	part_is(store, "");
	/* What was refused is not kept. */
	snprintf(store, sizeof(store), "%s", new_store(w));
	expect_error(pull(w, store, "otherbytes", NULL), 125, "digest");
	part_is(store, "");
}

static const struct {
	const char *repository, *words;
} refused[] = {
	{"larger", "10241|descriptor"},
	{"unending", "longer|descriptor"},
	{"shorter", "5120|10240"},
	{"otherbytes", "digest"},
	{"wrongrange", "5120|0-5119"},
	{"unaskedpart", "206"},
	{"round", "redirects"},
	{"file", "redirect|file:"},
	{"stall", "nothing came|1 s"},
	{"busylong", "3600"},
	{"headers", "headers"},
	{"badwords", "DENIED|does not have it"},
	{"garbage", "challenge|end"},
	{"unknown", "Basic|Bearer"},
	{"badrealm", "token endpoint|file:"},
	{"badtoken", "token"},
	{"vast", "larger"},
	{"both", "index and a manifest"},
};

static void lies_are_refused(void **state)
{
	const struct world *w = *state;

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		const char *store = new_store(w);

		print_message("%s\n", refused[i].repository);
		expect_error(pull(w, store, refused[i].repository, NULL), 125, refused[i].words);
		nothing_is_left(store);
	}
}

static void troubles_are_overcome(void **state)
{
	static const char *const names[] = {"honest",  "rightrange", "wholeagain",
					    "norange", "busyonce",   "token"};
	const struct world *w = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct run_result r = pull(w, new_store(w), names[i], NULL);

		print_message("%s: %s\n", names[i], r.err);
		assert_int_equal(r.code, 0);
		assert_int_equal(strlen(r.out), 65);
		run_result_done(&r);
	}
}

/* "ada:secret" */
static void secrets_stay_with_their_host(void **state)
{
	const struct world *w = *state;
	char file[128], text[256], env[160];
	struct run_result r;

	snprintf(file, sizeof(file), "%s/auth.json", w->dir);
	snprintf(text, sizeof(text),
		 "{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"YWRhOnNlY3JldA==\"}}}", liar.port);
	write_file(file, text, 0600);
	snprintf(env, sizeof(env), "REGISTRY_AUTH_FILE=%s", file);
	r = pull(w, new_store(w), "away", ARGV(env));
	print_message("%s", r.err);
	assert_int_equal(r.code, 0);
	assert_null(strstr(r.err, "secret"));
	run_result_done(&r);
	assert_false(liar.seen->secret_elsewhere);

	memset(liar.seen, 0, sizeof(*liar.seen));
	r = pull(w, new_store(w), "token", ARGV(env));
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	assert_true(liar.seen->secret_at_home);
}

static struct real_registries real;

static int teardown(void **state)
{
	unsetenv("SSL_CERT_FILE");
	unsetenv("REGISTRY_AUTH_FILE");
	real_registries_stop(&real);
	return world_teardown(state);
}

/* ---- docker-registry --------------------------------------------------------------------------------- */

/* One image, by http, and by TLS with a password. */
static void a_real_registry(void **state)
{
	const struct world *w = *state;
	const char *store = new_store(w), *other = new_store(w);
	char name[64], credentials[160];

	real_registries_start(w, &real);
	shell("cd '%s'; echo '{\"auths\":{\"localhost:%d\":{\"auth\":\"YWRhOnNlY3JldA==\"}}}' > "
	      "auth.json; skopeo copy -q --dest-tls-verify=false oci:oci:one "
	      "docker://127.0.0.1:%d/a/one:1; SSL_CERT_FILE='%s' skopeo copy -q --dest-creds "
	      "ada:secret oci:oci:one "
	      "docker://localhost:%d/a/one:1",
	      real.dir, real.tls, real.http, real.ca, real.tls);

	snprintf(name, sizeof(name), "127.0.0.1:%d/a/one:1", real.http);
	expect_result(
		run(&(struct run_spec){.argv = ARGV(w->insula, "--root", w->state, "--store", store,
						    "run", "--rm", name, "echo", "pulled")}),
		0, "pulled\n", NULL);
	expect_error(run(&(struct run_spec){.argv = ARGV(w->insula, "--store", store, "pull",
							 "--platform", "linux/riscv64", name)}),
		     125, "riscv64|host");
	snprintf(name, sizeof(name), "127.0.0.1:%d/a/none:1", real.http);
	expect_error(
		run(&(struct run_spec){.argv = ARGV(w->insula, "--store", store, "pull", name)}),
		125, "does not have it");

	snprintf(name, sizeof(name), "localhost:%d/a/one:1", real.tls);
	expect_error(
		run(&(struct run_spec){.argv = ARGV(w->insula, "--store", other, "pull", name)}),
		125, "certificate");
	setenv("SSL_CERT_FILE", real.ca, 1);
	expect_error(
		run(&(struct run_spec){.argv = ARGV(w->insula, "--store", other, "pull", name)}),
		125, "without credentials|insula login");
	snprintf(credentials, sizeof(credentials), "%s/auth.json", real.dir);
	setenv("REGISTRY_AUTH_FILE", credentials, 1);
	expect_result(
		run(&(struct run_spec){.argv = ARGV(w->insula, "--root", w->state, "--store", other,
						    "run", "--rm", name, "echo", "by TLS")}),
		0, "by TLS\n", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies_are_refused),
		cmocka_unit_test(troubles_are_overcome),
		cmocka_unit_test(a_download_is_taken_up),
		cmocka_unit_test(a_damaged_beginning_is_no_harm),
		cmocka_unit_test(secrets_stay_with_their_host),
		cmocka_unit_test(a_real_registry),
	};
	int failed;

	liar_start(&liar);
	failed = cmocka_run_group_tests_name("registry", tests, world_setup, teardown);
	liar_stop(&liar);
	return failed;
}
