/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/oci-support.md: the support table for people. Generated, so that it cannot drift.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/support.h"

#define VERB_PREFIX "verb:"

static const char *level_word(enum support_level level)
{
	switch (level) {
	case SUPPORT_NO:
		return "**no**";
	case SUPPORT_YES:
		return "yes";
	case SUPPORT_MOOT:
		return "moot";
	}
	return "?";
}

static void add_cell(struct strbuf *b, const struct support_cell *cell)
{
	strbuf_addf(b, " %s%s%s |", level_word(cell->level), cell->how ? ": " : "",
		    cell->how ? cell->how : "");
}

/* "oci: CHECK" is a link to the validation suite's results. */
static void add_proof(struct strbuf *b, const char *proof)
{
	const char *test = strchr(proof, ' ');

	strbuf_addf(b,
		    str_has_prefix(proof, "oci: ") ? " [%.*s](oci-conformance.md) `%s` |"
						   : " %.*s `%s` |",
		    (int)(test - proof), proof, test + 1);
}

static void add_table(struct strbuf *b, const char *head, bool verbs)
{
	strbuf_addf(b, "| %s |", head);
	for (unsigned d = 0; d < DRIVER_COUNT; d++)
		strbuf_addf(b, " %s |", driver_name_of(d));
	strbuf_add(b, " test that proves it |\n| --- |");
	for (unsigned d = 0; d < DRIVER_COUNT; d++)
		strbuf_add(b, " --- |");
	strbuf_add(b, " --- |\n");

	for (size_t i = 0; i < support_table_len; i++) {
		const struct support_row *row = &support_table[i];
		bool is_verb = str_has_prefix(row->name, VERB_PREFIX);

		if (is_verb != verbs)
			continue;
		strbuf_addf(b, "| `%s` |", row->name + (is_verb ? sizeof(VERB_PREFIX) - 1 : 0));
		for (unsigned d = 0; d < DRIVER_COUNT; d++)
			add_cell(b, &row->by_driver[d]);
		add_proof(b, support_proof(row));
		strbuf_add(b, "\n");
	}
}

int support_write_markdown(char **ret, struct err *e)
{
	struct strbuf b = {0};

	for (size_t i = 0; i < support_table_len; i++)
		if (!support_proof(&support_table[i]))
			return err_set(e, ERR_INTERNAL, ENOENT,
				       "'%s': no test is named in runtime/support_proofs.c",
				       support_table[i].name);
	strbuf_add(&b,
		   "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
		   "<!-- Generated from runtime/driver_support.c; do not edit. -->\n"
		   "# What of the OCI runtime specification is done\n\n"
		   "Every field of the configuration (specification 1.3) and every verb, for "
		   "each kind of isolation.\n\n"
		   "- **yes**: done; the text says how, where that is not plain.\n"
		   "- **no**: a configuration that asks for it is refused before any work, with "
		   "this reason. `null`, `false`, `0`, empty strings, arrays and objects ask for "
		   "nothing.\n"
		   "- **moot**: has no meaning for this kind, and what it wants holds anyway.\n\n"
		   "`[]` is every element of an array, `[word]` those of that `type`, `=WORD` "
		   "that value only. Members that the specification does not know are left "
		   "alone.\n\n"
		   "A test is named by its program, below tests/; `oci` are the checks of "
		   "`make test-oci`.\n\n"
		   "## Configuration\n\n");
	add_table(&b, "field", false);
	strbuf_add(&b, "\n## Verbs\n\n");
	add_table(&b, "verb", true);
	if (strbuf_take(&b, ret) < 0)
		return err_nomem(e);
	return 0;
}
