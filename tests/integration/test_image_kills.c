/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store under SIGKILL: pulls, loads and removals are killed at random moments, a hundred times. After each the image that nobody
 * touches is whole, and so is every other that has a name; at the end nothing is left that no image needs. TEST_SEED chooses other
 * moments.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "registry.h"

#define KILLS      100
#define BUDGET_SEC 30 /* a slow machine does fewer, and says so */

static struct real_registries real;
static char store[128], name[64];

static int setup(void **state)
{
	const struct world *w;
	int r = world_setup(state);

	if (r != 0)
		return r;
	w = *state;
	snprintf(store, sizeof(store), "%s/store", w->dir);
	real_registries_start(w, &real);
	snprintf(name, sizeof(name), "127.0.0.1:%d/a/three:1", real.http);
	/* Three images over one layer; each but the first has one of its own. */
	shell("cd '%s'; for i in two three; do mkdir d-$i; head -c 3000000 /dev/urandom > d-$i/$i; "
	      "tar -C d-$i -cf $i.tar .; umoci raw add-layer --image oci:one --tag $i $i.tar; "
	      "done; "
	      "skopeo copy -q --dest-tls-verify=false oci:oci:three docker://%s; "
	      "%s --store %s load -q -i oci:oci:one",
	      real.dir, name, w->insula, store);
	return 0;
}

static int teardown(void **state)
{
	real_registries_stop(&real);
	return world_teardown(state);
}

static time_t now_sec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* All can be written out: every byte of it is hashed on its way. One that was killed before it got its name is there by its id. */
static void all_is_whole(const struct world *w)
{
	shell("i='%s --store %s'; test -n \"$($i images -q one:latest)\"; "
	      "for n in $($i images -q --no-trunc); do "
	      "$i save -q --format oci-archive $n > /dev/null; $i save -q $n > /dev/null; done",
	      w->insula, store);
}

static void killed_at(const struct world *w, const char *const *words, unsigned usec)
{
	const struct timespec moment = {usec / 1000000, (long)(usec % 1000000) * 1000};
	const char *argv[12] = {w->insula, "--store", store};
	char buf[4096];
	int out;
	pid_t pid;

	for (size_t n = 3; *words; n++)
		argv[n] = *words++;
	pid = start(argv, false, &out);
	nanosleep(&moment, NULL); /* not for anything to happen: this is the place of the kill */
	kill(pid, SIGKILL);
	finish(pid, 60);
	/* Its helpers die with it; their end of the pipe is the last. */
	read_until(out, "\001", buf, sizeof(buf), 60);
	close(out);
}

static void a_hundred_kills(void **state)
{
	const struct world *w = *state;
	const char *seed_text = getenv("TEST_SEED");
	unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : 1;
	const char *two = shell_line("echo oci:%s/oci:two", real.dir);
	const char *const *const deeds[] = {
		ARGV("pull", "-q", name),
		ARGV("load", "-q", "-i", two),
		ARGV("rmi", name),
		ARGV("rmi", "two"),
	};
	const time_t until = now_sec() + BUDGET_SEC;
	int n = 0;

	print_message("seed %u\n", seed);
	for (; n < KILLS && now_sec() < until; n++) {
		killed_at(w, deeds[rand_r(&seed) % 4], (unsigned)rand_r(&seed) % 60000);
		if (n % 4 == 3)
			all_is_whole(w);
	}
	print_message("%d kills\n", n);
	all_is_whole(w);
	/* What was killed is done in the end. */
	shell("i='%s --root %s --store %s'; $i pull -q %s; cd %s; $i load -q -i oci:oci:two; "
	      "for n in one two %s; do test \"$($i run --rm $n echo runs)\" = runs; done",
	      w->insula, w->state, store, name, real.dir, name);
	all_is_whole(w);
	shell("i='%s --store %s'; $i rmi two %s >/dev/null; "
	      "for k in layers/*/.tmp-* layers/*/.lock-* blobs/.part-import-*; do "
	      "! test -e %s/$k; done; test $(ls %s/images | wc -l) = 1; "
	      "test $(ls %s/blobs | wc -l) = 1; test $(ls -d %s/layers/*/* | wc -l) = 1",
	      w->insula, store, name, store, store, store, store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_kills),
	};

	return cmocka_run_group_tests_name("image kills", tests, setup, teardown);
}
