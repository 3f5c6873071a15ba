/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `linux.netDevices`: an object whose keys are the host's names of network devices.
 * Spec: OCI runtime-spec config-linux.md "Network Devices".
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

static const struct json_field device_fields[] = {
	JSON_FIELD(struct iso_net_device, name, "name", oci_read_string_or_none),
};

int oci_read_net_devices(const struct json_at *at, void *isolation, struct err *e)
{
	struct iso_config *c = isolation;
	struct json_at member;
	size_t pos = 0;

	if (json_type_of(at->value) != JSON_OBJECT)
		return json_error(at, e, "expected an object of network devices");
	while (json_next_member(at, &pos, &member)) {
		struct iso_net_device *v =
			reallocarray(c->net_devices, c->n_net_devices + 1, sizeof(*v));
		int r;

		if (!v)
			return err_nomem(e);
		c->net_devices = v;
		v = &v[c->n_net_devices++];
		*v = (struct iso_net_device){.host_name = strdup(member.key)};
		if (!v->host_name)
			return err_nomem(e);
		r = json_read_object(&member, device_fields, ARRAY_SIZE(device_fields), v, e);
		if (r < 0)
			return r;
		if (!v->name && str_printf(&v->name, "%s", v->host_name) < 0)
			return err_nomem(e);
	}
	return 0;
}
