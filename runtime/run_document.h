/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the document of `insula run`; internal to run_*.c.
 */
#pragma once

#include "base/json.h"
#include "images/rootfs.h"
#include "isolate/process.h"
#include "runtime/runtime.h"
#include "vio/network.h"

/* What the parts are made from. */
struct run_build {
	struct rt_ctx *ctx; /* NULL in tests */
	const struct rt_run_request *request;
	const char *id;
	struct img_rootfs rootfs;
	struct iso_user user;
	char *home;
	enum vio_network_kind network;
};

/* Constant JSON text; NULL without memory. */
struct json *run_fixed(const char *text);

/* The parts: each sets its members of the document. */
int run_add_process(struct json *document, const struct run_build *b, struct err *e);
int run_add_volumes(struct json *mounts, const struct rt_run_request *r, struct err *e);
struct json *run_make_resources(const struct rt_run_request *r); /* NULL without memory */
/* `masked` (an array) is taken over. */
int run_add_security(struct json *document, const struct run_build *b, struct json *masked,
		     struct err *e);

/* The capabilities that its root has, as a set. */
uint64_t run_caps(const struct run_build *b);

/* {destination, type, source, options} appended to the array `mounts`; options is a comma separated
 * list. 0 or -ENOMEM. */
int run_add_mount(struct json *mounts, const char *destination, const char *type,
		  const char *source, const char *options);

/* The host's own root is the root file system (`rootfd` is it): give what must be fresh, hide what
 * must not be seen. Appends to the arrays `mounts` and `masked_paths`; volumes of the request win. */
int run_hide_host(struct json *mounts, struct json *masked_paths, int rootfd,
		  const struct rt_run_request *r, const struct iso_user *user, const char *home,
		  struct err *e);

/* Homes of people (in the root's passwd file) outside of /home, normalised; a directory that the system needs is
 * none. *ret is a fresh strv. */
int run_host_homes(int rootfd, char ***ret, struct err *e);
