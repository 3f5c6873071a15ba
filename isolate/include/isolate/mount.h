/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mount of a sandbox: what the configuration says, and the table of option words.
 * Spec: OCI runtime-spec config.md "Mounts", "Linux mount options"; mount_setattr(2), fsopen.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "isolate/namespace.h"

enum iso_mount_flag {
	ISO_MOUNT_BIND = 1 << 0,
	ISO_MOUNT_REC = 1 << 1, /* rbind */
	ISO_MOUNT_TMPCOPYUP = 1 << 2,
	ISO_MOUNT_REMOUNT = 1 << 3,
	ISO_MOUNT_IDMAP = 1 << 4,
	ISO_MOUNT_RIDMAP = 1 << 5,
	ISO_MOUNT_COPY_SYMLINK = 1 << 6,
	ISO_MOUNT_FILL =
		1
		<< 8, /* bind of an empty directory: first filled with what the root has there ("fill") */
	ISO_MOUNT_THROWAWAY =
		1 << 7, /* bind: an overlay over the source ("throwaway", "throwaway=DIR") */
};

struct iso_mount {
	char *destination; /* owned; in the sandbox, absolute after parsing */
	char *type;        /* owned; NULL for a bind */
	char *source;      /* owned; host path of a bind, else the file system's source */
	uint32_t flags;    /* enum iso_mount_flag */
	uint64_t attr_set, attr_clear; /* MOUNT_ATTR_*, this mount */
	uint64_t attr_rec_set,
		attr_rec_clear; /* MOUNT_ATTR_*, the mount and all below (r* words) */
	uint64_t propagation;   /* MS_SHARED|MS_SLAVE|MS_PRIVATE|MS_UNBINDABLE, maybe MS_REC; 0:
				   default */
	char *data;             /* owned; file-system options, comma separated, or NULL */
	char *throwaway_dir;    /* owned; THROWAWAY: iso_mount_throwaway()'s `disk`, or NULL */
	/* A descriptor that stands for the source (an opened tree or file), or -1: set by the
	 * runtime when it opened the source beforehand. Owned. */
	int source_fd;
	/* ISO_MOUNT_IDMAP, _RIDMAP: `inside` is an id of the file system, `outside` the one it has in the mount. Owned. None:
	 * the container's own maps. */
	struct iso_id_maps uid_maps, gid_maps;
	bool maps_relative; /* `outside` is an id of the container ("@") */
};

void iso_mount_done(struct iso_mount *m);

/* Take one option word into m ("ro", "rbind", "rslave", "size=64k", ...). Words of the table set
 * attributes; any other word is a file-system option and is appended to data. A word that is known
 * but not implemented is ERR_UNSUPPORTED by name. */
int iso_mount_option(struct iso_mount *m, const char *word, struct err *e);

/* A detached copy of the mount at an absolute path, for source_fd: where a container's init, in its user namespace, could not
 * walk to it. Nothing that is mounted in it reaches the host. Needs CAP_SYS_ADMIN. Returns it or -errno. */
int iso_mount_open_tree(const char *path, struct err *e);

/* All known option words, NULL-terminated, for `features`. Static. */
const char *const *iso_mount_option_names(void);

/*
 * What ISO_MOUNT_THROWAWAY is made of: an overlay over the host's directory `path` and over each file system mounted
 * below it, whose changes go to a tmpfs that is gone with the last user; or, with `disk` (an absolute path of an existing directory of
 * the caller's own), to a new directory in that, which he removes when nobody uses the layer any more. A `disk`
 * that cannot be the upper layer of an overlay is not used. Returns a detached tree, ready to be
 * attached, or -errno. For a calling process in a mount namespace of its own, out of which nothing propagates
 * (iso_rootfs_mount() was called). In a user namespace a directory with mounts below it is refused:
 * the kernel locks them to it.
 */
int iso_mount_throwaway(const char *path, const char *disk, struct err *e);

/* In a user namespace a throwaway layer keeps its notes in attributes that tmpfs has since Linux 6.6. Without them a directory
 * of the source cannot be removed, nor a removed one be made again (EIO); all else works. */
bool iso_can_throw_directories_away(void);
/* Has the file system of this existing directory such attributes, for a `disk` of iso_mount_throwaway()? */
bool iso_can_hold_throwaway(const char *disk);
