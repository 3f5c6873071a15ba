/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tar reader, by archives made by hand: what it reads, and what it refuses with which reason.
 * Expectations are POSIX's and GNU tar's manual's.
 */
#include "tar_make.h"

#include "base/cleanup.h"
#include "../../../images/tar_reader.h"

static const struct tar_limits limits = {
	.entries = 1000, .extended_bytes = 1 << 16, .xattr_bytes = 1 << 14, .extents = 1000};

/* What came out of the first entry, and how the walk ended. */
struct seen {
	unsigned entries;
	struct tar_entry first; /* names are copies */
	char name[512], link[512];
	char xattrs[512]; /* "name=value;" each */
	char data[4096];
	uint64_t bytes;
	int end; /* 0 or the error */
	struct err e;
};

static void look(struct seen *s, struct tar_reader *r, const struct tar_entry *n)
{
	const uint8_t *data;
	uint64_t offset;
	size_t len;

	s->first = *n;
	snprintf(s->name, sizeof(s->name), "%s", n->name);
	snprintf(s->link, sizeof(s->link), "%s", n->link);
	for (size_t i = 0; i < n->n_xattrs; i++)
		snprintf(s->xattrs + strlen(s->xattrs), sizeof(s->xattrs) - strlen(s->xattrs),
			 "%s=%.*s;", n->xattrs[i].name, (int)n->xattrs[i].len,
			 (char *)n->xattrs[i].value);
	while ((s->end = tar_data(r, &offset, &data, &len, &s->e)) > 0) {
		s->bytes += len;
		if (offset + len <= sizeof(s->data))
			memcpy(s->data + offset, data, len);
	}
}

/* A source that gives `piece` bytes at a time. */
struct pieces {
	struct tar_memory m;
	size_t piece;
};

static int pieces_peek(void *arg, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	struct pieces *p = arg;

	(void)e;
	*ret = p->m.data;
	*ret_len = p->m.len < p->piece ? p->m.len : p->piece;
	return 0;
}

static void pieces_consume(void *arg, size_t n)
{
	struct pieces *p = arg;

	p->m.data += n;
	p->m.len -= n;
}

static struct seen walk_pieces(const struct archive *a, size_t piece)
{
	struct pieces p = {.m = {.data = a->data, .len = a->len}, .piece = piece};
	struct tar_source source = {.peek = pieces_peek, .consume = pieces_consume, .arg = &p};
	struct seen s = {0};
	const struct tar_entry *n;
	struct tar_reader *r;

	assert_int_equal(tar_reader_new(&source, &limits, &r, NULL), 0);
	while ((s.end = tar_next(r, &n, &s.e)) > 0) {
		if (s.entries++ == 0)
			look(&s, r, n);
		if (s.end < 0)
			break;
	}
	tar_reader_free(r);
	return s;
}

/* The same whatever pieces the bytes come in. */
static struct seen walk(struct archive *a)
{
	struct seen s = walk_pieces(a, 1 << 20), small = walk_pieces(a, 100);

	assert_int_equal(s.end, small.end);
	assert_int_equal(s.entries, small.entries);
	assert_string_equal(s.e.text, small.e.text);
	assert_memory_equal(s.data, small.data, sizeof(s.data));
	free(a->data);
	*a = (struct archive){0};
	return s;
}

#define assert_read(s, n)                              \
	do {                                           \
		const struct seen seen_ = (s);         \
                                                       \
		assert_string_equal(seen_.e.text, ""); \
		assert_int_equal(seen_.end, 0);        \
		assert_int_equal(seen_.entries, n);    \
	} while (0)

#define assert_refused(s, why)                                              \
	do {                                                                \
		const struct seen seen_ = (s);                              \
                                                                            \
		assert_true(seen_.end < 0);                                 \
		if (!strstr(seen_.e.text, why))                             \
			fail_msg("'%s' is not in '%s'", why, seen_.e.text); \
	} while (0)

/* ---- what is read ------------------------------------------------------------------------ */

static void plain(void **state)
{
	struct archive a = {0};
	struct seen s;

	(void)state;
	archive_add(&a, (struct made){.name = "dir/file",
				      .data = "hello",
				      .mode = 04755,
				      .uid = 12,
				      .gid = 34,
				      .mtime = 1600000000});
	archive_add(&a, (struct made){.name = "next", .type = '5'});
	archive_end(&a);
	archive_grow(&a, 8192); /* tape blocks */
	s = walk(&a);
	assert_read(s, 2);
	assert_string_equal(s.name, "dir/file");
	assert_string_equal(s.data, "hello");
	assert_int_equal(s.first.type, TAR_FILE);
	assert_int_equal(s.first.mode, 04755);
	assert_int_equal(s.first.uid, 12);
	assert_int_equal(s.first.gid, 34);
	assert_int_equal(s.first.mtime.tv_sec, 1600000000);
	assert_int_equal(s.first.size, 5);
}

static void base256(void **state)
{
	struct archive a = {0};
	struct seen s;

	(void)state;
	archive_add(&a,
		    (struct made){.name = "f",
				  .data = "x",
				  .raw_uid = "\x80\0\0\0\x12\x34\x56\x78",
				  .raw_mtime = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
				  .raw_size = "\x80\0\0\0\0\0\0\0\0\0\0\x01",
				  .magic = "ustar  "});
	archive_end(&a);
	s = walk(&a);
	assert_read(s, 1);
	assert_int_equal(s.first.uid, 0x12345678);
	assert_int_equal(s.first.mtime.tv_sec, -2);
	assert_int_equal(s.bytes, 1);
}

static void gnu_long_names(void **state)
{
	struct archive a = {0};
	char name[300], target[400];
	struct seen s;

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(target, 't', sizeof(target));
	name[299] = target[399] = '\0';
	archive_add(&a,
		    (struct made){.name = "././@LongLink", .type = 'L', .data = name, .size = 300});
	archive_add(&a, (struct made){
				.name = "././@LongLink", .type = 'K', .data = target, .size = 400});
	archive_add(&a, (struct made){.name = "nnn", .link = "ttt", .type = '2'});
	archive_end(&a);
	s = walk(&a);
	assert_read(s, 1);
	assert_string_equal(s.name, name);
	assert_string_equal(s.link, target);
}

static void ustar_prefix(void **state)
{
	struct archive a = {0};
	unsigned sum = 0;
	struct seen s;

	(void)state;
	archive_add(&a, (struct made){.name = "name"});
	memcpy(a.data + 345, "pre/fix", 7);
	memset(a.data + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += a.data[i];
	sprintf((char *)a.data + 148, "%06o", sum);
	archive_end(&a);
	s = walk(&a);
	assert_read(s, 1);
	assert_string_equal(s.name, "pre/fix/name");
}

static void pax(void **state)
{
	struct archive a = {0}, x = {0}, g = {0};
	struct seen s;

	(void)state;
	record_text(&g, "uid", "77");
	record_text(&g, "gid", "88");
	record_text(&g, "comment", "who made it");
	archive_pax(&a, 'g', &g);
	record_text(&x, "path", "caf\xe9/\xff"); /* not UTF-8 */
	record_text(&x, "size", "3");
	record_text(&x, "uid", "3000000");
	record_text(&x, "mtime", "-1.25");
	record_text(&x, "SCHILY.xattr.user.a", "one=1");
	record_text(&x, "LIBARCHIVE.xattr.user.b%3d", "dHdv");
	record_text(&x, "LIBARCHIVE.xattr.user.a", "b3RoZXI");
	record(&x, "SCHILY.xattr.user.nul", "a\0b", 3);
	record_text(&x, "unknown.key", "is ignored");
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "short", .data = "abcd", .raw_size = "00000000000"});
	archive_end(&a);
	s = walk(&a);
	assert_read(s, 1);
	assert_string_equal(s.name, "caf\xe9/\xff");
	assert_string_equal(s.data, "abc");
	assert_int_equal(s.first.uid, 3000000);
	assert_int_equal(s.first.gid, 88);
	assert_int_equal(s.first.mtime.tv_sec, -2);
	assert_int_equal(s.first.mtime.tv_nsec, 750000000);
	assert_int_equal(s.first.n_xattrs, 3);
	assert_non_null(strstr(s.xattrs, "user.a=one=1;"));
	assert_non_null(strstr(s.xattrs, "user.b==two;"));
	assert_int_equal(s.first.mode, 0644);
}

/* An empty value takes back what came before: the header counts again. */
static void pax_deletes(void **state)
{
	struct archive a = {0}, x = {0};
	struct seen s;

	(void)state;
	record_text(&x, "path", "other");
	record_text(&x, "path", "");
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "mine"});
	archive_end(&a);
	s = walk(&a);
	assert_read(s, 1);
	assert_string_equal(s.name, "mine");
}

static void assert_sparse(struct seen s)
{
	assert_read(s, 1);
	assert_string_equal(s.name, "sparse");
	assert_true(s.first.sparse);
	assert_int_equal(s.first.size, 1000);
	assert_int_equal(s.bytes, 6);
	assert_memory_equal(s.data + 10, "abc", 3);
	assert_memory_equal(s.data + 500, "def", 3);
	assert_int_equal(s.data[9], 0);
	assert_int_equal(s.data[13], 0);
}

static void sparse_pax(void **state)
{
	struct archive a = {0}, x = {0};
	char map[512] = "2\n10\n3\n500\n3\n";

	(void)state;
	/* 0.0 */
	record_text(&x, "GNU.sparse.size", "1000");
	record_text(&x, "GNU.sparse.numblocks", "2");
	record_text(&x, "GNU.sparse.offset", "10");
	record_text(&x, "GNU.sparse.numbytes", "3");
	record_text(&x, "GNU.sparse.offset", "500");
	record_text(&x, "GNU.sparse.numbytes", "3");
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "sparse", .data = "abcdef"});
	archive_end(&a);
	assert_sparse(walk(&a));
	/* 0.1 */
	record_text(&x, "GNU.sparse.name", "sparse");
	record_text(&x, "GNU.sparse.size", "1000");
	record_text(&x, "GNU.sparse.numblocks", "2");
	record_text(&x, "GNU.sparse.map", "10,3,500,3");
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "GNUSparseFile.0/sparse", .data = "abcdef"});
	archive_end(&a);
	assert_sparse(walk(&a));
	/* 1.0 */
	record_text(&x, "GNU.sparse.major", "1");
	record_text(&x, "GNU.sparse.minor", "0");
	record_text(&x, "GNU.sparse.name", "sparse");
	record_text(&x, "GNU.sparse.realsize", "1000");
	archive_pax(&a, 'x', &x);
	archive_header(&a, &(struct made){.name = "GNUSparseFile.0/sparse", .size = 512 + 6});
	archive_data(&a, map, sizeof(map));
	archive_data(&a, "abcdef", 6);
	archive_end(&a);
	assert_sparse(walk(&a));
}

static void sparse_gnu(void **state)
{
	struct archive a = {0};
	unsigned sum = 0;

	(void)state;
	archive_add(&a,
		    (struct made){.name = "sparse", .type = 'S', .size = 6, .magic = "ustar  "});
	field(a.data + 386, 12, NULL, 10);
	field(a.data + 398, 12, NULL, 3);
	a.data[482] = 1; /* goes on in a block */
	field(a.data + 483, 12, NULL, 1000);
	memset(a.data + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += a.data[i];
	sprintf((char *)a.data + 148, "%06o", sum);
	archive_grow(&a, 512);
	field(a.data + 512, 12, NULL, 500);
	field(a.data + 524, 12, NULL, 3);
	archive_data(&a, "abcdef", 6);
	archive_end(&a);
	assert_sparse(walk(&a));
}

/* ---- what is refused --------------------------------------------------------------------- */

static void headers_refused(void **state)
{
	static const struct {
		struct made m;
		const char *text;
	} rows[] = {
		{{.name = "f", .checksum_off = 1}, "checksum is wrong"},
		{{.name = "f", .raw_size = "0000000000x"}, "its size is not a number"},
		{{.name = "f", .raw_size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
		 "its size"},
		{{.name = "f", .raw_size = "\x80\0\0\0\x80\0\0\0\0\0\0\0"}, "its size"},
		{{.name = "f", .raw_size = "\x80\x01\0\0\0\0\0\0\0\0\0\0"}, "its size"},
		{{.name = "f", .raw_size = "-0000000001"}, "its size"},
		{{.name = "f", .raw_uid = "\x80\0\0\0\xff\xff\xff\xff"}, "no user or group"},
		{{.name = "f", .raw_uid = "\x80\0\0\x01\0\0\0\0"}, "no user or group"},
		{{.name = "f", .type = 'M'}, "'M'"},
		{{.name = "f", .type = 'D'}, "'D'"},
		{{.name = "f", .type = '\x01'}, "an unknown type"},
		{{.name = "d", .type = '5', .size = 10, .data = "0123456789"}, "data on an entry"},
		{{.name = "l", .type = '1', .link = "f", .size = 1, .data = "x"},
		 "data on an entry"},
		{{.name = "x", .type = 'x', .size = 1 << 17}, "an extended header of 131072 bytes"},
		{{.name = "L", .type = 'L', .size = 4, .data = "a\0b"}, "a NUL byte"},
		{{.name = "L", .type = 'L', .size = 1 << 17}, "an extended header of 131072 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct archive a = {0};
		struct seen s;

		archive_add(&a, rows[i].m);
		archive_end(&a);
		s = walk(&a);
		assert_refused(s, rows[i].text);
		assert_non_null(strstr(s.e.text, "entry 1"));
	}
}

static void records_refused(void **state)
{
	static const struct {
		const char *key, *value, *text;
	} rows[] = {
		{"size", "-1", "not a number"},
		{"size", "9223372036854775808", "not a number"},
		{"size", "18446744073709551616", "not a number"},
		{"size", "5 ", "not a number"},
		{"uid", "4294967295", "no user or group"},
		{"uid", "99999999999", "no user or group"},
		{"mtime", "1.2.3", "not a time"},
		{"mtime", "abc", "not a time"},
		{"GNU.sparse.map", "1,2,3", "an odd number"},
		{"GNU.sparse.map", "1,", "ends in a comma"},
		{"GNU.sparse.numbytes", "1", "no offset before it"},
		{"GNU.sparse.offset", "1", "without a length"},
		{"GNU.sparse.major", "2", "holes, but no size"},
		{"LIBARCHIVE.xattr.user.a", "!!", "base64"},
		{"LIBARCHIVE.xattr.%", "aaaa", "percent"},
		{"SCHILY.xattr.", "x", "no name"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct archive a = {0}, x = {0};

		record_text(&x, rows[i].key, rows[i].value);
		archive_pax(&a, 'x', &x);
		archive_add(&a, (struct made){.name = "f"});
		archive_end(&a);
		assert_refused(walk(&a), rows[i].text);
	}
}

static void record_shapes_refused(void **state)
{
	static const char *const rows[] = {
		"9 path=ab", "0 path=a\n", "99 path=a\n",
		"x",         "5 a=\n5",    " 6 a=b\n",
		"06 a=b\n",  "4 =\n",      "999999999999999999999 a=b\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct archive a = {0};

		archive_add(&a, (struct made){.name = "pax", .type = 'x', .data = rows[i]});
		archive_add(&a, (struct made){.name = "f"});
		archive_end(&a);
		assert_refused(walk(&a), "its extended header");
	}
}

static void nul_in_path(void **state)
{
	struct archive a = {0}, x = {0};

	(void)state;
	record(&x, "path", "a\0/../b", 7);
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "f"});
	archive_end(&a);
	assert_refused(walk(&a), "a NUL byte");
}

/* Readers disagree on whether these count. */
static void global_names_refused(void **state)
{
	static const char *const keys[] = {"path", "linkpath", "size", "SCHILY.xattr.user.a",
					   "GNU.sparse.size"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct archive a = {0}, g = {0};

		record_text(&g, keys[i], "1");
		archive_pax(&a, 'g', &g);
		archive_add(&a, (struct made){.name = "f"});
		archive_end(&a);
		assert_refused(walk(&a), "global extended header");
	}
}

static void sparse_maps_refused(void **state)
{
	static const struct {
		const char *size, *n, *map, *text;
	} rows[] = {
		{"1000", "2", "10,3,12,3", "overlap"},
		{"1000", "2", "500,3,10,3", "overlap"},
		{"1000", "1", "998,6", "beyond the file's end"},
		{"1000", "1", "9223372036854775807,6", "beyond the file's end"},
		{"1000", "1", "10,5", "stored are 6"},
		{"1000", "2", "10,6", "another number of pieces"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct archive a = {0}, x = {0};

		record_text(&x, "GNU.sparse.size", rows[i].size);
		record_text(&x, "GNU.sparse.numblocks", rows[i].n);
		record_text(&x, "GNU.sparse.map", rows[i].map);
		archive_pax(&a, 'x', &x);
		archive_add(&a, (struct made){.name = "f", .data = "abcdef"});
		archive_end(&a);
		assert_refused(walk(&a), rows[i].text);
	}
}

static void ends(void **state)
{
	struct archive a = {0}, x = {0};
	struct seen s;

	(void)state;
	/* nothing behind the data */
	archive_add(&a, (struct made){.name = "f", .data = "abc"});
	s = walk(&a);
	assert_refused(s, "without its end mark");
	assert_string_equal(s.e.hint, "it was probably cut off");
	/* in the data, in the padding, in a header */
	for (size_t cut = 1; cut <= 1023; cut += 73) {
		archive_add(&a, (struct made){.name = "f", .data = "abc"});
		a.len -= cut > 1023 ? 0 : 1024 - cut;
		assert_refused(walk(&a), "ends in the middle");
	}
	/* more behind the end */
	archive_add(&a, (struct made){.name = "f"});
	archive_end(&a);
	archive_add(&a, (struct made){.name = "hidden"});
	archive_end(&a);
	assert_refused(walk(&a), "bytes behind the end");
	archive_end(&a);
	archive_grow(&a, 100)[99] = 1;
	assert_refused(walk(&a), "bytes behind the end");
	/* an extended header of nothing */
	record_text(&x, "path", "a");
	archive_pax(&a, 'x', &x);
	archive_end(&a);
	assert_refused(walk(&a), "no entry follows");
	/* one block of zeros and the end, as some write it */
	archive_add(&a, (struct made){.name = "f"});
	archive_grow(&a, 512);
	assert_read(walk(&a), 1);
	archive_end(&a);
	assert_read(walk(&a), 0);
}

static void bounds(void **state)
{
	struct archive a = {0}, x = {0};
	char key[64];

	(void)state;
	for (int i = 0; i < 1001; i++)
		archive_add(&a, (struct made){.name = "f"});
	archive_end(&a);
	assert_refused(walk(&a), "more than 1000 entries");
	for (int i = 0; i < 20; i++)
		archive_add(&a, (struct made){.name = "v", .type = 'V'});
	archive_end(&a);
	assert_refused(walk(&a), "headers in a row");
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "SCHILY.xattr.user.%d", i);
		record_text(&x, key, "v");
	}
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "f"});
	archive_end(&a);
	assert_refused(walk(&a), "bytes of extended attributes");
	for (int i = 0; i < 1001; i++) {
		record_text(&x, "GNU.sparse.offset", "0");
		record_text(&x, "GNU.sparse.numbytes", "0");
	}
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "f"});
	archive_end(&a);
	assert_refused(walk(&a), "more than 1000 pieces");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(base256),
		cmocka_unit_test(gnu_long_names),
		cmocka_unit_test(ustar_prefix),
		cmocka_unit_test(pax),
		cmocka_unit_test(pax_deletes),
		cmocka_unit_test(sparse_pax),
		cmocka_unit_test(sparse_gnu),
		cmocka_unit_test(headers_refused),
		cmocka_unit_test(records_refused),
		cmocka_unit_test(record_shapes_refused),
		cmocka_unit_test(nul_in_path),
		cmocka_unit_test(global_names_refused),
		cmocka_unit_test(sparse_maps_refused),
		cmocka_unit_test(ends),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
