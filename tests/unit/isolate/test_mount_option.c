/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount option words. What they mean is mount(8) and OCI runtime-spec config.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "isolate/mount.h"

struct expected {
	const char *words; /* separated by blanks */
	uint32_t flags;
	uint64_t set, clear, rec_set, rec_clear, propagation;
	const char *data;
};

#define AT MOUNT_ATTR__ATIME

static const struct expected table[] = {
	{"defaults", 0, 0, 0, 0, 0, 0, NULL},
	{"ro", 0, MOUNT_ATTR_RDONLY, 0, 0, 0, 0, NULL},
	{"ro rw", 0, 0, MOUNT_ATTR_RDONLY, 0, 0, 0, NULL},
	{"rw ro", 0, MOUNT_ATTR_RDONLY, 0, 0, 0, 0, NULL},
	{"nosuid nodev noexec", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, 0,
	 0, 0, NULL},
	{"suid dev exec", 0, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, 0, 0,
	 NULL},
	{"nosymfollow", 0, MOUNT_ATTR_NOSYMFOLLOW, 0, 0, 0, 0, NULL},
	{"rro rnosuid rnodev rnoexec rnosymfollow", 0, 0, 0,
	 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
		 MOUNT_ATTR_NOSYMFOLLOW,
	 0, 0, NULL},
	{"rrw rsuid rdev rexec rsymfollow", 0, 0, 0, 0,
	 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
		 MOUNT_ATTR_NOSYMFOLLOW,
	 0, NULL},
	/* the access time is one field: whoever sets it must clear all of it */
	{"noatime", 0, MOUNT_ATTR_NOATIME, AT, 0, 0, 0, NULL},
	{"relatime", 0, MOUNT_ATTR_RELATIME, AT, 0, 0, 0, NULL},
	{"strictatime", 0, MOUNT_ATTR_STRICTATIME, AT, 0, 0, 0, NULL},
	{"noatime strictatime", 0, MOUNT_ATTR_STRICTATIME, AT, 0, 0, 0, NULL},
	{"noatime atime", 0, MOUNT_ATTR_RELATIME, AT, 0, 0, 0, NULL},
	{"strictatime atime", 0, MOUNT_ATTR_STRICTATIME, AT, 0, 0, 0, NULL},
	{"strictatime nostrictatime", 0, MOUNT_ATTR_RELATIME, AT, 0, 0, 0, NULL},
	{"atime", 0, MOUNT_ATTR_RELATIME, AT, 0, 0, 0, NULL},
	{"noatime nostrictatime", 0, MOUNT_ATTR_NOATIME, AT, 0, 0, 0, NULL},
	{"nodiratime", 0, MOUNT_ATTR_NODIRATIME, 0, 0, 0, 0, NULL},
	{"noatime nodiratime diratime", 0, MOUNT_ATTR_NOATIME, AT | MOUNT_ATTR_NODIRATIME, 0, 0, 0,
	 NULL},
	{"rnoatime", 0, 0, 0, MOUNT_ATTR_NOATIME, AT, 0, NULL},
	{"rnoatime ratime", 0, 0, 0, 0, AT, 0, NULL},
	{"rstrictatime rnodiratime", 0, 0, 0, MOUNT_ATTR_STRICTATIME | MOUNT_ATTR_NODIRATIME, AT, 0,
	 NULL},
	{"bind", ISO_MOUNT_BIND, 0, 0, 0, 0, 0, NULL},
	{"rbind", ISO_MOUNT_BIND | ISO_MOUNT_REC, 0, 0, 0, 0, 0, NULL},
	{"remount bind", ISO_MOUNT_BIND | ISO_MOUNT_REMOUNT, 0, 0, 0, 0, 0, NULL},
	{"tmpcopyup", ISO_MOUNT_TMPCOPYUP, 0, 0, 0, 0, 0, NULL},
	{"idmap", ISO_MOUNT_IDMAP, 0, 0, 0, 0, 0, NULL},
	{"ridmap", ISO_MOUNT_RIDMAP, 0, 0, 0, 0, 0, NULL},
	{"copy-symlink", ISO_MOUNT_COPY_SYMLINK, 0, 0, 0, 0, 0, NULL},
	{"private", 0, 0, 0, 0, 0, MS_PRIVATE, NULL},
	{"rslave", 0, 0, 0, 0, 0, MS_SLAVE | MS_REC, NULL},
	{"rshared", 0, 0, 0, 0, 0, MS_SHARED | MS_REC, NULL},
	{"runbindable", 0, 0, 0, 0, 0, MS_UNBINDABLE | MS_REC, NULL},
	{"rshared rprivate", 0, 0, 0, 0, 0, MS_PRIVATE | MS_REC, NULL},
	{"slave shared", 0, 0, 0, 0, 0, MS_SLAVE | MS_SHARED, NULL},
	{"slave rshared", 0, 0, 0, 0, 0, MS_SLAVE | MS_SHARED | MS_REC, NULL},
	{"size=64k mode=755", 0, 0, 0, 0, 0, 0, "size=64k,mode=755"},
	{"sync", 0, 0, 0, 0, 0, 0, "sync"},
	{"sync async", 0, 0, 0, 0, 0, 0, NULL},
	{"size=1 lazytime mode=7 nolazytime", 0, 0, 0, 0, 0, 0, "size=1,mode=7"},
	{"lazytime size=1 nolazytime", 0, 0, 0, 0, 0, 0, "size=1"},
	{"synchronous async", 0, 0, 0, 0, 0, 0, "synchronous"},
	{"RO", 0, 0, 0, 0, 0, 0, "RO"},
};

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct expected *x = &table[i];
		struct iso_mount m = {.source_fd = -1};
		char *copy = strdup(x->words), *save = NULL;

		for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
			assert_int_equal(iso_mount_option(&m, w, NULL), 0);
		if (m.flags != x->flags || m.attr_set != x->set || m.attr_clear != x->clear ||
		    m.attr_rec_set != x->rec_set || m.attr_rec_clear != x->rec_clear ||
		    m.propagation != x->propagation)
			fail_msg("'%s': set %llx clear %llx, recursive %llx %llx, spread %llx",
				 x->words, (unsigned long long)m.attr_set,
				 (unsigned long long)m.attr_clear,
				 (unsigned long long)m.attr_rec_set,
				 (unsigned long long)m.attr_rec_clear,
				 (unsigned long long)m.propagation);
		if (x->data)
			assert_string_equal(m.data, x->data);
		else
			assert_null(m.data);
		iso_mount_done(&m);
		free(copy);
	}
}

/* Every word of the specification's table is known by name, so none ends as a file system option. */
static void test_specification(void **state)
{
	static const char *const words[] = {
		"async",      "atime",        "bind",        "defaults",    "dev",
		"diratime",   "dirsync",      "exec",        "iversion",    "lazytime",
		"loud",       "noatime",      "nodev",       "nodiratime",  "noexec",
		"noiversion", "nolazytime",   "nomand",      "norelatime",  "nostrictatime",
		"nosuid",     "nosymfollow",  "private",     "ratime",      "rbind",
		"rdev",       "rdiratime",    "relatime",    "remount",     "rexec",
		"rnoatime",   "rnodiratime",  "rnoexec",     "rnorelatime", "rnostrictatime",
		"rnosuid",    "rnosymfollow", "ro",          "rprivate",    "rrelatime",
		"rro",        "rrw",          "rshared",     "rslave",      "rstrictatime",
		"rsuid",      "rsymfollow",   "runbindable", "rw",          "shared",
		"silent",     "slave",        "strictatime", "suid",        "symfollow",
		"sync",       "tmpcopyup",    "unbindable",  "idmap",       "ridmap",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *const *name = iso_mount_option_names();

		while (*name && !STREQ(*name, words[i]))
			name++;
		if (!*name)
			fail_msg("'%s' is not known", words[i]);
	}
}

static void test_refused(void **state)
{
	struct iso_mount m = {.source_fd = -1};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(iso_mount_option(&m, "", &e), -EINVAL);
	assert_int_equal(e.kind, ERR_INVALID);
	assert_int_equal(iso_mount_option(&m, "mand", &e), -ENOTSUP);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "mand"));
	assert_null(m.data);
}

static void test_done(void **state)
{
	struct iso_mount m = {.source_fd = -1};

	(void)state;
	iso_mount_done(NULL);
	m.destination = strdup("/x");
	assert_int_equal(iso_mount_option(&m, "size=1", NULL), 0);
	iso_mount_done(&m);
	assert_null(m.destination);
	assert_null(m.data);
	assert_int_equal(m.source_fd, -1);
	iso_mount_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_specification),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
