/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox's resolver reads: /etc/hosts and /etc/resolv.conf as text.
 * Source: hosts(5), resolv.conf(5).
 */
#pragma once

#include "base/err.h"

struct vio_hosts {
	const char *hostname;   /* the sandbox's own name; NULL: not told */
	const char *domainname; /* or NULL */
	const char *base; /* another hosts file's text that comes first, or NULL: the usual lines */
	char *const
		*extra; /* strv "NAME[;NAME…]:ADDRESS" or "NAME=ADDRESS", as --add-host has it */
};

/* Caller frees *ret. ERR_INVALID names the entry; "host-gateway" is ERR_UNSUPPORTED. */
int vio_hosts_text(const struct vio_hosts *h, char **ret, struct err *e);

struct vio_resolver {
	const char *base; /* another resolv.conf's text, or NULL */
	/* Each kind, when given, takes the place of the base's lines of that kind. "." alone as a search domain is
	 * none at all. */
	char *const *servers, *const *search, *const *options;
};

int vio_resolver_text(const struct vio_resolver *r, char **ret, struct err *e);
