/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting insula-fetch: like insula-layer (image_worker.c), but in the host's network, and with one id only, which owns nothing where
 * root starts it.
 */
#include "image_fetch.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "caller.h"
#include "image_worker.h"
#include "images/fetch.h"
#include "sandbox.h"

#define FETCH_NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWPID)
#define NOBODY 65534

/* What libcurl knows of proxies. HTTP_PROXY in capitals it does not read. */
static int proxies(char ***ret, struct err *e)
{
	static const char *const names[] = {
		"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
		"ALL_PROXY",  "no_proxy",    "NO_PROXY",
	};
	_cleanup_strv_ char **v = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);
		char *one;

		if (!value)
			continue;
		if (str_printf(&one, "%s=%s", names[i], value) < 0 || strv_consume(&v, one) < 0)
			return err_nomem(e);
	}
	*ret = TAKE_PTR(v);
	return 0;
}

int image_fetch_start(_unused_ void *arg, char *const *args, const int *fds, size_t n_fds,
		      pid_t *ret_pid, struct err *e)
{
	const bool root = caller_is_hosts_root();
	struct iso_id_map uid = {0, root ? NOBODY : geteuid(), 1},
			  gid = {0, root ? NOBODY : getegid(), 1};
	const struct iso_id_maps uids = {&uid, 1}, gids = {&gid, 1};
	_cleanup_free_ char *program = NULL;
	_cleanup_strv_ char **env = NULL;
	struct image_worker_place place = {
		.uid = &uids, .gid = &gids, .namespaces = FETCH_NAMESPACES, .by_descriptor = true};
	int r = helper_program_find(IMG_FETCH_PROGRAM, &program, e);

	if (r == 0)
		r = proxies(&env, e);
	place.env = env;
	if (r == 0)
		r = image_worker_start_in(&place, program, args, fds, n_fds, ret_pid, e);
	return r < 0 ? err_wrap(e, "start the process that speaks to registries") : 0;
}
