/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that is worth attacking, made up: secrets, sockets, processes, keys and terminals that belong to the user who starts a
 * sandbox, or to others. tests/helpers/hostile-host.c runs inside, and this looks at what came of it outside. All lies
 * in namespaces of this process; of the machine's own only a user's keyring is used, for minutes.
 */
#pragma once

#include "harness.h"

#define FAKE_ROWS_MAX  128
#define FAKE_SOCKETS   16
#define FAKE_FACTS_MAX 48

struct fake_row {
	char name[32];
	char verdict[12]; /* refused, BREACH, absent, unknown; "" when it was not tried */
	char detail[256];
};

struct fake_host {
	struct world *w;
	const struct user *user; /* who starts the sandbox; NULL: root */
	const char *home, *home_at;
	char mark[48];
	char *facts[FAKE_FACTS_MAX + 1];
	size_t n_facts;
	struct {
		char name[24];
		int fd;
	} sockets[FAKE_SOCKETS];
	size_t n_sockets;
	pid_t victim;
	int to_victim, from_victim;
	int shm, queue;
	char *before;
	char hostname[65];
	struct fake_row rows[FAKE_ROWS_MAX];
	size_t n_rows;
};

/* Once, before the first user of the world is added: namespaces, and directories of our own in place of the host's. */
void fake_places(struct world *w);
void fake_places_undo(void);
/* The program for inside, where every sandbox of the host's system sees it. */
#define FAKE_PROGRAM "/opt/hostile/hostile-host"

/* Plant everything for `user` (NULL: root), beside `other`, whose home is out of bounds. */
void fake_host_open(struct fake_host *h, struct world *w, const struct user *user,
		    const struct user *other);
void fake_host_close(struct fake_host *h);

/* Run `command` (words that start a sandbox; the program and its facts are appended) as the user: all rows but those of the
 * terminal with a descriptor left open and a secret in the environment, then those of the terminal on one. What is inside and
 * what is outside is looked at; h->rows has the outcome. Returns false, with the reason in *ret_why (caller frees), if
 * the sandbox did not run. */
bool fake_host_attack(struct fake_host *h, const char *const *command, char **ret_why);
const struct fake_row *fake_host_row(const struct fake_host *h, const char *name);
