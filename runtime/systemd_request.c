/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request as insula-systemd reads it.
 */
#include "systemd_request.h"

#include <stdlib.h>

#include "base/cleanup.h"

static int read_copy(const struct json_at *at, void *target, struct err *e)
{
	struct json *copy;

	if (json_type_of(at->value) != JSON_ARRAY)
		return json_error(at, e, "expected an array");
	copy = json_copy(at->value);
	if (!copy)
		return err_nomem(e);
	json_free(*(struct json **)target);
	*(struct json **)target = copy;
	return 0;
}

static const struct json_field fields[] = {
	JSON_REQUIRED(struct systemd_request, verb, "verb", json_read_string),
	JSON_REQUIRED(struct systemd_request, user, "user", json_read_bool),
	JSON_REQUIRED(struct systemd_request, unit, "unit", json_read_string),
	JSON_REQUIRED(struct systemd_request, description, "description", json_read_string),
	JSON_FIELD(struct systemd_request, slice, "slice", json_read_string),
	JSON_FIELD(struct systemd_request, properties, "properties", read_copy),
	JSON_FIELD(struct systemd_request, late, "late", read_copy),
};

void systemd_request_done(struct systemd_request *r)
{
	free(r->verb);
	free(r->unit);
	free(r->slice);
	free(r->description);
	json_free(r->properties);
	json_free(r->late);
	*r = (struct systemd_request){0};
}

int systemd_request_read(struct json *document, struct systemd_request *ret, struct err *e)
{
	struct json_at top = json_top(document);
	struct systemd_request r = {0};
	int x = json_read_object(&top, fields, ARRAY_SIZE(fields), &r, e);

	if (x < 0) {
		systemd_request_done(&r);
		return x;
	}
	*ret = r;
	return 0;
}
