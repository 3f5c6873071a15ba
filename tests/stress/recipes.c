/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bundles of random lifecycles: of each kind of work that a creation can have to do and to take back, one. They are
 * written once and only read then.
 */
#include "stress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOOKS_OF_ALL_KINDS                                   \
	"{\"prestart\": [{\"path\": \"/bin/true\"}],"        \
	" \"createRuntime\": [{\"path\": \"/bin/true\"}],"   \
	" \"createContainer\": [{\"path\": \"/bin/true\"}]," \
	" \"startContainer\": [{\"path\": \"/bin/true\"}],"  \
	" \"poststart\": [{\"path\": \"/bin/true\"}],"       \
	" \"poststop\": [{\"path\": \"/bin/true\"}]}"
#define IDS_ABOVE "[{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}]"
#define NAMESPACES_WITH_USER                                                \
	"[{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"ipc\"}," \
	" {\"type\": \"uts\"}, {\"type\": \"network\"}, {\"type\": \"user\"}]"
#define FILTER                                                  \
	"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\":" \
	" [{\"names\": [\"acct\", \"swapon\"], \"action\": \"SCMP_ACT_ERRNO\"}]}"
#define SLEEP "sleep 1000"

/* The host's pid namespace: there the group, not the kernel, tells which processes are the container's. */
#define NAMESPACES_WITHOUT_PID "[{\"type\": \"mount\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}]"

static struct recipe recipes[] = {
	{"plain", SLEEP},
	{"trap", "trap 'exit 3' TERM; while :; do sleep 1; done"},
	{"forks", "for i in 1 2 3 4; do sleep 1000 & done; wait"},
	{"hooks", SLEEP, CHANGES("hooks", HOOKS_OF_ALL_KINDS)},
	{"userns", SLEEP,
	 CHANGES("linux.namespaces", NAMESPACES_WITH_USER, "linux.uidMappings", IDS_ABOVE,
		 "linux.gidMappings", IDS_ABOVE)},
	{"limits", SLEEP,
	 CHANGES("linux.resources.memory.limit", "67108864", "linux.resources.pids.limit", "30",
		 "linux.resources.cpu.shares", "512", "linux.seccomp", FILTER)},
	{"pids-of-host", "sleep 1000 & sleep 1000 & wait",
	 CHANGES("linux.namespaces", NAMESPACES_WITHOUT_PID)},
	{"read-only", SLEEP, CHANGES("root.readonly", "true")},
	{"tight", SLEEP, CHANGES("linux.resources.memory.limit", "204800"), .uncertain = true},
	{"short", "exit 7", .ends = true},
	{"short-hooks", "exit 7", CHANGES("hooks", HOOKS_OF_ALL_KINDS), .ends = true},
	{"short-family", "sleep 1000 & exit 7", .ends = true},
	{"no-command", SLEEP, CHANGES("process.args", "[\"/no/such\"]"), .refused = true,
	 .why = "no such file or directory"},
	{"failing-hook", SLEEP, CHANGES("hooks.createRuntime[].path", "\"/bin/false\""),
	 .refused = true, .why = "createRuntime"},
	{"failing-inner-hook", SLEEP, CHANGES("hooks.createContainer[].path", "\"/bin/false\""),
	 .refused = true, .why = "createContainer"},
	{"bad-mount", SLEEP,
	 CHANGES("mounts[].source", "\"/no/such/source\"", "mounts[].destination", "\"/data\"",
		 "mounts[].type", "\"bind\"", "mounts[].options", "[\"bind\"]"),
	 .refused = true, .why = "/no/such/source"},
	{"bad-member", SLEEP, CHANGES("process.rlimits[].type", "\"RLIMIT_NONSENSE\""),
	 .refused = true, .why = "RLIMIT_NONSENSE"},
	{"vm", SLEEP, .vm = true},
};

#define N_RECIPES (sizeof(recipes) / sizeof(*recipes))

void recipes_make(const struct stress *s)
{
	for (size_t i = 0; i < N_RECIPES; i++)
		recipes[i].dir = strdup(
			bundle(s->world, recipes[i].name, recipes[i].command, recipes[i].changes));
}

static const struct recipe *one_of(struct chance *c, bool (*fits)(const struct recipe *r))
{
	const struct recipe *r;

	do {
		r = &recipes[chance_below(c, N_RECIPES)];
	} while (!fits(r));
	return r;
}

static bool is_lasting(const struct recipe *r)
{
	return !r->refused && !r->ends && !r->vm;
}

static bool is_ending(const struct recipe *r)
{
	return r->ends;
}

static bool is_refused(const struct recipe *r)
{
	return r->refused;
}

const struct recipe *recipe_lasting(struct chance *c)
{
	return one_of(c, is_lasting);
}

const struct recipe *recipe_ending(struct chance *c)
{
	return one_of(c, is_ending);
}

const struct recipe *recipe_refused(struct chance *c)
{
	return one_of(c, is_refused);
}

const struct recipe *recipe_vm(void)
{
	for (size_t i = 0; i < N_RECIPES; i++)
		if (recipes[i].vm)
			return &recipes[i];
	return NULL;
}
