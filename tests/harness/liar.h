/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry that lies, on two ports of the loopback address (the second is another host to a client). The repository's name says
 * how: see the table in liar.c.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Shared with the server's processes. */
struct liar_seen {
	int requests;
	bool secret_elsewhere; /* an Authorization header came to the second port */
	bool secret_at_home;
	int tries; /* of the current scenario */
};

struct liar {
	pid_t pid;
	int port, elsewhere;
	struct liar_seen *seen;
};

void liar_start(struct liar *l);
void liar_stop(struct liar *l);
