/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random lifecycles by several clients while processes of ours are killed: what the parts of the program share
 * (lifecycles.c has the whole story).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "harness.h"

#define CLIENTS_MAX  16
#define OWN_SLOTS    3  /* sandboxes that only one client touches: what happens to them is known */
#define SHARED_SLOTS 3  /* sandboxes that all touch at once */
#define GENERATIONS  50 /* so often the id changes before it comes again */

/* ---- chance, repeatable by seed --------------------------------------------------------------- */

struct chance {
	uint64_t state;
};

void chance_seed(struct chance *c, uint64_t seed);
/* 0 … n - 1. */
unsigned chance_below(struct chance *c, unsigned n);
bool chance_percent(struct chance *c, unsigned percent);

/* ---- what all processes of the test see --------------------------------------------------------- */

struct board {
	atomic_bool stop;      /* finish what you are in, and clean up */
	atomic_bool failed;    /* somebody found something */
	atomic_ulong killings; /* odd: one is under way; else twice their number */
	atomic_ulong commands, killed, checked;
};

struct stress {
	struct world *world;
	struct board *board;
	uint64_t seed;
	unsigned n_clients;
	bool with_vm;
	bool verbose;
};

/* ---- bundles (recipes.c) ------------------------------------------------------------------------- */

struct recipe {
	const char *name, *command;
	const char *const *changes;
	bool refused; /* create fails, with any of the reasons in `why` */
	const char *why;
	bool ends;      /* the command ends by itself, with exit code 7 */
	bool uncertain; /* may fail or end: it is short of something */
	bool vm;
	char *dir; /* the bundle */
};

void recipes_make(const struct stress *s);
/* One that lives until it is killed, one that ends, one that cannot be created. */
const struct recipe *recipe_lasting(struct chance *c);
const struct recipe *recipe_ending(struct chance *c);
const struct recipe *recipe_refused(struct chance *c);
const struct recipe *recipe_vm(void);

/* ---- one command (command.c) ---------------------------------------------------------------------- */

struct answer {
	int code;         /* exit code; -1: a signal ended it */
	bool killed;      /* by us: it may have got to any point */
	bool undisturbed; /* nobody was killed meanwhile */
	char *out, *err;
};

struct client {
	const struct stress *stress;
	struct chance chance;
	unsigned number;
	char *history[40]; /* the last commands and their ends, for the report of a finding */
	unsigned n_history;
	double usual_usec[32]; /* by verb: how long it takes, for the moment of a kill */
};

enum mercy {
	MAY_KILL,      /* this command may be killed at a random moment */
	MAY_KILL_LATE, /* and is, if it takes long: others may have paused what it waits for */
	SPARE,
};

/* insula-oci (or, with words[0] "insula", that) with our state root. `verb` is an index into usual_usec. Ends the client
 * with a report when it hangs or crashes. */
struct answer command(struct client *c, unsigned verb, enum mercy mercy, const char *const *words);
void answer_done(struct answer *a);

/* A finding: reports it with the history, and ends this client. */
void finding(struct client *c, const struct answer *a, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

/* ---- a client (client.c), a killer (killer.c), the end (remains.c) -------------------------------- */

void client_run(struct client *c);
/* Kills processes of the programs under test at random moments, until the board says stop. Only those in this pid namespace, of
 * which every process descends from the test. */
void killer_run(const struct stress *s);

/* What there is outside sandboxes: mounts, groups, processes, descriptors, files of the state root, of /run and of the
 * storage. */
struct snapshot remains_take(const struct stress *s);
/* Delete all that is there, and see that it can be listed before and is gone after. False, and says what is wrong. */
bool remains_delete(const struct stress *s);
