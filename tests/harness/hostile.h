/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of security share: images that are not to be trusted, callers in odd circumstances, and a place outside
 * of every sandbox that nobody may reach.
 */
#pragma once

#include "harness.h"

/* Once, before the world is set up: this process gets a mount namespace of its own, from which nothing reaches the
 * host's. */
int hostile_init(void);

/* Text in one of 512 static buffers; quoted() is a JSON string. */
const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *quoted(const char *s);

/* A copy of the world's root file system as DIR/image-NAME, with the program `hostile`; then its path. Made anew if it
 * exists. */
const char *image(const struct world *w, const char *name);
void make_tree(const char *path);
void remove_tree(const char *path);
/* DIR/outside, with a directory "dir" and a file "file" in it. */
const char *outside(const struct world *w);
/* Fails the test if anything in there is not as outside() made it. */
void expect_outside_untouched(const struct world *w);
/* Every entry of a tree with type, mode, size and where it links to; caller frees. */
char *tree_text(const char *dir);

/* argv as the helper `launch` runs it with these circumstances. Valid until the next call. */
const char *const *launched(const char *const *how, const char *const *argv);
