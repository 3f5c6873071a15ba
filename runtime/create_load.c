/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first part of a creation, which changes nothing on the host: read the configuration, find
 * the driver, refuse what it does not do, plan. `--explain` ends here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cgroup_manager.h"
#include "oci_parse.h"
#include "sandbox.h"
#include "sd_notify.h"
#include "state_internal.h"

/* A document without a bundle gets the state directory as its bundle: config.json is saved there. */
static int load_document(struct creation *c, struct err *e)
{
	struct rt_create_request *r = c->request;
	_cleanup_json_ struct json *doc = TAKE_PTR(r->document);
	int x;

	if (r->bundle)
		c->s->state.bundle = realpath(r->bundle, NULL);
	else if (str_printf(&c->s->state.bundle, "%s/%s", c->ctx->root, r->id) < 0)
		return err_nomem(e);
	if (!c->s->state.bundle)
		return err_sys(e, errno, "bundle '%s'", r->bundle);
	x = oci_config_read(doc, c->s->state.bundle, &c->s->config, e);
	if (x < 0)
		return err_wrap(e, "configuration");
	TAKE_PTR(doc);
	return 0;
}

static int load_bundle(struct creation *c, struct err *e)
{
	const char *bundle = c->request->bundle ? c->request->bundle : ".";
	int r;

	c->s->state.bundle = realpath(bundle, NULL);
	if (!c->s->state.bundle)
		return err_sys(e, errno, "bundle '%s'", bundle);
	r = oci_config_load(c->s->state.bundle, &c->s->config, e);
	return r < 0 ? r : oci_check_bundle_annotations(&c->s->config, e);
}

static int check_process(const struct creation *c, struct err *e)
{
	const struct oci_config *config = &c->s->config;

	if (!config->has_process)
		return err_invalid(e,
				   "config.json: process: missing, and nothing to run without it");
	if (c->request->io.console_socket >= 0 && !config->process.terminal) {
		err_invalid(e, "a console socket is given, but process.terminal is false");
		return err_hint(e, "leave the console socket out, or set process.terminal to true");
	}
	return 0;
}

static int join_words(char *const *words, char **ret)
{
	struct strbuf b = {0};

	for (size_t i = 0; words && words[i]; i++) {
		if (i)
			strbuf_add(&b, " ");
		strbuf_add(&b, words[i]);
	}
	strbuf_add(&b, "");
	return strbuf_take(&b, ret);
}

static int copy_string(const char *s, char **ret)
{
	if (!s)
		return 0;
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

/* Who created it; a name where that needs no user database, which a static program cannot read. */
static int owner_name(char **ret)
{
	uid_t uid = getuid();

	return uid == 0 ? copy_string("root", ret) : str_printf(ret, "%u", (unsigned)uid);
}

static int fill_state(struct creation *c, struct err *e)
{
	const struct rt_create_request *r = c->request;
	const struct oci_config *config = &c->s->config;
	struct state *st = &c->s->state;

	st->ephemeral = r->ephemeral;
	st->stop_timeout_sec = r->stop_timeout_sec;
	st->terminal = config->process.terminal;
	st->created_unix_nsec = now_unix_nsec();
	if (copy_string(r->id, &st->id) < 0 || copy_string(c->s->driver->name, &st->driver) < 0 ||
	    copy_string(config->isolation.rootfs.path, &st->rootfs) < 0 ||
	    copy_string(config->version, &st->version) < 0 || copy_string(r->name, &st->name) < 0 ||
	    copy_string(r->image, &st->image) < 0 || copy_string(r->image_id, &st->image_id) < 0 ||
	    copy_string(r->storage, &st->storage) < 0 ||
	    copy_string(r->stop_signal, &st->stop_signal) < 0 || owner_name(&st->owner) < 0 ||
	    join_words(config->process.args, &st->command) < 0 ||
	    strv_copy(config->annotations, &st->annotations) < 0 ||
	    strv_copy(r->labels, &st->labels) < 0)
		return err_nomem(e);
	return 0;
}

/* Only for this process: an exec'd one has no such descriptors. */
static int set_listen_fds(struct iso_process *p, unsigned n)
{
	char text[32];

	snprintf(text, sizeof(text), "LISTEN_FDS=%u", n);
	if (strv_env_set(&p->env, text) < 0)
		return -ENOMEM;
	return strv_env_set(&p->env, "LISTEN_PID=1");
}

static int warn_of_unknown_capabilities(const struct creation *c, struct err *e)
{
	_cleanup_free_ char *names = NULL;

	if (oci_unknown_capabilities(&c->s->config, &names) < 0)
		return err_nomem(e);
	if (names)
		log_to(&c->ctx->log, LOG_LEVEL_WARNING,
		       "'%s': process.capabilities: this kernel does not know%s", c->request->id,
		       names);
	return 0;
}

int creation_load(struct creation *c, struct err *e)
{
	struct rt_create_request *r = c->request;
	struct sandbox *s = c->s;
	const char *driver;
	int x;

	x = state_check_id(r->id, e);
	if (x < 0) {
		json_free(TAKE_PTR(r->document));
		return x;
	}
	x = r->document ? load_document(c, e) : load_bundle(c, e);
	if (x < 0)
		return x;
	driver = r->driver ? r->driver : oci_annotation(&s->config, ANNOTATION_ISOLATION);
	x = driver_find(driver, &s->driver, e);
	if (x == 0)
		x = driver_check_verb(s->driver, r->restore ? "restore" : "create", e);
	if (x == 0)
		x = check_process(c, e);
	if (x == 0)
		x = driver_check_config(s->driver, &s->config, e);
	if (x == 0)
		x = warn_of_unknown_capabilities(c, e);
	if (x < 0)
		return x;
	s->io = r->io;
	if (r->listen_fds && set_listen_fds(&s->config.process, r->listen_fds) < 0)
		return err_nomem(e);
	x = sd_notify_plan(c, e);
	if (x < 0)
		return x;
	s->keep_keyring = r->keep_keyring;
	s->no_pivot = r->no_pivot;
	return fill_state(c, e);
}

int creation_plan(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	int r = s->driver->plan(s, e);

	if (r == 0)
		r = cg_limits_check(&s->plan.limits, e);
	return r < 0 ? r : cgroup_manager_of(c->ctx)->plan(c, e);
}
