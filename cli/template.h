/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --format templates: text with parts in double braces, of which we do what scripts use of docker's and podman's:
 *
 *	{{.Path.To.Member}}        a member of the JSON value, letters' case aside; {{.}} is the whole
 *	{{json .Path}}             the same as JSON text
 *	{{index .Path "key"}}      a member whose name is no word, such as a label's
 *
 * \t and \n are a tab and a newline. Everything else in braces is refused by name.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

/* Append what the template makes of the value. An unknown member is ERR_INVALID and names those that are there. */
int template_render(const char *format, const struct json *value, struct strbuf *out,
		    struct err *e);

/* The same with the headings of the members in place of their values ("ID\tSTATUS"). */
int template_heading(const char *format, struct strbuf *out, struct err *e);
