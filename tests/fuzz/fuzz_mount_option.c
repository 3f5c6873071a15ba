/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: words of mount options in any number and order. No attribute may end up both on and
 * off, the last of two opposite words wins, a word undone is gone from the file system's options, and
 * what is not of our table arrives there unchanged.
 *
 * Input: words, each ended by a NUL or a newline.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "isolate/mount.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#define INPUT_MAX 4096

static bool is_known(const char *word)
{
	for (const char *const *p = iso_mount_option_names(); *p; p++)
		if (STREQ(*p, word))
			return true;
	return false;
}

static bool data_has(const char *data, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = data; p && *p;) {
		const char *end = strchrnul(p, ',');

		if ((size_t)(end - p) == n && memcmp(p, word, n) == 0)
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

static void check_attrs(uint64_t set, uint64_t clear)
{
	uint64_t atime = MOUNT_ATTR__ATIME;

	MUST((set & clear & ~atime) == 0);
	/* mount_setattr(2): whoever sets the access time field clears all of it. */
	MUST(!(set & atime) || (clear & atime) == atime);
	MUST((clear & atime) == 0 || (clear & atime) == atime);
	MUST((set & atime) != atime);
}

static void check_propagation(uint64_t p)
{
	uint64_t kind = p & ~(uint64_t)MS_REC;

	MUST(p == 0 || kind == MS_SHARED || kind == MS_SLAVE || kind == MS_PRIVATE ||
	     kind == MS_UNBINDABLE || kind == (MS_SHARED | MS_SLAVE));
}

static void check_after(const struct iso_mount *m, const char *word)
{
	static const struct {
		const char *word;
		uint64_t set, clear;
	} rows[] = {
		{"ro", MOUNT_ATTR_RDONLY, 0},     {"rw", 0, MOUNT_ATTR_RDONLY},
		{"nosuid", MOUNT_ATTR_NOSUID, 0}, {"suid", 0, MOUNT_ATTR_NOSUID},
		{"nodev", MOUNT_ATTR_NODEV, 0},   {"dev", 0, MOUNT_ATTR_NODEV},
		{"noexec", MOUNT_ATTR_NOEXEC, 0}, {"exec", 0, MOUNT_ATTR_NOEXEC},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (STREQ(rows[i].word, word))
			MUST((m->attr_set & rows[i].set) == rows[i].set &&
			     (m->attr_clear & rows[i].clear) == rows[i].clear);
	if (STREQ(word, "async"))
		MUST(!data_has(m->data, "sync"));
	if (STREQ(word, "nolazytime"))
		MUST(!data_has(m->data, "lazytime"));
	if (!is_known(word)) {
		size_t n = strlen(m->data), len = strlen(word);

		MUST(n >= len && STREQ(m->data + n - len, word));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iso_mount m = {.source_fd = -1};
	char text[INPUT_MAX + 1];

	if (size > INPUT_MAX)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *word = text, *next; word < text + size; word = next) {
		struct err e = ERR_INIT;

		next = word + strcspn(word, "\n");
		if (*next)
			*next = '\0';
		next++;
		if (iso_mount_option(&m, word, &e) < 0) {
			MUST(e.text[0] && (*word == '\0' || STREQ(word, "mand")));
			continue;
		}
		check_attrs(m.attr_set, m.attr_clear);
		check_attrs(m.attr_rec_set, m.attr_rec_clear);
		check_propagation(m.propagation);
		MUST(!m.data || *m.data);
		check_after(&m, word);
	}
	iso_mount_done(&m);
	return 0;
}
