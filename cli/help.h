/* SPDX-License-Identifier: Apache-2.0 */
/* Help, man page and completion, all printed from the command tables. */
#pragma once

#include "command.h"

void help_print_program(const struct program *p);
void help_print_command(const struct program *p, const struct command *c);
void help_print_version(const struct program *p);
void help_print_man(const struct program *p);        /* roff, man(7) */
void help_print_completion(const struct program *p); /* bash */
