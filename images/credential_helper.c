/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a program that keeps credentials. It gets what it needs on standard input and answers in JSON; what it
 * writes to standard error is left to it, what it answers is never shown.
 * Spec: docker-credential-helpers, "Development".
 */
#include "credential_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"

#define ANSWER_MAX_BYTES (64u << 10)
#define INPUT_MAX_BYTES  (48u << 10)                   /* less than a pipe holds */
#define DOCKER_KEY       "https://index.docker.io/v1/" /* as docker asks its helpers */

static int find_program(const char *name, char *const *env, char **ret, struct err *e)
{
	const char *path = strv_env_get(env, "PATH");
	_cleanup_strv_ char **dirs = NULL;

	if (!str_is_name(name))
		return err_invalid(e, "'%.64s' is not the name of a credential helper", name);
	if (strv_split(path ? path : "/usr/local/bin:/usr/bin:/bin", ':', &dirs) < 0)
		return err_nomem(e);
	for (char **d = dirs; d && *d; d++) {
		_cleanup_free_ char *full = NULL;

		if (**d != '/')
			continue;
		if (str_printf(&full, "%s/docker-credential-%s", *d, name) < 0)
			return err_nomem(e);
		if (access(full, X_OK) == 0) {
			*ret = TAKE_PTR(full);
			return 0;
		}
	}
	return err_set(e, ERR_NOT_FOUND, ENOENT, "no docker-credential-%s in PATH", name);
}

/* The input fits the pipe, so nobody waits for anybody. */
static int ask(const char *program, const char *verb, const char *input, char *const *env,
	       char **ret, size_t *ret_len, int *ret_status, struct err *e)
{
	char *argv[] = {(char *)program, (char *)verb, NULL};
	int in[2] = {-1, -1}, out[2] = {-1, -1}, r = 0;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		r = err_sys(e, errno, "make a pipe");
	if (r == 0)
		r = fd_write_all(in[1], input, strlen(input), "its input", e);
	in[1] = fd_close(in[1]);
	if (r == 0) {
		const struct proc_fd_map fds[] = {{in[0], 0}, {out[1], 1}};
		const struct proc_spawn s = {.argv = argv,
					     .env = env,
					     .fds = fds,
					     .n_fds = ARRAY_SIZE(fds),
					     .death_signal = SIGKILL,
					     .cgroup_fd = -1};

		r = proc_spawn(&s, &pid, NULL, e);
	}
	in[0] = fd_close(in[0]);
	out[1] = fd_close(out[1]);
	if (r == 0) {
		int x;

		r = fd_read_all(out[0], ANSWER_MAX_BYTES, ret, ret_len, "its answer", e);
		out[0] = fd_close(out[0]);
		x = proc_reap(pid, ret_status, r == 0 ? e : NULL);
		r = r < 0 ? r : x;
	}
	fd_close(out[0]);
	return r;
}

static int take(const char *answer, size_t len, struct fetch_registry *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top, user, secret;
	const char *name, *password;

	/* An error of the parser would quote it. */
	if (json_parse(answer, len, "answer", &doc, NULL) < 0)
		return err_invalid(e, "its answer is no JSON");
	top = json_top(doc);
	if (json_type_of(top.value) != JSON_OBJECT || !json_member(&top, "Username", &user) ||
	    !json_member(&top, "Secret", &secret))
		return err_invalid(e, "its answer has no Username or no Secret");
	name = json_peek_string(&user);
	password = json_peek_string(&secret);
	if (!name || !password || strlen(name) >= sizeof(ret->user) ||
	    strlen(password) >= sizeof(ret->password))
		return err_invalid(e, "its answer is too long, or no text");
	/* "<token>" says that the secret is an identity token. */
	if (!STREQ(name, "<token>"))
		memcpy(ret->user, name, strlen(name) + 1);
	memcpy(ret->password, password, strlen(password) + 1);
	return 0;
}

static const char *server_of(const char *host)
{
	return STREQ(host, "docker.io") ? DOCKER_KEY : host;
}

int credential_helper_get(const char *name, const char *host, char *const *env,
			  struct fetch_registry *ret, struct err *e)
{
	_cleanup_free_ char *program = NULL, *answer = NULL;
	size_t len = 0;
	int status = 0, r = find_program(name, env, &program, e);

	if (r < 0)
		return -EINVAL; /* it is named, so it has to be there */
	r = ask(program, "get", server_of(host), env, &answer, &len, &status, e);
	if (r == 0 && status != 0 && strstr(answer, "credentials not found"))
		return -ENOENT;
	if (r == 0 && status != 0)
		r = err_set(e, ERR_INVALID, EIO, "it ended with code %d", proc_exit_code(status));
	if (r == 0)
		r = take(answer, len, ret, e);
	if (answer)
		explicit_bzero(answer, len);
	return r < 0 ? err_wrap(e, "docker-credential-%s", name) : 0;
}

static int tell(const char *name, const char *verb, const char *input, char *const *env,
		struct err *e)
{
	_cleanup_free_ char *program = NULL, *answer = NULL;
	size_t len = 0;
	int status = 0, r = find_program(name, env, &program, e);

	if (r == 0)
		r = ask(program, verb, input, env, &answer, &len, &status, e);
	if (answer)
		explicit_bzero(answer, len);
	if (r == 0 && status != 0)
		r = err_set(e, ERR_INVALID, EIO, "it ended with code %d", proc_exit_code(status));
	return r < 0 ? err_wrap(e, "docker-credential-%s %s", name, verb) : 0;
}

int credential_helper_store(const char *name, const char *host, const char *user,
			    const char *password, char *const *env, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!o || json_set(o, "ServerURL", json_new_string(server_of(host))) < 0 ||
	    json_set(o, "Username", json_new_string(user)) < 0 ||
	    json_set(o, "Secret", json_new_string(password)) < 0 ||
	    json_to_text(o, false, &text, &len) < 0)
		return err_nomem(e);
	r = len > INPUT_MAX_BYTES
		    ? err_invalid(e, "credentials of more than %u bytes", INPUT_MAX_BYTES)
		    : tell(name, "store", text, env, e);
	explicit_bzero(text, len);
	return r;
}

int credential_helper_erase(const char *name, const char *host, char *const *env, struct err *e)
{
	return tell(name, "erase", server_of(host), env, e);
}
