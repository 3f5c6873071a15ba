/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a microVM: how much memory and how many CPUs the guest gets, what the host's control
 * group must allow beyond them, and whether there is a kernel and an engine at all.
 *
 *	memory.limit		is the guest's RAM; the group gets that, the measured need of the
 *				engine, and room for what a throwaway root takes (its tmpfs is the
 *				host's memory). An ordinary user to whom the controller is not delegated does
 *				without the group's
 *	cpu.quota		holds for the whole group; rounded up it is the number of vCPUs
 *	pids.limit, devices	are the guest's; on the host they would hit the engine's threads
 *
 * Annotations: org.insula.vm.memory ("512m"; wins over the limit as the size of the RAM),
 * org.insula.vm.vcpus, org.insula.vm.engine ("auto", "kvm", "qemu"), org.insula.vm.accel ("auto", "kvm", "tcg"),
 * org.insula.vm.boot-timeout
 * ("120s").
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "caller.h"
#include "driver_vm.h"
#include "guest_system.h"
#include "runtime/runtime.h"
#include "vmm_document.h"

#define MIB                      (1ull << 20)
#define DEFAULT_MEMORY           (512 * MIB)
#define DEFAULT_BOOT_TIMEOUT_SEC 120 /* software emulation on a busy host is slow */
#define DEFAULT_PERIOD_USEC      100000

#define ANNOTATION_MEMORY       "org.insula.vm.memory"
#define ANNOTATION_VCPUS        "org.insula.vm.vcpus"
#define ANNOTATION_ACCEL        "org.insula.vm.accel"
#define ANNOTATION_ENGINE       "org.insula.vm.engine"
#define ANNOTATION_BOOT_TIMEOUT "org.insula.vm.boot-timeout"

void vm_private_free(struct vm_private *p)
{
	if (!p)
		return;
	free(p->guest_dir);
	free(p);
}

static int bad_annotation(struct err *e, const char *key, const char *value, const char *want)
{
	return err_invalid(e, "annotation %s: '%s' is not %s", key, value, want);
}

/* ---- what the guest gets ---------------------------------------------------------------- */

static int plan_memory(struct sandbox *s, struct err *e)
{
	const char *wish = oci_annotation(&s->config, ANNOTATION_MEMORY);
	uint64_t bytes = DEFAULT_MEMORY;
	char have[STR_SIZE_MAX], need[STR_SIZE_MAX];

	if (wish && parse_size(wish, &bytes) < 0)
		return bad_annotation(e, ANNOTATION_MEMORY, wish, "a size");
	if (!wish && s->plan.limits.memory_bytes > 0)
		bytes = (uint64_t)s->plan.limits.memory_bytes;
	if (bytes < VM_MEMORY_MIN_BYTES) {
		err_set(e, ERR_LIMIT, EINVAL, "a microVM needs at least %s of memory, not %s",
			str_size(VM_MEMORY_MIN_BYTES, need), str_size(bytes, have));
		return err_hint(e, "raise --memory (linux.resources.memory.limit)");
	}
	s->plan.guest_memory_bytes = bytes / MIB * MIB;
	return 0;
}

static unsigned host_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static int plan_vcpus(struct sandbox *s, struct err *e)
{
	const char *wish = oci_annotation(&s->config, ANNOTATION_VCPUS);
	int64_t quota = s->plan.limits.cpu_quota_usec, period = s->plan.limits.cpu_period_usec;
	uint32_t vcpus = 1;

	if (wish && (parse_u32(wish, &vcpus) < 0 || vcpus == 0))
		return bad_annotation(e, ANNOTATION_VCPUS, wish, "a number of CPUs");
	if (!wish && quota > 0) {
		int64_t n;

		period = period > 0 ? period : DEFAULT_PERIOD_USEC;
		n = quota / period + (quota % period != 0);
		/* More vCPUs than CPUs only wait for each other. */
		vcpus = n > host_cpus() ? host_cpus() : (uint32_t)n;
	}
	s->plan.vcpus = vcpus;
	return 0;
}

/* An annotation that is one of a few words; the first one is the default. */
static int plan_word(struct sandbox *s, const char *annotation, const char *const *words, size_t n,
		     uint32_t *ret, struct err *e)
{
	const char *wish = oci_annotation(&s->config, annotation);
	char choice[64];

	*ret = 0;
	for (size_t i = 0; wish && i < n; i++)
		if (STREQ(wish, words[i])) {
			*ret = (uint32_t)i;
			return 0;
		}
	if (!wish)
		return 0;
	snprintf(choice, sizeof(choice), "%s, %s or %s", words[0], words[1], words[2]);
	return bad_annotation(e, annotation, wish, choice);
}

static int plan_rest(struct sandbox *s, struct vm_private *p, struct err *e)
{
	static const char *const accels[] = {
		[VM_ACCEL_AUTO] = "auto", [VM_ACCEL_KVM] = "kvm", [VM_ACCEL_TCG] = "tcg"};
	static const char *const engines[] = {
		[VM_ENGINE_AUTO] = "auto", [VM_ENGINE_KVM] = "kvm", [VM_ENGINE_QEMU] = "qemu"};
	const char *timeout = oci_annotation(&s->config, ANNOTATION_BOOT_TIMEOUT);
	uint64_t usec;
	int r;

	p->boot_timeout_sec = DEFAULT_BOOT_TIMEOUT_SEC;
	r = plan_word(s, ANNOTATION_ACCEL, accels, ARRAY_SIZE(accels), &p->accel, e);
	if (r == 0)
		r = plan_word(s, ANNOTATION_ENGINE, engines, ARRAY_SIZE(engines), &p->engine, e);
	if (r < 0)
		return r;
	if (!timeout)
		return 0;
	if (parse_duration(timeout, &usec) < 0 || usec < 1000000 ||
	    usec / 1000000 > INT32_MAX / 1000)
		return bad_annotation(e, ANNOTATION_BOOT_TIMEOUT, timeout,
				      "a duration of a second or more");
	p->boot_timeout_sec = (uint32_t)(usec / 1000000);
	return 0;
}

/* ---- what the host must allow ----------------------------------------------------------- */

static int plan_group(struct sandbox *s, const struct vm_private *p, uint64_t overhead,
		      struct err *e)
{
	struct cg_limits *l = &s->plan.limits;
	uint64_t total = s->plan.guest_memory_bytes + overhead + p->throwaway_bytes;

	for (size_t i = 0; i < l->n_unified; i++)
		if (str_has_prefix(l->unified[i].file, "pids.") ||
		    str_has_prefix(l->unified[i].file, "memory.max"))
			return err_unsupported(
				e,
				"linux.resources.unified.%s: not supported by the vm driver: it "
				"would hit the engine; use resources.pids or resources.memory",
				l->unified[i].file);
	l->pids_max = CG_UNSET;
	free(l->devices);
	l->devices = NULL;
	l->n_devices = 0;
	if (l->memory_bytes <= 0)
		return 0;
	if (total > INT64_MAX / 2)
		return err_invalid(e, "linux.resources.memory.limit: too large");
	if (l->memory_swap_bytes > 0)
		l->memory_swap_bytes += (int64_t)total - l->memory_bytes;
	l->memory_bytes = (int64_t)total;
	return 0;
}

/* ---- kernel and engine ------------------------------------------------------------------ */

static int kernel_places(char ***ret, struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	_cleanup_free_ char *dir = NULL, *beside = NULL;
	const char *own = getenv("INSULA_GUEST_DIR");
	int r = path_program_dir(&dir, e);

	if (r < 0)
		return r;
	if (str_printf(&beside, "%s/guest", dir) < 0 || (own && *own && strv_push(&v, own) < 0) ||
	    strv_push(&v, beside) < 0 || strv_push(&v, INSULA_PREFIX "/lib/insula/guest") < 0 ||
	    strv_push(&v, "/var/lib/insula/guest") < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(v);
	return 0;
}

int vm_find_guest_kernel(struct vm_kernel *ret, struct err *e)
{
	_cleanup_strv_ char **places = NULL;
	int r = kernel_places(&places, e);

	return r < 0 ? r : vm_kernel_find(places, ret, e);
}

/* A full guest system: all that it needs is opened, looked at, and closed again. */
static int plan_system(struct sandbox *s, struct vm_private *p, uint64_t *ret_overhead,
		       struct err *e)
{
	_cleanup_(guest_system_done) struct guest_system g = {.system.uefi_vars_fd = -1};
	struct vm_config c = {
		.name = s->state.id,
		.kernel = &g.kernel,
		.memory_bytes = s->plan.guest_memory_bytes,
		.vcpus = s->plan.vcpus,
		.accel = (enum vm_accel)p->accel,
		.engine = (enum vm_engine_choice)p->engine,
		.cache_dirfd = -1,
		.net_tap_fd = -1,
		.disks = g.disks,
		.system = &g.system,
		.log = &s->ctx->log,
	};
	int r = guest_system_open(&s->config, s->state.id, NULL, NULL, &g, e);

	if (r < 0)
		return r;
	c.n_disks = g.n_disks;
	c.cmdline = g.cmdline;
	r = vm_config_check(&c, e);
	if (r < 0)
		return r;
	*ret_overhead = vm_overhead_bytes(&c);
	p->guest_dir = g.kernel.dir ? realpath(g.kernel.dir, NULL) : strdup("");
	return p->guest_dir ? 0 : err_sys(e, errno, "guest kernel '%s'", g.kernel.dir);
}

static int plan_engine(struct sandbox *s, struct vm_private *p, uint64_t *ret_overhead,
		       struct err *e)
{
	_cleanup_(vm_kernel_done) struct vm_kernel kernel = {0};
	struct vm_config c = {
		.name = s->state.id,
		.kernel = &kernel,
		.memory_bytes = s->plan.guest_memory_bytes,
		.vcpus = s->plan.vcpus,
		.accel = (enum vm_accel)p->accel,
		.engine = (enum vm_engine_choice)p->engine,
		.share_dir = VMM_SHARE_DIR,
		.run_dir = VMM_RUN_DIR,
		.cache_dirfd = -1,
		.net_tap_fd = -1,
		.log = &s->ctx->log,
	};
	int r = vm_find_guest_kernel(&kernel, e);

	if (r == 0)
		r = vm_config_check(&c, e);
	if (r < 0)
		return r;
	*ret_overhead = vm_overhead_bytes(&c);
	p->guest_dir = realpath(kernel.dir, NULL);
	return p->guest_dir ? 0 : err_sys(e, errno, "guest kernel '%s'", kernel.dir);
}

/* ---- the whole -------------------------------------------------------------------------- */

static int check(const struct sandbox *s, struct err *e)
{
	int r;

	if (s->io.preserve_fds)
		return err_unsupported(e, "preserved descriptors cannot be handed to a microVM");
	r = iso_config_check(&s->config.isolation, &s->config.process, e);
	return r < 0 ? err_wrap(e, "configuration") : vmm_check_config(&s->config, e);
}

int vm_plan(struct sandbox *s, struct err *e)
{
	struct vm_private *p = calloc(1, sizeof(*p));
	uint64_t overhead = 0;
	int r;

	if (!p)
		return err_nomem(e);
	vm_private_free(s->priv);
	s->priv = p;
	s->plan.rootfs_form = IMG_FORM_DIRECTORY;
	s->plan.memory_limit_optional = !caller_is_hosts_root();
	s->plan.note = "the guest's memory is its RAM; the host's limit adds what the engine needs";
	/* They move: the guest's share travels in the document. */
	cg_limits_done(&s->plan.limits);
	s->plan.limits = s->config.limits;
	cg_limits_init(&s->config.limits);
	r = guest_system_check(&s->config, e);
	if (r == 0 && !guest_system_is(&s->config))
		r = check(s, e);
	if (r == 0)
		r = plan_memory(s, e);
	if (r == 0)
		r = plan_vcpus(s, e);
	if (r == 0)
		r = plan_rest(s, p, e);
	if (r == 0)
		r = (guest_system_is(&s->config) ? plan_system : plan_engine)(s, p, &overhead, e);
	if (r < 0)
		return r;
	if (s->config.isolation.rootfs.kind == ISO_ROOTFS_THROWAWAY)
		p->throwaway_bytes = s->plan.guest_memory_bytes / 2;
	return plan_group(s, p, overhead, e);
}
