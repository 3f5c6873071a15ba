/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines of the two programs in a world, and what is expected of their results.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define MAX_WORDS 64

static const char *const *words_for(const char *program, const struct world *w,
				    const char *const *words)
{
	static const char *line[MAX_WORDS];
	size_t n = 0;

	line[n++] = program;
	line[n++] = "--root";
	line[n++] = w->state;
	for (; *words; words++) {
		assert_true(n + 1 < MAX_WORDS);
		line[n++] = *words;
	}
	line[n] = NULL;
	return line;
}

const char *const *oci_argv(const struct world *w, const char *const *words)
{
	return words_for(w->oci, w, words);
}

const char *const *insula_argv(const struct world *w, const char *const *words)
{
	return words_for(w->insula, w, words);
}

struct run_result run_oci(const struct world *w, const char *const *words)
{
	return run(
		&(struct run_spec){.argv = oci_argv(w, words), .user = w->user, .detaching = true});
}

struct run_result run_insula(const struct world *w, const char *const *words)
{
	return run(&(struct run_spec){
		.argv = insula_argv(w, words), .user = w->user, .detaching = true});
}

static void fail_with(const struct run_result *r, const char *expected, int code)
{
	fail_msg("exit code %d, expected %d and '%s'\n stdout: %s\n stderr: %s", r->code, code,
		 expected ? expected : "", r->out, r->err);
}

void expect_result(struct run_result r, int code, const char *out, const char *err)
{
	if (r.code != code || (out && strcmp(r.out, out) != 0))
		fail_with(&r, out, code);
	if (err && !strstr(r.err, err))
		fail_with(&r, err, code);
	run_result_done(&r);
}

/* What a terminal would take as an order, or a person as noise. */
static bool is_plain(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if ((*p < 0x20 && *p != '\n') || *p == 0x7f)
			return false;
	return true;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

void expect_error(struct run_result r, int code, const char *words)
{
	char *copy = strdup(words), *save = NULL;
	size_t lines = count_lines(r.err);

	assert_non_null(copy);
	if (r.code != code)
		fail_with(&r, words, code);
	if (lines < 1 || lines > 2 || strlen(r.err) > 2000)
		fail_with(&r, "one or two lines", code);
	if (!is_plain(r.err))
		fail_with(&r, "no control characters", code);
	if (r.out_len > 0)
		fail_with(&r, "nothing on standard output", code);
	for (char *word = strtok_r(copy, "|", &save); word; word = strtok_r(NULL, "|", &save))
		if (!strstr(r.err, word))
			fail_with(&r, word, code);
	free(copy);
	run_result_done(&r);
}

char *oci_state(const struct world *w, const char *id, const char *member)
{
	struct run_result r = run_oci(w, ARGV("state", id));
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top, at;
	char *text = NULL;
	int64_t number;

	if (r.code == 0 && json_parse(r.out, r.out_len, "state", &doc, NULL) < 0)
		fail_with(&r, "JSON", 0);
	if (doc) {
		top = json_top(doc);
		if (json_member(&top, member, &at) && json_get_string(&at, &text, NULL) < 0 &&
		    json_get_i64(&at, &number, NULL) == 0)
			assert_true(asprintf(&text, "%lld", (long long)number) > 0);
	}
	run_result_done(&r);
	return text ? text : strdup("");
}

struct wanted_status {
	const struct world *w;
	const char *id, *status;
	char seen[32];
};

static bool has_status(void *arg)
{
	struct wanted_status *wanted = arg;
	char *now = oci_state(wanted->w, wanted->id, "status");

	snprintf(wanted->seen, sizeof(wanted->seen), "%s", now);
	free(now);
	return strcmp(wanted->seen, wanted->status) == 0;
}

void expect_ids(const struct world *w, const char *const *ids)
{
	char lines[4096] = "";

	for (; *ids; ids++)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "%s\n", *ids);
	expect_result(run_oci(w, ARGV("list", "-q")), 0, lines, NULL);
}

void expect_status(const struct world *w, const char *id, const char *status)
{
	struct wanted_status wanted = {.w = w, .id = id, .status = status};

	if (!eventually(has_status, &wanted, 60))
		fail_msg("status of %s is '%s', expected '%s'", id, wanted.seen, status);
}
