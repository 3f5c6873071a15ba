/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts, archives and the store, without the real worker: one of the test's own takes a layer as a file of its bytes, so
 * that what is tested is the store's side: digests, sizes, locks, names, what a death leaves. Images are
 * written here by hand, good and hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../images/digest.h"
#include "../../../images/manifest.h"
#include "../runtime/scratch_dir.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "images/image.h"
#include "images/worker.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static struct scratch *scratch;
static struct img_store *store;
static int worker_calls;

/* Below the scratch directory, in a buffer that lives until the next call with the same slot. */
static const char *at(int slot, const char *rest)
{
	static char buf[3][1024];

	snprintf(buf[slot], sizeof(buf[slot]), "%s/%s", scratch->path, rest);
	return buf[slot];
}

/* How the worker of the next call behaves. */
static enum { GOOD, LIES_ABOUT_DIFF_ID, DIES, SAYS_NOTHING, REFUSES, STOPS_READING } behaviour;

/* ---- the worker ---------------------------------------------------------------------------- */

/* `to`: a directory, or the file of an image. */
static void extract(int in, int to, int out)
{
	struct img_worker_report report = {0};
	struct digest d;
	char buf[65536];
	ssize_t n;
	int fd = openat(to, "content", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		fd = to;

	if (behaviour == STOPS_READING || behaviour == REFUSES)
		err_invalid(&report.error, "entry '../x' leaves the layer");
	digest_init(&d);
	while (behaviour != STOPS_READING && (n = read(in, buf, sizeof(buf))) > 0) {
		digest_add(&d, buf, (size_t)n);
		report.bytes += (uint64_t)write(fd, buf, (size_t)n);
	}
	digest_text(&d, report.diff_id);
	if (behaviour == LIES_ABOUT_DIFF_ID)
		strcpy(report.diff_id, "sha256:" ZEROS);
	if (behaviour == DIES)
		raise(SIGKILL);
	if (behaviour != SAYS_NOTHING && write(out, &report, sizeof(report)) < 0)
		_exit(9);
	_exit(report.error.kind != ERR_NONE);
}

static int start_worker(void *arg, char *const *args, const int *fds, size_t n_fds, pid_t *ret_pid,
			struct err *e)
{
	pid_t pid;

	(void)arg;
	if ((!STREQ(args[1], IMG_WORKER_EXTRACT) && !STREQ(args[1], IMG_WORKER_EROFS)) ||
	    n_fds != 4)
		return err_unsupported(e, "the test's worker only extracts");
	worker_calls++;
	fflush(NULL);
	pid = fork_tied();
	if (pid == 0) {
		int in = dup(fds[0]), dir = dup(fds[1]), out = dup(fds[2]);

		/* All others go, or the stream would never end. */
		for (int fd = 3; fd < 256; fd++)
			if (fd != in && fd != dir && fd != out)
				close(fd);
		extract(in, dir, out);
	}
	*ret_pid = pid;
	return 0;
}

/* ---- images by hand ------------------------------------------------------------------------ */

struct blob_text {
	char digest[DIGEST_MAX];
	size_t len;
};

static struct blob_text put(const char *layout, const char *text)
{
	struct blob_text b = {.len = strlen(text)};
	char name[256];

	digest_of(text, b.len, b.digest);
	snprintf(name, sizeof(name), "%s/blobs/sha256/%s", layout, digest_hex(b.digest));
	write_file(at(0, name), text, 0644);
	return b;
}

static void put_index(const char *layout, const char *text)
{
	char name[128];

	snprintf(name, sizeof(name), "%s/index.json", layout);
	write_file(at(0, name), text, 0644);
}

static void make_layout(const char *layout)
{
	char name[128];

	mkdir(at(0, layout), 0755);
	snprintf(name, sizeof(name), "%s/blobs", layout);
	mkdir(at(0, name), 0755);
	snprintf(name, sizeof(name), "%s/blobs/sha256", layout);
	mkdir(at(0, name), 0755);
	snprintf(name, sizeof(name), "%s/oci-layout", layout);
	write_file(at(0, name), "{\"imageLayoutVersion\":\"1.0.0\"}", 0644);
}

#define OCI_LAYER    "application/vnd.oci.image.layer.v1.tar"
#define OCI_CONFIG   "application/vnd.oci.image.config.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX    "application/vnd.oci.image.index.v1+json"

/* What to write; NULL and 0: what is right. */
struct recipe {
	const char *layer; /* bytes */
	const char *layer_type, *config_type, *manifest_type, *layer_digest, *diff_id,
		*architecture;
	long long layer_size_off;
	const char *manifest_extra; /* members more: "\"manifests\":[]," */
	const char *annotations;    /* of the index entry */
	const char *platform;       /* member of the index entry */
};

static char *descriptor(const char *type, const char *digest, long long size, const char *more)
{
	char *text = NULL;

	assert_int_equal(str_printf(&text,
				    "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld%s}",
				    type, digest, size, more ?: ""),
			 0);
	return text;
}

/* The index entry of a whole image. Caller frees. */
static char *make_image(const char *layout, const struct recipe *r)
{
	_cleanup_free_ char *config = NULL, *config_d = NULL, *layer_d = NULL, *manifest = NULL,
			    *more = NULL;
	const char *bytes = r->layer ?: "layer";
	struct blob_text l = put(layout, bytes), c, m;

	assert_int_equal(
		str_printf(
			&config,
			"{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"%s\"]},"
			"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
			r->architecture ?: platform_host(), bytes, r->diff_id ?: l.digest),
		0);
	c = put(layout, config);
	config_d = descriptor(r->config_type ?: OCI_CONFIG, c.digest, (long long)c.len, NULL);
	layer_d = descriptor(r->layer_type ?: OCI_LAYER, r->layer_digest ?: l.digest,
			     (long long)l.len + r->layer_size_off, NULL);
	assert_int_equal(str_printf(&manifest,
				    "{\"schemaVersion\":2,%s\"config\":%s,\"layers\":[%s]}",
				    r->manifest_extra ?: "", config_d, layer_d),
			 0);
	m = put(layout, manifest);
	assert_int_equal(str_printf(&more, "%s%s", r->annotations ?: "", r->platform ?: ""), 0);
	return descriptor(r->manifest_type ?: OCI_MANIFEST, m.digest, (long long)m.len, more);
}

static void make_index(const char *layout, const char *entries)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(str_printf(&text, "{\"schemaVersion\":2,\"manifests\":[%s]}", entries), 0);
	put_index(layout, text);
}

/* A layout with that one image. */
static void make_simple(const char *layout, const struct recipe *r)
{
	_cleanup_free_ char *entry = NULL;

	make_layout(layout);
	entry = make_image(layout, r);
	make_index(layout, entry);
}

static int open_image(const char *layout, const char *tag, struct img_image *ret, struct err *e)
{
	struct img_reference r = {0};
	char text[2048];
	int x;

	snprintf(text, sizeof(text), "oci:%s%s%s", at(1, layout), tag ? ":" : "", tag ?: "");
	assert_int_equal(img_reference_parse(text, &r, NULL), 0);
	x = img_image_open(store, &r, NULL, ret, e);
	img_reference_done(&r);
	return x;
}

/* ---- what the store holds -------------------------------------------------------------------- */

static size_t entries(const char *name)
{
	char command[256];
	char out[32] = "";
	FILE *f;

	snprintf(command, sizeof(command), "find %s/store/%s -mindepth 1 | wc -l", scratch->path,
		 name);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(out, sizeof(out), f));
	pclose(f);
	return strtoul(out, NULL, 10);
}

/* Can this test's kernel mount images? */
static bool images_work, with_images;
static int n_mounts;

static int mount_image(int image_fd, struct err *e)
{
	char magic[4] = "";

	n_mounts++;
	/* What is tried is an image. */
	assert_int_equal(pread(image_fd, magic, sizeof(magic), 1024), 4);
	assert_memory_equal(magic, "\xe2\xe1\xf5\xe0", 4);
	return images_work ? path_open_dir("/", e) : err_unsupported(e, "no such file system");
}

static void open_store(void)
{
	const struct img_store_params p = {.path = at(0, "store"),
					   .ids = "0",
					   .worker = start_worker,
					   .mount = with_images ? mount_image : NULL};
	struct err e = ERR_INIT;

	if (img_store_open(&p, &store, &e) < 0)
		fail_msg("%s", e.text);
}

static int set_up(void **state)
{
	limit_time(300); /* an emulated host is slow */
	scratch = scratch_new();
	*state = scratch;
	behaviour = GOOD;
	worker_calls = 0;
	with_images = images_work = false;
	n_mounts = 0;
	open_store();
	return 0;
}

static int tear_down(void **state)
{
	img_store_close(store);
	store = NULL;
	scratch_free(*state);
	return 0;
}

/* Nothing but the empty directories and the lock. */
static void expect_empty(void)
{
	assert_int_equal(entries("layers/0"), 0);
	assert_int_equal(entries("images"), 0);
	assert_int_equal(entries("names"), 0);
	assert_int_equal(entries("archives"), 0);
}

/* ---- tests -------------------------------------------------------------------------------------- */

static void test_open(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct img_image i = {0};
	struct err e = ERR_INIT;
	char path[512];
	struct stat st;

	(void)state;
	make_simple("l", &(struct recipe){0});
	if (open_image("l", NULL, &i, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(i.config.cmd[0], "layer");
	assert_int_equal(strv_len(i.layers), 1);
	assert_int_equal(strlen(i.id), 64);
	assert_true(digest_is_valid(i.digest));
	assert_int_equal(i.size_bytes, 5);
	snprintf(path, sizeof(path), "%s/content", i.layers[0]);
	text = read_file(path);
	assert_string_equal(text, "layer");
	assert_int_equal(stat(at(0, "store"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	img_image_done(&i);
}

/* A second time nothing is extracted, and by the short way the layout's blobs are not even read. */
static void test_twice(void **state)
{
	struct img_image i = {0};
	struct err e = ERR_INIT;

	(void)state;
	make_simple("l", &(struct recipe){0});
	assert_int_equal(open_image("l", NULL, &i, &e), 0);
	img_image_done(&i);
	/* Younger than a clock's tick it is not believed to be the same. */
	usleep(120000);
	assert_int_equal(open_image("l", NULL, &i, &e), 0);
	img_image_done(&i);
	assert_int_equal(worker_calls, 1);
	assert_int_equal(rename(at(0, "l/blobs"), at(1, "l/gone")), 0);
	assert_int_equal(open_image("l", NULL, &i, &e), 0);
	assert_string_equal(i.config.cmd[0], "layer");
	img_image_done(&i);
}

/* Another image at the same place is noticed. */
static void test_changed(void **state)
{
	struct img_image i = {0};
	struct err e = ERR_INIT;

	(void)state;
	make_simple("l", &(struct recipe){0});
	usleep(120000);
	assert_int_equal(open_image("l", NULL, &i, &e), 0);
	img_image_done(&i);
	make_simple("l", &(struct recipe){.layer = "other"});
	assert_int_equal(open_image("l", NULL, &i, &e), 0);
	assert_string_equal(i.config.cmd[0], "other");
	img_image_done(&i);
}

static const struct {
	const char *what;
	struct recipe recipe;
	const char *text; /* in the error */
} hostile[] = {
	{"both kinds", {.manifest_extra = "\"manifests\":[],"}, "both an index and a manifest"},
	{"other inner type", {.manifest_extra = "\"mediaType\":\"" OCI_INDEX "\","}, "differs"},
	{"foreign layer",
	 {.layer_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"},
	 "foreign"},
	{"encrypted layer", {.layer_type = OCI_LAYER "+gzip+encrypted"}, "encrypted"},
	{"unknown layer", {.layer_type = "application/x-evil"}, "application/x-evil"},
	{"artifact", {.config_type = "application/vnd.oci.empty.v1+json"}, "artifact"},
	{"helm", {.config_type = "application/vnd.cncf.helm.config.v1+json"}, "helm"},
	{"schema 1",
	 {.manifest_type = "application/vnd.docker.distribution.manifest.v1+json"},
	 "schema 1"},
	{"digest with a path", {.layer_digest = "sha256:../../../../etc/passwd"}, "not a digest"},
	{"upper case digest",
	 {.layer_digest =
		  "sha256:ABCDEF0000000000000000000000000000000000000000000000000000000000"},
	 "not a digest"},
	{"sha512", {.layer_digest = "sha512:" ZEROS ZEROS}, "sha256"},
	{"missing layer", {.layer_digest = "sha256:" ZEROS}, "not in it"},
	{"layer too long for its descriptor", {.layer_size_off = -1}, "descriptor says 4"},
	{"layer too short", {.layer_size_off = 1}, "descriptor says 6"},
	{"negative size", {.layer_size_off = -10}, "size"},
	{"other DiffID", {.diff_id = "sha256:" ZEROS}, "DiffID"},
	{"DiffID with a path", {.diff_id = "sha256:../../x"}, "not a digest"},
	{"other architecture", {.architecture = "pdp11"}, "linux/pdp11"},
};

static void test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		struct img_image image = {0};
		struct err e = ERR_INIT;
		char layout[32];

		snprintf(layout, sizeof(layout), "h%zu", i);
		make_simple(layout, &hostile[i].recipe);
		if (open_image(layout, NULL, &image, &e) == 0)
			fail_msg("%s: taken", hostile[i].what);
		if (!strstr(e.text, hostile[i].text))
			fail_msg("%s: '%s' is not in: %s", hostile[i].what, hostile[i].text,
				 e.text);
		expect_empty();
	}
}

/* A blob that is not what its digest says; one that is a FIFO; one that leads out. */
static void test_bad_blobs(void **state)
{
	static const char text[] = "LAYER";
	struct img_image image = {0};
	struct err e = ERR_INIT;
	char blob[256], digest[DIGEST_MAX];

	(void)state;
	digest_of("layer", 5, digest);
	snprintf(blob, sizeof(blob), "l/blobs/sha256/%s", digest_hex(digest));
	make_simple("l", &(struct recipe){0});
	write_file(at(0, blob), text, 0644);
	assert_int_equal(open_image("l", NULL, &image, &e), -EINVAL);
	assert_non_null(strstr(e.text, "damaged"));
	expect_empty();

	unlink(at(0, blob));
	assert_int_equal(mkfifo(at(0, blob), 0644), 0);
	assert_int_equal(open_image("l", NULL, &image, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not a file"));

	unlink(at(0, blob));
	write_file(at(1, "secret"), "layer", 0644);
	assert_int_equal(symlink(at(1, "secret"), at(0, blob)), 0);
	assert_true(open_image("l", NULL, &image, &e) < 0);
	expect_empty();
}

static void test_bad_worker(void **state)
{
	static const struct {
		int how;
		const char *text;
	} cases[] = {
		{LIES_ABOUT_DIFF_ID, "DiffID"},      {DIES, "SIGKILL"},
		{SAYS_NOTHING, "status 0"},          {REFUSES, "'../x' leaves"},
		{STOPS_READING, "leaves the layer"},
	};

	(void)state;
	make_simple("l", &(struct recipe){0});
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct img_image image = {0};
		struct err e = ERR_INIT;

		behaviour = cases[i].how;
		assert_true(open_image("l", NULL, &image, &e) < 0);
		if (!strstr(e.text, cases[i].text))
			fail_msg("'%s' is not in: %s", cases[i].text, e.text);
		expect_empty();
	}
}

/* ---- choosing ------------------------------------------------------------------------------------- */

static void expect_cmd(const char *layout, const char *tag, const char *cmd)
{
	struct img_image i = {0};
	struct err e = ERR_INIT;

	if (open_image(layout, tag, &i, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(i.config.cmd[0], cmd);
	img_image_done(&i);
}

static void test_names(void **state)
{
	_cleanup_free_ char *one = NULL, *two = NULL, *both = NULL;
	struct img_image i = {0};
	struct err e = ERR_INIT;

	(void)state;
	make_layout("l");
	one = make_image("l",
			 &(struct recipe){.layer = "one",
					  .annotations = ",\"annotations\":{\"org.opencontainers."
							 "image.ref.name\":\"v1\"}"});
	two = make_image("l",
			 &(struct recipe){.layer = "two",
					  .annotations = ",\"annotations\":{\"org.opencontainers."
							 "image.ref.name\":\"h/app:v2\"}"});
	assert_int_equal(str_printf(&both, "%s,%s", one, two), 0);
	make_index("l", both);
	expect_cmd("l", "v1", "one");
	expect_cmd("l", "h/app:v2", "two");
	assert_int_equal(open_image("l", NULL, &i, &e), -EINVAL);
	assert_non_null(strstr(e.hint, "v1, h/app:v2"));
	e = ERR_INIT;
	assert_int_equal(open_image("l", "v3", &i, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(e.hint, "v1, h/app:v2"));
}

/* Nested indexes, other platforms, an attestation that comes first. */
static void test_platforms(void **state)
{
	_cleanup_free_ char *ours = NULL, *other = NULL, *proof = NULL, *inner = NULL,
			    *entry = NULL, *platform = NULL;
	struct img_image i = {0};
	struct err e = ERR_INIT;
	struct blob_text b;

	(void)state;
	make_layout("l");
	assert_int_equal(str_printf(&platform,
				    ",\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}",
				    platform_host()),
			 0);
	ours = make_image("l", &(struct recipe){.layer = "ours", .platform = platform});
	other = make_image("l", &(struct recipe){.layer = "other",
						 .architecture = "pdp11",
						 .platform = ",\"platform\":{\"os\":\"linux\","
							     "\"architecture\":\"pdp11\"}"});
	proof = make_image("l", &(struct recipe){.layer = "proof",
						 .annotations = ",\"annotations\":{\"vnd.docker."
								"reference.type\":\"attestation-"
								"manifest\"}"});
	assert_int_equal(str_printf(&inner, "{\"schemaVersion\":2,\"manifests\":[%s,%s,%s]}", proof,
				    other, ours),
			 0);
	b = put("l", inner);
	entry = descriptor(OCI_INDEX, b.digest, (long long)b.len, NULL);
	make_index("l", entry);
	expect_cmd("l", NULL, "ours");

	make_index("l", other);
	assert_int_equal(open_image("l", NULL, &i, &e), -ENOTSUP);
	assert_non_null(strstr(e.hint, "linux/pdp11"));
	make_index("l", proof);
	e = ERR_INIT;
	assert_int_equal(open_image("l", NULL, &i, &e), -ENOENT);
}

static void test_deep_index(void **state)
{
	char *entry;
	struct img_image i = {0};
	struct err e = ERR_INIT;

	(void)state;
	make_layout("l");
	entry = make_image("l", &(struct recipe){0});
	for (int depth = 0; depth < 6; depth++) {
		_cleanup_free_ char *text = NULL;
		struct blob_text b;

		assert_int_equal(
			str_printf(&text, "{\"schemaVersion\":2,\"manifests\":[%s]}", entry), 0);
		free(entry);
		b = put("l", text);
		entry = descriptor(OCI_INDEX, b.digest, (long long)b.len, NULL);
	}
	make_index("l", entry);
	free(entry);
	assert_int_equal(open_image("l", NULL, &i, &e), -EINVAL);
	assert_non_null(strstr(e.text, "nest"));
}

/* ---- names of the store, removal ------------------------------------------------------------------- */

static char *load(const char *layout)
{
	struct img_reference from = {.transport = IMG_OCI_LAYOUT, .path = (char *)at(1, layout)};
	char **names = NULL, *first;
	struct err e = ERR_INIT;

	if (img_load(store, &from, NULL, &names, &e) < 0)
		fail_msg("%s", e.text);
	first = strdup(names[0]);
	strv_free(names);
	return first;
}

static int remove_named(const char *name, char *const *in_use, struct err *e)
{
	struct img_reference r = {0};
	int x;

	/* As a later command does it. */
	img_store_close(store);
	open_store();
	assert_int_equal(img_reference_parse(name, &r, NULL), 0);
	x = img_remove(store, &r, in_use, e);
	img_reference_done(&r);
	return x;
}

static void test_names_and_removal(void **state)
{
	struct img_reference by_name = {0};
	struct img_image i = {0};
	struct img_entry *v = NULL;
	struct err e = ERR_INIT;
	char *id, part[13];
	size_t n;

	(void)state;
	make_simple("l", &(struct recipe){0});
	id = load("l");
	assert_int_equal(strlen(id), 64);
	snprintf(part, sizeof(part), "%.12s", id);
	assert_int_equal(img_reference_parse(part, &by_name, NULL), 0);
	assert_int_equal(img_tag(store, &by_name, "app:v1", &e), 0);
	assert_int_equal(img_tag(store, &by_name, "other", &e), 0);
	assert_int_equal(img_tag(store, &by_name, "App", &e), -EINVAL);
	img_reference_done(&by_name);

	assert_int_equal(img_list(store, &v, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(v[0].name, "app");
	assert_string_equal(v[0].tag, "v1");
	assert_string_equal(v[1].name, "other");
	assert_string_equal(v[1].tag, "latest");
	assert_int_equal(v[0].size_bytes, 5);
	img_list_free(v, n);

	/* A name goes, then the image; not while a sandbox has it. */
	assert_int_equal(remove_named("app:v1", NULL, &e), 0);
	assert_int_equal(entries("names"), 1);
	assert_int_equal(remove_named("other", (char *[]){id, NULL}, &e), -EBUSY);
	assert_int_equal(e.kind, ERR_STATE);
	e = ERR_INIT;
	assert_int_equal(remove_named("other", NULL, &e), 0);
	expect_empty();
	assert_int_equal(remove_named("other", NULL, &e), -ENOENT);
	assert_int_equal(img_reference_parse(part, &by_name, NULL), 0);
	e = ERR_INIT;
	assert_int_equal(img_image_open(store, &by_name, NULL, &i, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	img_reference_done(&by_name);
	free(id);
}

/* Layers as EROFS images: only where they can be mounted, beside directories, and removed as those. */
static void test_images_of_layers(void **state)
{
	struct img_image i = {0};
	struct err e = ERR_INIT;
	char *id;

	(void)state;
	with_images = true;
	img_store_close(store);
	open_store();
	make_simple("l", &(struct recipe){0});
	make_simple("m", &(struct recipe){.layer = "other"});
	/* The kernel refuses: a directory, and it was asked once. */
	assert_int_equal(open_image("l", NULL, &i, &e), 0);
	assert_true(str_has_suffix(i.layers[0], "/diff"));
	img_image_done(&i);
	assert_int_equal(n_mounts, 1);
	assert_int_equal(entries("layers/erofs1"), 0);

	/* Another day it does not: what is there is used, what is new is an image. */
	img_store_close(store);
	images_work = true;
	open_store();
	assert_int_equal(open_image("l", NULL, &i, &e), 0);
	assert_true(str_has_suffix(i.layers[0], "/diff"));
	img_image_done(&i);
	assert_int_equal(worker_calls, 1);
	assert_int_equal(open_image("m", NULL, &i, &e), 0);
	assert_true(str_has_suffix(i.layers[0], "/layer.erofs"));
	assert_non_null(strstr(i.layers[0], "/layers/erofs1/"));
	assert_int_equal(i.size_bytes, 5);
	id = strdup(i.id);
	img_image_done(&i);
	assert_int_equal(worker_calls, 2);
	assert_int_equal(entries("layers/erofs1"), 3); /* its directory, the file, the record */

	/* What cannot be mounted any more is not there; unpacked again, the image has both. */
	img_store_close(store);
	images_work = false;
	open_store();
	assert_int_equal(open_image("m", NULL, &i, &e), 0);
	assert_true(str_has_suffix(i.layers[0], "/diff"));
	img_image_done(&i);
	assert_int_equal(worker_calls, 3);
	assert_int_equal(remove_named(id, NULL, &e), 0);
	assert_int_equal(entries("layers/erofs1"), 0);
	assert_int_equal(entries("layers/0"), 4); /* that of l: also the file in its directory */
	free(id);

	/* One that failed leaves nothing. */
	img_store_close(store);
	images_work = true;
	open_store();
	behaviour = LIES_ABOUT_DIFF_ID;
	assert_int_equal(open_image("m", NULL, &i, &e), -EINVAL);
	assert_int_equal(entries("layers/erofs1"), 0);
	behaviour = DIES;
	e = ERR_INIT;
	assert_int_equal(open_image("m", NULL, &i, &e), -EIO);
	assert_int_equal(entries("layers/erofs1"), 0);
}

/* An image that somebody has open, as a run that has no state yet, stays. */
static void test_open_image_stays(void **state)
{
	struct img_store *mine = NULL;
	struct img_image i = {0};
	struct err e = ERR_INIT;
	char *id;

	(void)state;
	make_simple("l", &(struct recipe){0});
	assert_int_equal(open_image("l", NULL, &i, &e), 0);
	id = strdup(i.id);
	img_image_done(&i);
	mine = store;
	store = NULL;
	open_store();
	assert_int_equal(remove_named(id, NULL, &e), -EBUSY);
	assert_non_null(strstr(e.text, "in use"));
	img_store_close(mine);
	assert_int_equal(remove_named(id, NULL, &e), 0);
	expect_empty();
	free(id);
}

/* Layers that two images share stay with the other. */
static void test_shared_layer(void **state)
{
	struct err e = ERR_INIT;
	char *a, *b;

	(void)state;
	make_simple("a", &(struct recipe){.layer = "same"});
	make_simple("b", &(struct recipe){.layer = "same",
					  .manifest_extra = "\"annotations\":{\"a\":\"b\"},"});
	/* Another configuration of the same layer. */
	a = load("a");
	make_simple("c", &(struct recipe){.layer = "more"});
	b = load("c");
	assert_string_not_equal(a, b);
	assert_int_equal(remove_named(a, NULL, &e), 0);
	assert_int_equal(entries("images"), 4);   /* directory and three files */
	assert_int_equal(entries("layers/0"), 4); /* directory, record, diff, content */
	free(a);
	free(b);
}

/* ---- deaths ------------------------------------------------------------------------------------------ */

/* A leftover whose lock nobody holds goes with the next addition; one whose lock is held stays. */
static void test_leftovers(void **state)
{
	struct img_image i = {0};
	struct err e = ERR_INIT;
	int held;

	(void)state;
	for (int k = 0; k < 2; k++) {
		char name[64];

		snprintf(name, sizeof(name), "store/layers/0/.tmp-%d", k);
		assert_int_equal(mkdir(at(0, name), 0700), 0);
		snprintf(name, sizeof(name), "store/layers/0/.tmp-%d/diff", k);
		assert_int_equal(mkdir(at(0, name), 0700), 0);
		snprintf(name, sizeof(name), "store/layers/0/.lock-%d", k);
		write_file(at(0, name), "", 0600);
	}
	/* An image that was being written. */
	assert_int_equal(mkdir(at(0, "store/images/" ZEROS), 0700), 0);
	held = open(at(0, "store/layers/0/.lock-1"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(held, LOCK_EX), 0);
	make_simple("l", &(struct recipe){0});
	assert_int_equal(open_image("l", NULL, &i, &e), 0);
	img_image_done(&i);
	assert_int_equal(access(at(0, "store/layers/0/.tmp-0"), F_OK), -1);
	assert_int_equal(access(at(0, "store/layers/0/.lock-0"), F_OK), -1);
	assert_int_equal(access(at(0, "store/layers/0/.tmp-1"), F_OK), 0);
	assert_int_equal(access(at(0, "store/images/" ZEROS), F_OK), -1);
	close(held);
}

/* A damaged configuration is noticed, not run. */
static void test_damaged(void **state)
{
	struct img_reference r = {0};
	struct img_image i = {0};
	struct err e = ERR_INIT;
	char path[256], *id;

	(void)state;
	make_simple("l", &(struct recipe){0});
	id = load("l");
	snprintf(path, sizeof(path), "store/images/%s/config.json", id);
	write_file(at(0, path), "{}", 0600);
	assert_int_equal(img_reference_parse(id, &r, NULL), 0);
	assert_int_equal(img_image_open(store, &r, NULL, &i, &e), -EUCLEAN);
	img_reference_done(&r);
	free(id);
}

static void test_others_store(void **state)
{
	const struct img_store_params p = {
		.path = at(2, "store"), .ids = "0", .worker = start_worker};
	struct img_store *s = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(chmod(p.path, 0755), 0);
	assert_int_equal(img_store_open(&p, &s, &e), -EPERM);
	assert_non_null(strstr(e.hint, "chmod 700"));
	assert_int_equal(chmod(p.path, 0700), 0);
	assert_int_equal(chown(p.path, 1, 1), 0);
	assert_int_equal(img_store_open(&p, &s, &e), -EPERM);
	assert_int_equal(chown(p.path, 0, 0), 0);
}

static void test_import(void **state)
{
	const struct img_config config = {.cmd = (char *[]){(char *)"x", NULL},
					  .labels = (char *[]){(char *)"a=b", NULL},
					  .volumes = (char *[]){(char *)"/v", NULL}};
	struct img_reference r = {0};
	struct img_image i = {0};
	struct err e = ERR_INIT;
	char *id = NULL;

	(void)state;
	write_file(at(0, "tar"), "bytes", 0644);
	assert_int_equal(img_import(store, at(0, "tar"), "app:v1", &config, NULL, &id, &e), 0);
	assert_int_equal(img_reference_parse("app:v1", &r, NULL), 0);
	assert_int_equal(img_image_open(store, &r, NULL, &i, &e), 0);
	assert_string_equal(i.id, id);
	assert_string_equal(i.name, "app:v1");
	assert_string_equal(i.config.cmd[0], "x");
	assert_string_equal(i.config.labels[0], "a=b");
	assert_string_equal(i.config.volumes[0], "/v");
	assert_string_equal(i.config.architecture, platform_host());
	img_image_done(&i);
	img_reference_done(&r);
	free(id);
	id = NULL;
	assert_int_equal(img_import(store, at(0, ""), "app", NULL, NULL, &id, &e), -ENOTSUP);
	assert_non_null(strstr(e.hint, "tar -C"));
	behaviour = REFUSES;
	assert_int_equal(remove_named("app:v1", NULL, &e), 0);
	assert_int_equal(img_import(store, at(0, "tar"), "app", NULL, NULL, &id, &e), -EINVAL);
	expect_empty();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open),
		TEST(test_twice),
		TEST(test_changed),
		TEST(test_hostile),
		TEST(test_bad_blobs),
		TEST(test_bad_worker),
		TEST(test_names),
		TEST(test_platforms),
		TEST(test_deep_index),
		TEST(test_names_and_removal),
		TEST(test_images_of_layers),
		TEST(test_open_image_stays),
		TEST(test_shared_layer),
		TEST(test_leftovers),
		TEST(test_damaged),
		TEST(test_others_store),
		TEST(test_import),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
