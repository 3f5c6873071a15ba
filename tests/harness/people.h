/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same people in every scenario of tests/integration/test_people*.c: root, an ordinary user with subordinate ids and
 * one without; each with files, a root file system and images at hand.
 */
#pragma once

#include "harness.h"

enum {
	ROOT = 1,
	SUBIDS = 2,
	PLAIN = 4,
	USERS = SUBIDS | PLAIN,
	EVERYBODY = ROOT | USERS,
};

#define PEOPLE 3

struct person {
	unsigned who;      /* one of the above */
	const char *other; /* the home of another ordinary user */
	struct world w;
	char data[128]; /* a directory of his: `given` ("from the host\n") and `env` */
	char home[64];  /* as he knows it; */
	char home_at
		[128]; /* and where the test finds it. "" for root: the machine's own is left alone */
	char name[32];
	char store[144]; /* of images */
};

/* Group set-up and tear-down for cmocka, and what they made. */
int people_setup(void **state);
int people_teardown(void **state);
struct person *people(void);
/* The directory in which the images lie; everybody may read it:
 * `layout` (OCI: box, ada, entry), `layout.tar` (oci-archive of it), `box.tar` (docker-archive, box:1), `root.tar`. */
const char *people_images(void);

/*
 * `word` with {HOME}, {DATA}, {ROOTFS}, {UID}, {GID}, {OTHER}, {NAME}, {IMAGES}, {STORE}, {NETWORK} replaced; {LAYOUT}:box is one of the images.
 * Valid until the next 128 calls.
 */
const char *told_to(const struct person *p, const char *word);
/* An argv of `insula` in his world, each word told_to() him; valid until the next call. */
const char *const *person_argv(const struct person *p, const char *const *words);
/* Run it in his directory (`data`). */
struct run_result person_run(const struct person *p, const char *const *words);
/* The same with input from a pipe. */
struct run_result person_pipe(const struct person *p, const char *const *words, const char *input);
pid_t person_start(const struct person *p, const char *const *words, bool pty, int *ret_fd);

/* Everything of his that a sandbox could leave or change: snapshot_take(), and a listing of his files. */
struct belongings {
	struct snapshot snapshot;
	char *files;
};
struct belongings belongings_note(const struct person *p);
/* Fails the test and shows the difference. Waits a moment for processes that are about to end. Frees. */
void belongings_compare(const struct person *p, struct belongings *before);
