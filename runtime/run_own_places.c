/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `insula run --rootfs /` by an ordinary user: his own home and the directory he stands in. Both get a throwaway layer, so
 * that a program works there as ever, and nothing of it stays. Keys, tokens and histories in the home are hidden; a place that is
 * no place for a layer (the system itself, the runtime directory with its sockets) gets none, and that is said.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "run_userns.h"

#define MOUNTINFO_MAX (64u << 20)
#define PASSWD_MAX    (1u << 20)

/* Where a sandbox is at home whose user is not. */
#define HOMELESS "/home/user"

const struct run_secret run_home_secrets[] = {
	/* keys and agents */
	{".ssh", "SSH keys, and whom they open"},
	{".gnupg", "OpenPGP keys and the agent's socket"},
	{".pki", "certificates and their keys"},
	{".putty", "SSH keys"},
	{".age", "age keys"},
	{".config/age", "age keys"},
	{".config/sops", "age keys"},
	{".minisign", "signing keys"},
	{".step", "certificate authority keys"},
	{".tpm2_pkcs11", "keys of the TPM"},
	/* passwords */
	{".password-store", "pass"},
	{".local/share/keyrings", "GNOME's keyrings"},
	{".gnome2/keyrings", "GNOME's keyrings, as they were"},
	{".local/share/kwalletd", "KDE's wallets"},
	{".kde/share/apps/kwallet", "KDE's wallets, as they were"},
	{".config/keepassxc", "KeePassXC"},
	{".config/Bitwarden", "Bitwarden"},
	{".config/1Password", "1Password"},
	{".netrc", "passwords of ftp, curl and git"},
	{".authinfo", "passwords of Emacs"},
	{".authinfo.gpg", "passwords of Emacs"},
	{".git-credentials", "passwords of git"},
	{".config/git/credentials", "passwords of git"},
	{".pgpass", "database passwords"},
	{".my.cnf", "database passwords"},
	{".mylogin.cnf", "database passwords"},
	{".msmtprc", "mail passwords"},
	{".fetchmailrc", "mail passwords"},
	{".mbsyncrc", "mail passwords"},
	{".smbcredentials", "passwords of network drives"},
	{".vnc", "remote desktop passwords"},
	{".local/share/remmina", "remote desktop passwords"},
	/* tokens of clouds, registries, forges */
	{".aws", "AWS"},
	{".azure", "Azure"},
	{".config/gcloud", "Google Cloud"},
	{".boto", "Google Cloud"},
	{".config/doctl", "DigitalOcean"},
	{".config/hcloud", "Hetzner"},
	{".oci", "Oracle Cloud"},
	{".s3cfg", "object stores"},
	{".config/rclone", "object stores and drives"},
	{".terraform.d/credentials.tfrc.json", "Terraform"},
	{".vault-token", "Vault"},
	{".kube", "cluster keys"},
	{".docker/config.json", "registry passwords"},
	{".config/containers/auth.json", "registry passwords"},
	{".local/share/containers", "containers of podman"},
	{".local/share/docker", "containers of Docker"},
	{".local/share/insula", "our own images and state"},
	{".config/gh", "GitHub"},
	{".config/glab-cli", "GitLab"},
	{".config/hub", "GitHub"},
	{".npmrc", "package registry"},
	{".yarnrc.yml", "package registry"},
	{".pypirc", "package registry"},
	{".cargo/credentials", "package registry"},
	{".cargo/credentials.toml", "package registry"},
	{".gem/credentials", "package registry"},
	{".m2/settings.xml", "package registry"},
	{".m2/settings-security.xml", "package registry"},
	{".gradle/gradle.properties", "package registry"},
	{".nuget/NuGet", "package registry"},
	{".config/composer/auth.json", "package registry"},
	{".composer/auth.json", "package registry"},
	{".config/helm/registry", "package registry"},
	{".databrickscfg", "Databricks"},
	{".kaggle", "Kaggle"},
	{".cache/huggingface/token", "Hugging Face"},
	/* browsers, mail, chat: cookies, passwords, letters */
	{".mozilla", "Firefox"},
	{".librewolf", "LibreWolf"},
	{".waterfox", "Waterfox"},
	{".config/chromium", "Chromium"},
	{".config/google-chrome", "Chrome"},
	{".config/google-chrome-beta", "Chrome"},
	{".config/microsoft-edge", "Edge"},
	{".config/BraveSoftware", "Brave"},
	{".config/vivaldi", "Vivaldi"},
	{".config/opera", "Opera"},
	{".cache/mozilla", "pages read"},
	{".cache/chromium", "pages read"},
	{".cache/google-chrome", "pages read"},
	{".local/share/epiphany", "GNOME Web"},
	{".var/app", "all of the above of Flatpak's apps"},
	{"snap", "all of the above of snaps"},
	{".thunderbird", "mail"},
	{".local/share/evolution", "mail"},
	{".config/evolution", "mail"},
	{".mutt", "mail passwords"},
	{".muttrc", "mail passwords"},
	{".config/mutt", "mail passwords"},
	{"Maildir", "mail"},
	{"Mail", "mail"},
	{".config/Signal", "messages"},
	{".config/Element", "messages"},
	{".config/discord", "messages"},
	{".config/Slack", "messages"},
	{".local/share/TelegramDesktop", "messages"},
	{".purple", "messages"},
	/* wallets */
	{".bitcoin", "a wallet"},
	{".ethereum", "a wallet"},
	{".electrum", "a wallet"},
	{".config/solana", "a wallet"},
	{".monero", "a wallet"},
	/* the session */
	{".Xauthority", "access to the screen"},
	{".ICEauthority", "access to the session"},
	{".dbus", "access to the session bus"},
	{".config/pulse/cookie", "access to sound"},
	{".pulse-cookie", "access to sound"},
	/* histories: often passwords typed in the wrong place */
	{".bash_history", "commands"},
	{".zsh_history", "commands"},
	{".zhistory", "commands"},
	{".histfile", "commands"},
	{".ash_history", "commands"},
	{".history", "commands"},
	{".sh_history", "commands"},
	{".local/share/fish/fish_history", "commands"},
	{".python_history", "commands"},
	{".node_repl_history", "commands"},
	{".psql_history", "queries"},
	{".mysql_history", "queries"},
	{".sqlite_history", "queries"},
	{".rediscli_history", "queries"},
	{".lesshst", "what was read"},
	{".viminfo", "what was edited"},
	{".wget-hsts", "hosts visited"},
	{".local/share/recently-used.xbel", "files opened"},
	{NULL, NULL},
};

/* ---- places --------------------------------------------------------------------------------- */

enum place_kind {
	PLACE_SYSTEM, /* part of the system, or shared by all: used as it is, without a layer */
	PLACE_AWAY,   /* not there in the sandbox */
};

static const struct {
	const char *path;
	bool below; /* and all below */
	enum place_kind kind;
} places[] = {
	{"/", false, PLACE_SYSTEM},       {"/usr", true, PLACE_SYSTEM},
	{"/bin", true, PLACE_SYSTEM},     {"/sbin", true, PLACE_SYSTEM},
	{"/lib", true, PLACE_SYSTEM},     {"/lib32", true, PLACE_SYSTEM},
	{"/lib64", true, PLACE_SYSTEM},   {"/libx32", true, PLACE_SYSTEM},
	{"/etc", true, PLACE_SYSTEM},     {"/boot", true, PLACE_SYSTEM},
	{"/var", false, PLACE_SYSTEM},    {"/var/lib", false, PLACE_SYSTEM},
	{"/var/log", true, PLACE_SYSTEM}, {"/var/cache", false, PLACE_SYSTEM},
	{"/opt", false, PLACE_SYSTEM},    {"/srv", false, PLACE_SYSTEM},
	{"/mnt", false, PLACE_SYSTEM},    {"/media", false, PLACE_SYSTEM},
	{"/home", false, PLACE_SYSTEM},   {"/root", false, PLACE_SYSTEM},
	{"/tmp", false, PLACE_SYSTEM},    {"/var/tmp", false, PLACE_SYSTEM},
	{"/proc", true, PLACE_AWAY},      {"/sys", true, PLACE_AWAY},
	{"/dev", true, PLACE_AWAY},       {"/run", true, PLACE_AWAY},
	{"/var/run", true, PLACE_AWAY},
};

/* Below these all is fresh: what shall be seen there needs a mount. */
static const char *const fresh[] = {"/tmp", "/var/tmp", "/home", "/root"};

static bool is_at_or_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool find_place(const char *path, enum place_kind *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (places[i].below ? !is_at_or_below(path, places[i].path)
				    : !STREQ(path, places[i].path))
			continue;
		*ret = places[i].kind;
		return true;
	}
	return false;
}

static bool is_in_fresh(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(fresh); i++)
		if (is_at_or_below(path, fresh[i]))
			return true;
	return false;
}

static bool is_secret(const char *path, const char *home)
{
	size_t n = strlen(home);

	if (!is_at_or_below(path, home) || path[n] == '\0')
		return false;
	for (const struct run_secret *s = run_home_secrets; s->path; s++)
		if (is_at_or_below(path + n + 1, s->path))
			return true;
	return false;
}

/* ---- who, and his home ------------------------------------------------------------------------ */

/* A directory of his, where a layer may be. */
static bool is_home(const char *path)
{
	enum place_kind kind;
	struct stat st;

	return path && path[0] == '/' && !find_place(path, &kind) && stat(path, &st) == 0 &&
	       S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static int passwd_home(int rootfd, char **ret, struct err *e)
{
	struct iso_user user = {0};
	char spec[16];
	int r;

	snprintf(spec, sizeof(spec), "%u", (unsigned)geteuid());
	r = iso_user_resolve(rootfd, spec, &user, ret, e);
	free(user.additional_gids);
	return r;
}

/* $HOME, else what the passwd file says; NULL when neither is a home. */
static int find_home(int rootfd, char **ret, struct err *e)
{
	_cleanup_free_ char *home = NULL;
	const char *env = getenv("HOME");
	int r;

	if (env && *env == '/' && path_normalize(env, &home) < 0)
		return err_nomem(e);
	if (!is_home(home)) {
		free(TAKE_PTR(home));
		r = passwd_home(rootfd, &home, e);
		if (r < 0)
			return r;
	}
	*ret = is_home(home) ? TAKE_PTR(home) : NULL;
	return 0;
}

int run_user_self(struct run_build *b, struct err *e)
{
	_cleanup_free_ char *home = NULL;
	int r;

	if (!run_is_ordinary() || !b->rootfs.host_root || b->request->user)
		return 0;
	r = find_home(b->rootfs.fd, &home, e);
	if (r < 0)
		return r;
	if (!home)
		home = strdup(HOMELESS);
	if (!home)
		return err_nomem(e);
	b->user = (struct iso_user){.uid = geteuid(), .gid = getegid()};
	b->home = TAKE_PTR(home);
	return 1;
}

/* ---- the working directory -------------------------------------------------------------------- */

static int start_at(struct run_own *own, const char *path, struct err *e)
{
	own->cwd = strdup(path);
	return own->cwd ? 0 : err_nomem(e);
}

/* Not where the caller stands: in his home. */
static int start_at_home(struct run_own *own, const char *note, struct err *e)
{
	own->note = note;
	return start_at(own, own->home ? own->home : "/", e);
}

/* Also by another way, through a bind mount. */
static bool is_same(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

static int find_cwd(struct run_own *own, struct err *e)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	enum place_kind kind;

	if (!cwd || cwd[0] != '/')
		return start_at_home(
			own,
			"the working directory is gone; the sandbox starts in the home directory",
			e);
	if (own->home && is_same(cwd, own->home))
		return start_at(own, own->home, e);
	if (own->home && is_secret(cwd, own->home))
		return start_at_home(own,
				     "the working directory is hidden from the sandbox, as keys "
				     "and passwords are; "
				     "it starts in the home directory (name it with -v to show it)",
				     e);
	if (find_place(cwd, &kind)) {
		if (kind == PLACE_SYSTEM)
			return start_at(own, cwd, e);
		return start_at_home(own,
				     "the working directory is not in the sandbox, which has a "
				     "fresh /proc, /sys, "
				     "/dev and /run; it starts in the home directory",
				     e);
	}
	/* What he cannot write to needs no layer where it is seen as it is. */
	own->cwd_layer = !(own->home && is_at_or_below(cwd, own->home)) &&
			 (is_in_fresh(cwd) || access(cwd, W_OK) == 0);
	return start_at(own, cwd, e);
}

void run_own_done(struct run_own *own)
{
	free(own->cwd);
	free(own->home);
	own->cwd = own->home = NULL;
}

/* ---- layers ------------------------------------------------------------------------------------ */

/* Field 5 of a line of mountinfo, with octal escapes as they are. */
static bool is_mounted_below(const char *text, const char *dir)
{
	size_t n = strlen(dir);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *at = line + (*line == '\n');

		for (int i = 0; i < 4 && at; i++) {
			at = strchr(at, ' ');
			at = at ? at + 1 : NULL;
		}
		line += *line == '\n';
		if (at && strncmp(at, dir, n) == 0 && at[n] == '/')
			return true;
	}
	return false;
}

/* A blank and the like in a name is escaped in mountinfo: compare what is written there. */
static int has_mounts_below(const char *dir, bool *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL, *escaped = NULL;
	struct strbuf b = {0};
	int r;

	r = path_read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, e);
	if (r < 0)
		return r;
	for (const char *c = dir; *c; c++) {
		if (strchr(" \t\n\\", *c))
			strbuf_addf(&b, "\\%03o", (unsigned char)*c);
		else
			strbuf_add_len(&b, c, 1);
	}
	if (strbuf_take(&b, &escaped) < 0)
		return err_nomem(e);
	*ret = is_mounted_below(text, escaped);
	return 0;
}

int run_own_find(int rootfd, struct run_own *ret, struct err *e)
{
	_cleanup_(run_own_done) struct run_own own = {0};
	bool home_locked = false, cwd_locked = false;
	_cleanup_free_ char *home = NULL;
	int r;

	r = find_home(rootfd, &home, e);
	if (r < 0)
		return r;
	/* As getcwd() names directories. */
	own.home = home ? realpath(home, NULL) : NULL;
	if (home && !own.home)
		return err_sys(e, errno, "home directory '%s'", home);
	r = find_cwd(&own, e);
	if (r == 0 && own.home)
		r = has_mounts_below(own.home, &home_locked, e);
	if (r == 0 && own.cwd_layer)
		r = has_mounts_below(own.cwd, &cwd_locked, e);
	if (r < 0)
		return r;
	own.locked = home_locked ? own.home : cwd_locked ? own.cwd : NULL;
	*ret = own;
	own.cwd = own.home = NULL;
	return 0;
}

static int add_layer(const struct run_own *own, struct json *mounts, const char *path,
		     struct err *e)
{
	bool locked = false;
	int r = own->locked ? has_mounts_below(path, &locked, e) : 0;

	if (r < 0)
		return r;
	if (run_add_mount(mounts, path, "bind", path,
			  locked ? "rbind,rprivate,rnosuid,rnodev,rro"
				 : "rbind,rprivate,nosuid,nodev,throwaway") < 0)
		return err_nomem(e);
	return 0;
}

int run_own_mounts(const struct run_own *own, struct json *mounts, struct err *e)
{
	bool cwd_first = own->cwd_layer && own->home && is_at_or_below(own->home, own->cwd);
	int r = 0;

	/* The outer one first. */
	if (cwd_first)
		r = add_layer(own, mounts, own->cwd, e);
	if (r == 0 && own->home)
		r = add_layer(own, mounts, own->home, e);
	if (r == 0 && own->cwd_layer && !cwd_first)
		r = add_layer(own, mounts, own->cwd, e);
	return r;
}
