/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debian's docker-registry on the loopback address, for tests: one by plain http, one by TLS with a password. Both are ended by
 * real_registries_stop(), also after a failed test.
 */
#pragma once

#include "harness.h"

struct real_registries {
	char dir[96]; /* everything of theirs; "oci" below it is a layout with the image "one" (the world's root) */
	char ca[128]; /* the authority of the one with TLS */
	int http, tls;
	pid_t pids[2];
	int outs[2];
};

/* ada's password at the one with TLS. */
#define REGISTRY_USER     "ada"
#define REGISTRY_PASSWORD "secret"

void real_registries_start(const struct world *w, struct real_registries *r);
void real_registries_stop(struct real_registries *r);

/* A shell's commands that must succeed; printed when they do not. */
void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same; standard output without its last line end, valid until the next 8 calls. */
const char *shell_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A port of 127.0.0.1 that nobody listens on just now. */
int free_port(void);
