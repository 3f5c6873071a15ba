/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the changes in throwaway layers (an ordinary user's home and working directory, -v SRC:DST:O) go. It is a tmpfs;
 * but before Linux 6.6 no directory that was there could be removed in one of a user namespace. There they go to
 * STORAGE/layers, on the disk of the caller's store, if that is better; the storage is removed with the sandbox.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "caller.h"
#include "isolate/mount.h"
#include "run_document.h"
#include "run_userns.h"

static bool has_user_namespace(const struct run_build *b)
{
	if (b->userns == RUN_USERNS_NONE || b->userns == RUN_USERNS_DEFAULT)
		return !caller_is_hosts_root();
	return true;
}

bool run_can_hold_throwaway(const char *path)
{
	_cleanup_free_ char *there = strdup(path);
	char *slash;

	while (there && access(there, F_OK) < 0 && errno == ENOENT &&
	       (slash = strrchr(there, '/')) && slash != there)
		*slash = '\0';
	return there && iso_can_hold_throwaway(there);
}

/* STORAGE/layers, or NULL when a tmpfs does as well, or better. */
static int find_directory(const struct run_build *b, char **ret)
{
	const char *storage = b->request->storage;

	*ret = NULL;
	if (!storage || !has_user_namespace(b) || iso_can_throw_directories_away() ||
	    !run_can_hold_throwaway(storage))
		return 0;
	return str_printf(ret, "%s/layers", storage);
}

/* Is one asked for? The caller's own places have one in the host's own system. */
static bool has_layers(const struct run_build *b)
{
	if (b->rootfs.host_root && run_is_ordinary())
		return true;
	for (size_t i = 0; i < b->mounts.n; i++)
		for (char *const *w = b->mounts.v[i].options; w && *w; w++)
			if (STREQ(*w, "throwaway"))
				return true;
	return false;
}

int run_throwaway_directory(const struct run_build *b, struct rt_file **v, size_t *n, struct err *e)
{
	_cleanup_free_ char *path = NULL;

	if (!has_layers(b))
		return 0;
	if (find_directory(b, &path) < 0)
		return err_nomem(e);
	return path ? run_file_push(v, n, path, NULL, 0700, e) : 0;
}

static bool is_throwaway(struct json *mount)
{
	struct json_at top = json_top(mount), options;

	if (!json_member(&top, "options", &options))
		return false;
	for (size_t i = 0; i < json_array_len(&options); i++) {
		struct json_at word = json_array_at(&options, i);
		const char *text = json_peek_string(&word);

		if (text && STREQ(text, "throwaway"))
			return true;
	}
	return false;
}

int run_throwaway_add(const struct run_build *b, struct json *document, struct err *e)
{
	struct json *mounts = json_object_member(document, "mounts", false);
	_cleanup_free_ char *path = NULL, *word = NULL;
	struct json_at top;

	if (!mounts || !has_layers(b))
		return 0;
	if (find_directory(b, &path) < 0 || (path && str_printf(&word, "throwaway=%s", path) < 0))
		return err_nomem(e);
	if (!word)
		return 0;
	top = json_top(mounts);
	for (size_t i = 0; i < json_array_len(&top); i++) {
		struct json *m = json_array_member(mounts, i);
		struct json *options =
			is_throwaway(m) ? json_object_member(m, "options", false) : NULL;

		if (options && json_push(options, json_new_string(word)) < 0)
			return err_nomem(e);
	}
	return 0;
}
