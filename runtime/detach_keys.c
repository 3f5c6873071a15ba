/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys by which somebody attached leaves a sandbox: how they are written, and finding them in what is typed.
 */
#include <stdlib.h>
#include <string.h>

#include "attach_keys.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/attach.h"

/* "a" is itself; "ctrl-a" to "ctrl-z", and ctrl with @ [ \ ] ^ _, are the codes 0 to 31. */
static bool parse_key(const char *word, char *ret)
{
	static const char prefix[] = "ctrl-";
	char c;

	if (word[0] && !word[1]) {
		*ret = word[0];
		return true;
	}
	if (!str_has_prefix(word, prefix) || strlen(word) != strlen(prefix) + 1)
		return false;
	c = word[strlen(prefix)];
	if (c >= 'a' && c <= 'z')
		*ret = (char)(c - 'a' + 1);
	else if (c == '@' || (c >= '[' && c <= '_'))
		*ret = (char)(c - '@');
	else
		return false;
	return true;
}

int rt_detach_keys_parse(const char *text, char ret_keys[RT_DETACH_KEYS_MAX], size_t *ret_n,
			 struct err *e)
{
	_cleanup_strv_ char **words = NULL;
	char keys[RT_DETACH_KEYS_MAX];
	size_t n = 0;

	if (!*text) {
		*ret_n = 0;
		return 0;
	}
	if (strv_split(text, ',', &words) < 0)
		return err_nomem(e);
	for (char **word = words; *word; word++, n++) {
		if (n == RT_DETACH_KEYS_MAX)
			return err_invalid(e, "detach keys '%s': more than %d", text,
					   RT_DETACH_KEYS_MAX);
		if (parse_key(*word, &keys[n]))
			continue;
		err_invalid(e, "detach keys '%s': '%s' is not a key", text, *word);
		return err_hint(e, "a character, or ctrl- with a letter or one of @ [ \\ ] ^ _, "
				   "separated by commas");
	}
	memcpy(ret_keys, keys, n);
	*ret_n = n;
	return 0;
}

bool keys_filter(struct keys *k, const char *in, size_t n_in, char *out, size_t *ret_n_out)
{
	size_t n = 0;

	for (size_t i = 0; i < n_in; i++) {
		/* What looked like the beginning was none. It may still hold one: "ctrl-p ctrl-p ctrl-q". */
		while (k->matched > 0 && in[i] != k->v[k->matched]) {
			size_t drop = 1;

			while (drop < k->matched &&
			       memcmp(k->v, k->v + drop, k->matched - drop) != 0)
				drop++;
			memcpy(out + n, k->v, drop);
			n += drop;
			k->matched -= drop;
		}
		if (k->n > 0 && in[i] == k->v[k->matched]) {
			if (++k->matched == k->n) {
				*ret_n_out = n;
				return true;
			}
		} else {
			out[n++] = in[i];
		}
	}
	*ret_n_out = n;
	return false;
}
