/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of a monitor process, as the driver writes and insula-vmm reads them: JSON in a
 * sealed memfd, so that nothing of it shows in a command line and no length is packed by hand.
 */
#include "vmm.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define PARAMS_MAX (2 * JSON_FILE_MAX)

void vmm_params_done(struct vmm_params *p)
{
	free(p->id);
	free(p->bundle);
	free(p->guest_dir);
	free(p->rootfs);
	free(p->storage);
	json_free(p->config);
	*p = (struct vmm_params){0};
}

int vmm_params_to_text(const struct vmm_params *p, char **ret, size_t *ret_len, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "id", json_new_string(p->id)) < 0 ||
	    json_set(o, "bundle", json_new_string(p->bundle)) < 0 ||
	    json_set(o, "guestDir", json_new_string(p->guest_dir)) < 0 ||
	    json_set(o, "rootfs", json_new_string(p->rootfs)) < 0 ||
	    json_set(o, "storage", json_new_string(p->storage)) < 0 ||
	    json_set(o, "memoryBytes", json_new_u64(p->memory_bytes)) < 0 ||
	    json_set(o, "throwawayBytes", json_new_u64(p->throwaway_bytes)) < 0 ||
	    json_set(o, "vcpus", json_new_u64(p->vcpus)) < 0 ||
	    json_set(o, "bootTimeoutSec", json_new_u64(p->boot_timeout_sec)) < 0 ||
	    json_set(o, "accel", json_new_u64(p->accel)) < 0 ||
	    json_set(o, "engine", json_new_u64(p->engine)) < 0 ||
	    json_set(o, "logLevel", json_new_u64(p->log_level)) < 0 ||
	    json_set(o, "logJson", json_new_bool(p->log_json)) < 0 ||
	    json_set(o, "config", json_copy(p->config)) < 0 ||
	    json_to_text(o, false, ret, ret_len) < 0)
		return err_nomem(e);
	return 0;
}

static int read_config(const struct json_at *at, void *target, struct err *e)
{
	*(struct json **)target = json_copy(at->value);
	return *(struct json **)target ? 0 : err_nomem(e);
}

static const struct json_field fields[] = {
	JSON_REQUIRED(struct vmm_params, id, "id", json_read_string),
	JSON_REQUIRED(struct vmm_params, bundle, "bundle", json_read_string),
	JSON_REQUIRED(struct vmm_params, guest_dir, "guestDir", json_read_string),
	JSON_REQUIRED(struct vmm_params, rootfs, "rootfs", json_read_string),
	JSON_REQUIRED(struct vmm_params, storage, "storage", json_read_string),
	JSON_REQUIRED(struct vmm_params, memory_bytes, "memoryBytes", json_read_u64),
	JSON_REQUIRED(struct vmm_params, throwaway_bytes, "throwawayBytes", json_read_u64),
	JSON_REQUIRED(struct vmm_params, vcpus, "vcpus", json_read_u32),
	JSON_REQUIRED(struct vmm_params, boot_timeout_sec, "bootTimeoutSec", json_read_u32),
	JSON_REQUIRED(struct vmm_params, accel, "accel", json_read_u32),
	JSON_REQUIRED(struct vmm_params, engine, "engine", json_read_u32),
	JSON_REQUIRED(struct vmm_params, log_level, "logLevel", json_read_u32),
	JSON_REQUIRED(struct vmm_params, log_json, "logJson", json_read_bool),
	JSON_REQUIRED(struct vmm_params, config, "config", read_config),
};

int vmm_params_read(int fd, struct vmm_params *ret, struct err *e)
{
	_cleanup_(vmm_params_done) struct vmm_params p = {0};
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_free_ char *text = NULL;
	struct json_at top;
	size_t len;
	int r = fd_read_all(fd, PARAMS_MAX, &text, &len, "the parameters", e);

	if (r == 0)
		r = json_parse(text, len, "the parameters", &doc, e);
	if (r < 0)
		return r;
	top = json_top(doc);
	r = json_read_object(&top, fields, ARRAY_SIZE(fields), &p, e);
	if (r < 0)
		return r;
	*ret = p;
	p = (struct vmm_params){0};
	return 0;
}
