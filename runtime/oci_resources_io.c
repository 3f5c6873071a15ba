/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `linux.resources`, continued: limits of block devices, huge pages, RDMA devices and the network. As in
 * oci_resources.c, what the kernel would refuse is refused here with the member's name.
 * Spec: OCI runtime-spec config-linux.md "Block IO", "Huge page limits", "RDMA", "Network".
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

/* ---- block devices ---------------------------------------------------------------------- */

/* 0 is "not given", as engines send it. */
static int read_weight(const struct json_at *at, void *target, struct err *e)
{
	uint64_t v;
	int r = json_get_u64(at, &v, e);

	if (r < 0 || v == 0)
		return r;
	if (v < 10 || v > 1000)
		return json_error(at, e, "%llu is not between 10 and 1000", (unsigned long long)v);
	*(int64_t *)target = (int64_t)v;
	return 0;
}

static int read_device_number(const struct json_at *at, void *target, struct err *e)
{
	int64_t v;
	int r = json_get_i64(at, &v, e);

	if (r < 0)
		return r;
	if (v < 0 || v > UINT32_MAX)
		return json_error(at, e, "%lld is no device number", (long long)v);
	*(int64_t *)target = v;
	return 0;
}

static const struct json_field weight_device_fields[] = {
	JSON_REQUIRED(struct cg_io_rule, major, "major", read_device_number),
	JSON_REQUIRED(struct cg_io_rule, minor, "minor", read_device_number),
	JSON_FIELD(struct cg_io_rule, value, "weight", json_read_u64),
};

static int read_weight_device(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, weight_device_fields, ARRAY_SIZE(weight_device_fields), target,
				e);
}

static const struct json_field throttle_fields[] = {
	JSON_REQUIRED(struct cg_io_rule, major, "major", read_device_number),
	JSON_REQUIRED(struct cg_io_rule, minor, "minor", read_device_number),
	JSON_REQUIRED(struct cg_io_rule, value, "rate", json_read_u64),
};

static int read_throttle(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, throttle_fields, ARRAY_SIZE(throttle_fields), target, e);
}

static int read_weight_devices(const struct json_at *at, void *target, struct err *e)
{
	struct cg_limits *l = target;

	return json_read_array(at, sizeof(*l->io_weights), read_weight_device,
			       (void **)&l->io_weights, &l->n_io_weights, e);
}

#define THROTTLE_READER(name, kind)                                                       \
	static int name(const struct json_at *at, void *target, struct err *e)            \
	{                                                                                 \
		struct cg_limits *l = target;                                             \
                                                                                          \
		return json_read_array(at, sizeof(*l->io_max[kind]), read_throttle,       \
				       (void **)&l->io_max[kind], &l->n_io_max[kind], e); \
	}
THROTTLE_READER(read_read_bps, CG_IO_READ_BPS)
THROTTLE_READER(read_write_bps, CG_IO_WRITE_BPS)
THROTTLE_READER(read_read_iops, CG_IO_READ_IOPS)
THROTTLE_READER(read_write_iops, CG_IO_WRITE_IOPS)

static const struct json_field block_fields[] = {
	JSON_FIELD(struct cg_limits, io_weight, "weight", read_weight),
	{"weightDevice", read_weight_devices, 0, false, -1},
	{"throttleReadBpsDevice", read_read_bps, 0, false, -1},
	{"throttleWriteBpsDevice", read_write_bps, 0, false, -1},
	{"throttleReadIOPSDevice", read_read_iops, 0, false, -1},
	{"throttleWriteIOPSDevice", read_write_iops, 0, false, -1},
};

int oci_read_block_io(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, block_fields, ARRAY_SIZE(block_fields), target, e);
}

/* ---- huge pages, RDMA, network ------------------------------------------------------------ */

static const struct json_field page_fields[] = {
	JSON_REQUIRED(struct cg_page_limit, size, "pageSize", json_read_string),
	JSON_REQUIRED(struct cg_page_limit, bytes, "limit", json_read_u64),
};

static int read_page_limit(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, page_fields, ARRAY_SIZE(page_fields), target, e);
}

int oci_read_page_limits(const struct json_at *at, void *target, struct err *e)
{
	struct cg_limits *l = target;

	return json_read_array(at, sizeof(*l->pages), read_page_limit, (void **)&l->pages,
			       &l->n_pages, e);
}

static int read_rdma_limit(const struct json_at *at, void *target, struct err *e)
{
	uint32_t v;
	int r = json_get_u32(at, &v, e);

	if (r == 0)
		*(int64_t *)target = v;
	return r;
}

static const struct json_field rdma_fields[] = {
	JSON_FIELD(struct cg_rdma_limit, handles, "hcaHandles", read_rdma_limit),
	JSON_FIELD(struct cg_rdma_limit, objects, "hcaObjects", read_rdma_limit),
};

static int take_rdma(const struct json_at *at, struct cg_limits *l, struct err *e)
{
	struct cg_rdma_limit *v = reallocarray(l->rdma, l->n_rdma + 1, sizeof(*v));

	if (!v)
		return err_nomem(e);
	l->rdma = v;
	v = &v[l->n_rdma];
	*v = (struct cg_rdma_limit){.handles = CG_UNSET, .objects = CG_UNSET};
	v->device = strdup(at->key);
	if (!v->device)
		return err_nomem(e);
	l->n_rdma++;
	return json_read_object(at, rdma_fields, ARRAY_SIZE(rdma_fields), v, e);
}

/* An object whose keys are the devices. */
int oci_read_rdma(const struct json_at *at, void *target, struct err *e)
{
	struct json_at child;
	size_t pos = 0;
	int r = 0;

	if (json_type_of(at->value) != JSON_OBJECT)
		return json_error(at, e, "expected an object");
	while (r == 0 && json_next_member(at, &pos, &child))
		r = take_rdma(&child, target, e);
	return r;
}

static int read_class(const struct json_at *at, void *target, struct err *e)
{
	uint32_t v;
	int r = json_get_u32(at, &v, e);

	if (r == 0 && v != 0)
		*(int64_t *)target = v;
	return r;
}

static const struct json_field priority_fields[] = {
	JSON_REQUIRED(struct cg_net_priority, interface, "name", json_read_string),
	JSON_REQUIRED(struct cg_net_priority, priority, "priority", json_read_u32),
};

static int read_priority(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, priority_fields, ARRAY_SIZE(priority_fields), target, e);
}

static int read_priorities(const struct json_at *at, void *target, struct err *e)
{
	struct cg_limits *l = target;

	return json_read_array(at, sizeof(*l->net_priorities), read_priority,
			       (void **)&l->net_priorities, &l->n_net_priorities, e);
}

static const struct json_field network_fields[] = {
	JSON_FIELD(struct cg_limits, net_class, "classID", read_class),
	{"priorities", read_priorities, 0, false, -1},
};

int oci_read_network_limits(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, network_fields, ARRAY_SIZE(network_fields), target, e);
}
