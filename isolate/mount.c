/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of mount option words: what each one means to the mount API. A word either sets or
 * clears attributes of a mount (of this one, or with an r in front of it and all below), chooses how
 * it propagates, or belongs to the file system and goes to it unread.
 * Spec: OCI runtime-spec config.md "Linux mount options"; mount(8), mount_setattr(2).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "isolate/mount.h"

enum word_kind {
	WORD_MOOT,       /* what we do anyway; the table says why */
	WORD_FLAG,       /* enum iso_mount_flag */
	WORD_SET,        /* attribute on */
	WORD_CLEAR,      /* attribute off */
	WORD_ATIME,      /* one value of the access time field */
	WORD_ATIME_UNDO, /* not that value: back to the kernel's default, relatime */
	WORD_SPREAD,     /* propagation */
	WORD_SB,         /* option of the file system that every one understands */
	WORD_SB_UNDO,    /* its opposite, which is the default: drop a former `text` */
};

struct mount_word {
	const char *name;
	enum word_kind kind;
	bool rec; /* concerns all mounts below, too */
	uint64_t value;
	const char *text; /* WORD_SB_UNDO: the word that is dropped */
};

/*
 * Moot words: the new mount API collects a file system's messages for us, so a mount is never loud
 * in the kernel's log; it has no flag for iversion, as the file systems that count inode versions
 * always do (the last one, ext4, since Linux 6.1); mandatory locks left the kernel in 5.15.
 */
#define MOUNT_WORDS(W)                                                           \
	W("defaults", WORD_MOOT, false, 0, NULL)                                 \
	W("silent", WORD_MOOT, false, 0, NULL)                                   \
	W("loud", WORD_MOOT, false, 0, NULL)                                     \
	W("iversion", WORD_MOOT, false, 0, NULL)                                 \
	W("noiversion", WORD_MOOT, false, 0, NULL)                               \
	W("nomand", WORD_MOOT, false, 0, NULL)                                   \
	W("bind", WORD_FLAG, false, ISO_MOUNT_BIND, NULL)                        \
	W("rbind", WORD_FLAG, false, ISO_MOUNT_BIND | ISO_MOUNT_REC, NULL)       \
	W("remount", WORD_FLAG, false, ISO_MOUNT_REMOUNT, NULL)                  \
	W("tmpcopyup", WORD_FLAG, false, ISO_MOUNT_TMPCOPYUP, NULL)              \
	W("idmap", WORD_FLAG, false, ISO_MOUNT_IDMAP, NULL)                      \
	W("ridmap", WORD_FLAG, false, ISO_MOUNT_RIDMAP, NULL)                    \
	W("copy-symlink", WORD_FLAG, false, ISO_MOUNT_COPY_SYMLINK, NULL)        \
	W("throwaway", WORD_FLAG, false, ISO_MOUNT_THROWAWAY, NULL)              \
	W("fill", WORD_FLAG, false, ISO_MOUNT_FILL, NULL)                        \
	W("sync", WORD_SB, false, 0, NULL)                                       \
	W("async", WORD_SB_UNDO, false, 0, "sync")                               \
	W("dirsync", WORD_SB, false, 0, NULL)                                    \
	W("lazytime", WORD_SB, false, 0, NULL)                                   \
	W("nolazytime", WORD_SB_UNDO, false, 0, "lazytime")                      \
	W("ro", WORD_SET, false, MOUNT_ATTR_RDONLY, NULL)                        \
	W("rw", WORD_CLEAR, false, MOUNT_ATTR_RDONLY, NULL)                      \
	W("rro", WORD_SET, true, MOUNT_ATTR_RDONLY, NULL)                        \
	W("rrw", WORD_CLEAR, true, MOUNT_ATTR_RDONLY, NULL)                      \
	W("nosuid", WORD_SET, false, MOUNT_ATTR_NOSUID, NULL)                    \
	W("suid", WORD_CLEAR, false, MOUNT_ATTR_NOSUID, NULL)                    \
	W("rnosuid", WORD_SET, true, MOUNT_ATTR_NOSUID, NULL)                    \
	W("rsuid", WORD_CLEAR, true, MOUNT_ATTR_NOSUID, NULL)                    \
	W("nodev", WORD_SET, false, MOUNT_ATTR_NODEV, NULL)                      \
	W("dev", WORD_CLEAR, false, MOUNT_ATTR_NODEV, NULL)                      \
	W("rnodev", WORD_SET, true, MOUNT_ATTR_NODEV, NULL)                      \
	W("rdev", WORD_CLEAR, true, MOUNT_ATTR_NODEV, NULL)                      \
	W("noexec", WORD_SET, false, MOUNT_ATTR_NOEXEC, NULL)                    \
	W("exec", WORD_CLEAR, false, MOUNT_ATTR_NOEXEC, NULL)                    \
	W("rnoexec", WORD_SET, true, MOUNT_ATTR_NOEXEC, NULL)                    \
	W("rexec", WORD_CLEAR, true, MOUNT_ATTR_NOEXEC, NULL)                    \
	W("nosymfollow", WORD_SET, false, MOUNT_ATTR_NOSYMFOLLOW, NULL)          \
	W("symfollow", WORD_CLEAR, false, MOUNT_ATTR_NOSYMFOLLOW, NULL)          \
	W("rnosymfollow", WORD_SET, true, MOUNT_ATTR_NOSYMFOLLOW, NULL)          \
	W("rsymfollow", WORD_CLEAR, true, MOUNT_ATTR_NOSYMFOLLOW, NULL)          \
	W("nodiratime", WORD_SET, false, MOUNT_ATTR_NODIRATIME, NULL)            \
	W("diratime", WORD_CLEAR, false, MOUNT_ATTR_NODIRATIME, NULL)            \
	W("rnodiratime", WORD_SET, true, MOUNT_ATTR_NODIRATIME, NULL)            \
	W("rdiratime", WORD_CLEAR, true, MOUNT_ATTR_NODIRATIME, NULL)            \
	W("noatime", WORD_ATIME, false, MOUNT_ATTR_NOATIME, NULL)                \
	W("atime", WORD_ATIME_UNDO, false, MOUNT_ATTR_NOATIME, NULL)             \
	W("rnoatime", WORD_ATIME, true, MOUNT_ATTR_NOATIME, NULL)                \
	W("ratime", WORD_ATIME_UNDO, true, MOUNT_ATTR_NOATIME, NULL)             \
	W("relatime", WORD_ATIME, false, MOUNT_ATTR_RELATIME, NULL)              \
	W("norelatime", WORD_ATIME_UNDO, false, MOUNT_ATTR_RELATIME, NULL)       \
	W("rrelatime", WORD_ATIME, true, MOUNT_ATTR_RELATIME, NULL)              \
	W("rnorelatime", WORD_ATIME_UNDO, true, MOUNT_ATTR_RELATIME, NULL)       \
	W("strictatime", WORD_ATIME, false, MOUNT_ATTR_STRICTATIME, NULL)        \
	W("nostrictatime", WORD_ATIME_UNDO, false, MOUNT_ATTR_STRICTATIME, NULL) \
	W("rstrictatime", WORD_ATIME, true, MOUNT_ATTR_STRICTATIME, NULL)        \
	W("rnostrictatime", WORD_ATIME_UNDO, true, MOUNT_ATTR_STRICTATIME, NULL) \
	W("private", WORD_SPREAD, false, MS_PRIVATE, NULL)                       \
	W("rprivate", WORD_SPREAD, true, MS_PRIVATE, NULL)                       \
	W("shared", WORD_SPREAD, false, MS_SHARED, NULL)                         \
	W("rshared", WORD_SPREAD, true, MS_SHARED, NULL)                         \
	W("slave", WORD_SPREAD, false, MS_SLAVE, NULL)                           \
	W("rslave", WORD_SPREAD, true, MS_SLAVE, NULL)                           \
	W("unbindable", WORD_SPREAD, false, MS_UNBINDABLE, NULL)                 \
	W("runbindable", WORD_SPREAD, true, MS_UNBINDABLE, NULL)

#define WORD_ROW(name, kind, rec, value, text) {name, kind, rec, value, text},
static const struct mount_word words[] = {MOUNT_WORDS(WORD_ROW)};
#undef WORD_ROW

#define WORD_NAME(name, kind, rec, value, text) name,
static const char *const word_names[] = {MOUNT_WORDS(WORD_NAME) NULL};
#undef WORD_NAME

_Static_assert(ARRAY_SIZE(word_names) == ARRAY_SIZE(words) + 1, "a name for each word");

const char *const *iso_mount_option_names(void)
{
	return word_names;
}

void iso_mount_done(struct iso_mount *m)
{
	if (!m)
		return;
	free(m->destination);
	free(m->type);
	free(m->source);
	free(m->data);
	free(m->uid_maps.v);
	free(m->gid_maps.v);
	free(m->throwaway_dir);
	/* 0 is what a zeroed structure holds, and never a source: standard input is open. */
	if (m->source_fd > 0)
		close(m->source_fd);
	*m = (struct iso_mount){.source_fd = -1};
}

static const struct mount_word *word_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (STREQ(words[i].name, name))
			return &words[i];
	return NULL;
}

static int data_add(struct iso_mount *m, const char *word)
{
	char *joined;
	int r;

	r = str_printf(&joined, "%s%s%s", m->data ? m->data : "", m->data ? "," : "", word);
	if (r < 0)
		return r;
	free(m->data);
	m->data = joined;
	return 0;
}

/* Take every occurrence of a word out of the comma separated data, in place. */
static void data_drop(struct iso_mount *m, const char *word)
{
	size_t n = strlen(word);
	char *p = m->data;

	while (p && *p) {
		char *end = strchrnul(p, ',');

		if ((size_t)(end - p) == n && strncmp(p, word, n) == 0)
			memmove(p, *end ? end + 1 : end, strlen(*end ? end + 1 : end) + 1);
		else
			p = *end ? end + 1 : end;
	}
	if (!m->data)
		return;
	n = strlen(m->data);
	if (n > 0 && m->data[n - 1] == ',')
		m->data[n - 1] = '\0';
	if (!*m->data) {
		free(m->data);
		m->data = NULL;
	}
}

/* The access time field is a number, not bits: whoever changes it clears all of it. */
static void atime_choose(uint64_t *set, uint64_t *clr, uint64_t value)
{
	*set = (*set & ~(uint64_t)MOUNT_ATTR__ATIME) | value;
	*clr |= MOUNT_ATTR__ATIME;
}

static void attr_word(struct iso_mount *m, const struct mount_word *w)
{
	uint64_t *set = w->rec ? &m->attr_rec_set : &m->attr_set;
	uint64_t *clr = w->rec ? &m->attr_rec_clear : &m->attr_clear;

	if (w->kind == WORD_SET) {
		*set |= w->value;
		*clr &= ~w->value;
	} else if (w->kind == WORD_CLEAR) {
		*clr |= w->value;
		*set &= ~w->value;
	} else if (w->kind == WORD_ATIME) {
		atime_choose(set, clr, w->value);
	} else if (!(*clr & MOUNT_ATTR__ATIME) || (*set & MOUNT_ATTR__ATIME) == w->value) {
		/* "atime" takes back noatime, and leaves a strictatime alone. */
		atime_choose(set, clr, MOUNT_ATTR_RELATIME);
	}
}

/* The last word wins, but for "slave" then "shared": that mount is both, as mount(8) makes it. */
static void spread_word(struct iso_mount *m, const struct mount_word *w)
{
	uint64_t rec = w->rec ? MS_REC : 0;

	if (w->value == MS_SHARED && (m->propagation & MS_SLAVE))
		m->propagation |= MS_SHARED | rec;
	else
		m->propagation = w->value | rec;
}

/* "throwaway=DIR" */
static int take_throwaway_dir(struct iso_mount *m, const char *dir, struct err *e)
{
	char *copy;

	if (dir[0] != '/')
		return err_invalid(e, "mount option 'throwaway=%s': not an absolute path", dir);
	copy = strdup(dir);
	if (!copy)
		return err_nomem(e);
	free(m->throwaway_dir);
	m->throwaway_dir = copy;
	m->flags |= ISO_MOUNT_THROWAWAY;
	return 0;
}

/* "FIRST-FIRST-COUNT", ids of the file system and of the mount; *p is left behind it. */
static bool take_range(const char **p, struct iso_id_map *ret)
{
	uint32_t v[3];

	for (int i = 0; i < 3; i++) {
		char digits[12];
		size_t n = strspn(*p, "0123456789");

		if (n == 0 || n >= sizeof(digits))
			return false;
		memcpy(digits, *p, n);
		digits[n] = '\0';
		if (parse_u32(digits, &v[i]) < 0)
			return false;
		*p += n;
		if (i < 2 && *(*p)++ != '-')
			return false;
	}
	*ret = (struct iso_id_map){.inside = v[0], .outside = v[1], .count = v[2]};
	return v[2] > 0;
}

static int take_ranges(struct iso_mount *m, const char *list, struct iso_id_maps *maps)
{
	bool relative = *list == '@';

	if (maps->n || ((m->uid_maps.n || m->gid_maps.n) && relative != m->maps_relative))
		return -EINVAL;
	m->maps_relative = relative;
	for (const char *p = list + relative;; p++) {
		struct iso_id_map *v = reallocarray(maps->v, maps->n + 1, sizeof(*v));

		if (!v)
			return -ENOMEM;
		maps->v = v;
		if (!take_range(&p, &v[maps->n]))
			return -EINVAL;
		maps->n++;
		if (*p == '\0')
			return 0;
		if (*p != '#')
			return -EINVAL;
	}
}

/* What podman's users write and crun takes: "idmap=uids=0-1000-1#5-6-7;gids=@0-0-1". A kind that is not
 * named is the container's. */
static int take_idmap(struct iso_mount *m, const char *word, const char *value, struct err *e)
{
	_cleanup_strv_ char **parts = NULL;
	int r = strv_split(value, ';', &parts);

	for (char **part = parts; r == 0 && *part; part++) {
		if (str_has_prefix(*part, "uids="))
			r = take_ranges(m, *part + 5, &m->uid_maps);
		else if (str_has_prefix(*part, "gids="))
			r = take_ranges(m, *part + 5, &m->gid_maps);
		else
			r = -EINVAL;
	}
	if (r == -ENOMEM)
		return err_nomem(e);
	if (r < 0)
		return err_invalid(
			e,
			"mount option '%s' is not like 'idmap=uids=0-1000-1;gids=0-1000-1' "
			"(all with or all without '@')",
			word);
	m->flags |= word[0] == 'r' ? ISO_MOUNT_RIDMAP : ISO_MOUNT_IDMAP;
	return 0;
}

int iso_mount_option(struct iso_mount *m, const char *word, struct err *e)
{
	const struct mount_word *w;

	if (!*word)
		return err_invalid(e, "a mount option is empty");
	if (STREQ(word, "mand"))
		return err_unsupported(e, "mount option 'mand': the kernel has no mandatory "
					  "locks since Linux 5.15");
	if (str_has_prefix(word, "throwaway="))
		return take_throwaway_dir(m, word + strlen("throwaway="), e);
	if (str_has_prefix(word, "idmap=") || str_has_prefix(word, "ridmap="))
		return take_idmap(m, word, strchr(word, '=') + 1, e);
	w = word_find(word);
	if (!w)
		return data_add(m, word) < 0 ? err_nomem(e) : 0;
	switch (w->kind) {
	case WORD_MOOT:
		return 0;
	case WORD_FLAG:
		m->flags |= (uint32_t)w->value;
		return 0;
	case WORD_SET:
	case WORD_CLEAR:
	case WORD_ATIME:
	case WORD_ATIME_UNDO:
		attr_word(m, w);
		return 0;
	case WORD_SPREAD:
		spread_word(m, w);
		return 0;
	case WORD_SB:
		return data_add(m, word) < 0 ? err_nomem(e) : 0;
	case WORD_SB_UNDO:
		data_drop(m, w->text);
		return 0;
	}
	return err_set(e, ERR_INTERNAL, EINVAL, "mount option '%s' has no meaning", word);
}
