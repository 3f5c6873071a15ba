/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault points: how the tests make a step fail, or make the process die there, without help from
 * the machine. They exist only in a build of their own (`make FAULTS=1 BUILD=...`); in every other
 * build FAULT() is the constant 0 and nothing of this is in the programs.
 *
 * In such a build the environment chooses one point:
 *
 *	INSULA_FAULT=step           the step fails with EIO
 *	INSULA_FAULT=step:errno     the step fails with that errno (a number)
 *	INSULA_FAULT=step:kill      the process gets SIGKILL there
 *	INSULA_FAULT=trace          each point that is passed is written to standard error, as a line
 *	                            "fault point: step"; so a test learns which there are
 */
#pragma once

#include "base/err.h"

#ifdef INSULA_FAULTS
/* Returns 0 to go on, or a negative errno with `e` set (kind ERR_SYSTEM). */
int fault_at(const char *step, struct err *e);
#define FAULT(step, e) fault_at(step, e)
#else
#define FAULT(step, e) 0
#endif
