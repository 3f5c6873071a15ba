/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `insula run` by an ordinary user; internal to run_*.c.
 *
 * The order in the building of a document:
 *	run_user_self()		first: who runs in the sandbox, and where he is at home
 *	run_own_places()	from run_hide_host(): his home and working directory
 *	run_user_namespace()	last, on the whole document: namespace, id maps, and what follows from them
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "run_document.h"

/* The caller is not root, so a user namespace is needed. (Root of an outer user namespace is root.) */
bool run_is_ordinary(void);

/* The calling user himself, where the sandbox runs as he: an ordinary user's, in the host's own system, without --user. Fills b->user,
 * and b->home from $HOME or the passwd file. 1; 0: somebody else, to be resolved as ever; or -errno. */
int run_user_self(struct run_build *b, struct err *e);

/* Which ids a user namespace maps. */
enum run_userns_mode {
	RUN_USERNS_NONE,    /* none: the caller's own namespace */
	RUN_USERNS_DEFAULT, /* an ordinary user's: as below; root's: none */
	RUN_USERNS_ROOT, /* 0 is the caller, his subordinate ids follow from 1 on; as root: the ids of himself */
	RUN_USERNS_KEEP_ID, /* the caller is himself, his subordinate ids fill the rest from 0 on */
	RUN_USERNS_NOMAP,   /* his subordinate ids from 0 on; the caller himself is not mapped */
};

/*
 * The last pass: adds {"type": "user"} and the mappings to `linux` if the mode wants a user namespace, and adapts what one
 * cannot do: without a network namespace of its own /sys is the host's, bound read-only; /dev/mqueue and /proc likewise
 * without theirs. In the host's own system of an ordinary user the root is read-only and the caller's
 * working directory is the sandbox's, unless -w says otherwise.
 *
 * DEFAULT for an ordinary user: in the host's own system he is himself, elsewhere root is he. One id
 * is enough for the former; all his subordinate ids are mapped where the process's user or groups need them, and always for
 * a directory or an image. A user or group that cannot be mapped is refused with the way out.
 */
int run_user_namespace(const struct run_build *b, struct json *document, enum run_userns_mode mode,
		       struct err *e);

/* run_own_places.c: the caller's own home and working directory in the host's own system. */
struct run_own {
	char *home; /* owned; the caller's, symlinks resolved, whoever the process is; or NULL */
	char *cwd;  /* owned; where the sandbox starts */
	bool cwd_layer; /* it gets a layer of its own */
	const char
		*locked; /* borrowed: the first of them that can only be shown read-only, or NULL */
	const char *note; /* static: what was not as one would expect, or NULL */
};
int run_own_find(int rootfd, struct run_own *ret, struct err *e);
void run_own_done(struct run_own *own);

/* Mounts of the layers, appended to `mounts`. */
int run_own_mounts(const struct run_own *own, struct json *mounts, struct err *e);

/* What is hidden of the own home, with reasons: NULL-terminated, relative to it. */
struct run_secret {
	const char *path, *why;
};
extern const struct run_secret run_home_secrets[];
