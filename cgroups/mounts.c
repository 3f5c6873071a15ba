/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which hierarchies are mounted where, from /proc/self/mountinfo. A line there may be of a mount
 * that another one hides, even of the same file system (a subtree bound over the whole), so each is
 * opened and its mount ID compared with that of the line.
 * Spec: proc(5), "/proc/pid/mountinfo"; Linux Documentation/admin-guide/cgroup-v1/cgroups.rst.
 */
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "backend.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

#define MOUNTINFO_MAX (16u << 20)

/* Words in a v1 mount's options that name no controller. */
static const char *const plain_options[] = {
	"rw",
	"ro",
	"none",
	"all",
	"xattr",
	"noprefix",
	"clone_children",
	"cpuset_v2_mode",
	"favordynmods",
	"nofavordynmods",
	"nosuid",
	"nodev",
	"noexec",
	"relatime",
};

struct mount_line {
	uint64_t id;
	char *root, *mount_point, *fstype, *options; /* into the line */
};

/* mountinfo writes blanks and backslashes as \ooo. In place. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; out++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out = *s++;
		}
	}
	*out = '\0';
}

static bool parse_line(char *line, struct mount_line *ret)
{
	char *save = NULL, *field[6], *word;

	for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
		field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (!field[i])
			return false;
	}
	/* Optional fields end with a lone "-". */
	do
		word = strtok_r(NULL, " ", &save);
	while (word && !STREQ(word, "-"));
	ret->fstype = strtok_r(NULL, " ", &save);
	if (!strtok_r(NULL, " ", &save))
		return false;
	ret->options = strtok_r(NULL, " ", &save);
	if (!ret->options || parse_u64(field[0], &ret->id) < 0)
		return false;
	ret->root = field[3];
	ret->mount_point = field[4];
	unescape(ret->root);
	unescape(ret->mount_point);
	return true;
}

static void hier_done(struct cg_hier *hier)
{
	free(hier->mount_point);
	free(hier->root);
	free(hier->own);
	free(hier->name);
	free(hier->options);
	if (hier->root_fd >= 0)
		close(hier->root_fd);
	*hier = (struct cg_hier){.root_fd = -1};
}

/* The super block options of a v1 mount to controllers, name and mount options. */
static int parse_v1_options(struct cg_hier *hier, const char *options)
{
	_cleanup_strv_ char **words = NULL;
	_cleanup_free_ char *names = NULL, *label = NULL;
	struct strbuf list = {0};
	int r = strv_split(options, ',', &words);

	if (r < 0)
		return r;
	for (char **w = words; *w; w++) {
		bool plain = strchr(*w, '=') != NULL || !**w;
		enum cg_ctl c;

		if (str_has_prefix(*w, "name=")) {
			free(label);
			label = NULL;
			if (str_printf(&label, "%s", *w + strlen("name=")) < 0)
				goto nomem;
		}
		for (size_t i = 0; i < ARRAY_SIZE(plain_options); i++)
			plain = plain || STREQ(*w, plain_options[i]);
		if (plain)
			continue;
		strbuf_addf(&list, "%s%s", list.len ? "," : "", *w);
		if (cg_ctl_parse(*w, strlen(*w), &c))
			hier->controllers |= CG_BIT(c);
	}
	if (list.len == 0 && !label) {
		strbuf_done(&list);
		return -EINVAL;
	}
	if (list.len > 0 && strbuf_take(&list, &names) < 0)
		return -ENOMEM;
	if (label)
		r = str_printf(&hier->options, "%s,name=%s", names ? names : "none", label);
	else
		r = str_printf(&hier->options, "%s", names);
	if (r < 0)
		return r;
	hier->name = names ? TAKE_PTR(names) : TAKE_PTR(label);
	return 0;
nomem:
	strbuf_done(&list);
	return -ENOMEM;
}

/* -ENOENT: hidden by another mount, or gone. */
static int open_root(struct cg_hier *hier, const struct mount_line *m)
{
	struct statfs fs;
	struct statx st;

	hier->root_fd = open(hier->mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (hier->root_fd < 0 || fstatfs(hier->root_fd, &fs) < 0)
		return -ENOENT;
	if ((long)fs.f_type != (hier->v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC))
		return -ENOENT;
	if (!m)
		return 0;
	if (statx(hier->root_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return -ENOENT;
	return (st.stx_mask & STATX_MNT_ID) && st.stx_mnt_id != m->id ? -ENOENT : 0;
}

static int read_v2_controllers(struct cg_hier *hier, struct err *e)
{
	char buf[CG_FILE_MAX];
	int r = cg_file_read(hier->root_fd, "cgroup.controllers", buf, sizeof(buf), e);

	if (r < 0)
		return err_wrap(e, "cgroup2 at '%s'", hier->mount_point);
	hier->controllers = cg_ctl_words(buf);
	return 0;
}

static int fill(struct cg_hier *hier, const struct mount_line *m, struct err *e)
{
	int r;

	*hier = (struct cg_hier){.root_fd = -1, .v2 = STREQ(m->fstype, "cgroup2")};
	hier->ops = hier->v2 ? &cg_backend_v2 : &cg_backend_v1;
	if (str_printf(&hier->mount_point, "%s", m->mount_point) < 0 ||
	    str_printf(&hier->root, "%s", m->root) < 0)
		return err_nomem(e);
	if (hier->v2)
		r = str_printf(&hier->name, "unified");
	else
		r = parse_v1_options(hier, m->options);
	if (r == -ENOMEM)
		return err_nomem(e);
	if (r < 0)
		return -ENOENT;
	r = open_root(hier, m);
	if (r < 0)
		return r;
	return hier->v2 ? read_v2_controllers(hier, e) : 0;
}

/* The same hierarchy may be mounted several times; the whole of it is worth more than a part. */
static int add(struct cg_host *h, const struct mount_line *m, struct err *e)
{
	struct cg_hier hier;
	int r = fill(&hier, m, e);

	if (r < 0) {
		hier_done(&hier);
		return r == -ENOENT ? 0 : r;
	}
	for (size_t i = 0; i < h->n_hier; i++) {
		struct cg_hier *old = &h->hier[i];

		if (old->v2 != hier.v2 || !STREQ(old->name, hier.name))
			continue;
		if (!STREQ(old->root, "/") && STREQ(hier.root, "/")) {
			hier_done(old);
			*old = hier;
		} else {
			hier_done(&hier);
		}
		return 0;
	}
	if (h->n_hier == CG_HIER_MAX) {
		hier_done(&hier);
		return err_unsupported(e, "more than %d cgroup hierarchies are mounted",
				       CG_HIER_MAX);
	}
	h->hier[h->n_hier++] = hier;
	return 0;
}

int cg_mounts_read(struct cg_host *h, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	int r = path_read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, e);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mount_line m = {0};

		/* Cheap first: most lines are of other file systems. */
		if (!strstr(line, " - cgroup") || !parse_line(line, &m) ||
		    (!STREQ(m.fstype, "cgroup") && !STREQ(m.fstype, "cgroup2")))
			continue;
		r = add(h, &m, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int cg_mounts_add_v2(struct cg_host *h, const char *mount_point, struct err *e)
{
	struct cg_hier *hier = &h->hier[0];
	int r;

	*hier = (struct cg_hier){.root_fd = -1, .v2 = true, .ops = &cg_backend_v2};
	if (str_printf(&hier->mount_point, "%s", mount_point) < 0 ||
	    str_printf(&hier->root, "/") < 0 || str_printf(&hier->name, "unified") < 0) {
		hier_done(hier);
		return err_nomem(e);
	}
	r = open_root(hier, NULL);
	if (r < 0)
		r = err_sys(e, r, "open cgroup2 at '%s'", mount_point);
	else
		r = read_v2_controllers(hier, e);
	if (r < 0) {
		hier_done(hier);
		return r;
	}
	h->n_hier = 1;
	return 0;
}

void cg_mounts_done(struct cg_host *h)
{
	for (size_t i = 0; i < h->n_hier; i++)
		hier_done(&h->hier[i]);
	h->n_hier = 0;
}
