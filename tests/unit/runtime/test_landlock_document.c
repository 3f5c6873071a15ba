/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock in a document: what is read from the annotation, what is refused by name, and which annotation a document of
 * `insula run` gets.
 */
#include "oci_document.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../runtime/landlock_document.h"

#define KEY ANNOTATION_LANDLOCK

static int read_annotation(const char *text, struct oci_config *c, struct err *e)
{
	struct json *document = document_parse(DOCUMENT_SMALLEST), *all = json_new_object();
	int r;

	assert_int_equal(json_set(all, KEY, json_new_string(text)), 0);
	assert_int_equal(json_set(document, "annotations", all), 0);
	r = oci_config_read(document, "/b", c, e);
	if (r < 0)
		json_free(document);
	return r;
}

static void test_read(void **state)
{
	struct oci_config c;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(read_annotation("{\"read\": [\"/\"], \"write\": [\"/tmp\", \"/data\"], "
					 "\"device\": [\"/dev\"], \"scope\": [\"signal\"]}",
					 &c, &e),
			 0);
	const struct iso_landlock *l = &c.isolation.landlock;

	assert_true(l->present && l->scope_signals && !l->scope_abstract);
	assert_int_equal(l->n_rules, 4);
	assert_string_equal(l->rules[0].path, "/");
	assert_int_equal(l->rules[0].access, ISO_LANDLOCK_READ);
	assert_string_equal(l->rules[2].path, "/data");
	assert_int_equal(l->rules[2].access, ISO_LANDLOCK_WRITE);
	assert_int_equal(l->rules[3].access, ISO_LANDLOCK_DEVICE);
	oci_config_done(&c);
	/* Without it there is none. */
	assert_int_equal(oci_config_read(document_parse(DOCUMENT_SMALLEST), "/b", &c, &e), 0);
	assert_false(c.isolation.landlock.present);
	oci_config_done(&c);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} all[] = {
		{"", KEY},
		{"[]", "expected an object"},
		{"{\"read\": \"/\"}", "read"},
		{"{\"read\": [\"tmp\"]}", "read[0]: expected an absolute path"},
		{"{\"write\": [1]}", "write[0]"},
		{"{\"exec\": [\"/\"]}", "exec: unknown member"},
		{"{\"scope\": [\"everything\"]}", "scope[0]: expected 'signal'"},
		{"{\"scope\": \"signal\"}", "scope"},
		{"{\"read\": [\"/\"]} more", KEY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct oci_config c;
		struct err e = ERR_INIT;

		assert_true(read_annotation(all[i].text, &c, &e) < 0);
		if (!strstr(e.text, all[i].words) || !strstr(e.text, KEY))
			fail_msg("'%s': %s", all[i].text, e.text);
	}
}

/* ---- made by run ------------------------------------------------------------------------------ */

static const char mounts[] =
	"[{\"destination\": \"/proc\", \"type\": \"proc\", \"options\": [\"nosuid\"]},"
	"{\"destination\": \"/sys\", \"type\": \"sysfs\", \"options\": [\"ro\"]},"
	"{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"options\": [\"nosuid\"]},"
	"{\"destination\": \"/dev/pts\", \"type\": \"devpts\"},"
	"{\"destination\": \"/home\", \"type\": \"tmpfs\"},"
	"{\"destination\": \"/data/\", \"type\": \"bind\", \"options\": [\"rbind\"]},"
	"{\"destination\": \"/given\", \"type\": \"bind\", \"options\": [\"rbind\", \"ro\"]}]";

static char tree[] = "/tmp/insula-test-landlock-XXXXXX";

static int set_up(void **state)
{
	static const char *const dirs[] = {"", "etc", "usr", "proc", "sys", "dev", "home", "given"};
	char path[96];

	(void)state;
	if (!mkdtemp(tree))
		return -1;
	for (size_t i = 1; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", tree, dirs[i]);
		if (mkdir(path, 0755) < 0)
			return -1;
	}
	snprintf(path, sizeof(path), "%s/bin", tree);
	return symlink("usr/bin", path);
}

static int tear_down(void **state)
{
	char line[96];

	(void)state;
	snprintf(line, sizeof(line), "rm -r %s", tree);
	return system(line);
}

static void expect_annotation(struct json *document, const char *expected)
{
	int fd = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct json_at top, annotations, value;
	struct err e = ERR_INIT;

	if (run_set_landlock(document, fd, &e) < 0)
		fail_msg("%s", e.text);
	close(fd);
	top = json_top(document);
	assert_true(json_member(&top, "annotations", &annotations));
	assert_true(json_member(&annotations, KEY, &value));
	assert_string_equal(json_peek_string(&value), expected);
	json_free(document);
}

static struct json *document(const char *namespaces)
{
	struct json *d = document_with("mounts", mounts);

	document_put(d, "linux.namespaces", document_parse(namespaces));
	return d;
}

#define PRIVATE "[{\"type\": \"pid\"}, {\"type\": \"network\"}]"

/* A system that stays as it is: only what is the sandbox's own can be written. */
static void test_system_read_only(void **state)
{
	(void)state;
	expect_annotation(document(PRIVATE), "{\"read\":[\"/\"],\"write\":[\"/home\",\"/data\"],"
					     "\"device\":[\"/dev\"],\"scope\":[]}");
}

/* A throwaway system: each top directory, and never /proc or /sys. */
static void test_system_throwaway(void **state)
{
	struct json *d = document(PRIVATE), *all = json_new_object();

	(void)state;
	assert_int_equal(json_set(all, "org.insula.rootfs", json_new_string("throwaway")), 0);
	assert_int_equal(json_set(d, "annotations", all), 0);
	expect_annotation(d, "{\"read\":[\"/\"],\"write\":[\"/home\",\"/data\",\"/etc\",\"/usr\"],"
			     "\"device\":[\"/dev\"],\"scope\":[]}");
	d = document(PRIVATE);
	all = json_new_object();
	assert_int_equal(json_set(all, "org.insula.rootfs", json_new_string("throwaway")), 0);
	assert_int_equal(json_set(d, "annotations", all), 0);
	document_put(d, "root.readonly", document_parse("true"));
	expect_annotation(d, "{\"read\":[\"/\"],\"write\":[\"/home\",\"/data\"],"
			     "\"device\":[\"/dev\"],\"scope\":[]}");
}

static void test_shared_namespaces(void **state)
{
	(void)state;
	expect_annotation(document("[{\"type\": \"user\"}]"),
			  "{\"read\":[\"/\"],\"write\":[\"/proc\",\"/home\",\"/data\"],"
			  "\"device\":[\"/dev\"],\"scope\":[\"abstract-unix-socket\",\"signal\"]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_system_read_only),
		cmocka_unit_test(test_system_throwaway),
		cmocka_unit_test(test_shared_namespaces),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
