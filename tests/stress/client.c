/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client: random verbs on its own sandboxes, of which it knows what must become of them, and on shared ones, of
 * which nobody can know.
 *
 * Of an own sandbox two things are remembered. Its presence: what create said is there stays there until delete says that it is
 * gone, and a failed creation leaves nothing; only the kill of the very command makes that unknown. And its condition (created,
 * running …), which is known as long as nobody is killed; then each verb's success is known beforehand, too.
 */
#include "stress.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum presence { ABSENT, PRESENT, UNKNOWN };
enum condition { ANY, CREATED, RUNNING, PAUSED, STOPPED, CONDITIONS };

static const char *const condition_names[] = {"any", "created", "running", "paused", "stopped"};

struct slot {
	char id[64];
	bool shared;
	unsigned index, generation;
	enum presence presence;
	enum condition condition;
	unsigned long known_at;  /* killings when the condition was known */
	unsigned long paused_at; /* one that got its signal while it was frozen dies later */
	bool tainted;            /* its condition may change by itself, until it is deleted */
	const struct recipe *recipe;
};

enum verb {
	CREATE,
	START,
	EXEC,
	EXEC_DETACHED,
	KILL,
	TERM,
	MURDER,
	PAUSE,
	RESUME,
	STATE,
	PS,
	UPDATE,
	EVENTS,
	DELETE,
	FORCE,
	LIST,
	RUN,
	RUN_DETACHED,
	INSULA_RUN,
	INSULA_PS,
	NONSENSE,
	VERBS
};

/* What is known of a verb's success by the condition before: '+' it succeeds, '-' it fails, '?' it may do either. First that of
 * an absent one. */
static const struct {
	const char *name;
	unsigned weight_absent, weight;
	char absent, in[CONDITIONS + 1]; /* any, created, running, paused, stopped */
	bool blocks;                     /* on what others may have paused */
	bool changes; /* the condition, or leaves it to change later when it is killed */
} table[] = {
	[CREATE] = {"create", 60, 3, '+', "-----", .changes = true},
	[START] = {"start", 2, 25, '-', "?+---", .blocks = true, .changes = true},
	[EXEC] = {"exec", 2, 14, '-', "??+--", .blocks = true},
	[EXEC_DETACHED] = {"exec", 0, 4, '-', "??+--", .blocks = true},
	[KILL] = {"kill", 2, 6, '-', "?+++-", .changes = true},
	[TERM] = {"kill", 0, 3, '-', "?+++-", .changes = true},
	[MURDER] = {"murder", 0, 2, '-', "?????"},
	[PAUSE] = {"pause", 1, 5, '-', "?++--", .changes = true},
	[RESUME] = {"resume", 1, 5, '-', "?--+-", .changes = true},
	[STATE] = {"state", 4, 14, '-', "+++++"},
	[PS] = {"ps", 1, 4, '-', "??++?"},
	[UPDATE] = {"update", 1, 4, '-', "??++?"},
	[EVENTS] = {"events", 1, 4, '-', "??++?"},
	[DELETE] = {"delete", 2, 8, '-', "?+--+", .changes = true},
	[FORCE] = {"delete", 1, 8, '+', "+++++", .changes = true},
	[LIST] = {"list", 4, 6, '+', "+++++"},
	[RUN] = {"run", 16, 1, '?', "-----", .blocks = true, .changes = true},
	[RUN_DETACHED] = {"run", 10, 1, '+', "-----", .changes = true},
	[INSULA_RUN] = {"insula", 10, 1, '+', "-----", .changes = true},
	[INSULA_PS] = {"insula", 2, 2, '+', "+++++"},
	[NONSENSE] = {"nonsense", 3, 3, '-', "-----"},
};
_Static_assert(sizeof(table) / sizeof(*table) == VERBS, "a row for every verb");

static void new_id(const struct client *c, struct slot *s)
{
	char who[16];

	snprintf(who, sizeof(who), "%u", c->number);
	snprintf(s->id, sizeof(s->id), "%s-%s-%u-%u", c->stress->world->id, s->shared ? "all" : who,
		 s->index, s->shared ? 0 : s->generation++ % GENERATIONS);
}

static void forget(const struct client *c, struct slot *s)
{
	s->presence = ABSENT;
	s->condition = ANY;
	s->tainted = false;
	s->recipe = NULL;
	new_id(c, s);
}

static void know(const struct client *c, struct slot *s, enum condition condition)
{
	s->condition = s->tainted || (s->recipe && s->recipe->uncertain) ? ANY : condition;
	s->known_at = atomic_load(&c->stress->board->killings);
}

/* Somebody was killed since: perhaps this one's process. */
static void doubt(const struct client *c, struct slot *s)
{
	if (s->known_at != atomic_load(&c->stress->board->killings))
		s->condition = ANY;
}

/* ---- what a verb does ------------------------------------------------------------------------------ */

static struct answer ask(struct client *c, const struct slot *s, enum verb v,
			 const char *const *words)
{
	return command(c, v, s->shared && table[v].blocks ? MAY_KILL_LATE : MAY_KILL, words);
}

static struct answer create(struct client *c, struct slot *s)
{
	if (c->stress->with_vm && !s->shared && s->presence == ABSENT && c->number == 0 &&
	    s->index == 0)
		s->recipe = recipe_vm();
	else if (s->presence == ABSENT || s->shared)
		s->recipe = chance_percent(&c->chance, 15)   ? recipe_refused(&c->chance)
			    : chance_percent(&c->chance, 15) ? recipe_ending(&c->chance)
							     : recipe_lasting(&c->chance);
	const struct recipe *r = s->recipe ? s->recipe : recipe_lasting(&c->chance);

	return ask(c, s, CREATE,
		   ARGV("--isolation", r->vm ? "vm" : "container", "create", "--bundle", r->dir,
			s->id));
}

static struct answer run_in_foreground(struct client *c, struct slot *s)
{
	const struct recipe *r = recipe_ending(&c->chance);

	if (s->presence == ABSENT)
		s->recipe = r;
	return ask(c, s, RUN, ARGV("run", "--bundle", r->dir, s->id));
}

static struct answer run_detached(struct client *c, struct slot *s)
{
	const struct recipe *r = recipe_lasting(&c->chance);

	if (s->presence == ABSENT)
		s->recipe = r;
	return ask(c, s, RUN_DETACHED, ARGV("run", "--detach", "--bundle", r->dir, s->id));
}

/* With a monitor, a log and storage. */
static struct answer insula_run(struct client *c, struct slot *s)
{
	if (s->presence == ABSENT)
		s->recipe = NULL;
	return ask(c, s, INSULA_RUN,
		   ARGV("insula", "run", "-d", "--name", s->id, "-v", "/data", "--rootfs",
			c->stress->world->rootfs, "sh", "-c", "echo begun; exec sleep 1000"));
}

static struct answer nonsense(struct client *c, const struct slot *s)
{
	static const char *const words[][6] = {
		{"frobnicate", "ID"},
		{"kill", "ID", "NOSUCHSIGNAL"},
		{"create", "--bundle", "/no/such/bundle", "ID"},
		{"create", "--no-such-flag", "ID"},
		{"exec", "--user", "x:y:z", "ID", "true"},
		{"update", "--memory", "12parsecs", "ID"},
		{"state", "../../etc"},
		{"delete", "--force", "/etc"},
		{"start", "no-such-sandbox"},
		{"ps"},
	};
	const char *line[8] = {NULL};
	const char *const *row = words[chance_below(&c->chance, sizeof(words) / sizeof(*words))];

	for (size_t i = 0; i < 6 && row[i]; i++)
		line[i] = strcmp(row[i], "ID") == 0 ? s->id : row[i];
	return ask(c, s, NONSENSE, line);
}

/* The pid that `state` shows gets SIGKILL, as from a system that is out of memory. */
static struct answer murder(struct client *c, struct slot *s)
{
	struct answer a = command(c, STATE, SPARE, ARGV("state", s->id));
	const char *at = a.code == 0 ? strstr(a.out, "\"pid\":") : NULL;
	int pid = at ? atoi(at + 6) : 0;
	char exe[64], target[64] = "";

	/* Of a container its command, which has left the test's programs behind; the number may be another's by now, but
	 * never of somebody outside the pid namespace. */
	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	if (pid > 1 && readlink(exe, target, sizeof(target) - 1) > 0 && strstr(target, "busybox"))
		kill(pid, SIGKILL);
	s->condition = ANY;
	s->tainted = true;
	return a;
}

static struct answer do_verb(struct client *c, struct slot *s, enum verb v)
{
	static const char *const limits[] = {"20", "40", "60", "-1"};

	switch (v) {
	case CREATE:
		return create(c, s);
	case START:
		return ask(c, s, v, ARGV("start", s->id));
	case EXEC:
		return ask(c, s, v,
			   ARGV("exec", s->id, "sh", "-c", "echo $((6 * 7)) /proc/self/fd/*"));
	case EXEC_DETACHED:
		return ask(c, s, v, ARGV("exec", "--detach", s->id, "sleep", "1000"));
	case KILL:
		return ask(c, s, v,
			   chance_percent(&c->chance, 30) ? ARGV("kill", "--all", s->id, "KILL")
							  : ARGV("kill", s->id, "KILL"));
	case TERM:
		return ask(c, s, v, ARGV("kill", s->id));
	case MURDER:
		return murder(c, s);
	case PAUSE:
	case RESUME:
	case STATE:
	case DELETE:
		return ask(c, s, v, ARGV(table[v].name, s->id));
	case PS:
		return ask(c, s, v, ARGV("ps", "--format", "json", s->id));
	case UPDATE:
		return ask(
			c, s, v,
			ARGV("update", "--pids-limit", limits[chance_below(&c->chance, 4)], s->id));
	case EVENTS:
		return ask(c, s, v, ARGV("events", "--stats", s->id));
	case FORCE:
		return ask(c, s, v, ARGV("delete", "--force", s->id));
	case LIST:
		return ask(c, s, v,
			   chance_percent(&c->chance, 50) ? ARGV("list", "--quiet")
							  : ARGV("list", "--format", "json"));
	case RUN:
		return run_in_foreground(c, s);
	case RUN_DETACHED:
		return run_detached(c, s);
	case INSULA_RUN:
		return insula_run(c, s);
	case INSULA_PS:
		return ask(c, s, v, ARGV("insula", "ps", "-a", "--format", "json"));
	case NONSENSE:
		return nonsense(c, s);
	case VERBS:
		break;
	}
	abort();
}

/* ---- what must be ------------------------------------------------------------------------------------ */

static char expected(const struct slot *s, enum verb v)
{
	const struct recipe *r = s->recipe;

	if (v == NONSENSE)
		return '-';
	if (v == LIST || v == INSULA_PS || v == FORCE)
		return '+';
	if (s->shared || s->presence == UNKNOWN)
		return '?';
	/* `kill --all` reaches those that stayed without a pid namespace of their own, as runc's does. */
	if (s->presence == PRESENT && v == KILL && s->condition == STOPPED)
		return '?';
	if (s->presence == PRESENT)
		return v == UPDATE && r && r->vm ? '?' : table[v].in[s->condition];
	if (v == CREATE && r)
		return r->refused ? '-' : r->uncertain ? '?' : '+';
	return v == RUN_DETACHED && r && r->uncertain ? '?' : table[v].absent;
}

static void check_success(struct client *c, const struct slot *s, enum verb v, char wanted,
			  const struct answer *a)
{
	const char *was = s->presence == ABSENT ? "absent" : condition_names[s->condition];

	if (a->undisturbed && wanted == '+' && a->code != 0)
		finding(c, a, "%s of %s, which was %s, failed", table[v].name, s->id, was);
	if (!a->killed && wanted == '-' && a->code == 0)
		finding(c, a, "%s of %s, which was %s, succeeded", table[v].name, s->id, was);
	/* Cleaning up works at any time, whoever else was killed. */
	if (v == FORCE && !a->killed && a->code != 0)
		finding(c, a, "forced delete of %s failed", s->id);
	if (v == CREATE && s->presence == ABSENT && !s->shared && a->undisturbed &&
	    s->recipe->refused && !strstr(a->err, s->recipe->why))
		finding(c, a, "the reason does not tell of '%s'", s->recipe->why);
	if (v == CREATE && s->presence == PRESENT && !a->killed && !strstr(a->err, "exists"))
		finding(c, a, "the reason does not tell that it exists");
	if (v == EXEC && !a->killed && a->code == 0 &&
	    strcmp(a->out, "42 /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n"))
		finding(c, a, "exec in %s: another output", s->id);
	if (v == RUN && s->presence == ABSENT && !s->shared && a->undisturbed && a->code != 7)
		finding(c, a, "run of %s: exit code %d in place of 7", s->id, a->code);
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += n)
		if (!at[n] || strchr("\"\n \t", at[n]))
			return true;
	return false;
}

/* A list shows exactly those of ours that are there. */
static void check_list(struct client *c, const struct slot *slots, const struct answer *a)
{
	for (unsigned i = 0; i < OWN_SLOTS && !a->killed && a->code == 0; i++) {
		bool listed = has_word(a->out, slots[i].id);

		if (listed && slots[i].presence == ABSENT)
			finding(c, a, "%s is listed, but is not there", slots[i].id);
		if (!listed && slots[i].presence == PRESENT)
			finding(c, a, "%s is there, but not listed", slots[i].id);
	}
}

/* What a failed creation left, or a delete that said it worked. */
static void check_absent(struct client *c, struct slot *s, const char *after)
{
	struct answer a = command(c, STATE, SPARE, ARGV("state", s->id));

	if (!a.killed && (a.code == 0 || !strstr(a.err, "does not exist")))
		finding(c, &a, "%s is there after %s", s->id, after);
	atomic_fetch_add(&c->stress->board->checked, 1);
	answer_done(&a);
}

/* A kill that succeeded ends it, a moment later. */
static void await_stopped(struct client *c, struct slot *s)
{
	for (unsigned i = 0;; i++) {
		struct answer a = command(c, STATE, SPARE, ARGV("state", s->id));
		bool stopped = strstr(a.out, "\"status\": \"stopped\"") != NULL;

		if (!a.killed && (a.code != 0 || (i > 3000 && !stopped)))
			finding(c, &a, "%s did not stop after KILL", s->id);
		answer_done(&a);
		if (stopped)
			break;
		usleep(20000);
	}
	know(c, s, STOPPED);
}

/* ---- what became of it --------------------------------------------------------------------------------- */

static void learn_state(struct client *c, struct slot *s, const struct answer *a)
{
	if (a->code != 0 && !a->killed && s->presence == PRESENT)
		finding(c, a, "%s is there, but has no state", s->id);
	for (enum condition k = CREATED; a->code == 0 && k < CONDITIONS; k++) {
		char text[48];

		snprintf(text, sizeof(text), "\"status\": \"%s\"", condition_names[k]);
		if (!strstr(a->out, text))
			continue;
		if (a->undisturbed && !s->shared && s->presence == PRESENT && s->condition != ANY &&
		    s->condition != k)
			finding(c, a, "%s was %s before, without anybody having changed it", s->id,
				condition_names[s->condition]);
		if (s->presence == PRESENT && a->undisturbed)
			know(c, s, s->recipe && s->recipe->ends && k == RUNNING ? ANY : k);
	}
}

/* The one failure that says that something may be left. */
static bool lost_its_monitor(const struct answer *a)
{
	return strstr(a->err, "the monitor of the sandbox died") != NULL;
}

static void after_creation(struct client *c, struct slot *s, const struct answer *a, enum verb v)
{
	if (s->presence == PRESENT)
		return;
	if (a->killed || lost_its_monitor(a)) {
		s->presence = UNKNOWN;
		return;
	}
	if (v == RUN || a->code != 0) {
		/* It may be an earlier one, unless there was none. */
		if (s->presence == UNKNOWN)
			return;
		check_absent(c, s, v == RUN ? "run" : "a failed creation");
		forget(c, s);
		return;
	}
	s->presence = PRESENT;
	s->condition = ANY;
	if (a->undisturbed)
		know(c, s, v == CREATE ? CREATED : RUNNING);
}

static void after_delete(struct client *c, struct slot *s, const struct answer *a)
{
	if (a->killed) {
		s->presence = UNKNOWN;
	} else if (a->code == 0) {
		check_absent(c, s, "delete");
		forget(c, s);
	}
}

static void after_change(struct client *c, struct slot *s, enum verb v, const struct answer *a,
			 unsigned long before)
{
	if (a->killed || (a->code == 0 && !a->undisturbed))
		s->condition = ANY;
	if (a->killed)
		s->tainted = true;
	if (a->killed || a->code != 0)
		return;
	switch (v) {
	case START:
		know(c, s, a->undisturbed && !(s->recipe && s->recipe->ends) ? RUNNING : ANY);
		break;
	case KILL:
		await_stopped(c, s);
		break;
	case TERM: /* a first process without a handler does not get it */
		s->tainted = true;
		s->condition = ANY;
		break;
	case PAUSE:
		s->paused_at = before;
		know(c, s, a->undisturbed ? PAUSED : ANY);
		break;
	case RESUME:
		s->tainted = s->tainted || s->paused_at != atomic_load(&c->stress->board->killings);
		s->condition = ANY;
		break;
	default:
		break;
	}
}

static void step(struct client *c, struct slot *slots, struct slot *s, enum verb v)
{
	unsigned long before = atomic_load(&c->stress->board->killings);

	doubt(c, s);
	if (v == MURDER && (s->presence != PRESENT || s->shared))
		v = STATE;
	struct answer a = do_verb(c, s, v);
	char wanted = expected(s, v);

	check_success(c, s, v, wanted, &a);
	if (v == LIST)
		check_list(c, slots, &a);
	if (!s->shared) {
		if (v == STATE)
			learn_state(c, s, &a);
		else if (v == CREATE || v == RUN || v == RUN_DETACHED || v == INSULA_RUN)
			after_creation(c, s, &a, v);
		else if (v == DELETE || v == FORCE)
			after_delete(c, s, &a);
		else if (table[v].changes && s->presence == PRESENT)
			after_change(c, s, v, &a, before);
	}
	answer_done(&a);
}

/* ---- choosing -------------------------------------------------------------------------------------------- */

static enum verb choose(struct client *c, const struct slot *s)
{
	bool absent = s->presence == ABSENT && !s->shared;
	unsigned sum = 0, at;

	/* What cannot be known is taken away soon. */
	if ((s->presence == UNKNOWN || s->tainted) && chance_percent(&c->chance, 25))
		return FORCE;
	for (unsigned v = 0; v < VERBS; v++)
		sum += absent ? table[v].weight_absent : table[v].weight;
	/* A shared one may be either. */
	if (s->shared && chance_percent(&c->chance, 30))
		return CREATE;
	at = chance_below(&c->chance, sum);
	for (unsigned v = 0; v < VERBS; v++) {
		unsigned weight = absent ? table[v].weight_absent : table[v].weight;

		if (at < weight)
			return (enum verb)v;
		at -= weight;
	}
	abort();
}

void client_run(struct client *c)
{
	struct slot slots[OWN_SLOTS + SHARED_SLOTS];

	memset(slots, 0, sizeof(slots));
	for (unsigned i = 0; i < OWN_SLOTS + SHARED_SLOTS; i++) {
		slots[i].shared = i >= OWN_SLOTS;
		slots[i].index = i;
		new_id(c, &slots[i]);
	}
	while (!atomic_load(&c->stress->board->stop) && !atomic_load(&c->stress->board->failed)) {
		unsigned i = chance_percent(&c->chance, 80)
				     ? chance_below(&c->chance, OWN_SLOTS)
				     : OWN_SLOTS + chance_below(&c->chance, SHARED_SLOTS);

		step(c, slots, &slots[i], choose(c, &slots[i]));
	}
}
