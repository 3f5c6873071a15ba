/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host offers: its layout, its hierarchies, the controllers in them. On a pure v2 host one
 * statfs answers that; mountinfo is read only where that fast path does not decide.
 */
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

#define CG_MOUNT        "/sys/fs/cgroup"
#define SELF_CGROUP_MAX (256u << 10)

static const struct {
	const char *v1, *v2;
} ctl_table[] = {
	[CG_CTL_CPU] = {"cpu", "cpu"},
	[CG_CTL_CPUACCT] = {"cpuacct", NULL},
	[CG_CTL_CPUSET] = {"cpuset", "cpuset"},
	[CG_CTL_MEMORY] = {"memory", "memory"},
	[CG_CTL_PIDS] = {"pids", "pids"},
	[CG_CTL_IO] = {"blkio", "io"},
	[CG_CTL_DEVICES] = {"devices", NULL},
	[CG_CTL_FREEZER] = {"freezer", NULL},
	[CG_CTL_HUGETLB] = {"hugetlb", "hugetlb"},
	[CG_CTL_RDMA] = {"rdma", "rdma"},
	[CG_CTL_MISC] = {"misc", "misc"},
	[CG_CTL_NET_CLS] = {"net_cls", NULL},
	[CG_CTL_NET_PRIO] = {"net_prio", NULL},
};
_Static_assert(ARRAY_SIZE(ctl_table) == CG_CTL_COUNT, "a row for each controller");

const char *cg_ctl_name(enum cg_ctl c, bool v2)
{
	return v2 ? ctl_table[c].v2 : ctl_table[c].v1;
}

bool cg_ctl_parse(const char *s, size_t len, enum cg_ctl *ret)
{
	for (int c = 0; c < CG_CTL_COUNT; c++) {
		const char *names[] = {ctl_table[c].v1, ctl_table[c].v2};

		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			if (names[i] && strlen(names[i]) == len && memcmp(names[i], s, len) == 0) {
				*ret = (enum cg_ctl)c;
				return true;
			}
		}
	}
	return false;
}

unsigned cg_ctl_words(const char *s)
{
	unsigned bits = 0;

	while (*s) {
		size_t len = strcspn(s, " \n");
		enum cg_ctl c;

		if (cg_ctl_parse(s, len, &c))
			bits |= CG_BIT(c);
		s += len;
		s += strspn(s, " \n");
	}
	return bits;
}

const char *cg_layout_name(enum cg_layout l)
{
	switch (l) {
	case CG_LAYOUT_V1:
		return "v1";
	case CG_LAYOUT_HYBRID:
		return "hybrid";
	case CG_LAYOUT_V2:
		return "v2";
	case CG_LAYOUT_NONE:
		return "none";
	}
	return "unknown";
}

/* One line "ID:CONTROLLERS:PATH" of /proc/self/cgroup; v2 has ID 0 and no controllers. */
static int take_own(struct cg_host *h, char *line)
{
	char *names = strchr(line, ':');
	char *path = names ? strchr(names + 1, ':') : NULL;

	if (!path)
		return 0;
	*names++ = '\0';
	*path++ = '\0';
	for (size_t i = 0; i < h->n_hier; i++) {
		struct cg_hier *hier = &h->hier[i];
		const char *label = str_has_prefix(names, "name=") ? names + 5 : names;

		if (hier->own || (hier->v2 ? !STREQ(line, "0") : !STREQ(label, hier->name)))
			continue;
		return str_printf(&hier->own, "%s", path);
	}
	return 0;
}

static int read_own(struct cg_host *h, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	int r = path_read_file_at(AT_FDCWD, "/proc/self/cgroup", SELF_CGROUP_MAX, &text, NULL, e);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (take_own(h, line) < 0)
			return err_nomem(e);
	return 0;
}

/* "cgroup.events" exists in every group but the root of the hierarchy: where it is missing, the
 * whole of v2 is mounted and mountinfo has nothing to add. */
static bool is_plain_v2(void)
{
	struct statfs fs;

	return statfs(CG_MOUNT, &fs) == 0 && (long)fs.f_type == CGROUP2_SUPER_MAGIC &&
	       !cg_file_exists(AT_FDCWD, CG_MOUNT "/cgroup.events");
}

static enum cg_layout layout_of(const struct cg_host *h)
{
	bool v2 = false, v1_controllers = false, v1 = false;

	for (size_t i = 0; i < h->n_hier; i++) {
		v2 = v2 || h->hier[i].v2;
		v1 = v1 || !h->hier[i].v2;
		v1_controllers = v1_controllers || (!h->hier[i].v2 && h->hier[i].controllers);
	}
	/* A named v1 hierarchy alone, as some init keeps beside v2, limits nothing. */
	if (v2)
		return v1_controllers ? CG_LAYOUT_HYBRID : CG_LAYOUT_V2;
	return v1 ? CG_LAYOUT_V1 : CG_LAYOUT_NONE;
}

/* The controllers that a group of ours can have: in v2, what the parent of our own group was given
 * when the top is not ours. */
static bool can_use(const struct cg_hier *hier)
{
	const char *own = hier->own ? cg_path_below(hier, hier->own) : "";

	/* What v2 hands down was looked at in limit_to_delegated(). */
	return hier->v2 || faccessat(hier->root_fd, ".", W_OK, AT_EACCESS) == 0 ||
	       (*own && faccessat(hier->root_fd, own, W_OK, AT_EACCESS) == 0);
}

static int list_controllers(struct cg_host *h, struct err *e)
{
	unsigned seen = 0;

	for (size_t i = 0; i < h->n_hier; i++) {
		if (!can_use(&h->hier[i]))
			continue;
		for (int c = 0; c < CG_CTL_COUNT; c++) {
			const char *name = cg_ctl_name((enum cg_ctl)c, h->hier[i].v2);

			if (!name || !(h->hier[i].controllers & CG_BIT(c)) || (seen & CG_BIT(c)))
				continue;
			seen |= CG_BIT(c);
			if (strv_push(&h->controllers, name) < 0)
				return err_nomem(e);
		}
	}
	return 0;
}

static void limit_to_delegated(struct cg_host *h)
{
	for (size_t i = 0; i < h->n_hier; i++) {
		struct cg_hier *hier = &h->hier[i];
		_cleanup_free_ char *parent = NULL;
		_cleanup_close_ int fd = -1;
		char buf[CG_FILE_MAX];
		char *slash;

		if (!hier->v2 || !hier->own ||
		    faccessat(hier->root_fd, "cgroup.procs", W_OK, AT_EACCESS) == 0)
			continue;
		if (str_printf(&parent, "%s", cg_path_below(hier, hier->own)) < 0)
			return;
		slash = strrchr(parent, '/');
		*(slash ? slash : parent) = '\0';
		fd = cg_dir_open_at(hier->root_fd, parent, NULL);
		if (fd >= 0 && cg_file_read(fd, "cgroup.controllers", buf, sizeof(buf), NULL) == 0)
			hier->controllers = cg_ctl_words(buf);
	}
}

int cg_host_open(struct cg_host **ret, struct err *e)
{
	_cleanup_(cg_host_freep) struct cg_host *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return err_nomem(e);
	h->refs = 1;
	r = is_plain_v2() ? cg_mounts_add_v2(h, CG_MOUNT, e) : cg_mounts_read(h, e);
	if (r < 0)
		return err_wrap(e, "look for control groups");
	h->layout = layout_of(h);
	r = read_own(h, e);
	if (r < 0)
		return err_wrap(e, "look for our own control group");
	limit_to_delegated(h);
	r = list_controllers(h, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(h);
	return 0;
}

void cg_host_free(struct cg_host *h)
{
	if (!h || --h->refs > 0)
		return;
	cg_mounts_done(h);
	strv_free(h->controllers);
	free(h);
}

enum cg_layout cg_host_layout(const struct cg_host *h)
{
	return h->layout;
}

char *const *cg_host_controllers(const struct cg_host *h)
{
	static char *const none[] = {NULL};

	return h->controllers ? h->controllers : none;
}
