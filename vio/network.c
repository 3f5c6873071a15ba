/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of networks.
 */
#include <string.h>

#include "base/cleanup.h"
#include "vio/network.h"

static const struct {
	const char *name;
	enum vio_network_kind kind;
} kinds[] = {
	{"none", VIO_NETWORK_NONE},
	{"host", VIO_NETWORK_HOST},
};

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
	/* Every other word may become a network's name. */
	err_unsupported(e, "network '%s' is not supported yet", s);
	return err_hint(e, "there are 'none' (only a loopback device) and 'host' (the host's own)");
}
