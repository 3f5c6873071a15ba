/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host offers, looked at when asked (insula info): nothing here is on the way of a sandbox.
 */
#include "runtime/info.h"

#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "hypervisor/vm.h"
#include "isolate/landlock.h"
#include "isolate/mount.h"
#include "isolate/userns.h"
#include "driver_vm.h"
#include "run_document.h"
#include "storage.h"

static void add_kernel(struct strbuf *b)
{
	struct utsname u;

	if (uname(&u) == 0)
		strbuf_addf(b, "kernel: %s %s (%s)\n", u.sysname, u.release, u.machine);
}

static void add_landlock(struct strbuf *b)
{
	_cleanup_free_ char *text = NULL;

	if (iso_landlock_describe(iso_landlock_abi(), &text) == 0)
		strbuf_addf(b, "Landlock: %s\n", text);
}

static void add_controllers(struct strbuf *b, const struct cg_host *h)
{
	struct cg_controller_info *v = NULL;
	struct err e = ERR_INIT;
	size_t n = 0;

	strbuf_addf(b, "control groups: %s\n", cg_layout_name(cg_host_layout(h)));
	if (cg_host_describe(h, &v, &n, &e) < 0) {
		strbuf_addf(b, "controllers: unknown (%s)\n", e.text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		strbuf_addf(b, "  %-12s v%d  %s\n", v[i].name, v[i].version,
			    v[i].mount_point ? v[i].mount_point : "not mounted");
	cg_host_describe_free(v, n);
}

static void add_cgroups(struct strbuf *b, struct rt_ctx *ctx)
{
	struct err e = ERR_INIT;
	struct cg_host *h;

	if (rt_cgroups(ctx, &h, &e) < 0)
		strbuf_addf(b, "control groups: none (%s)\n", e.text);
	else
		add_controllers(b, h);
}

/* Where the changes in throwaway layers go, if not to memory as they should. */
static void add_throwaway(struct rt_ctx *ctx, struct strbuf *b)
{
	const char *store;

	if (iso_can_throw_directories_away())
		return;
	if (store_path(ctx, &store, NULL) == 0 && run_can_hold_throwaway(store))
		strbuf_addf(b,
			    "throwaway layers: on disk, in %s (tmpfs has user attributes since "
			    "Linux 6.6)\n",
			    store);
	else
		strbuf_add(b, "throwaway layers: directories that were there before cannot be "
			      "removed in them (tmpfs has user attributes since Linux 6.6, and the "
			      "store's file system has none, or cannot be written)\n");
}

/* What an ordinary user is missing, if anything. */
static void add_user(struct rt_ctx *ctx, struct strbuf *b)
{
	_cleanup_(iso_id_maps_done) struct iso_id_maps uid = {0}, gid = {0};
	_cleanup_free_ char *why = NULL;
	struct err e = ERR_INIT;
	uint64_t count = 0;
	bool single;

	if (geteuid() == 0)
		return;
	if (iso_user_maps(&uid, &gid, &single, &why, &e) < 0) {
		strbuf_addf(b, "subordinate ids: none (%s)\n", e.text);
		return;
	}
	for (size_t i = 1; i < uid.n; i++)
		count += uid.v[i].count;
	if (single)
		strbuf_addf(b, "subordinate ids: none (%s)\n", why);
	else
		strbuf_addf(b, "subordinate ids: %llu\n", (unsigned long long)count);
	add_throwaway(ctx, b);
}

static void add_vm(struct strbuf *b)
{
	_cleanup_free_ char *why = NULL;
	enum vm_kvm_verdict v = vm_kvm_probe(-1, &why);
	struct vm_kernel k = {0};
	struct err e = ERR_INIT;

	strbuf_addf(b, "KVM: %s%s%s%s\n", vm_kvm_verdict_name(v), why ? " (" : "", why ? why : "",
		    why ? ")" : "");
	strbuf_addf(b, "microVMs run on: %s\n",
		    v == VM_KVM_WORKS ? "QEMU with KVM" : "QEMU in software emulation");
	if (vm_find_guest_kernel(&k, &e) < 0)
		strbuf_addf(b, "guest kernel: none (%s)\n", e.hint[0] ? e.hint : e.text);
	else
		strbuf_addf(b, "guest kernel: %s in %s\n", k.release, k.dir);
	vm_kernel_done(&k);
}

int rt_info_text(struct rt_ctx *ctx, char **ret, struct err *e)
{
	struct strbuf b = {0};

	strbuf_addf(&b, "insula: %s\nstate: %s\n", INSULA_VERSION, ctx->root);
	add_kernel(&b);
	add_landlock(&b);
	add_cgroups(&b, ctx);
	add_user(ctx, &b);
	add_vm(&b);
	return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
}
