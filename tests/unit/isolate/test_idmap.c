/* SPDX-License-Identifier: Apache-2.0 */
/* Id-mapped mounts, as the owner of files inside and on disk. */
#include "box.h"

#include <linux/capability.h>

#define SOURCE "/mnt/source" /* on a file system of ours */

static bool can_map; /* does that file system? */

static void add_idmap(struct box *b, const char *destination, const char *options)
{
	struct iso_mount *m;
	_cleanup_strv_ char **words = NULL;
	struct err e = ERR_INIT;

	box_mount(b, "bind", destination, NULL);
	m = &b->c.mounts[b->c.n_mounts - 1];
	free(m->source);
	m->source = strdup(SOURCE);
	m->flags = ISO_MOUNT_BIND;
	assert_int_equal(strv_split(options, ' ', &words), 0);
	for (char **w = words; *w; w++)
		if (iso_mount_option(m, *w, &e) < 0)
			fail_msg("%s", e.text);
}

static void set_maps(struct box *b, uint32_t inside, uint32_t outside, uint32_t count)
{
	struct iso_mount *m = &b->c.mounts[b->c.n_mounts - 1];
	struct iso_id_maps *maps[] = {&m->uid_maps, &m->gid_maps};

	m->flags |= ISO_MOUNT_IDMAP;
	for (int i = 0; i < 2; i++) {
		maps[i]->v = calloc(1, sizeof(struct iso_id_map));
		maps[i]->v[0] = (struct iso_id_map){inside, outside, count};
		maps[i]->n = 1;
	}
}

static void need_support(void)
{
	if (!can_map) {
		print_message("# the file system of the test cannot be id-mapped by this kernel\n");
		skip();
	}
}

static void in_the_containers_own_map(void **state)
{
	_cleanup_box_ struct box b;
	struct stat st;

	(void)state;
	need_support();
	box_init(&b);
	box_map_ids(&b, 100000);
	b.p.caps.set[ISO_CAP_BOUNDING] = b.p.caps.set[ISO_CAP_PERMITTED] =
		b.p.caps.set[ISO_CAP_EFFECTIVE] = UINT64_C(1) << CAP_CHOWN;
	add_idmap(&b, "/private", "bind idmap");
	box_args(&b.p, "sh", "-c",
		 "stat -c '%n %u:%g' /private/root /private/user; echo > /private/made && "
		 "stat -c %u /private/made; chown 7:8 /private/made",
		 NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "/private/root 0:0\n/private/user 1000:1001\n0\n");
	/* On disk it is what it was inside. */
	assert_int_equal(stat(SOURCE "/made", &st), 0);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_gid, 8);
	assert_int_equal(stat(SOURCE "/root", &st), 0);
	assert_int_equal(st.st_uid, 0);
	unlink(SOURCE "/made");
}

static void without_it_the_files_are_strangers(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	box_map_ids(&b, 100000);
	add_idmap(&b, "/private", "bind");
	box_args(&b.p, "stat", "-c", "%u", "/private/root", NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "65534\n");
}

static void with_maps_of_its_own(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	need_support();
	box_init(&b);
	add_idmap(&b, "/private", "bind ro");
	set_maps(&b, 1000, 5, 2); /* 1000 and 1001 on disk, 5 and 6 in the mount */
	box_args(&b.p, "sh", "-c",
		 "stat -c %u:%g /private/user; stat -c %u /private/root; touch /private/x", NULL);
	assert_int_equal(box_run(&b), 0);
	/* What is not mapped is nobody's. */
	assert_contains(b.out, "5:6\n65534\n");
	assert_contains(b.out, "Read-only file system");
}

/* crun's words: file system, host or with "@" container, count. */
static void with_maps_of_an_option(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	need_support();
	box_init(&b);
	box_map_ids(&b, 100000);
	add_idmap(&b, "/private", "bind idmap=uids=@1000-3-1;gids=@1001-4-1");
	add_idmap(&b, "/tmp", "bind idmap=uids=0-100009-1#1000-100010-1");
	box_args(&b.p, "stat", "-c", "%u:%g", "/private/user", "/tmp/root", "/tmp/user", NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "3:4\n9:0\n10:1001\n");
}

static void recursive_or_not(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	need_support();
	/* A mount below, of a file system that can. */
	assert_int_equal(mount(SOURCE "/other", SOURCE "/sub", NULL, MS_BIND, NULL), 0);
	box_init(&b);
	box_map_ids(&b, 100000);
	add_idmap(&b, "/private", "rbind ridmap");
	add_idmap(&b, "/tmp", "rbind idmap");
	box_args(&b.p, "stat", "-c", "%u", "/private/sub/below", "/tmp/sub/below", "/tmp/root",
		 NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "0\n65534\n0\n");
	assert_int_equal(umount(SOURCE "/sub"), 0);
}

/* The mount of a container must not hand its own mounts on to the host's. */
static void is_no_peer_of_the_source(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	need_support();
	assert_int_equal(mount(SOURCE, SOURCE, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, SOURCE, NULL, MS_SHARED, NULL), 0);
	box_init(&b);
	for (int i = 0; i < ISO_CAP_SET_COUNT; i++)
		b.p.caps.set[i] = ~UINT64_C(0) >> (63 - iso_cap_last());
	b.p.caps.set[ISO_CAP_AMBIENT] = 0;
	add_idmap(&b, "/private", "bind");
	set_maps(&b, 0, 0, 2000);
	box_args(&b.p, "sh", "-c", "mount -t tmpfs x /private/sub && echo > /private/sub/seen",
		 NULL);
	box_run_ok(&b);
	assert_int_equal(access(SOURCE "/sub/seen", F_OK), -1);
	assert_int_equal(umount(SOURCE), 0);
}

static void a_file_system_that_cannot(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	add_idmap(&b, "/private", "bind");
	set_maps(&b, 0, 100, 1);
	free(b.c.mounts[b.c.n_mounts - 1].source);
	b.c.mounts[b.c.n_mounts - 1].source = strdup("/proc/sys");
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -ENOTSUP);
	assert_contains(b.e.text, "mount '/proc/sys' on '/private'");
	assert_contains(b.e.text, "file system 'proc'");
	assert_contains(b.e.hint, "leave 'idmap' out");
}

static void what_does_not_go_together(void **state)
{
	static const struct {
		const char *options, *text, *hint;
	} rows[] = {
		{"bind idmap", "no user namespace", "uidMappings"},
		{"bind idmap=uids=@0-0-1", "no user namespace", ""},
		{"bind idmap throwaway", "throwaway", ""},
		{"bind idmap size=1", "'size=1' is no option", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		add_idmap(&b, "/private", rows[i].options);
		box_args(&b.p, "true", NULL);
		assert_true(box_run(&b) < 0);
		assert_contains(b.e.text, "mounts[3]");
		assert_contains(b.e.text, rows[i].text);
		assert_contains(b.e.hint, rows[i].hint);
	}
}

static void wrong_words(void **state)
{
	static const char *const words[] = {"idmap=",
					    "idmap=uids=",
					    "idmap=uids=1-2",
					    "idmap=uids=1-2-0",
					    "idmap=uids=a-0-1",
					    "idmap=uids=0-0-1x",
					    "idmap=uids=0-0-1;x=1",
					    "ridmap=gids=0-0-1#",
					    "idmap=uids=@0-0-1;gids=0-0-1",
					    "idmap=uids=4294967296-0-1",
					    "idmap=uids=0-0-1;uids=1-1-1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct iso_mount m = {.source_fd = -1};
		struct err e = ERR_INIT;

		if (iso_mount_option(&m, words[i], &e) != -EINVAL)
			fail_msg("'%s' was taken", words[i]);
		assert_contains(e.text, words[i]);
		iso_mount_done(&m);
	}
}

/* Other steps that fail leave neither the helper process nor its descriptors. */
static void a_relative_range_outside_of_the_container(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	box_map_ids(&b, 100000);
	add_idmap(&b, "/private", "bind idmap=uids=@0-65530-10");
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -EINVAL);
	assert_contains(b.e.text, "container's ids 65530");
}

static bool probe(void)
{
	struct box b;
	bool ok;

	box_init(&b);
	add_idmap(&b, "/private", "bind");
	set_maps(&b, 0, 1, 1);
	box_args(&b.p, "true", NULL);
	ok = box_create(&b) == 0;
	if (!ok && !strstr(b.e.text, "cannot be id-mapped"))
		fprintf(stderr, "# %s\n", b.e.text);
	box_done(&b);
	return ok;
}

static void make_source(void)
{
	box_must(mkdir(SOURCE "/sub", 0755) == 0 && mkdir(SOURCE "/other", 0755) == 0, SOURCE);
	box_file(SOURCE "/other/below", "", 0644);
	box_file(SOURCE "/root", "", 0644);
	box_file(SOURCE "/user", "", 0644);
	box_must(chown(SOURCE "/user", 1000, 1001) == 0, "chown");
}

/* Where tmpfs cannot be mapped (before Linux 6.3): ext4 can, since 5.12. The loop device goes with the mount. */
static bool try_ext4(void)
{
	if (system("PATH=/usr/sbin:/usr/bin:/sbin:/bin; truncate -s 8M /mnt/disk && mkfs.ext4 -q "
		   "/mnt/disk "
		   "&& mount -o loop /mnt/disk " SOURCE " 2>/dev/null") != 0)
		return false;
	make_source();
	return probe();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_containers_own_map),
		cmocka_unit_test(without_it_the_files_are_strangers),
		cmocka_unit_test(with_maps_of_its_own),
		cmocka_unit_test(with_maps_of_an_option),
		cmocka_unit_test(recursive_or_not),
		cmocka_unit_test(is_no_peer_of_the_source),
		cmocka_unit_test(a_file_system_that_cannot),
		cmocka_unit_test(what_does_not_go_together),
		cmocka_unit_test(wrong_words),
		cmocka_unit_test(a_relative_range_outside_of_the_container),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	box_prepare_tree();
	box_must(mkdir(SOURCE, 0755) == 0, SOURCE);
	make_source();
	can_map = probe() || try_ext4();
	return cmocka_run_group_tests(tests, NULL, no_children_left);
}
