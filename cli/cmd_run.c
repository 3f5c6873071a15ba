/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula run: from a person's flags to a sandbox, its terminal, and its exit code.
 */
#include <stdio.h>

#include "attend.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "cidfile.h"
#include "people.h"
#include "run_detached.h"
#include "run_image.h"
#include "run_options.h"
#include "run_system.h"

int run_explain(struct cli *cli, struct rt_create_request *c, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int r = rt_explain(&cli->ctx, c, &text, e);

	if (r >= 0)
		printf("%s\n", text);
	return r;
}

/* Create, start, stay. The exit code, or a negative errno: then the sandbox is gone again. */
static int run_attended(struct cli *cli, const struct run_opts *o, struct rt_create_request *c,
			struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r;

	attend_hold();
	r = rt_create(&cli->ctx, c, &s, e);
	if (r < 0)
		return attend_interrupted(r, e);
	r = cidfile_write(o->cidfile, c->id, e);
	if (r >= 0)
		r = attend_start(s, o->interactive, NULL, e);
	/* One whose command never ran is of no use to anybody, named or not. */
	if (o->remove || r < 0) {
		struct err ignored = ERR_INIT;
		int d = rt_delete(&cli->ctx, c->id, true, r < 0 ? &ignored : e);

		if (r >= 0 && d < 0)
			return d;
	}
	return attend_interrupted(r, e);
}

static int run_in_background(struct cli *cli, const struct run_opts *o, struct rt_create_request *c,
			     struct err *e)
{
	int r = run_detached(cli, o, c, o->only_create, e);

	return r < 0 ? r : cidfile_write(o->cidfile, c->id, e);
}

/* All that can be found wrong was: now things are made, and others are replaced. */
int run_checked(struct cli *cli, const struct run_opts *o, struct rt_create_request *c,
		struct err *e)
{
	int r = cidfile_reserve(o->cidfile, e);

	if (r < 0) {
		json_free(TAKE_PTR(c->document));
		return r;
	}
	if (o->replace)
		r = rt_delete(&cli->ctx, c->id, true, e);
	if (r < 0)
		json_free(TAKE_PTR(c->document));
	else
		r = o->detach ? run_in_background(cli, o, c, e) : run_attended(cli, o, c, e);
	if (r < 0)
		cidfile_remove(o->cidfile);
	return r;
}

/* What it writes goes to a directory of its own in the store: an image's changes, anonymous volumes. */
static int name_storage(struct cli *cli, struct rt_run_request *request,
			struct rt_create_request *c, char **ret_storage, struct err *e)
{
	int r = rt_storage_path(&cli->ctx, c->id, ret_storage, e);

	if (r < 0 && request->image)
		return r;
	/* Most of the others need none; who has no place for one is told when he does. */
	if (r < 0)
		err_clear(e);
	request->storage = *ret_storage;
	request->ephemeral = c->ephemeral;
	if (!request->image)
		return 0;
	c->storage = *ret_storage;
	c->image = request->image->name;
	c->image_id = request->image->id;
	return 0;
}

static int make_request(struct cli *cli, const struct rt_run_request *request,
			struct rt_create_request *c, struct rt_file **ret_files, struct err *e)
{
	int r = rt_run_document(&cli->ctx, request, c->id, &c->document, e);

	if (r >= 0)
		r = rt_run_files(&cli->ctx, request, c->id, ret_files, &c->n_files, e);
	if (r < 0) {
		json_free(TAKE_PTR(c->document));
		return r;
	}
	c->files = *ret_files;
	/* Directories are volumes. */
	for (size_t i = 0; i < c->n_files; i++)
		if (!c->files[i].text)
			c->storage = request->storage;
	return 0;
}

/* The image's labels, and over them the caller's. */
static int all_labels(const struct rt_run_request *request, char ***ret, struct err *e)
{
	_cleanup_strv_ char **all = NULL;

	if (strv_copy(request->image ? request->image->config.labels : NULL, &all) < 0)
		return err_nomem(e);
	for (char *const *l = request->labels; l && *l; l++)
		if (strv_env_set(&all, *l) < 0)
			return err_nomem(e);
	*ret = TAKE_PTR(all);
	return 0;
}

static int run(struct cli *cli, const struct run_opts *o, struct rt_run_request *request,
	       struct err *e)
{
	_cleanup_free_ char *storage = NULL;
	_cleanup_strv_ char **labels = NULL;
	char id[13];
	_cleanup_close_ int null = o->interactive ? -1 : path_open_null(e);
	struct rt_file *files = NULL;
	struct rt_create_request c = {
		.id = request->name ? request->name : (rt_new_id(id), id),
		.driver = request->driver,
		.io = {{null, -1, -1}, -1, 0},
		.name = request->name,
		.ephemeral = o->remove,
		.stop_signal = rt_run_stop_signal(request),
		.stop_timeout_sec = request->stop_timeout_sec,
	};
	int r;

	if (!o->interactive && null < 0)
		return null;
	r = all_labels(request, &labels, e);
	c.labels = labels;
	if (r >= 0)
		r = name_storage(cli, request, &c, &storage, e);
	if (r >= 0)
		r = make_request(cli, request, &c, &files, e);
	if (r < 0)
		return r;
	r = o->explain ? run_explain(cli, &c, e) : run_checked(cli, o, &c, e);
	rt_files_free(files, c.n_files);
	return r;
}

static int run_or_create(struct cli *cli, int argc, char **argv, bool only_create, struct err *e)
{
	struct run_opts o;
	struct run_parts parts = {0};
	struct img_image image = {0};
	struct rt_run_request request;
	int first, r;

	run_opts_init(&o);
	r = command_parse(cli, argc, argv, true, &o, &first, e);
	/* What waits at its gate has a monitor from the beginning. */
	o.only_create = only_create;
	o.detach |= only_create;
	if (r >= 0)
		r = run_opts_check(&o, argc, first, e);
	if (r >= 0)
		r = run_system_check(&o, o.rootfs ? NULL : argv[first], e);
	if (r >= 0)
		r = run_parts_take(&cli->ctx, &o, &parts, e);
	if (r >= 0 && run_system_is(&o, o.rootfs ? NULL : argv[first])) {
		r = run_system(cli, &o, &parts, argv + first, e);
		run_parts_done(&parts);
		run_opts_done(&o);
		return r;
	}
	if (r >= 0 && !o.rootfs)
		r = run_image_open(cli, &o, argv[first], &image, e);
	if (r >= 0)
		r = run_check_platform(o.platform, o.rootfs ? NULL : &image, e);
	if (r >= 0 && !o.rootfs)
		r = run_check_misplaced(&o, &image, argv + first + 1, e);
	if (r >= 0) {
		run_request_fill(&o, &parts, argv + first + !o.rootfs, &request);
		request.image = o.rootfs ? NULL : &image;
		r = run(cli, &o, &request, e);
	}
	img_image_done(&image);
	run_parts_done(&parts);
	run_opts_done(&o);
	return r;
}

int cmd_run(struct cli *cli, int argc, char **argv, struct err *e)
{
	return run_or_create(cli, argc, argv, false, e);
}

int cmd_create(struct cli *cli, int argc, char **argv, struct err *e)
{
	return run_or_create(cli, argc, argv, true, e);
}
