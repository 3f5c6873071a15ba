/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of networks.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "vio/network.h"

#define SANDBOX_PREFIX "container:"

static const struct {
	const char *name;
	enum vio_network_kind kind;
} kinds[] = {
	{"none", VIO_NETWORK_NONE},
	{"host", VIO_NETWORK_HOST},
};

const char *vio_network_sandbox(const char *s)
{
	return s + strlen(SANDBOX_PREFIX);
}

int vio_network_parse(const char *s, enum vio_network_kind *ret, struct err *e)
{
	if (!*s)
		return err_invalid(e, "the network has no name");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!STREQ(kinds[i].name, s))
			continue;
		*ret = kinds[i].kind;
		return 0;
	}
	if (str_has_prefix(s, SANDBOX_PREFIX)) {
		if (!*vio_network_sandbox(s))
			return err_invalid(e, "network '%s' names no sandbox", s);
		*ret = VIO_NETWORK_SANDBOX;
		return 0;
	}
	/* Every other word may become a network's name. */
	err_unsupported(e, "network '%s' is not supported yet", s);
	return err_hint(e, "there are 'none' (only a loopback device), 'host' (the host's own) and "
			   "'container:ID' (another sandbox's)");
}
