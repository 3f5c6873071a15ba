/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of security share: images that are not to be trusted, callers in odd circumstances, and a place outside
 * of every sandbox that nobody may reach.
 */
#pragma once

#include "harness.h"

/* Text in one of 512 static buffers; quoted() is a JSON string. */
const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *quoted(const char *s);

/* A copy of the world's root file system as DIR/image-NAME, with the program `hostile`; then its path. Made anew if it
 * exists. */
const char *image(const struct world *w, const char *name);
void make_tree(const char *path);
void remove_tree(const char *path);
/* DIR/outside, with a directory "dir" and a file "file" in it. */
const char *outside(const struct world *w);
/* Fails the test if anything in there is not as outside() made it. */
void expect_outside_untouched(const struct world *w);
/* Every entry of a tree with type, mode, size and where it links to; caller frees. */
char *tree_text(const char *dir);

/* argv as the helper `launch` runs it with these circumstances. Valid until the next call. */
const char *const *launched(const char *const *how, const char *const *argv);

/* ---- bundles that go wrong -------------------------------------------------------------------- */

#define MOUNT(to, type, from, options)                                              \
	"{\"destination\": \"" to "\", \"type\": \"" type "\", \"source\": \"" from \
	"\", \"options\": [" options "]}"
#define PROC     MOUNT("/proc", "proc", "proc", "")
#define DEV      MOUNT("/dev", "tmpfs", "tmpfs", "\"mode=755\"")
#define DEVPTS   MOUNT("/dev/pts", "devpts", "devpts", "\"newinstance\", \"ptmxmode=0666\"")
#define NO_MASKS "linux.maskedPaths", "null", "linux.readonlyPaths", "null"
#define CAP_SETS(list)          \
	"process.capabilities", \
		"{\"bounding\": [" list "], \"effective\": [" list "], \"permitted\": [" list "]}"

/* `insula-oci run` of a bundle, with the world's id. */
struct run_result bundle_run(const struct world *w, const char *dir);
/* Refused with exit code 1 and these words (as expect_error()), and nothing is there. */
void expect_refusal(const struct world *w, const char *dir, const char *words);
/* In the background, until its output contains `word`; and killed. */
pid_t bundle_start(const struct world *w, const char *dir, const char *word, int *ret_fd);
void bundle_end(const struct world *w, pid_t pid, int fd);

/* ---- a program of such tests -------------------------------------------------------------------- */

struct hostile_test {
	const char *name;
	CMUnitTestFunction function;
};

/* Those of them that TEST_ONLY selects; a sandbox that a failed test leaves is removed behind it. `missing`: why they are
 * all skipped, or NULL. Returns how many failed. */
int hostile_group(const struct world *w, const char *name, const struct hostile_test *t, size_t n,
		  CMFixtureFunction setup, CMFixtureFunction teardown, const char *missing);
/* A world, in a mount namespace of this process's own; at its end a last test, that nothing is left behind. */
int hostile_open(struct world **ret);
int hostile_close(struct world *w);
/* main(): *world while they run. */
int hostile_main(const char *name, const struct hostile_test *t, size_t n, struct world **world);
