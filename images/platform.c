/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the platforms that an index offers runs here.
 * Spec: OCI image-spec image-index.md "platform"; the words are those of Go's GOARCH and GOARM.
 */
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "manifest.h"

/* What uname(2) says and what images say. `variants`: those that run here, best first; "" is none given. */
static const struct {
	const char *machine, *architecture;
	const char *variants[5];
} platforms[] = {
	{"x86_64", "amd64", {"", "v1"}},
	{"aarch64", "arm64", {"v8", ""}},
	{"armv8l", "arm", {"v8", "v7", "v6", "v5", ""}},
	{"armv7l", "arm", {"v7", "", "v6", "v5"}},
	{"armv6l", "arm", {"v6", "v5", ""}},
	{"i686", "386", {""}},
	{"i586", "386", {""}},
	{"riscv64", "riscv64", {"", "rva20u64"}},
	{"ppc64le", "ppc64le", {""}},
	{"s390x", "s390x", {""}},
	{"loongarch64", "loong64", {""}},
	{"mips64", "mips64le", {""}},
};

static size_t host_index(void)
{
	struct utsname u;
	size_t i = 0;

	if (uname(&u) < 0)
		return ARRAY_SIZE(platforms);
	while (i < ARRAY_SIZE(platforms) && !STREQ(platforms[i].machine, u.machine))
		i++;
	return i;
}

const char *platform_host(void)
{
	size_t i = host_index();

	return i < ARRAY_SIZE(platforms) ? platforms[i].architecture : "unknown";
}

int platform_rank(const char *os, const char *architecture, const char *variant)
{
	const int n = ARRAY_SIZE(platforms[0].variants);
	size_t host = host_index();

	if (host == ARRAY_SIZE(platforms) || !os || !architecture || !STREQ(os, "linux") ||
	    !STREQ(architecture, platforms[host].architecture))
		return 0;
	for (int i = 0; i < n && platforms[host].variants[i]; i++)
		if (STREQ(platforms[host].variants[i], variant ? variant : ""))
			return n - i;
	return 0;
}
