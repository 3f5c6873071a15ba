/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/seccomp.md: the table of the default filter for people. Generated, so that it cannot drift.
 */
#include "base/cleanup.h"
#include "base/str.h"
#include "isolate/process.h"
#include "runtime/seccomp_default.h"
#include "seccomp_table.h"

static const struct {
	const char *title, *text, *head;
} sections[] = {
	[CALL_ALLOWED] = {"Allowed", "", "| calls | for |\n| --- | --- |\n"},
	[CALL_CONDITIONAL] = {"Allowed with some arguments", "",
			      "| calls | which |\n| --- | --- |\n"},
	[CALL_REFUSED] = {"Refused",
			  "These fail with `EPERM`. A capability that such a call is made for "
			  "allows it: who "
			  "asks for the capability (`--cap-add`) asks for the call, and the kernel "
			  "checks it "
			  "anyway.\n\n",
			  "| calls | why | allowed with |\n| --- | --- | --- |\n"},
	[CALL_ABSENT] =
		{"Absent",
		 "These fail with `ENOSYS`, as on a kernel without them, and so does every "
		 "call that no table here names: what a newer kernel brings is left out until "
		 "somebody has looked at it.\n\n",
		 "| calls | why | allowed with |\n| --- | --- | --- |\n"},
};
_Static_assert(ARRAY_SIZE(sections) == CALL_DECISION_COUNT, "a section for each decision");

static const enum call_decision order[] = {CALL_REFUSED, CALL_ABSENT, CALL_CONDITIONAL,
					   CALL_ALLOWED};

static void add_names(struct strbuf *b, const char *names)
{
	strbuf_add(b, "`");
	for (; *names; names++) {
		if (*names == ' ')
			strbuf_add(b, "` `");
		else
			strbuf_add_len(b, names, 1);
	}
	strbuf_add(b, "`");
}

static void add_capabilities(struct strbuf *b, uint64_t caps)
{
	const char *separator = " ";

	if (!caps)
		strbuf_add(b, " nothing");
	for (int cap = 0; cap < 64; cap++) {
		if (!(caps & UINT64_C(1) << cap))
			continue;
		strbuf_addf(b, "%s`%s`", separator, iso_cap_name(cap));
		separator = " or ";
	}
	strbuf_add(b, " |");
}

static void add_group(struct strbuf *b, const struct call_group *g)
{
	strbuf_addf(b, "| **%s**: ", g->title);
	add_names(b, g->names);
	strbuf_addf(b, " | %s |", g->reason);
	if (g->decision == CALL_REFUSED || g->decision == CALL_ABSENT)
		add_capabilities(b, g->unless);
	strbuf_add(b, "\n");
}

static void add_section(struct strbuf *b, enum call_decision decision)
{
	strbuf_addf(b, "\n## %s\n\n%s%s", sections[decision].title, sections[decision].text,
		    sections[decision].head);
	for (size_t i = 0; i < call_groups_len; i++)
		if (call_groups[i].decision == decision)
			add_group(b, &call_groups[i]);
}

int rt_seccomp_markdown(char **ret, struct err *e)
{
	struct strbuf b = {0};

	strbuf_add(
		&b,
		"<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
		"<!-- Generated from runtime/seccomp_default_table.c; do not edit. -->\n"
		"# The default system call filter\n\n"
		"`insula run` gives every sandbox this filter (`linux.seccomp` of its document; "
		"`--explain` prints it). Another is given by `--security-opt seccomp=FILE`, none "
		"by `seccomp=unconfined`. A bundle of `insula-oci` brings its own.\n\n"
		"Each call that the kernel's headers name is in one of the tables, on every "
		"architecture; a test compares the headers of the machine with them.\n\n"
		"The filter is of the architecture that Insula was built for; on arm64 also of "
		"32-bit ARM. A process that makes a call of 32-bit x86 or of x32 is ended: "
		"`socketcall` of 32-bit x86 hides the family of a socket in memory, where a "
		"filter cannot look.\n\n"
		"It is compiled to a binary tree, and the compiled program is kept beside the "
		"state (`isolate/seccomp_cache.c`).\n");
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		add_section(&b, order[i]);
	return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
}
