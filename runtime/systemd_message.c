/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the text form of properties (systemd_unit.h) to what goes over the bus: one row per signature.
 */
#include "systemd_message.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"

static const char *word(const struct json_at *property, size_t i)
{
	struct json_at v;

	if (i >= json_array_len(property))
		return NULL;
	v = json_array_at(property, i);
	return json_peek_string(&v);
}

static int append_boolean(sd_bus_message *m, const char *text)
{
	int v = STREQ(text, "true");

	return sd_bus_message_append_basic(m, 'b', &v);
}

static int append_signed(sd_bus_message *m, char type, const char *text)
{
	int64_t v;
	int r = parse_i64(text, &v);

	if (r < 0)
		return r;
	switch (type) {
	case 'n':
		return sd_bus_message_append_basic(m, type, &(int16_t){(int16_t)v});
	case 'i':
		return sd_bus_message_append_basic(m, type, &(int32_t){(int32_t)v});
	}
	return sd_bus_message_append_basic(m, type, &v);
}

static int append_unsigned(sd_bus_message *m, char type, const char *text)
{
	uint64_t v;
	int r = parse_u64(text, &v);

	if (r < 0)
		return r;
	switch (type) {
	case 'y':
		return sd_bus_message_append_basic(m, type, &(uint8_t){(uint8_t)v});
	case 'q':
		return sd_bus_message_append_basic(m, type, &(uint16_t){(uint16_t)v});
	case 'u':
		return sd_bus_message_append_basic(m, type, &(uint32_t){(uint32_t)v});
	}
	return sd_bus_message_append_basic(m, type, &v);
}

static int append_basic(sd_bus_message *m, char type, const char *text)
{
	if (!text)
		return -EINVAL;
	switch (type) {
	case 's':
		return sd_bus_message_append_basic(m, 's', text);
	case 'b':
		return append_boolean(m, text);
	case 'n':
	case 'i':
	case 'x':
		return append_signed(m, type, text);
	case 'y':
	case 'q':
	case 'u':
	case 't':
		return append_unsigned(m, type, text);
	}
	return -EINVAL;
}

/* "as" and the like: an element each. */
static int append_array(sd_bus_message *m, const char *element, const struct json_at *property)
{
	int r = sd_bus_message_open_container(m, 'a', element);

	for (size_t i = 2; r >= 0 && i < json_array_len(property); i++)
		r = append_basic(m, element[0], word(property, i));
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* "a(st)": two elements each. */
static int append_pairs(sd_bus_message *m, const char *signature, const struct json_at *property)
{
	const char pair[] = {signature[2], signature[3], '\0'};
	const char element[] = {'(', pair[0], pair[1], ')', '\0'};
	int r = sd_bus_message_open_container(m, 'a', element);

	for (size_t i = 2; r >= 0 && i < json_array_len(property); i += 2) {
		r = sd_bus_message_open_container(m, 'r', pair);
		if (r >= 0)
			r = append_basic(m, pair[0], word(property, i));
		if (r >= 0)
			r = append_basic(m, pair[1], word(property, i + 1));
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, const char *signature, const struct json_at *property)
{
	if (STREQ(signature, "a(ss)") || STREQ(signature, "a(st)"))
		return append_pairs(m, signature, property);
	if (STREQ(signature, "as") || STREQ(signature, "ay") || STREQ(signature, "au"))
		return append_array(m, signature + 1, property);
	if (strlen(signature) == 1)
		return append_basic(m, signature[0], word(property, 2));
	return -EINVAL;
}

int systemd_append_property(sd_bus_message *m, const struct json_at *property, struct err *e)
{
	const char *name = word(property, 0), *signature = word(property, 1);
	int r;

	if (!name || !signature)
		return json_error(property, e, "not a property");
	r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', name);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', signature);
	if (r >= 0)
		r = append_value(m, signature, property);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? err_sys(e, r, "property %s", name) : 0;
}

int systemd_append_properties(sd_bus_message *m, const struct json *properties, struct err *e)
{
	struct json_at top = json_top(properties);
	int r = 0;

	for (size_t i = 0; properties && r == 0 && i < json_array_len(&top); i++) {
		struct json_at p = json_array_at(&top, i);

		r = systemd_append_property(m, &p, e);
	}
	return r;
}
