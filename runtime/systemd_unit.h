/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd calls things: the scope of a sandbox, the slice it goes into, the group of both, and the properties that stand for
 * limits. Values only; nobody is asked. Internal to this folder.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "cgroups/limits.h"

struct systemd_unit {
	char *name;  /* "libpod-1234.scope"; owned */
	char *slice; /* "machine-pod7.slice"; owned */
};
void systemd_unit_done(struct systemd_unit *u);

/*
 * `wanted` is linux.cgroupsPath in the form that engines use with this manager, "slice:prefix:name": the scope is
 * "prefix-name.scope" in that slice; without a prefix "name.scope", without a slice system.slice, for an ordinary user's
 * manager user.slice. NULL or "": "insula-<id>.scope". Anything else is ERR_INVALID.
 */
int systemd_unit_resolve(const char *wanted, const char *id, bool user, struct systemd_unit *ret,
			 struct err *e);

/* Spec: systemd.slice(5): "a-b.slice" lies at "/a.slice/a-b.slice"; "-.slice" is the root. Caller frees *ret. */
int systemd_slice_path(const char *slice, char **ret, struct err *e);

/* The group in which systemd put a process, from the text of its /proc/PID/cgroup: systemd's own hierarchy on v1 and
 * hybrid hosts, else v2. It must be the unit's, in its slice. Caller frees *ret. */
int systemd_group_of(const char *text, const struct systemd_unit *u, char **ret, struct err *e);

/*
 * Properties are a JSON array of arrays ["Name", "signature", "value"…], which insula-systemd turns into a message: one value
 * for a basic type; an element each for "as"; a byte each in decimal for "ay"; pairs for "a(ss)" and "a(st)".
 */
int systemd_property(struct json *into, const char *name, const char *signature, const char *value);

/* What systemd knows of these limits, for those that are set; all else is for cgroupfs alone. `v2`: on a v1 or hybrid host
 * systemd has fewer of them. */
int systemd_limit_properties(const struct cg_limits *l, bool v2, struct json *into, struct err *e);

/*
 * Annotations "org.systemd.property.NAME=VALUE", the value in the text form of GVariant: true, 'text', 5 (int32), uint64 5,
 * ['a', 'b'] and so on. As in other runtimes a NAME that ends in "Sec" is given in seconds where systemd takes microseconds
 * ("USec"). A name or value that is none is ERR_INVALID, one that we set ourselves ERR_UNSUPPORTED.
 */
#define SYSTEMD_PROPERTY_PREFIX "org.systemd.property."
int systemd_annotation_properties(char *const *annotations, struct json *into, struct err *e);
