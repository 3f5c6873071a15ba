/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a table of people's scenarios: each row for each person as a container; in microVMs a boot for all rows of a root
 * file system.
 */
#include "people_rows.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct row *rows;
static size_t n_rows;

/* ---- one row ------------------------------------------------------------------------------- */

struct line {
	const char *v[56];
	size_t n;
};

static void push(struct line *l, const char *word)
{
	assert_true(l->n + 1 < sizeof(l->v) / sizeof(*l->v));
	l->v[l->n++] = word;
	l->v[l->n] = NULL;
}

static void push_all(struct line *l, const char *const *words)
{
	for (; *words; words++)
		push(l, *words);
}

static void push_root(struct line *l, enum what what)
{
	if (what != HOST && what != DIR)
		return;
	push(l, "--rootfs");
	push(l, what == HOST ? "/" : "{ROOTFS}");
}

static void words_of(struct line *l, const struct row *row, bool vm)
{
	l->n = 0;
	if (row->what != WORDS) {
		push(l, "run");
		push(l, "--rm");
	}
	if (vm)
		push(l, "--vm");
	push_all(l, row->flags);
	push_root(l, row->what);
	push_all(l, row->command);
}

static const struct answer *answer_for(const struct row *row, const struct person *p)
{
	for (size_t i = 0; i < sizeof(row->is) / sizeof(*row->is); i++)
		if (row->is[i].who & p->who)
			return &row->is[i];
	return NULL;
}

static bool says(const struct person *p, const char *expected, const char *text)
{
	if (!expected)
		return true;
	expected = told_to(p, expected);
	return *expected == '~' ? fnmatch(expected + 1, text, 0) == 0 : strcmp(expected, text) == 0;
}

static void check(const struct person *p, const struct answer *a, struct run_result r)
{
	const char *err = a->err ? told_to(p, a->err) : NULL;

	if (a->code >= 125 && a->code < 128) {
		expect_error(r, a->code, err);
		return;
	}
	bool good = r.code == a->code && says(p, a->out, r.out) && (err || r.err_len == 0);
	char words[1024], *save = NULL;

	snprintf(words, sizeof(words), "%s", err ? err : "");
	for (char *w = strtok_r(words, "|", &save); w; w = strtok_r(NULL, "|", &save))
		good = good && strstr(r.err, w);
	if (!good)
		fail_msg("expected %d, '%s' and '%s'; exit code %d\n stdout: %s\n stderr: %s",
			 a->code, a->out ? told_to(p, a->out) : "", err ? err : "", r.code, r.out,
			 r.err);
	run_result_done(&r);
}

struct test {
	const struct person *person;
	const struct row *row;
	enum what what; /* without a row: all that share a microVM with this root file system */
	bool vm;
};

static void one_row(void **state)
{
	const struct test *t = *state;
	struct belongings before = belongings_note(t->person);
	struct line l;

	words_of(&l, t->row, t->vm);
	check(t->person, answer_for(t->row, t->person),
	      t->row->input ? person_pipe(t->person, l.v, t->row->input)
			    : person_run(t->person, l.v));
	belongings_compare(t->person, &before);
}

/* ---- rows that share a microVM ------------------------------------------------------------- */

static bool can_share(const struct row *row, const struct person *p)
{
	return (row->vm & p->who) && (row->what == HOST || row->what == DIR) && !row->input &&
	       row->command[0];
}

static void quote(FILE *f, const char *word)
{
	fputc('\'', f);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", f);
		else
			fputc(*word, f);
	fputs("' ", f);
}

static void script_of(FILE *f, const struct row *row)
{
	fprintf(f, "echo '[%s]'; ( exec ", row->name);
	for (size_t i = 0; row->command[i]; i++)
		quote(f, row->command[i]);
	fprintf(f, "); echo =$?\n");
}

static void shared_vm(void **state)
{
	const struct test *t = *state;
	const struct person *p = t->person;
	char *script = NULL, *expected = NULL;
	size_t script_size, expected_size;
	FILE *s = open_memstream(&script, &script_size);
	FILE *e = open_memstream(&expected, &expected_size);
	struct belongings before = belongings_note(p);
	struct line l = {.n = 0};

	push_all(&l, ARGV("run", "--rm", "--vm"));
	for (const struct row *row = rows; row < rows + n_rows; row++) {
		const struct answer *a = answer_for(row, p);

		if (row->what != t->what || !can_share(row, p) || !a)
			continue;
		push_all(&l, row->flags);
		script_of(s, row);
		fprintf(e, "[%s]\n%s=%d\n", row->name, told_to(p, a->out), a->code);
	}
	fclose(s);
	fclose(e);
	push_root(&l, t->what);
	push_all(&l, ARGV("sh", "-c", script));
	struct run_result r = person_run(p, l.v);

	expect_result(r, 0, expected, NULL);
	free(script);
	free(expected);
	belongings_compare(p, &before);
}

/* ---- all of them --------------------------------------------------------------------------- */

struct program {
	struct test *tests;
	struct CMUnitTest *units;
	char (*names)[96];
	size_t n;
};

static void no_vm(void **state)
{
	(void)state;
	print_message("# skip: %s\n", vm_missing());
	skip();
}

static void add(struct program *all, struct test t, CMUnitTestFunction function, const char *name)
{
	const char *only = getenv("TEST_ONLY");
	size_t n = all->n;

	snprintf(all->names[n], sizeof(all->names[0]), "%s%s: %s", t.person->name,
		 t.vm ? ", vm" : "", name);
	if (only && !strstr(all->names[n], only))
		return;
	all->tests[n] = t;
	all->units[n] = (struct CMUnitTest){
		.name = all->names[n],
		.test_func = t.vm && vm_missing() ? no_vm : function,
		.initial_state = &all->tests[n],
	};
	all->n++;
}

static bool any_shares(enum what what, const struct person *p)
{
	for (size_t i = 0; i < n_rows; i++)
		if (rows[i].what == what && can_share(&rows[i], p))
			return true;
	return false;
}

static void add_vms(struct program *all, const struct person *p)
{
	static const char *const titles[] = {[HOST] = "the host's system", [DIR] = "a directory"};

	for (const struct row *row = rows; row < rows + n_rows; row++)
		if ((row->vm & p->who) && !can_share(row, p))
			add(all, (struct test){p, row, row->what, true}, one_row, row->name);
	for (enum what what = HOST; what <= DIR; what++)
		if (any_shares(what, p))
			add(all, (struct test){p, NULL, what, true}, shared_vm, titles[what]);
}

static void add_containers(struct program *all, const struct person *p)
{
	for (const struct row *row = rows; row < rows + n_rows; row++)
		if (answer_for(row, p))
			add(all, (struct test){p, row, row->what, false}, one_row, row->name);
}

int people_rows_main(const char *name, const struct row *table, size_t n)
{
	const char *kind = getenv("TEST_KIND");
	size_t most = PEOPLE * n * 2 + 16;
	struct program all = {calloc(most, sizeof(*all.tests)), calloc(most, sizeof(*all.units)),
			      calloc(most, sizeof(*all.names)), 0};
	void *state = NULL;
	int failed;

	rows = table;
	n_rows = n;
	if (people_setup(&state) < 0)
		return 1;
	for (const struct person *p = people(); p < people() + PEOPLE; p++) {
		if (!kind || strcmp(kind, "vm") != 0)
			add_containers(&all, p);
		if (!kind || strcmp(kind, "container") != 0)
			add_vms(&all, p);
	}
	failed = _cmocka_run_group_tests(name, all.units, all.n, NULL, NULL);
	if (people_teardown(&state) < 0)
		failed++;
	free(all.tests);
	free(all.units);
	free(all.names);
	return failed != 0;
}
