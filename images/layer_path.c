/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of entries, and the marks that layers put into names.
 * Spec: image-spec layer.md "Whiteouts", "Opaque Whiteout".
 */
#include "layer_path.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define MARK   ".wh."
#define OPAQUE ".wh..wh..opq"
#define AUFS   ".wh..wh."

static int add_component(struct layer_path *p, const char *c, size_t len, struct err *e)
{
	if (len > LAYER_COMPONENT_MAX)
		return err_set(e, ERR_LIMIT, ENAMETOOLONG,
			       "a part of its name is longer than %d bytes", LAYER_COMPONENT_MAX);
	if (p->depth == LAYER_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, ENAMETOOLONG, "more than %d directories deep",
			       LAYER_DEPTH_MAX);
	if (p->len + 1 + len >= LAYER_PATH_MAX)
		return err_set(e, ERR_LIMIT, ENAMETOOLONG, "its name is longer than %d bytes",
			       LAYER_PATH_MAX - 1);
	if (p->len)
		p->text[p->len++] = '/';
	p->base = p->len;
	memcpy(p->text + p->len, c, len);
	p->len += len;
	p->text[p->len] = '\0';
	p->depth++;
	return 0;
}

int layer_path_read(const char *name, struct layer_path *ret, struct err *e)
{
	ret->text[0] = '\0';
	ret->len = ret->base = ret->depth = 0;
	if (!*name)
		return err_invalid(e, "its name is empty");
	while (*name) {
		size_t len = strcspn(name, "/");
		int r = 0;

		if (len == 2 && name[0] == '.' && name[1] == '.')
			return err_invalid(e, "'..' in its name");
		if (len > 1 || (len == 1 && name[0] != '.'))
			r = add_component(ret, name, len, e);
		if (r < 0)
			return r;
		name += len;
		name += strspn(name, "/");
	}
	return 0;
}

/* The path with its last component replaced by `name`, which is shorter; "" takes it away. */
static void replace_last(const struct layer_path *p, const char *name, struct layer_path *ret)
{
	size_t len = strlen(name);

	memcpy(ret->text, p->text, p->base);
	memcpy(ret->text + p->base, name, len + 1);
	ret->len = p->base + len;
	ret->base = p->base;
	ret->depth = p->depth;
	if (len > 0)
		return;
	ret->depth--;
	if (ret->len > 0)
		ret->text[--ret->len] = '\0'; /* the slash */
	while (ret->base > 0 && (ret->base >= ret->len || ret->text[ret->base - 1] != '/'))
		ret->base--;
}

/* A directory above that is called like a mark. */
static int check_parents(const struct layer_path *p, enum layer_mark *ret, struct err *e)
{
	for (const char *c = p->text; c < p->text + p->base; c += strcspn(c, "/") + 1) {
		if (!str_has_prefix(c, MARK))
			continue;
		if (!str_has_prefix(c, AUFS))
			return err_invalid(e, "it lies in a whiteout");
		*ret = LAYER_MARK_AUFS;
		break;
	}
	return 0;
}

int layer_path_mark(const struct layer_path *p, enum layer_mark *ret, struct layer_path *ret_target,
		    struct err *e)
{
	const char *base = p->text + p->base, *target;
	int r;

	*ret = LAYER_MARK_NONE;
	r = check_parents(p, ret, e);
	if (r < 0 || *ret != LAYER_MARK_NONE || !str_has_prefix(base, MARK))
		return r;
	target = base + strlen(MARK);
	if (STREQ(base, OPAQUE)) {
		*ret = LAYER_MARK_OPAQUE;
		replace_last(p, "", ret_target);
		return 0;
	}
	if (str_has_prefix(base, AUFS)) {
		*ret = LAYER_MARK_AUFS;
		return 0;
	}
	if (!*target || STREQ(target, ".") || STREQ(target, ".."))
		return err_invalid(e, "a whiteout of nothing");
	*ret = LAYER_MARK_WHITEOUT;
	replace_last(p, target, ret_target);
	return 0;
}
