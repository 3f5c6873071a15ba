/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `insula run --rootfs /`: an app on the host's own system must not see the host's secrets. Two
 * tables say what is replaced by something fresh and what is hidden, each row with its reason. The
 * result is ordinary configuration (tmpfs mounts, maskedPaths), so that --explain shows it.
 *
 * A path that -v names, or that lies below a destination of -v, is left alone: what is there then
 * is what the caller asked for.
 *
 * Paths are looked up inside the root and never outside of it. A wildcard stands in a last component
 * only.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "run_document.h"
#include "run_userns.h"

struct place {
	const char *path;
	const char *value; /* `fresh`: mode of the tmpfs. `secrets`: the reason */
};

static const struct place fresh[] = {
	{"/run", "755"},      /* sockets of the host's services; left out of a throwaway root */
	{"/tmp", "1777"},     /* files and sockets of others */
	{"/var/tmp", "1777"}, /* the same */
	{"/home", "755"},     /* everybody's keys, tokens and documents */
	{"/root", "700"},     /* the administrator's */
};

static const struct place secrets[] = {
	/* accounts and privileges */
	{"/etc/shadow", "password hashes"},
	{"/etc/shadow-", "password hashes, before the last change"},
	{"/etc/gshadow", "password hashes of groups"},
	{"/etc/gshadow-", "password hashes of groups, before the last change"},
	{"/etc/security/opasswd", "former passwords"},
	{"/var/backups/*shadow*", "Debian's copies of the password files"},
	{"/etc/sudoers*", "who may become whom, and how"},
	{"/etc/krb5.keytab", "Kerberos keys of the machine"},
	{"/var/lib/sss", "cached credentials and tickets of directory users"},
	{"/var/lib/private", "state of services that asked to be alone with it"},
	/* keys */
	{"/etc/ssh/*_key", "the machine's SSH keys"},
	{"/etc/ssl/private", "TLS keys"},
	{"/etc/pki/tls/private", "TLS keys"},
	{"/etc/pki/private", "TLS keys"},
	{"/etc/letsencrypt", "TLS keys and accounts"},
	{"/etc/ipsec.secrets", "VPN keys"},
	{"/etc/ipsec.d", "VPN keys"},
	{"/etc/swanctl", "VPN keys"},
	{"/etc/wireguard", "VPN keys"},
	{"/etc/openvpn", "VPN keys"},
	{"/etc/ppp/*-secrets", "dial-up and VPN passwords"},
	{"/etc/chrony/chrony.keys", "keys of time servers"},
	{"/etc/bind/*.key", "keys to name servers"},
	{"/etc/davfs2/secrets", "passwords of network drives"},
	{"/etc/*.secret", "secrets of services"},
	{"/etc/cryptsetup-keys.d", "disk keys"},
	{"/etc/credstore*", "credentials of services"},
	{"/var/lib/systemd/credential.secret", "the key of those credentials"},
	/* passwords in configuration */
	{"/etc/NetworkManager/system-connections", "wireless and VPN passwords"},
	{"/etc/wpa_supplicant", "wireless passwords"},
	{"/etc/iwd", "wireless passwords"},
	{"/var/lib/iwd", "wireless passwords"},
	{"/var/lib/bluetooth", "pairing keys"},
	{"/etc/apt/auth.conf*", "passwords of package archives"},
	{"/etc/exim4/passwd.client", "mail passwords"},
	{"/etc/postfix/sasl*", "mail passwords"},
	{"/etc/mysql/debian.cnf", "the administrator's database password"},
	{"/etc/cups/printers.conf*", "passwords of print servers"},
	{"/var/lib/samba/private", "machine account and password database"},
	{"/var/cache/debconf/passwords.dat*", "passwords given at installation"},
	/* other sandboxes: their files, environments and tokens */
	{"/var/lib/insula", "our own images and state"},
	{"/var/lib/docker", "containers, volumes and secrets of Docker"},
	{"/etc/docker/key.json", "Docker's identity"},
	{"/var/lib/containers", "containers of podman and CRI-O"},
	{"/etc/containers/auth.json", "registry passwords"},
	{"/var/lib/containerd", "containers of containerd"},
	{"/var/lib/kubelet", "pods, service account tokens"},
	{"/etc/kubernetes", "cluster keys"},
	{"/var/lib/rancher", "cluster keys"},
	{"/etc/rancher", "cluster keys"},
	{"/var/lib/etcd", "a cluster's whole state"},
	{"/var/lib/lxc", "containers"},
	{"/var/lib/lxd", "containers and machines"},
	{"/var/lib/incus", "containers and machines"},
	{"/var/lib/machines", "containers"},
	{"/var/lib/libvirt", "machines"},
	/* other people's things */
	{"/var/spool/cron", "jobs of all users, often with passwords"},
	{"/var/spool/at", "jobs of all users"},
	{"/var/mail", "mail of all users"},
	{"/var/spool/mail", "mail of all users"},
	{"/var/spool/cups", "documents of all users"},
	/* memory of the host in files */
	{"/var/lib/systemd/coredump", "memory of crashed programs"},
	{"/var/crash", "memory of crashed programs"},
	{"/swapfile", "memory of all programs"},
	{"/swap.img", "memory of all programs"},
};

struct hiding {
	struct json *mounts, *masked_paths;
	int rootfd;
	char **destinations; /* of volumes, normalised */
	bool ordinary;       /* for a caller who is not root */
};

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* -v named it, or something above it. */
static bool is_given(const struct hiding *h, const char *path)
{
	for (size_t i = 0; i < strv_len(h->destinations); i++)
		if (STREQ(path, h->destinations[i]) || is_below(path, h->destinations[i]))
			return true;
	return false;
}

static bool holds_volume(const struct hiding *h, const char *path)
{
	for (size_t i = 0; i < strv_len(h->destinations); i++)
		if (is_below(h->destinations[i], path))
			return true;
	return false;
}

/* What is there, seen from inside: 0 and the mode, or -errno. */
static int look(const struct hiding *h, const char *path, mode_t *ret)
{
	_cleanup_close_ int fd = path_open_in_root(h->rootfd, path, O_PATH, 0, NULL);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = st.st_mode;
	return 0;
}

static bool is_absent(int r)
{
	/* A dangling or looping link shows nothing either. */
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP;
}

/* ---- fresh directories ------------------------------------------------------------------ */

static int add_fresh(struct hiding *h, const char *path, const char *options, struct err *e)
{
	if (is_given(h, path))
		return 0;
	if (run_add_mount(h->mounts, path, "tmpfs", "tmpfs", options) < 0)
		return err_nomem(e);
	return 0;
}

static int add_fresh_places(struct hiding *h, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(fresh); i++) {
		char options[64];
		mode_t mode;
		int r;

		r = look(h, fresh[i].path, &mode);
		if (is_absent(r) || (r == 0 && !S_ISDIR(mode)))
			continue;
		snprintf(options, sizeof(options), "nosuid,nodev,mode=%s", fresh[i].value);
		r = add_fresh(h, fresh[i].path, options, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The user's home lies in a fresh /home: make it, empty and its user's own. */
static int add_home(struct hiding *h, const struct iso_user *user, const char *home, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	char options[96];

	if (path_normalize(home, &path) < 0)
		return err_nomem(e);
	if (!is_below(path, "/home") || is_given(h, "/home"))
		return 0;
	snprintf(options, sizeof(options), "nosuid,nodev,mode=700,uid=%u,gid=%u", user->uid,
		 user->gid);
	return add_fresh(h, path, options, e);
}

/* ---- hidden paths ----------------------------------------------------------------------- */

/* maskedPaths are applied after all mounts: where a volume lies below a hidden directory, an empty
 * tmpfs takes the mask's place, as it comes before the volume. */
static int hide(struct hiding *h, const char *path, struct err *e)
{
	mode_t mode;
	int r;

	if (is_given(h, path))
		return 0;
	r = look(h, path, &mode);
	/* What an ordinary user cannot even reach, his sandbox cannot either. */
	if (is_absent(r) || (r == -EACCES && h->ordinary))
		return 0;
	/* Whatever else keeps us from looking, hide it: a mask does no harm. */
	if (r == 0 && S_ISDIR(mode) && holds_volume(h, path))
		return add_fresh(h, path, "nosuid,nodev,noexec,mode=755", e);
	if (json_push(h->masked_paths, json_new_string(path)) < 0)
		return err_nomem(e);
	return 0;
}

/* The length of its directory; 0: it is a path, no pattern. */
static size_t pattern_dir_len(const char *pattern)
{
	return strchr(pattern, '*') ? (size_t)(strrchr(pattern, '/') - pattern) : 0;
}

static bool same_dir(const char *a, const char *b)
{
	size_t n = pattern_dir_len(a);

	return n > 0 && n == pattern_dir_len(b) && memcmp(a, b, n) == 0;
}

/* A name in the directory of `pattern`, by all patterns for that directory: it is read once. */
static bool is_secret_name(const char *pattern, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		if (same_dir(pattern, secrets[i].path) &&
		    fnmatch(strrchr(secrets[i].path, '/') + 1, name, FNM_PERIOD) == 0)
			return true;
	return false;
}

static int hide_matching(struct hiding *h, const char *pattern, struct err *e)
{
	_cleanup_free_ char *dir = strndup(pattern, pattern_dir_len(pattern));
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *entry;
	int fd;

	if (!dir)
		return err_nomem(e);
	fd = path_open_in_root(h->rootfd, dir, O_RDONLY | O_DIRECTORY, 0, e);
	if (is_absent(fd) || (fd == -EACCES && h->ordinary)) {
		if (e)
			err_clear(e);
		return 0;
	}
	if (fd < 0)
		return err_wrap(e, "look for '%s'", pattern);
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_sys(e, errno, "look for '%s'", pattern);
	}
	while ((entry = readdir(d))) {
		_cleanup_free_ char *path = NULL;
		int r;

		if (!is_secret_name(pattern, entry->d_name))
			continue;
		if (str_printf(&path, "%s/%s", dir, entry->d_name) < 0)
			return err_nomem(e);
		r = hide(h, path, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_first_of_dir(size_t pattern)
{
	for (size_t i = 0; i < pattern; i++)
		if (same_dir(secrets[i].path, secrets[pattern].path))
			return false;
	return true;
}

static int hide_secrets(struct hiding *h, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		const char *path = secrets[i].path;
		int r = 0;

		if (pattern_dir_len(path) == 0)
			r = hide(h, path, e);
		else if (is_first_of_dir(i))
			r = hide_matching(h, path, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Those below /home are hidden with it. The user's own is replaced by an empty one. */
static int hide_homes(struct hiding *h, const struct iso_user *user, const char *home,
		      struct err *e)
{
	_cleanup_strv_ char **homes = NULL;
	_cleanup_free_ char *own = NULL;
	char options[96];
	int r = run_host_homes(h->rootfd, &homes, e);

	if (r < 0)
		return r;
	if (path_normalize(home, &own) < 0)
		return err_nomem(e);
	snprintf(options, sizeof(options), "nosuid,nodev,mode=700,uid=%u,gid=%u", user->uid,
		 user->gid);
	for (char **p = homes; p && *p && r == 0; p++)
		r = STREQ(*p, own) ? add_fresh(h, *p, options, e) : hide(h, *p, e);
	return r;
}

static int take_destinations(struct hiding *h, const struct rt_run_request *r, struct err *e)
{
	for (size_t i = 0; i < r->n_volumes; i++) {
		char *path;

		if (path_normalize(r->volumes[i].destination, &path) < 0 ||
		    strv_consume(&h->destinations, path) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int hide_for_root(struct hiding *h, const struct iso_user *user, const char *home,
			 struct err *e)
{
	int r = add_fresh_places(h, e);

	if (r == 0)
		r = add_home(h, user, home, e);
	if (r == 0)
		r = hide_homes(h, user, home, e);
	return r < 0 ? r : hide_secrets(h, e);
}

/* The caller's own home and working directory, and what is hidden of them. */
static int show_own(struct hiding *h, const struct run_own *own, struct err *e)
{
	int r = run_own_mounts(own, h->mounts, e);

	for (const struct run_secret *s = run_home_secrets; own->home && s->path && r == 0; s++) {
		_cleanup_free_ char *path = NULL;

		if (str_printf(&path, "%s/%s", own->home, s->path) < 0)
			return err_nomem(e);
		r = hide(h, path, e);
	}
	return r;
}

static int hide_for_user(struct hiding *h, const struct iso_user *user, const char *home,
			 struct err *e)
{
	_cleanup_(run_own_done) struct run_own own = {0};
	size_t given = strv_len(h->destinations);
	int r = run_own_find(h->rootfd, &own, e);

	if (r < 0)
		return r;
	/* As for a volume: what lies around it is hidden by an empty directory, before it. */
	if ((own.cwd_layer && strv_push(&h->destinations, own.cwd) < 0) ||
	    (own.home && strv_push(&h->destinations, own.home) < 0))
		return err_nomem(e);
	r = add_fresh_places(h, e);
	if (r == 0)
		r = add_home(h, user, home, e);
	if (r == 0)
		r = hide_homes(h, user, home, e);
	if (r == 0)
		r = hide_secrets(h, e);
	/* What was asked for with -v alone counts in the home itself. */
	while (strv_len(h->destinations) > given)
		free(TAKE_PTR(h->destinations[strv_len(h->destinations) - 1]));
	return r < 0 ? r : show_own(h, &own, e);
}

int run_hide_host(struct json *mounts, struct json *masked_paths, int rootfd,
		  const struct rt_run_request *r, const struct iso_user *user, const char *home,
		  struct err *e)
{
	struct hiding h = {.mounts = mounts,
			   .masked_paths = masked_paths,
			   .rootfd = rootfd,
			   .ordinary = run_is_ordinary()};
	int rc = take_destinations(&h, r, e);

	if (rc == 0 && h.ordinary)
		rc = hide_for_user(&h, user, home, e);
	else if (rc == 0)
		rc = hide_for_root(&h, user, home, e);
	strv_free(h.destinations);
	return rc;
}
