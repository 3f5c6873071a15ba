/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula run --vm DISK: the disk's own system is what runs. On a terminal it is created under a monitor and attached to, so
 * that it can be left (ctrl-p,ctrl-q) and come back to; elsewhere its console is our standard streams.
 */
#include "run_system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attend.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "cidfile.h"
#include "people.h"
#include "runtime/attach.h"
#include "runtime/system.h"

/* An operating system takes its time to end. */
#define STOP_SECONDS 90

/* ---- is it one, and with which flags? --------------------------------------------------- */

bool run_system_is(const struct run_opts *o, const char *word)
{
	static const char *const extensions[] = {".img", ".raw", ".qcow2"};
	size_t len = word ? strlen(word) : 0;

	if (!o->vm || !word)
		return false;
	/* No image has such a name. */
	if (o->format || *word == '/' || *word == '.')
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		size_t n = strlen(extensions[i]);

		if (len > n && STREQ(word + len - n, extensions[i]))
			return true;
	}
	return false;
}

static const char *const of_disks[] = {
	"persist", "disk",   "format", "boot",       "root-partition",
	"kernel",  "initrd", "append", "cloud-init", "detach-keys",
};

static const char *const of_both[] = {
	"vm",          "engine",      "vcpus",      "interactive", "tty",          "detach",
	"memory",      "cpus",        "cpu-weight", "cpu-shares",  "cpu-quota",    "cpu-period",
	"cpuset-cpus", "cpuset-mems", "name",       "replace",     "rm",           "cidfile",
	"label",       "label-file",  "annotation", "stop-signal", "stop-timeout", "log-driver",
	"log-opt",     "explain",     "network",    "net",         "quiet",
};

static bool is_among(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (STREQ(name, list[i]))
			return true;
	return false;
}

static size_t field_size(enum opt_kind kind)
{
	switch (kind) {
	case OPT_FLAG:
		return sizeof(bool);
	case OPT_STRING:
	case OPT_LIST:
		return sizeof(char *);
	case OPT_SIZE:
	case OPT_CPUS:
	case OPT_NUMBER:
	case OPT_SIGNED:
	case OPT_INTEGER:
	case OPT_SIZE_SIGNED:
		return sizeof(int64_t);
	case OPT_REFUSED:
	case OPT_REFUSED_VALUE:
	case OPT_HARMLESS:
	case OPT_HEADING:
		break;
	}
	return 0;
}

static bool is_given(const struct run_opts *o, const struct opt *opt)
{
	struct run_opts none;

	run_opts_init(&none);
	return memcmp((const char *)o + opt->offset, (const char *)&none + opt->offset,
		      field_size(opt->kind)) != 0;
}

/* Every flag that was given is one of a disk, one of an image, or one of both. */
int run_system_check(const struct run_opts *o, const char *word, struct err *e)
{
	bool disk = run_system_is(o, word);

	for (size_t i = 0; i < cmd_run_options.n; i++) {
		const struct opt *opt = &cmd_run_options.v[i];
		bool own = is_among(opt->name, of_disks, ARRAY_SIZE(of_disks));

		if (!is_given(o, opt))
			continue;
		if (disk && !own && !is_among(opt->name, of_both, ARRAY_SIZE(of_both)))
			return err_unsupported(e,
					       "--%s: not for a guest system that boots from a "
					       "disk",
					       opt->name);
		if (!disk && own) {
			err_invalid(e, "--%s is for a guest system that boots from a disk",
				    opt->name);
			return err_hint(e, "insula run --vm --%s … DISK.img", opt->name);
		}
	}
	if (!disk || !o->network || STREQ(o->network, "none"))
		return 0;
	return err_unsupported(e,
			       "--network %s: a guest system has no network devices yet; there "
			       "is none",
			       o->network);
}

/* ---- the request ------------------------------------------------------------------------ */

static int absolute(const char *flag, const char *path, char **ret, struct err *e)
{
	if (!path)
		return 0;
	*ret = realpath(path, NULL);
	return *ret ? 0 : err_sys(e, errno, "%s'%s'", flag, path);
}

struct parts {
	char *image, *kernel, *initrd, *cloud_init, *storage;
	struct rt_system_disk *disks;
	size_t n_disks;
};

static void parts_done(struct parts *p)
{
	free(p->image);
	free(p->kernel);
	free(p->initrd);
	free(p->cloud_init);
	free(p->storage);
	for (size_t i = 0; i < p->n_disks; i++)
		free(p->disks[i].path);
	free(p->disks);
}

static int take_disks(const struct run_opts *o, struct parts *p, struct err *e)
{
	p->disks = calloc(strv_len(o->disks) + 1, sizeof(*p->disks));
	if (!p->disks)
		return err_nomem(e);
	for (char *const *d = o->disks; d && *d; d++) {
		struct rt_system_disk *disk = &p->disks[p->n_disks];
		_cleanup_free_ char *path = strdup(*d);
		size_t len = strlen(*d);
		int r;

		if (!path)
			return err_nomem(e);
		if (len > 3 && STREQ(*d + len - 3, ":ro")) {
			disk->read_only = true;
			path[len - 3] = '\0';
		}
		r = absolute("--disk ", path, &disk->path, e);
		if (r < 0)
			return r;
		p->n_disks++;
	}
	return 0;
}

static int take_parts(struct cli *cli, const struct run_opts *o, const char *id, char **args,
		      struct parts *p, struct err *e)
{
	int r;

	if (args[1]) {
		err_invalid(e, "'%s' behind the disk: its own system decides what runs", args[1]);
		return err_hint(e, "flags of insula run go before the disk");
	}
	r = absolute("disk ", args[0], &p->image, e);
	if (r == 0)
		r = absolute("--kernel ", o->kernel, &p->kernel, e);
	if (r == 0)
		r = absolute("--initrd ", o->initrd, &p->initrd, e);
	if (r == 0)
		r = absolute("--cloud-init ", o->cloud_init, &p->cloud_init, e);
	if (r == 0)
		r = take_disks(o, p, e);
	return r < 0 ? r : rt_storage_path(&cli->ctx, id, &p->storage, e);
}

static int make_document(const struct run_opts *o, const struct rt_run_request *request,
			 const struct parts *p, bool tty, struct json **ret, struct err *e)
{
	const struct rt_system system = {
		.image = p->image,
		.format = o->format,
		.boot = o->boot,
		.root_partition = o->root_partition,
		.kernel = p->kernel,
		.initrd = p->initrd,
		.append = o->append,
		.cloud_init = p->cloud_init,
		.disks = p->disks,
		.n_disks = p->n_disks,
		.persist = o->persist,
		.tty = tty,
	};

	return rt_system_document(request, &system, ret, e);
}

/* ---- on a terminal ---------------------------------------------------------------------- */

static int attach(struct cli *cli, const struct run_opts *o, const char *id, struct err *e)
{
	char keys[RT_DETACH_KEYS_MAX];
	struct rt_attach a = {.start = true, .detach_keys = keys};
	bool detached = false;
	int code = -1, r;

	r = rt_detach_keys_parse(o->detach_keys ? o->detach_keys : "ctrl-p,ctrl-q", keys,
				 &a.n_detach_keys, e);
	if (r >= 0)
		r = rt_attach_run(&cli->ctx, id, &a, &code, &detached, e);
	if (r < 0)
		return r;
	return attach_result(id, detached, code, e);
}

static int run_on_terminal(struct cli *cli, const struct run_opts *o, struct rt_create_request *c,
			   struct err *e)
{
	int r = cidfile_reserve(o->cidfile, e);

	if (r >= 0 && o->replace)
		r = rt_delete(&cli->ctx, c->id, true, e);
	if (r < 0) {
		json_free(TAKE_PTR(c->document));
	} else {
		attend_hold();
		r = rt_create_detached(&cli->ctx, c, true, e);
		if (r < 0)
			r = attend_interrupted(r, e);
		else
			r = cidfile_write(o->cidfile, c->id, e);
	}
	if (r < 0) {
		cidfile_remove(o->cidfile);
		return r;
	}
	r = attach(cli, o, c->id, e);
	/* One that never started is of no use to anybody; one that was lost from sight goes on. */
	if (r < 0) {
		_cleanup_sandbox_ struct sandbox *s = NULL;

		if (rt_open(&cli->ctx, c->id, false, &s, NULL) == 0 &&
		    state_status(&s->dir, &s->state) == RT_CREATED)
			(void)rt_delete(&cli->ctx, c->id, true, NULL);
	}
	return r;
}

/* ---- the whole -------------------------------------------------------------------------- */

int run_system(struct cli *cli, const struct run_opts *o, const struct run_parts *run_parts,
	       char **args, struct err *e)
{
	bool people = !o->detach && isatty(0) && isatty(1);
	bool tty = o->tty || people;
	char id[13];
	struct parts p = {0};
	struct rt_run_request request;
	char *no_args[] = {NULL};
	struct rt_create_request c = {
		.id = o->name ? o->name : (rt_new_id(id), id),
		.io = {{-1, -1, -1}, -1, 0},
		.name = o->name,
		.labels = run_parts->labels,
		.ephemeral = o->remove,
		.stop_signal = o->stop_signal,
		.stop_timeout_sec = o->stop_timeout >= 0 ? o->stop_timeout : STOP_SECONDS,
	};
	_cleanup_close_ int null = -EBADF;
	int r = take_parts(cli, o, c.id, args, &p, e);

	run_request_fill(o, run_parts, no_args, &request);
	c.driver = request.driver;
	if (r >= 0)
		r = make_document(o, &request, &p, tty, &c.document, e);
	if (r >= 0 && !o->interactive && !people) {
		null = path_open_null(e);
		c.io.fds[0] = null;
		r = null < 0 ? null : 0;
	}
	c.image = p.image;
	c.storage = p.storage;
	if (r < 0)
		json_free(TAKE_PTR(c.document));
	else if (o->explain)
		r = run_explain(cli, &c, e);
	else
		r = people ? run_on_terminal(cli, o, &c, e) : run_checked(cli, o, &c, e);
	parts_done(&p);
	return r;
}
