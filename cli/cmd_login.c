/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula login, logout: credentials for registries. A password comes from the terminal, unseen, or from standard input; never
 * from a command's words, which everybody on the host can read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "images/login.h"
#include "people.h"
#include "pull_opts.h"

#define LINE_MAX_BYTES 16384

struct login_opts {
	const char *user, *authfile;
	bool password_stdin, tls_verify, get_login;
};

static const struct opt login_opts[] = {
	{"username", 'u', OPT_STRING, "NAME", "whose credentials; asked for on a terminal",
	 offsetof(struct login_opts, user)},
	{"password-stdin", 0, OPT_FLAG, NULL, "the password is on standard input",
	 offsetof(struct login_opts, password_stdin)},
	{"authfile", 0, OPT_STRING, "FILE",
	 "keep them in this file; default: REGISTRY_AUTH_FILE, or the session's "
	 "containers/auth.json",
	 offsetof(struct login_opts, authfile)},
	{"tls-verify", 0, OPT_FLAG, NULL,
	 "check the registry's certificate (the default); =false takes any, and plain http",
	 offsetof(struct login_opts, tls_verify)},
	{"get-login", 0, OPT_FLAG, NULL, "only print whose credentials are there",
	 offsetof(struct login_opts, get_login)},
	{"password", 'p', OPT_REFUSED_VALUE, "PASSWORD",
	 "everybody can see the words of a command: use --password-stdin", 0},
	{"cert-dir", 0, OPT_REFUSED_VALUE, "DIR", "put it into /etc/containers/certs.d/HOST", 0},
	{"compat-auth-file", 0, OPT_REFUSED_VALUE, "FILE", "use --authfile", 0},
	{"verbose", 'v', OPT_HARMLESS, NULL, "where they are kept is told anyway", 0},
};
const struct opt_table cmd_login_options = OPT_TABLE(login_opts);

/* ---- what is asked for ------------------------------------------------------------------------------------ */

/* One line; with `hidden` the terminal shows nothing, and its signals' keys are bytes as others, so that we get to restore it. */
static int ask(const char *what, bool hidden, char *line, size_t size, struct err *e)
{
	struct termios saved, quiet;
	bool ok;

	fprintf(stderr, "%s: ", what);
	fflush(stderr);
	if (hidden && tcgetattr(STDIN_FILENO, &saved) == 0) {
		quiet = saved;
		quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	} else {
		hidden = false;
	}
	ok = fgets(line, (int)size, stdin) != NULL;
	if (hidden) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
		fputc('\n', stderr);
	}
	if (!ok || memchr(line, 3, strlen(line)))
		return err_invalid(e, "no %s was given", what);
	line[strcspn(line, "\r\n")] = '\0';
	return 0;
}

/* All of it but one line end, as docker and podman take it. */
static int read_stdin(char *to, size_t size, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = fd_read_all(STDIN_FILENO, size - 1, &text, &len, "standard input", e);

	if (r < 0)
		return r;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	memcpy(to, text, len);
	to[len] = '\0';
	if (strlen(to) != len)
		r = err_invalid(e, "the password has a NUL in it");
	explicit_bzero(text, len);
	return r;
}

static int ask_all(const struct login_opts *o, char *user, char *password, struct err *e)
{
	int r = 0;

	if (!isatty(STDIN_FILENO) && !o->password_stdin) {
		err_invalid(e, "standard input is no terminal, and --password-stdin was not given");
		return err_hint(e, "insula login -u NAME --password-stdin < FILE");
	}
	if (o->password_stdin && !o->user)
		return err_invalid(e, "--password-stdin needs --username");
	if (!o->user)
		r = ask("Username", false, user, LINE_MAX_BYTES, e);
	else if (strlen(o->user) >= LINE_MAX_BYTES)
		return err_invalid(e, "the user's name is too long");
	else
		memcpy(user, o->user, strlen(o->user) + 1);
	if (r < 0)
		return r;
	return o->password_stdin ? read_stdin(password, LINE_MAX_BYTES, e)
				 : ask("Password", true, password, LINE_MAX_BYTES, e);
}

/* ---- login ------------------------------------------------------------------------------------------------- */

static int login(struct cli *cli, const struct login_opts *o, const char *registry,
		 const struct img_pull_params *how, struct err *e)
{
	_cleanup_free_ char *user = calloc(1, LINE_MAX_BYTES),
			    *password = calloc(1, LINE_MAX_BYTES);
	struct img_store *store;
	int r = user && password ? ask_all(o, user, password, e) : err_nomem(e);

	if (r == 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r == 0)
		r = img_login(store, registry, user, password, how, e);
	if (password)
		explicit_bzero(password, LINE_MAX_BYTES);
	if (r == 0)
		puts("Login Succeeded");
	return r;
}

static int tell_login(const char *registry, const struct img_pull_params *how, struct err *e)
{
	_cleanup_free_ char *user = NULL;
	int r = img_login_user(registry, how, &user, e);

	if (r == 0)
		puts(user);
	return r;
}

int cmd_login(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct login_opts o = {.tls_verify = true};
	struct img_pull_params how;
	const char *registry;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 0, 1, e);
	if (r < 0)
		return r;
	registry = first < argc ? argv[first] : NULL;
	r = pull_opts_take(&(struct pull_opts){.authfile = o.authfile, .tls_verify = o.tls_verify},
			   &how, e);
	if (r < 0)
		return r;
	return o.get_login ? tell_login(registry, &how, e) : login(cli, &o, registry, &how, e);
}

/* ---- logout ------------------------------------------------------------------------------------------------ */

struct logout_opts {
	const char *authfile;
	bool all;
};

static const struct opt logout_opts[] = {
	{"authfile", 0, OPT_STRING, "FILE", "the file that keeps them; default as for insula login",
	 offsetof(struct logout_opts, authfile)},
	{"all", 'a', OPT_FLAG, NULL, "forget all that are in the file",
	 offsetof(struct logout_opts, all)},
	{"compat-auth-file", 0, OPT_REFUSED_VALUE, "FILE", "use --authfile", 0},
};
const struct opt_table cmd_logout_options = OPT_TABLE(logout_opts);

int cmd_logout(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct logout_opts o = {0};
	struct img_pull_params how;
	_cleanup_free_ char *name = NULL;
	const char *registry;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 0, o.all ? 0 : 1, e);
	if (r >= 0)
		r = pull_opts_take(&(struct pull_opts){.authfile = o.authfile, .tls_verify = true},
				   &how, e);
	if (r < 0)
		return r;
	registry = first < argc ? argv[first] : NULL;
	r = o.all ? img_logout_all(&how, e) : img_logout(registry, &how, e);
	if (r == 0 && !o.all)
		r = img_login_name(registry, &name, e);
	if (r == 0)
		printf("Removed login credentials for %s\n", o.all ? "all registries" : name);
	return r;
}
