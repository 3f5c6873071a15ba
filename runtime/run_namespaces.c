/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --network, --pid, --ipc and --uts: whose namespaces a sandbox of `insula run` is in. The words are docker's and
 * podman's; which of them exists for which flag is a table.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "driver_flags.h"
#include "run_document.h"
#include "runtime/support.h"

#define SANDBOX_PREFIX "container:"

enum word_meaning { WORD_OWN, WORD_HOST, WORD_NO_SHM, WORD_REFUSED };

static const struct {
	const char *flag, *word;
	enum word_meaning meaning;
	const char *why;
} words[] = {
	{"--pid", "private", WORD_OWN, NULL},
	{"--pid", "host", WORD_HOST, NULL},
	{"--ipc", "private", WORD_OWN, NULL},
	{"--ipc", "none", WORD_NO_SHM, NULL},
	{"--ipc", "host", WORD_HOST, NULL},
	{"--ipc", "shareable", WORD_REFUSED,
	 "/dev/shm stays a sandbox's own; others can join the "
	 "rest with container:ID in any case"},
	{"--uts", "private", WORD_OWN, NULL},
	{"--uts", "host", WORD_HOST, NULL},
};

static int unknown_word(const char *flag, const char *word, struct err *e)
{
	struct strbuf known = {0};
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (STREQ(words[i].flag, flag) && words[i].meaning != WORD_REFUSED)
			strbuf_addf(&known, "%s, ", words[i].word);
	if (strbuf_take(&known, &text) < 0)
		return err_nomem(e);
	err_invalid(e, "%s '%s' is not known", flag, word);
	return err_hint(e, "there are: %s%s", text,
			STREQ(flag, "--uts") ? "and the default, private" : "container:ID");
}

/* The namespace of a running sandbox, by its process. */
static int join(struct rt_ctx *ctx, const char *id, enum iso_ns ns, struct run_namespace *ret,
		struct sandbox **ret_sandbox, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_free_ char *row = NULL;
	const struct support_row *support;
	enum rt_status status;
	int r;

	if (!ctx)
		return err_unsupported(e, "container:%s: no state to look it up in", id);
	r = rt_open(ctx, id, true, &s, e);
	if (r < 0)
		return r;
	status = state_status(&s->dir, &s->state);
	if (status != RT_RUNNING && status != RT_CREATED && status != RT_PAUSED)
		return err_set(e, ERR_STATE, ESRCH, "sandbox '%s' is not running", id);
	if (str_printf(&row, "linux.namespaces[%s].path", iso_ns_table[ns].oci_name) < 0)
		return err_nomem(e);
	support = support_find(row);
	if (support && support->by_driver[s->driver->id].level == SUPPORT_NO)
		return err_unsupported(e, "sandbox '%s' is a %s: its %s namespace is in its guest",
				       id, s->driver->name, iso_ns_table[ns].oci_name);
	if (str_printf(&ret->path, "/proc/%d/ns/%s", (int)s->state.host.pid,
		       iso_ns_table[ns].proc_name) < 0)
		return err_nomem(e);
	ret->whose = RUN_SANDBOXS;
	if (ret_sandbox)
		*ret_sandbox = TAKE_PTR(s);
	return 0;
}

static int take_word(struct rt_ctx *ctx, const char *flag, const char *word, enum iso_ns ns,
		     struct run_namespace *ret, bool *ret_no_shm, struct err *e)
{
	if (!word || !*word)
		return 0;
	if (!STREQ(flag, "--uts") && str_has_prefix(word, SANDBOX_PREFIX)) {
		int r = join(ctx, word + strlen(SANDBOX_PREFIX), ns, ret, NULL, e);

		return r < 0 ? err_wrap(e, "%s", flag) : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!STREQ(words[i].flag, flag) || !STREQ(words[i].word, word))
			continue;
		if (words[i].meaning == WORD_REFUSED)
			return err_unsupported(e, "%s %s is not supported: %s", flag, word,
					       words[i].why);
		if (words[i].meaning == WORD_HOST)
			ret->whose = RUN_HOSTS;
		if (words[i].meaning == WORD_NO_SHM)
			*ret_no_shm = true;
		return 0;
	}
	return unknown_word(flag, word, e);
}

/* Docker's rule: whoever shares a network shares its names. */
static int check_shared_network(const struct rt_run_request *r, struct err *e)
{
	const char *flag = r->hostname                         ? "--hostname"
			   : r->hosts && *r->hosts             ? "--add-host"
			   : r->dns && *r->dns                 ? "--dns"
			   : r->dns_search && *r->dns_search   ? "--dns-search"
			   : r->dns_options && *r->dns_options ? "--dns-option"
							       : NULL;

	if (!flag)
		return 0;
	return err_invalid(e, "%s cannot be given with --network %s: its names are the other's",
			   flag, r->network);
}

static int take_network(struct rt_ctx *ctx, const struct rt_run_request *r,
			struct run_namespaces *ns, struct err *e)
{
	enum vio_network_kind kind = VIO_NETWORK_NONE;
	_cleanup_sandbox_ struct sandbox *peer = NULL;
	const struct iso_config *c;
	int rc = r->network ? vio_network_parse(r->network, &kind, e) : 0;

	if (rc < 0)
		return rc;
	switch (kind) {
	case VIO_NETWORK_NONE:
		return 0;
	case VIO_NETWORK_HOST:
		ns->network.whose = RUN_HOSTS;
		return 0;
	case VIO_NETWORK_SANDBOX:
		break;
	}
	rc = check_shared_network(r, e);
	if (rc == 0)
		rc = join(ctx, vio_network_sandbox(r->network), ISO_NS_NETWORK, &ns->network, &peer,
			  e);
	if (rc < 0)
		return err_wrap(e, "--network");
	c = &peer->config.isolation;
	ns->peer_id = strdup(peer->state.id);
	ns->peer_hostname = c->hostname ? strdup(c->hostname) : NULL;
	ns->peer_domainname = c->domainname ? strdup(c->domainname) : NULL;
	if (!ns->peer_id || (c->hostname && !ns->peer_hostname) ||
	    (c->domainname && !ns->peer_domainname))
		return err_nomem(e);
	return 0;
}

static int check_uts(const struct rt_run_request *r, const struct run_namespaces *ns, struct err *e)
{
	if (ns->uts.whose != RUN_HOSTS || (!r->hostname && !r->domainname))
		return 0;
	return err_invalid(e, "--%s cannot be given with --uts host: it would rename the host",
			   r->hostname ? "hostname" : "domainname");
}

/* What a kind of sandbox cannot share with the host or another. */
static int check_driver(const struct rt_run_request *r, const struct run_namespaces *ns,
			struct err *e)
{
	const struct {
		const char *flag;
		const struct run_namespace *ns;
	} all[] = {{"--network", &ns->network},
		   {"--pid", &ns->pid},
		   {"--ipc", &ns->ipc},
		   {"--uts", &ns->uts}};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all) && rc == 0; i++)
		if (all[i].ns->whose != RUN_OWN)
			rc = driver_check_shared(
				r->driver, all[i].flag,
				all[i].ns->whose == RUN_HOSTS ? "host" : "container:ID", e);
	return rc;
}

int run_namespaces_take(struct rt_ctx *ctx, const struct rt_run_request *r,
			struct run_namespaces *ret, struct err *e)
{
	bool ignored;
	int rc = take_network(ctx, r, ret, e);

	if (rc == 0)
		rc = take_word(ctx, "--pid", r->pid, ISO_NS_PID, &ret->pid, &ignored, e);
	if (rc == 0)
		rc = take_word(ctx, "--ipc", r->ipc, ISO_NS_IPC, &ret->ipc, &ret->no_shm, e);
	if (rc == 0)
		rc = take_word(ctx, "--uts", r->uts, ISO_NS_UTS, &ret->uts, &ignored, e);
	if (rc == 0)
		rc = check_uts(r, ret, e);
	return rc < 0 ? rc : check_driver(r, ret, e);
}

void run_namespaces_done(struct run_namespaces *ns)
{
	free(ns->network.path);
	free(ns->pid.path);
	free(ns->ipc.path);
	free(ns->uts.path);
	free(ns->peer_id);
	free(ns->peer_hostname);
	free(ns->peer_domainname);
}

static int push(struct json *list, const char *type, const struct run_namespace *ns)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (ns && ns->whose == RUN_HOSTS)
		return 0;
	if (!o || json_set(o, "type", json_new_string(type)) < 0 ||
	    (ns && ns->path && json_set(o, "path", json_new_string(ns->path)) < 0))
		return -ENOMEM;
	return json_push(list, TAKE_PTR(o));
}

struct json *run_namespaces_json(const struct run_namespaces *ns)
{
	_cleanup_json_ struct json *list = json_new_array();

	if (!list || push(list, "pid", &ns->pid) < 0 || push(list, "network", &ns->network) < 0 ||
	    push(list, "ipc", &ns->ipc) < 0 || push(list, "uts", &ns->uts) < 0 ||
	    push(list, "mount", NULL) < 0 || push(list, "cgroup", NULL) < 0)
		return NULL;
	return TAKE_PTR(list);
}
