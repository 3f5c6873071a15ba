/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features document, and that what it says is so (features.md, features-linux.md).
 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static struct json *features(void)
{
	struct json *document = NULL;
	struct err e = ERR_INIT;
	char *text;

	if (runtime_verb("features", LIST("features")) != 0)
		check_fail("features failed: %s", complaint("features"));
	text = text_of("features", "out");
	if (json_parse(text, strlen(text), "features", &document, &e) < 0)
		check_fail("%.150s", e.text);
	return document;
}

/* "a.b", kept in levels. */
static bool find(const struct json *document, const char *path, struct json_at *levels,
		 struct json_at *ret)
{
	char *words = strdup(path), *save = NULL;
	size_t n = 0;

	levels[0] = json_top(document);
	for (char *w = strtok_r(words, ".", &save); w; w = strtok_r(NULL, ".", &save), n++)
		if (!json_member(&levels[n], w, &levels[n + 1]))
			return false;
	*ret = levels[n];
	return true;
}

static bool array_has(const struct json_at *array, const char *word)
{
	for (size_t i = 0; i < json_array_len(array); i++) {
		struct json_at item = json_array_at(array, i);
		const char *text = json_peek_string(&item);

		if (text && strcmp(text, word) == 0)
			return true;
	}
	return false;
}

/* The array at `arg` has each word of `want`. */
static void lists(const struct check *c)
{
	struct json *document = features();
	struct json_at levels[8], at;

	if (!find(document, c->arg, levels, &at))
		check_fail("%s is missing", c->arg);
	for (size_t i = 0; c->want[i]; i++)
		if (!array_has(&at, c->want[i]))
			check_fail("%s lacks %s", c->arg, c->want[i]);
}

static void says_true(const struct check *c)
{
	struct json *document = features();
	struct json_at levels[8], at;
	struct err e = ERR_INIT;
	bool value = false;

	if (!find(document, c->arg, levels, &at))
		check_fail("%s is missing", c->arg);
	if (json_get_bool(&at, &value, &e) < 0)
		check_fail("%s: %.120s", c->arg, e.text);
}

static void version_is_accepted(const struct check *c)
{
	struct json *document = features();
	struct json_at levels[8], at;
	struct box b;
	char value[64];

	if (!find(document, c->arg, levels, &at) || !json_peek_string(&at))
		check_fail("%s is missing", c->arg);
	snprintf(value, sizeof(value), "\"%s\"", json_peek_string(&at));
	report_want(box_run(&b, LIST("ociVersion", value)), LIST("pid=1"));
}

/* What needs more than its word: an agent that listens. */
static bool needs_an_agent(const char *word)
{
	return strcmp(word, "SCMP_ACT_NOTIFY") == 0 ||
	       strcmp(word, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") == 0;
}

/* Every word of the array works in a configuration: a text with one %s. */
static void each_is_taken(const struct check *c)
{
	struct json *document = features();
	struct json_at levels[8], at;
	struct box b;

	if (!find(document, c->arg, levels, &at))
		check_fail("%s is missing", c->arg);
	for (size_t i = 0; i < json_array_len(&at); i++) {
		struct json_at item = json_array_at(&at, i);
		char value[512];

		if (needs_an_agent(json_peek_string(&item)))
			continue;
		snprintf(value, sizeof(value), c->config[1], json_peek_string(&item));
		box_bundle(&b, LIST(c->config[0], value));
		if (runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id)) != 0)
			check_fail("%s: %s", json_peek_string(&item), complaint(b.id));
	}
}

static void known_members_only(const struct check *c)
{
	static const char *const known[] = {"ociVersionMin",
					    "ociVersionMax",
					    "hooks",
					    "mountOptions",
					    "linux",
					    "annotations",
					    "potentiallyUnsafeConfigAnnotations"};
	struct json *document = features();
	struct json_at top = json_top(document), member;
	size_t pos = 0;

	(void)c;
	while (json_next_member(&top, &pos, &member)) {
		bool is = false;

		for (size_t i = 0; i < COUNT(known); i++)
			is |= strcmp(member.key, known[i]) == 0;
		if (!is)
			check_fail("%s is no property of the structure", member.key);
	}
}

#define SAYS(name, path, ...)                                                       \
	{                                                                           \
		"features." name, "linuxFeatures", path, .run = lists, .arg = path, \
							 .want = LIST(__VA_ARGS__)  \
	}
#define TELLS(name, path)                                                                          \
	{                                                                                          \
		"features." name, "linuxFeatures", path " is there", .run = says_true, .arg = path \
	}

static const struct check feature_checks[] = {
	{"features.ociVersionMin", "featuresSpecificationVersion",
	 "the least version is accepted in a configuration", .run = version_is_accepted,
	 .arg = "ociVersionMin"},
	{"features.ociVersionMax", "featuresSpecificationVersion",
	 "the greatest version is accepted in a configuration", .run = version_is_accepted,
	 .arg = "ociVersionMax"},
	{"features.members", "featuresSpecificationVersion",
	 "no property that the specification does not define", .run = known_members_only},
	{"features.hooks", "featuresHooks", "all six kinds", .run = lists, .arg = "hooks",
	 .want = LIST("prestart", "createRuntime", "createContainer", "startContainer", "poststart",
		      "poststop")},
	{"features.mountOptions", "featuresMountOptions", "all that a runtime MUST know",
	 .run = lists, .arg = "mountOptions",
	 .want = LIST("async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec",
		      "iversion", "lazytime", "loud", "noatime", "nodev", "nodiratime", "noexec",
		      "noiversion", "nolazytime", "norelatime", "nostrictatime", "nosuid",
		      "private", "rbind", "relatime", "remount", "ro", "rprivate", "rshared",
		      "rslave", "runbindable", "rw", "shared", "silent", "slave", "strictatime",
		      "suid", "sync", "unbindable")},
	{"features.namespaces", "linuxFeatures", "linux.namespaces: all eight", .run = lists,
	 .arg = "linux.namespaces",
	 .want = LIST("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time")},
	{"features.capabilities.taken", "linuxFeatures",
	 "each of linux.capabilities works in a configuration", .run = each_is_taken,
	 .arg = "linux.capabilities",
	 .config = LIST("process.capabilities", "{\"bounding\": [\"%s\"]}")},
	{"features.seccomp.actions.taken", "linuxFeatures",
	 "each of linux.seccomp.actions but SCMP_ACT_NOTIFY's agent", .run = each_is_taken,
	 .arg = "linux.seccomp.actions",
	 .config = LIST("linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": "
					 "[{\"names\": [\"mincore\"], \"action\": \"%s\"}],"
					 " \"flags\": []}")},
	{"features.seccomp.archs.taken", "linuxFeatures",
	 "each of linux.seccomp.archs works in a configuration", .run = each_is_taken,
	 .arg = "linux.seccomp.archs",
	 .config = LIST("linux.seccomp",
			"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"%s\"], "
			"\"syscalls\":"
			" [{\"names\": [\"mincore\"], \"action\": \"SCMP_ACT_ERRNO\"}]}")},
	{"features.seccomp.flags.taken", "linuxFeatures",
	 "each of linux.seccomp.supportedFlags works in a configuration", .run = each_is_taken,
	 .arg = "linux.seccomp.supportedFlags",
	 .config = LIST("linux.seccomp",
			"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"%s\"], \"syscalls\":"
			" [{\"names\": [\"mincore\"], \"action\": \"SCMP_ACT_ERRNO\"}]}")},
	SAYS("seccomp.operators", "linux.seccomp.operators", "SCMP_CMP_NE", "SCMP_CMP_LT",
	     "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"),
	TELLS("cgroup.v1", "linux.cgroup.v1"),
	TELLS("cgroup.v2", "linux.cgroup.v2"),
	TELLS("seccomp.enabled", "linux.seccomp.enabled"),
	TELLS("apparmor", "linux.apparmor.enabled"),
	TELLS("selinux", "linux.selinux.enabled"),
	TELLS("intelRdt", "linux.intelRdt.enabled"),
	TELLS("idmap", "linux.mountExtensions.idmap.enabled"),
	TELLS("netDevices", "linux.netDevices.enabled"),
	SAYS("memoryPolicy", "linux.memoryPolicy.modes", "MPOL_BIND", "MPOL_INTERLEAVE"),
};
CHECKS(feature_checks);
