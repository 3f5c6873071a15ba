/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula login and logout at docker-registry with a password, and what registries.conf says of it. The files are those that skopeo
 * reads and writes, in both directions.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry.h"

static struct real_registries real;
static char registry[32], home[96], auth[160], conf[160];

static int setup(void **state)
{
	const struct world *w;
	int r = world_setup(state);

	if (r != 0)
		return r;
	w = *state;
	real_registries_start(w, &real);
	snprintf(registry, sizeof(registry), "localhost:%d", real.tls);
	snprintf(home, sizeof(home), "%s/home", w->dir);
	snprintf(auth, sizeof(auth), "%s/run/containers/auth.json", home);
	snprintf(conf, sizeof(conf), "%s/registries.conf", home);
	shell("mkdir -p '%s/run'", home);
	return 0;
}

static int teardown(void **state)
{
	real_registries_stop(&real);
	return world_teardown(state);
}

/* With a home, a session and a registries.conf of its own. */
static struct run_result insula(const struct world *w, const char *input, const char *const *words)
{
	static const char *argv[24];
	char ca[160], h[160], run_dir[160], store[160], c[192];
	size_t n = 0;

	snprintf(ca, sizeof(ca), "SSL_CERT_FILE=%s", real.ca);
	snprintf(h, sizeof(h), "HOME=%s", home);
	snprintf(run_dir, sizeof(run_dir), "XDG_RUNTIME_DIR=%s/run", home);
	snprintf(store, sizeof(store), "%s/store", w->dir);
	snprintf(c, sizeof(c), "CONTAINERS_REGISTRIES_CONF=%s", conf);
	argv[n++] = w->insula;
	argv[n++] = "--store";
	argv[n++] = store;
	while (*words)
		argv[n++] = *words++;
	argv[n] = NULL;
	return run(&(struct run_spec){.argv = argv,
				      .input = input,
				      .env = ARGV(ca, h, run_dir, c, "PATH=/usr/bin:/bin")});
}

static void a_file_is(const char *path, unsigned mode, const char *has, const char *has_not)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	if (has)
		shell("grep -q '%s' '%s'", has, path);
	if (has_not)
		shell("! grep -q '%s' '%s'", has_not, path);
}

static void login_and_logout(void **state)
{
	const struct world *w = *state;
	struct run_result r;
	char text[96];

	expect_error(insula(w, "wrong\n",
			    ARGV("login", "-u", REGISTRY_USER, "--password-stdin", registry)),
		     125, "login|not accepted|right?");
	assert_int_equal(access(auth, F_OK), -1);
	expect_error(insula(w, NULL, ARGV("login", "--get-login", registry)), 125, "not logged in");

	expect_result(insula(w, REGISTRY_PASSWORD "\r\n",
			     ARGV("login", "-u", REGISTRY_USER, "--password-stdin", registry)),
		      0, "Login Succeeded\n", NULL);
	a_file_is(auth, 0600, "YWRhOnNlY3JldA==", REGISTRY_PASSWORD);
	expect_result(insula(w, NULL, ARGV("login", "--get-login", registry)), 0,
		      REGISTRY_USER "\n", NULL);
	/* skopeo is let in by it. */
	shell("SSL_CERT_FILE='%s' REGISTRY_AUTH_FILE='%s' skopeo copy -q oci:%s/oci:one "
	      "docker://%s/a/one:1",
	      real.ca, auth, real.dir, registry);
	r = insula(w, NULL, ARGV("pull", "-q", shell_line("echo %s/a/one:1", registry)));
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	shell("find '%s' -name '.*' -type f | { ! grep .; }", home);

	snprintf(text, sizeof(text), "Removed login credentials for %s\n", registry);
	expect_result(insula(w, NULL, ARGV("logout", registry)), 0, text, NULL);
	expect_error(insula(w, NULL, ARGV("logout", registry)), 125, "no credentials");
}

static void others_entries_stay(void **state)
{
	const struct world *w = *state;

	shell("mkdir -p '%s/.docker'; echo '{\"auths\":{\"a.b\":{\"auth\":\"eDp5\"}},"
	      "\"other\":[1]}' > '%s/file'; chmod 0644 '%s/file'",
	      home, home, home);
	expect_result(insula(w, REGISTRY_PASSWORD,
			     ARGV("login", "-u", REGISTRY_USER, "--password-stdin", "--authfile",
				  shell_line("echo '%s/file'", home), registry)),
		      0, "Login Succeeded\n", NULL);
	shell("test $(stat -c %%a '%s/file') = 600; grep -q other '%s/file'; "
	      "grep -q eDp5 '%s/file'",
	      home, home, home);
	shell("SSL_CERT_FILE='%s' skopeo inspect --authfile '%s/file' docker://%s/a/one:1 "
	      ">/dev/null",
	      real.ca, home, registry);
	shell("skopeo logout --authfile '%s/file' %s >/dev/null", home, registry);
	expect_error(
		insula(w, NULL,
		       ARGV("logout", "--authfile", shell_line("echo '%s/file'", home), registry)),
		125, "no credentials");
	shell("grep -q eDp5 '%s/file'", home);
}

/* A helper gets the password on its standard input; its words and our errors have none. */
static void helpers(void **state)
{
	const struct world *w = *state;
	struct run_result r;

	shell("mkdir -p '%s/bin'; cat > '%s/bin/docker-credential-note' <<'X'\n"
	      "#!/bin/sh\necho \"$@\" >> %s/words; cat > %s/input-$1\n"
	      "case $1 in get) printf '{\"Username\":\"ada\",\"Secret\":\"secret\"}';; esac\nX\n"
	      "chmod +x '%s/bin/docker-credential-note'; echo "
	      "'{\"credHelpers\":{\"%s\":\"note\"}}' "
	      "> '%s/helped'",
	      home, home, home, home, home, registry, home);
	setenv("REGISTRY_HELPED", home, 1);
	r = run(&(struct run_spec){
		.argv = ARGV("/bin/sh", "-c",
			     "h=$REGISTRY_HELPED; export PATH=$h/bin:$PATH SSL_CERT_FILE=$1 "
			     "REGISTRY_AUTH_FILE=$h/helped CONTAINERS_REGISTRIES_CONF=$h/none; "
			     "shift; s=$1; shift; "
			     "printf secret | $s --store $1 login -u ada --password-stdin $2 && "
			     "$s --store $1 pull -q $2/a/one:1 && $s --store $1 logout $2",
			     "sh", real.ca, w->insula, shell_line("echo %s/helped-store", w->dir),
			     registry)});
	unsetenv("REGISTRY_HELPED");
	print_message("%s", r.err);
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	shell("cd '%s'; grep -q '\"Secret\":\"secret\"' input-store; grep -q %s input-erase; "
	      "! grep -q secret words; ! grep -q auths helped",
	      home, registry);
	shell("cd '%s'; printf '#!/bin/sh\\ncat >&2; exit 3\\n' > bin/docker-credential-note",
	      home);
	r = run(&(struct run_spec){.argv = ARGV(w->insula, "--store",
						shell_line("echo %s/helped-store", w->dir), "login",
						"-u", "ada", "--password-stdin", "--authfile",
						shell_line("echo %s/helped", home), registry),
				   .input = REGISTRY_PASSWORD});
	assert_int_not_equal(r.code, 0);
	assert_null(strstr(r.err, REGISTRY_PASSWORD));
	run_result_done(&r);
}

static void words_that_are_refused(void **state)
{
	const struct world *w = *state;

	expect_error(insula(w, "x", ARGV("login", "-u", "a", "-p", "b", registry)), 125,
		     "password-stdin");
	expect_error(insula(w, "x", ARGV("login", registry)), 125, "no terminal");
	expect_error(insula(w, "x", ARGV("login", "--password-stdin", registry)), 125,
		     "--username");
	expect_error(insula(w, "", ARGV("login", "-u", "a", "--password-stdin", registry)), 125,
		     "empty");
	expect_error(insula(w, "x", ARGV("login", "-u", "a:b", "--password-stdin", registry)), 125,
		     "not the name of a user");
	expect_error(insula(w, "x", ARGV("login", "-u", "a", "--password-stdin", "a b")), 125,
		     "no registry");
	expect_error(insula(w, "a\nb\n", ARGV("login", "-u", "a", "--password-stdin", registry)),
		     125, "several lines");
}

/* ---- registries.conf ---------------------------------------------------------------------------------- */

static void set_conf(const char *format, ...)
{
	char text[1024];
	va_list ap;
	int fd = open(conf, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void the_host_decides(void **state)
{
	const struct world *w = *state;
	char name[64];
	struct run_result r;

	shell("skopeo copy -q --dest-tls-verify=false oci:%s/oci:one docker://127.0.0.1:%d/m/one:1",
	      real.dir, real.http);
	snprintf(name, sizeof(name), "127.0.0.1:%d/m/one:1", real.http);

	set_conf("[[registry]]\nlocation = \"127.0.0.1:%d\"\nblocked = true\n", real.http);
	expect_error(insula(w, NULL, ARGV("pull", name)), 125, "blocked|registries.conf");
	expect_error(insula(w, NULL, ARGV("run", "--rm", name, "true")), 125, "blocked");
	expect_error(insula(w, "x",
			    ARGV("login", "-u", "a", "--password-stdin",
				 shell_line("echo 127.0.0.1:%d", real.http))),
		     125, "blocked");

	/* A dead mirror, then one that has it; the name stays. */
	set_conf("[[registry]]\nprefix = \"gone.example\"\nlocation = \"127.0.0.1:1/none\"\n"
		 "[[registry.mirror]]\nlocation = \"127.0.0.1:1/x\"\n"
		 "[[registry.mirror]]\nlocation = \"127.0.0.1:%d/m\"\n",
		 real.http);
	r = insula(w, NULL, ARGV("pull", "-q", "gone.example/one:1"));
	print_message("%s", r.err);
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.err, "127.0.0.1:1"));
	run_result_done(&r);
	r = insula(w, NULL, ARGV("images", "-q", "gone.example/one:1"));
	assert_int_equal(r.out_len, 13);
	run_result_done(&r);

	/* Certificates: not for this one. */
	snprintf(name, sizeof(name), "localhost:%d/a/none", real.tls);
	set_conf("[[registry]]\nlocation = \"localhost:%d\"\ninsecure = true\n", real.tls);
	expect_error(
		run(&(struct run_spec){
			.argv = ARGV("/bin/sh", "-c",
				     "CONTAINERS_REGISTRIES_CONF=$1 $2 --store $3 pull $4", "sh",
				     conf, w->insula, shell_line("echo %s/store", w->dir), name)}),
		125, "without credentials");

	set_conf("unqualified-search-registries = [\"127.0.0.1:%d\"]\n", real.http);
	expect_result(insula(w, NULL,
			     ARGV("--root", w->state, "run", "--rm", "m/one:1", "echo", "found")),
		      0, "found\n", NULL);
	expect_result(insula(w, NULL,
			     ARGV("--root", w->state, "run", "--rm", "--pull", "never", "m/one:1",
				  "echo", "here")),
		      0, "here\n", NULL);

	set_conf("[[registry]]\nlocation = \"a\"\nblokked = true\n");
	expect_error(insula(w, NULL, ARGV("pull", name)), 125, "line 3|blokked");
	shell("rm '%s'", conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(login_and_logout), cmocka_unit_test(others_entries_stay),
		cmocka_unit_test(helpers),          cmocka_unit_test(words_that_are_refused),
		cmocka_unit_test(the_host_decides),
	};

	return cmocka_run_group_tests_name("login", tests, setup, teardown);
}
