/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bundle and the document in it: where config.json is, versions, unknown properties, annotations, JSON itself
 * (bundle.md; config.md, Specification version, Annotations, Extensibility; glossary.md, JSON).
 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const unknown[] = {
	"surprise",
	"{\"deep\": [1, 2, {\"three\": null}]}",
	"process.surprise",
	"\"x\"",
	"linux.surprise",
	"true",
	"linux.resources.surprise",
	"{\"limit\": 5}",
	"root.surprise",
	"1",
	"annotations",
	"{\"org.opencontainers.something.new\": \"x\", \"plain\": \"y\", \"com.example.a\": \"\"}",
	NULL,
};

static void refused_when(const struct box *b, const char *what)
{
	if (box_create(b) == 0)
		check_fail("%s is accepted", what);
	box_must_be_gone(b);
}

static void config_elsewhere(const struct check *c)
{
	struct box b;
	char from[200], to[220];

	box_bundle(&b, NULL);
	snprintf(from, sizeof(from), "%s/config.json", b.bundle);
	snprintf(to, sizeof(to), "%s/%s", b.bundle, c->arg);
	if (rename(from, to) < 0)
		check_fail("fixture: %s", to);
	refused_when(&b, c->arg);
}

static void no_bundle(const struct check *c)
{
	(void)c;
	if (runtime_verb("no-bundle",
			 LIST("create", "--bundle", "/nowhere/bundle", "ocisuite-nowhere")) == 0)
		check_fail("accepted");
}

static void default_bundle(const struct check *c)
{
	struct box b;

	(void)c;
	box_bundle(&b, NULL);
	if (chdir(b.bundle) < 0 || runtime_verb(b.id, LIST("run", b.id)) != 0)
		check_fail("run in the bundle failed: %s", complaint(b.id));
}

/* The document's text, with one piece replaced. */
static void bad_text(const struct check *c)
{
	struct box b;
	char path[200];

	box_bundle(&b, NULL);
	snprintf(path, sizeof(path), "%s/config.json", b.bundle);
	if (strcmp(c->arg, "cut") == 0) {
		struct stat st;

		stat(path, &st);
		if (truncate(path, st.st_size / 2) < 0)
			check_fail("fixture: truncate");
	} else {
		put_file(path, c->arg, 0644);
	}
	refused_when(&b, "the document");
}

static void duplicate_name(const struct check *c)
{
	struct box b;
	char path[200], *text, *brace, twice[65536];

	(void)c;
	box_bundle(&b, NULL);
	snprintf(path, sizeof(path), "%s/config.json", b.bundle);
	text = slurp("%s", path);
	brace = strchr(text, '{');
	snprintf(twice, sizeof(twice), "{\"ociVersion\": \"1.0.0\",%s", brace + 1);
	put_file(path, twice, 0644);
	refused_when(&b, "a name twice");
}

#define VERSION_OK(version)                                                           \
	{                                                                             \
		"ociVersion." version, "SpecVersionInSemVer", version " is accepted", \
			LIST("ociVersion", "\"" version "\""), LIST("pid=1")          \
	}
#define VERSION_BAD(name, requirement, text)                                                   \
	{                                                                                      \
		"ociVersion." name, requirement, text " is refused", LIST("ociVersion", text), \
			.refused = true                                                        \
	}
#define NOTE(name, requirement, how, value)                                                        \
	{                                                                                          \
		"annotations." name, requirement, how, LIST("annotations", value), .refused = true \
	}

static const struct check bundle_checks[] = {
	{"bundle.config.subdirectory", "ConfigInRootBundleDir",
	 "config.json in rootfs/ is not looked for", .run = config_elsewhere,
	 .arg = "rootfs/config.json"},
	{"bundle.config.name", "ConfigConstName", "config.yaml is not looked for",
	 .run = config_elsewhere, .arg = "config.yaml"},
	{"bundle.missing", "CreateWithBundlePathAndID", "a bundle that is not there is an error",
	 .run = no_bundle},
	{"bundle.current-directory", "cli", "without --bundle it is the current directory",
	 .run = default_bundle},
	{"json.cut", "glossaryJson", "half of a document is refused", .run = bad_text,
	 .arg = "cut"},
	{"json.empty", "glossaryJson", "an empty file is refused", .run = bad_text, .arg = ""},
	{"json.array", "glossaryJson", "an array is refused", .run = bad_text, .arg = "[]"},
	{"json.utf-8", "glossaryJson", "bytes that are no UTF-8 are refused", .run = bad_text,
	 .arg = "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"}, \"hostname\": "
		"\"\377\376\", \"process\":"
		" {\"cwd\": \"/\", \"args\": [\"/inspect\"], \"user\": {\"uid\": 0, \"gid\": 0}}, "
		"\"linux\": {\"namespaces\":"
		" [{\"type\": \"mount\"}, {\"type\": \"pid\"}, {\"type\": \"uts\"}]}}"},
	{"json.twice", "glossaryJson", "a name twice in an object is refused",
	 .run = duplicate_name},
	VERSION_OK("1.0.0"),
	VERSION_OK("1.1.0"),
	VERSION_OK("1.2.1"),
	VERSION_OK("1.3.0"),
	VERSION_OK("1.0.2-dev"),
	VERSION_BAD("missing", "SpecVersionInSemVer", "null"),
	VERSION_BAD("short", "SpecVersionInSemVer", "\"1.0\""),
	VERSION_BAD("word", "SpecVersionInSemVer", "\"latest\""),
	VERSION_BAD("number", "SpecVersionInSemVer", "1"),
	VERSION_BAD("2.0.0", "configSpecificationVersion", "\"2.0.0\""),
	{"extensibility.unknown", "ExtensibilityIgnoreUnknownProp",
	 "unknown properties at many places are no error", unknown, LIST("pid=1")},
	{"annotations.unknown", "AnnotationsKeyIgnoreUnknown",
	 "unknown keys, also of the reserved namespace, are no error", unknown, LIST("pid=1")},
	NOTE("number", "AnnotationsValueString", "a value that is a number is refused",
	     "{\"com.example.a\": 1}"),
	NOTE("object", "AnnotationsValueString", "a value that is an object is refused",
	     "{\"com.example.a\": {}}"),
	NOTE("array", "AnnotationsKeyValueMap", "an array is refused", "[\"a\"]"),
	NOTE("empty-key", "AnnotationsKeyRequired", "an empty key is refused", "{\"\": \"x\"}"),
};
CHECKS(bundle_checks);
