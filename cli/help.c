/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help, man page and completion, all printed from the command tables: what a person reads cannot
 * differ from what is parsed.
 */
#include "help.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static bool is_refused(const struct opt *o)
{
	return o->kind == OPT_REFUSED || o->kind == OPT_REFUSED_VALUE;
}

#define HELP_COLUMN 32
#define HELP_WIDTH  100

/* Words of a help text, folded behind its column. */
static void print_folded(const char *text)
{
	size_t column = HELP_COLUMN;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (column > HELP_COLUMN && column + 1 + n > HELP_WIDTH) {
			printf("\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		} else if (column > HELP_COLUMN) {
			printf(" ");
			column++;
		}
		printf("%.*s", (int)n, text);
		column += n;
		text += n;
		text += strspn(text, " ");
	}
	printf("\n");
}

static void print_option(const struct opt *o)
{
	char left[64];
	int n = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", o->letter ? '-' : ' ',
			 o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name,
			 o->value ? " " : "", o->value ? o->value : "");

	if (n >= HELP_COLUMN)
		printf("%s\n%*s", left, HELP_COLUMN, "");
	else
		printf("%-*s", HELP_COLUMN, left);
	print_folded(o->help);
}

static void print_options(const struct opt_table *t)
{
	const struct opt *v = t->v;
	size_t n = t->n;
	bool any_refused = false;
	size_t column = 0;

	for (size_t i = 0; i < n; i++) {
		if (is_refused(&v[i]))
			any_refused = true;
		else if (v[i].kind == OPT_HEADING)
			printf("%s%s:\n", i ? "\n" : "", v[i].name);
		else
			print_option(&v[i]);
	}
	if (!any_refused)
		return;
	printf("\nKnown but refused for now:");
	for (size_t i = 0; i < n; i++) {
		if (!is_refused(&v[i]))
			continue;
		if (column == 0 || column + strlen(v[i].name) > 80)
			column = (size_t)printf("\n  --%s", v[i].name);
		else
			column += (size_t)printf(" --%s", v[i].name);
	}
	printf("\n");
}

void help_print_version(const struct program *p)
{
	printf("%s version %s\nspec: %s\n", p->name, INSULA_VERSION, OCI_VERSION);
}

void help_print_program(const struct program *p)
{
	printf("%s - %s\n\nUsage: %s [flags] COMMAND …\n\nCommands:\n", p->name, p->summary,
	       p->name);
	for (size_t i = 0; i < p->n_commands; i++)
		if (p->commands[i].run)
			printf("  %-12s %s\n", p->commands[i].name, p->commands[i].summary);
	printf("\nFlags:\n");
	print_options(p->opts);
	printf("\n'%s COMMAND --help' shows a command's flags.\n", p->name);
}

void help_print_command(const struct program *p, const struct command *c)
{
	printf("Usage: %s %s %s\n\n%s.\n", p->name, c->name, c->args,
	       c->summary ? c->summary : c->refusal);
	if (c->details)
		printf("\n%s\n", c->details);
	if (c->opts) {
		printf("\n%s", c->opts->n && c->opts->v[0].kind == OPT_HEADING ? "" : "Flags:\n");
		print_options(c->opts);
	}
}

/* ---- man(7) ------------------------------------------------------------------------------- */

/* Escape what roff would take as its own. */
static void print_roff(const char *s)
{
	bool line_start = true;

	for (; *s; s++) {
		if (line_start && (*s == '.' || *s == '\''))
			printf("\\&");
		if (*s == '\\')
			printf("\\e");
		else if (*s == '-')
			printf("\\-");
		else
			putchar(*s);
		line_start = *s == '\n';
	}
}

static void print_man_options(const struct opt_table *t)
{
	const struct opt *v = t ? t->v : NULL;

	for (size_t i = 0; t && i < t->n; i++) {
		if (is_refused(&v[i]))
			continue;
		if (v[i].kind == OPT_HEADING) {
			printf(".PP\n.I ");
			print_roff(v[i].name);
			printf("\n");
			continue;
		}
		printf(".TP\n.B ");
		if (v[i].letter)
			printf("\\-%c, ", v[i].letter);
		printf("\\-\\-");
		print_roff(v[i].name);
		if (v[i].value) {
			printf(" \\fI");
			print_roff(v[i].value);
			printf("\\fP");
		}
		printf("\n");
		print_roff(v[i].help);
		printf("\n");
	}
}

static void print_man_command(const struct program *p, const struct command *c)
{
	printf(".SS %s %s ", p->name, c->name);
	print_roff(c->args);
	printf("\n");
	print_roff(c->summary);
	printf(".\n");
	if (c->details) {
		printf(".PP\n");
		print_roff(c->details);
		printf("\n");
	}
	print_man_options(c->opts);
}

void help_print_man(const struct program *p)
{
	printf(".TH %s 1 \"\" \"Insula %s\"\n.SH NAME\n%s \\- ", p->name, INSULA_VERSION, p->name);
	print_roff(p->summary);
	printf("\n.SH SYNOPSIS\n.B %s\n[\\fIflags\\fP] \\fIcommand\\fP …\n.SH DESCRIPTION\n",
	       p->name);
	print_roff(p->description);
	printf("\n.SH OPTIONS\n");
	print_man_options(p->opts);
	printf(".SH COMMANDS\n");
	for (size_t i = 0; i < p->n_commands; i++)
		if (p->commands[i].run)
			print_man_command(p, &p->commands[i]);
}

/* ---- completion --------------------------------------------------------------------------- */

void help_print_completion(const struct program *p)
{
	char function[64];
	size_t n = 0;

	/* A shell function's name has no '-'. */
	for (const char *s = p->name; *s && n + 1 < sizeof(function); s++)
		function[n++] = *s == '-' ? '_' : *s;
	function[n] = '\0';
	printf("# bash completion for %s\n_%s() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words\n"
	       "\tcase ${COMP_WORDS[1]} in\n",
	       p->name, function);
	for (size_t i = 0; i < p->n_commands; i++) {
		const struct command *c = &p->commands[i];

		if (!c->run)
			continue;
		printf("\t%s) words='--help", c->name);
		for (size_t k = 0; c->opts && k < c->opts->n; k++)
			if (!is_refused(&c->opts->v[k]) && c->opts->v[k].kind != OPT_HEADING)
				printf(" --%s", c->opts->v[k].name);
		printf("';;\n");
	}
	printf("\t*) words='help");
	for (size_t i = 0; i < p->n_commands; i++)
		if (p->commands[i].run)
			printf(" %s", p->commands[i].name);
	printf("';;\n\tesac\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
	       "complete -o default -F _%s %s\n",
	       function, p->name);
}
