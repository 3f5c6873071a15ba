/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of ours that engines look for. They read them where runc taught them to: in the last line of level "error" of the log
 * that --log and --log-format json make (containerd), or on standard error (conmon, for podman), so both are looked at.
 * docs/oci.md, "What engines read", has the list with its sources.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

static struct world *world;

static char *log_member(const struct json *line, const char *member)
{
	struct json_at top = json_top(line), at;
	char *text = NULL;

	if (!json_member(&top, member, &at) || json_get_string(&at, &text, NULL) < 0)
		fail_msg("a line of the log has no text '%s'", member);
	return text;
}

/* The `msg` of the last error in the log, as containerd finds it; each line is an object with level, msg and time. */
static char *last_error(const char *path)
{
	char *text = read_file(path), *save = NULL, *found = NULL;

	assert_non_null(text);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		_cleanup_json_ struct json *doc = NULL;
		struct tm when;

		assert_int_equal(json_parse(line, strlen(line), "log", &doc, NULL), 0);
		char *level = log_member(doc, "level"), *msg = log_member(doc, "msg"),
		     *at = log_member(doc, "time");

		if (!strptime(at, "%Y-%m-%dT%H:%M:%S", &when))
			fail_msg("'%s' is no time of RFC 3339", at);
		if (strcmp(level, "error") == 0) {
			free(found);
			found = strdup(msg);
		}
		free(level);
		free(msg);
		free(at);
	}
	free(text);
	if (!found)
		fail_msg("the log has no error");
	return found;
}

/* The command fails, and says `phrase` in both places. */
static void expect_phrase(const char *phrase, const char *const *words)
{
	char log[192];
	const char *line[16] = {"--log", log, "--log-format", "json"};
	size_t n = 4;

	snprintf(log, sizeof(log), "%s/log", world->dir);
	unlink(log);
	for (const char *const *word = words; *word; word++)
		line[n++] = *word;
	struct run_result r = run_oci(world, line);

	assert_int_not_equal(r.code, 0);
	char *msg = last_error(log);

	if (!strstr(r.err, phrase))
		fail_msg("%s: no '%s' in: %s", words[0], phrase, r.err);
	if (!strstr(msg, phrase))
		fail_msg("%s: no '%s' in the log: %s", words[0], phrase, msg);
	free(msg);
	run_result_done(&r);
	unlink(log);
}

static const char *with_command(const char *name, const char *args)
{
	return bundle(world, name, "", CHANGES("process.args", args));
}

static void commands_that_cannot_run(void **state)
{
	(void)state;
	expect_phrase("executable file not found in",
		      ARGV("create", "--bundle", with_command("name", "[\"no-such-command\"]"),
			   world->id));
	expect_phrase("no such file or directory",
		      ARGV("create", "--bundle", with_command("path", "[\"/no/such/command\"]"),
			   world->id));
	expect_phrase(
		"permission denied",
		ARGV("create", "--bundle", with_command("plain", "[\"/etc/plain\"]"), world->id));
	expect_ids(world, NO_WORDS);
}

static void commands_that_cannot_be_executed_later(void **state)
{
	(void)state;
	expect_result(run_oci(world, ARGV("run", "--detach", "--bundle",
					  bundle(world, "sleep", "sleep 1000", NULL), world->id)),
		      0, "", NULL);
	expect_phrase("executable file not found in", ARGV("exec", world->id, "no-such-command"));
	expect_phrase("no such file or directory", ARGV("exec", world->id, "/no/such/command"));
	expect_phrase("permission denied", ARGV("exec", world->id, "/etc/plain"));
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
}

static void what_has_ended(void **state)
{
	(void)state;
	expect_result(run_oci(world, ARGV("create", "--bundle",
					  bundle(world, "short", "exit 0", NULL), world->id)),
		      0, "", NULL);
	expect_result(run_oci(world, ARGV("start", world->id)), 0, "", NULL);
	expect_status(world, world->id, "stopped");
	expect_phrase("container not running", ARGV("kill", world->id, "KILL"));
	expect_phrase("container not running", ARGV("kill", "--all", world->id, "KILL"));
	expect_phrase("container not running", ARGV("exec", world->id, "true"));
	expect_result(run_oci(world, ARGV("delete", world->id)), 0, "", NULL);
}

static void what_is_not_there(void **state)
{
	(void)state;
	expect_phrase("does not exist", ARGV("kill", world->id, "KILL"));
	expect_phrase("does not exist", ARGV("kill", "--all", world->id, "KILL"));
	expect_phrase("does not exist", ARGV("state", world->id));
	expect_phrase("does not exist", ARGV("delete", world->id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_that_cannot_run),
		cmocka_unit_test(commands_that_cannot_be_executed_later),
		cmocka_unit_test(what_has_ended),
		cmocka_unit_test(what_is_not_there),
	};
	int failed;
	void *state;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	failed = cmocka_run_group_tests_name("engine phrases", tests, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
