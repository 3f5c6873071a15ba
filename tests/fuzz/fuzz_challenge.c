/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a registry says before it answers: challenges, token answers, error answers (images/fetch_challenge.h).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fetch_challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), shown[64];
	struct challenge c = {0};
	struct token t = {0};

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (challenge_parse(text, &c, NULL) == 0) {
		if (c.scheme == CHALLENGE_BEARER && !c.realm)
			abort();
		challenge_done(&c);
	}
	if (token_parse(text, size, &t, NULL) == 0) {
		/* It becomes part of a header. */
		if (!*t.text || strpbrk(t.text, "\r\n ") || t.expires_sec < TOKEN_DEFAULT_SEC)
			abort();
		free(t.text);
	}
	registry_error(text, size, shown, sizeof(shown));
	if (strlen(shown) >= sizeof(shown) || strpbrk(shown, "\r\n\033"))
		abort();
	free(text);
	return 0;
}
