/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images: what docker and podman take, what they refuse, and what is implied.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "images/image.h"

#define HEX     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST  "sha256:" HEX
#define LONG_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text;
	enum img_transport transport;
	const char *path, *name, *tag, *digest;
	const char *shown; /* NULL: as text */
} good[] = {
	{"debian", IMG_STORED, NULL, "docker.io/library/debian", NULL, NULL, NULL},
	{"debian:12", IMG_STORED, NULL, "docker.io/library/debian", "12", NULL, NULL},
	{"docker.io/debian", IMG_STORED, NULL, "docker.io/library/debian", NULL, NULL, "debian"},
	{"index.docker.io/library/debian:12", IMG_STORED, NULL, "docker.io/library/debian", "12",
	 NULL, "debian:12"},
	{"me/app", IMG_STORED, NULL, "docker.io/me/app", NULL, NULL, NULL},
	{"localhost/app", IMG_STORED, NULL, "localhost/app", NULL, NULL, NULL},
	{"localhost:5000/app:v1", IMG_STORED, NULL, "localhost:5000/app", "v1", NULL, NULL},
	{"host:5000/a/b/c", IMG_STORED, NULL, "host:5000/a/b/c", NULL, NULL, NULL},
	{"registry.example.com/app@" DIGEST, IMG_STORED, NULL, "registry.example.com/app", NULL,
	 DIGEST, NULL},
	{"app:tag@" DIGEST, IMG_STORED, NULL, "docker.io/library/app", "tag", DIGEST, NULL},
	{"[::1]:5000/app", IMG_STORED, NULL, "[::1]:5000/app", NULL, NULL, NULL},
	{"x/a.b_c__d-e--f", IMG_STORED, NULL, "docker.io/x/a.b_c__d-e--f", NULL, NULL, NULL},
	{"HOST/app", IMG_STORED, NULL, "HOST/app", NULL, NULL, NULL},
	{"docker:latest", IMG_STORED, NULL, "docker.io/library/docker", "latest", NULL, NULL},
	{"oci", IMG_STORED, NULL, "docker.io/library/oci", NULL, NULL, NULL},
	{HEX, IMG_STORED, NULL, HEX, NULL, NULL, NULL},
	{DIGEST, IMG_STORED, NULL, HEX, NULL, NULL, HEX},
	{"oci:dir", IMG_OCI_LAYOUT, "dir", NULL, NULL, NULL, NULL},
	{"oci:/a/b:some tag: 1", IMG_OCI_LAYOUT, "/a/b", NULL, "some tag: 1", NULL, NULL},
	{"oci-archive:f.tar:latest", IMG_OCI_ARCHIVE, "f.tar", NULL, "latest", NULL, NULL},
	{"docker-archive:f.tar", IMG_DOCKER_ARCHIVE, "f.tar", NULL, NULL, NULL, NULL},
	{"docker-archive:/x/f.tar:app:v1", IMG_DOCKER_ARCHIVE, "/x/f.tar", "docker.io/library/app",
	 "v1", NULL, NULL},
	{"docker-archive:f.tar:h:5000/app", IMG_DOCKER_ARCHIVE, "f.tar", "h:5000/app", NULL, NULL,
	 NULL},
};

static bool same(const char *a, const char *b)
{
	return a && b ? STREQ(a, b) : a == b;
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_free_ char *shown = NULL;
		struct img_reference r = {0}, again = {0};
		struct err e = ERR_INIT;

		if (img_reference_parse(good[i].text, &r, &e) < 0)
			fail_msg("'%s': %s", good[i].text, e.text);
		if (r.transport != good[i].transport || !same(r.path, good[i].path) ||
		    !same(r.name, good[i].name) || !same(r.tag, good[i].tag) ||
		    !same(r.digest, good[i].digest))
			fail_msg("'%s': name '%s' tag '%s' path '%s'", good[i].text, r.name ?: "-",
				 r.tag ?: "-", r.path ?: "-");
		assert_int_equal(img_reference_text(&r, &shown), 0);
		assert_string_equal(shown, good[i].shown ?: good[i].text);
		/* What is shown means the same image. */
		assert_int_equal(img_reference_parse(shown, &again, &e), 0);
		assert_true(same(again.name, r.name) && same(again.tag, r.tag));
		img_reference_done(&r);
		img_reference_done(&again);
	}
}

static const char *const bad[] = {
	"",
	"/",
	"a/",
	"/a",
	"a//b",
	"Debian",
	"a/B",
	"a:",
	"a:b:c",
	"a@",
	"a@sha256:",
	"a@md5:abc",
	"a@" DIGEST "0",
	"a@sha256:"
	"G" HEX,
	"a b",
	"a\nb",
	"../etc",
	"./a",
	"a/../b",
	"-a",
	"a-",
	"a.",
	"a___b",
	"a..b",
	"a.-b",
	"host:port/a",
	"host:/a",
	"host:123456/a",
	"[::1/a",
	"[]/a",
	"a:.tag",
	"a:-tag",
	"a:t/g",
	"a?b",
	"oci:",
	"oci::tag",
	"oci:dir:",
	"oci-archive:",
	"docker-archive:",
	"docker-archive:f:",
	"docker-archive:f:A",
	"docker-archive:f:@0",
	"docker://debian",
	"containers-storage:x",
	"https://example.com/x.tar",
	"docker-archive:f:../x",
	LONG_63 "/" LONG_63 "/" LONG_63 "/" LONG_63 "/" LONG_63,
	"a:" LONG_63 LONG_63 LONG_63,
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct img_reference r = {.path = (char *)1};
		struct err e = ERR_INIT;

		if (img_reference_parse(bad[i], &r, &e) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_true(e.text[0] && r.path == (char *)1);
		for (const char *p = e.text; *p; p++)
			assert_true((unsigned char)*p >= 0x20);
	}
}

static void test_way_out(void **state)
{
	struct img_reference r;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(img_reference_parse("Debian", &r, &e), -EINVAL);
	assert_non_null(strstr(e.text, "Debian"));
	assert_non_null(strstr(e.hint, "lower case"));
	e = ERR_INIT;
	assert_int_equal(img_reference_parse("./dir", &r, &e), -EINVAL);
	assert_non_null(strstr(e.hint, "--rootfs ./dir"));
	e = ERR_INIT;
	assert_int_equal(img_reference_parse("docker://debian", &r, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "docker://"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_way_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
