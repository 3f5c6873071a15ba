/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -v, --mount and --tmpfs, as docker and podman write them. -v is SOURCE:DESTINATION:WORDS; --mount is one line of CSV
 * (RFC 4180) of KEY=VALUE, where words of -v are keys that take true or false; --tmpfs is
 * DESTINATION:OPTIONS. Each says a table which words there are, and what they become as option words of OCI.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "run_document.h"

/* ---- words of a bind -------------------------------------------------------------------- */

/* Words that -v takes, and what they become. */
static const struct {
	const char *word, *options; /* options NULL: nothing to add */
} bind_words[] = {
	{"rw", NULL},
	/* A read-only volume is so with all that is mounted below it. */
	{"ro", "ro,rro"},
	{"private", "private"},
	{"rprivate", "rprivate"}, /* and the default */
	{"slave", "slave"},       /* mounts made on the host later show up */
	{"rslave", "rslave"},
	{"bind", "bind"},
	{"rbind", NULL},
	{"nosuid", "nosuid"},
	{"suid", "suid"},
	{"nodev", "nodev"},
	{"dev", "dev"},
	{"noexec", "noexec"},
	{"exec", "exec"},
	/* Writes go to a layer that is thrown away. */
	{"O", "throwaway"},
	/* How a virtual machine of docker's on other systems keeps its copy; here there is none. */
	{"consistent", NULL},
	{"cached", NULL},
	{"delegated", NULL},
};

/* Words that others take and we do not. */
static const struct {
	const char *word, *why;
} refused_bind_words[] = {
	{"z", "SELinux relabelling is not done"},
	{"Z", "SELinux relabelling is not done"},
	{"U", "changing owners of a volume is not done"},
	{"idmap", "id-mapped mounts are not done"},
	{"shared", "mounts made in the sandbox never reach the host"},
	{"rshared", "mounts made in the sandbox never reach the host"},
	{"unbindable", "use private"},
	{"runbindable", "use rprivate"},
	{"copy", "it is for named volumes, which are not done"},
	{"nocopy", "it is for named volumes, which are not done"},
};

int run_bind_word(struct strbuf *options, const char *word, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(bind_words); i++) {
		if (!STREQ(bind_words[i].word, word))
			continue;
		if (bind_words[i].options)
			strbuf_addf(options, ",%s", bind_words[i].options);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused_bind_words); i++)
		if (STREQ(refused_bind_words[i].word, word))
			return err_unsupported(e, "option '%s' is not supported: %s", word,
					       refused_bind_words[i].why);
	if (str_has_prefix(word, "upperdir=") || str_has_prefix(word, "workdir=") ||
	    str_has_prefix(word, "idmap="))
		return err_unsupported(e, "option '%s' is not supported", word);
	return err_invalid(e, "unknown option '%s'", word);
}

int run_check_source(const char *source, struct err *e)
{
	_cleanup_close_ int root = -1, fd = -1;

	root = path_open_dir("/", e);
	if (root < 0)
		return root;
	fd = path_open_in_root(root, source, O_PATH, 0, e);
	if (fd == -ENOENT) {
		err_set(e, ERR_NOT_FOUND, ENOENT, "the source does not exist");
		return err_hint(e, "make it first: mkdir -p %s", source);
	}
	return fd < 0 ? fd : 0;
}

static int volume_options(const char *given, struct strbuf *options, struct err *e)
{
	_cleanup_strv_ char **words = NULL;
	int r = 0;

	if (given && strv_split(given, ',', &words) < 0)
		return err_nomem(e);
	for (size_t i = 0; r == 0 && i < strv_len(words); i++)
		r = run_bind_word(options, words[i], e);
	return r;
}

int run_take_volume(struct run_mounts *m, const struct rt_run_request *r, const struct rt_volume *v,
		    struct err *e)
{
	struct strbuf b = {0};
	_cleanup_free_ char *options = NULL;
	int rc;

	/* The last word about propagation counts, so a given one wins over docker's default. */
	if (v->source)
		strbuf_add(&b, "rbind,rprivate");
	rc = volume_options(v->options, &b, e);
	if (strbuf_take(&b, &options) < 0)
		return rc < 0 ? rc : err_nomem(e);
	if (rc < 0)
		return rc;
	if (!v->source)
		return run_mounts_push_anonymous(m, r, v->destination, options, e);
	if (v->source[0] != '/' || v->destination[0] != '/')
		return err_invalid(e, "source and destination must be absolute paths");
	rc = run_check_source(v->source, e);
	return rc < 0 ? rc : run_mounts_push(m, v->destination, "bind", v->source, options, e);
}

/* ---- --tmpfs ---------------------------------------------------------------------------- */

/* Flags of a tmpfs; the others have a value. */
static const char *const tmpfs_words[] = {
	"ro",         "rw",         "exec",        "noexec",        "suid",
	"nosuid",     "dev",        "nodev",       "atime",         "noatime",
	"relatime",   "norelatime", "strictatime", "nostrictatime", "diratime",
	"nodiratime", "sync",       "async",       "dirsync",       "nosymfollow",
	"symfollow",  "tmpcopyup",  "private",     "rprivate",      "slave",
	"rslave",
};
static const char *const tmpfs_values[] = {
	"size=", "mode=", "uid=", "gid=", "nr_inodes=", "nr_blocks=", "mpol=", "huge="};

static bool is_tmpfs_value(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(tmpfs_values); i++)
		if (str_has_prefix(word, tmpfs_values[i]))
			return true;
	return false;
}

static int check_tmpfs_value(const char *word, struct err *e)
{
	const char *value = strchr(word, '=') + 1;
	uint64_t bytes;
	uint32_t number;
	size_t n = strlen(value);
	bool percent = n > 1 && value[n - 1] == '%';

	if (str_has_prefix(word, "size=") && !percent && parse_size(value, &bytes) < 0)
		return err_invalid(e, "'%s' is not a size such as size=64m", word);
	if (str_has_prefix(word, "mode=") && (parse_octal(value, &number) < 0 || number > 07777))
		return err_invalid(e, "'%s' is not a mode such as mode=1777", word);
	if ((str_has_prefix(word, "uid=") || str_has_prefix(word, "gid=")) &&
	    (parse_u32(value, &number) < 0 || number == UINT32_MAX))
		return err_invalid(e, "'%s' is not an id", word);
	return *value ? 0 : err_invalid(e, "'%s' has no value", word);
}

static int take_tmpfs_word(struct strbuf *b, const char *word, struct err *e)
{
	int r;

	if (STREQ(word, "notmpcopyup") || STREQ(word, "defaults"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(tmpfs_words); i++)
		if (STREQ(tmpfs_words[i], word)) {
			strbuf_addf(b, ",%s", word);
			return 0;
		}
	if (!is_tmpfs_value(word))
		return err_invalid(e, "unknown option '%s'", word);
	r = check_tmpfs_value(word, e);
	if (r == 0)
		strbuf_addf(b, ",%s", word);
	return r;
}

int run_take_tmpfs(struct run_mounts *m, const char *flag, struct err *e)
{
	const char *colon = strchr(flag, ':');
	_cleanup_free_ char *destination =
		strndup(flag, colon ? (size_t)(colon - flag) : strlen(flag));
	_cleanup_free_ char *options = NULL;
	_cleanup_strv_ char **words = NULL;
	struct strbuf b = {0};
	int r = 0;

	if (!destination || (colon && strv_split(colon + 1, ',', &words) < 0))
		return err_nomem(e);
	strbuf_add(&b, "nosuid,nodev,noexec");
	for (size_t i = 0; r == 0 && i < strv_len(words); i++)
		r = take_tmpfs_word(&b, words[i], e);
	if (strbuf_take(&b, &options) < 0)
		return r < 0 ? r : err_nomem(e);
	return r < 0 ? r : run_mounts_push(m, destination, "tmpfs", "tmpfs", options, e);
}

/* ---- --mount ---------------------------------------------------------------------------- */

enum mount_type { TYPE_BIND = 1, TYPE_VOLUME = 2, TYPE_TMPFS = 4 };

struct mount_flag {
	const struct rt_run_request *request;
	char *type, *source, *destination; /* owned */
	struct strbuf options;
	unsigned kind; /* enum mount_type */
};

static int add_word(struct mount_flag *f, const char *word, struct err *e)
{
	(void)e;
	strbuf_addf(&f->options, ",%s", word);
	return 0;
}

static int take_truth(const char *value, bool *ret, struct err *e)
{
	if (!value || STREQ(value, "true") || STREQ(value, "1"))
		*ret = true;
	else if (STREQ(value, "false") || STREQ(value, "0"))
		*ret = false;
	else
		return err_invalid(e, "'%s' is not true or false", value);
	return 0;
}

static int key_readonly(struct mount_flag *f, const char *value, struct err *e)
{
	bool on = false;
	int r = take_truth(value, &on, e);

	if (r < 0 || !on)
		return r;
	return add_word(f, f->kind == TYPE_TMPFS ? "ro" : "ro,rro", e);
}

static int key_rw(struct mount_flag *f, const char *value, struct err *e)
{
	bool on = false;
	int r = take_truth(value, &on, e);

	return r < 0 || on ? r : add_word(f, f->kind == TYPE_TMPFS ? "ro" : "ro,rro", e);
}

static int key_propagation(struct mount_flag *f, const char *value, struct err *e)
{
	return run_bind_word(&f->options, value ? value : "", e);
}

static int key_nonrecursive(struct mount_flag *f, const char *value, struct err *e)
{
	bool on = false;
	int r = take_truth(value, &on, e);

	return r < 0 || !on ? r : add_word(f, "bind", e);
}

/* Source: docker's documentation of bind-recursive. */
static int key_recursive(struct mount_flag *f, const char *value, struct err *e)
{
	if (!value || STREQ(value, "enabled"))
		return 0;
	if (STREQ(value, "disabled"))
		return add_word(f, "bind", e);
	if (STREQ(value, "readonly")) /* which "readonly" is here in any case */
		return 0;
	if (STREQ(value, "writable"))
		return err_unsupported(e, "bind-recursive=writable is not supported: what is "
					  "mounted below a read-only volume is read-only, too");
	return err_invalid(e, "bind-recursive is enabled, disabled or readonly");
}

static int key_tmpfs_size(struct mount_flag *f, const char *value, struct err *e)
{
	_cleanup_free_ char *word = NULL;

	if (str_printf(&word, "size=%s", value ? value : "") < 0)
		return err_nomem(e);
	return take_tmpfs_word(&f->options, word, e);
}

static int key_tmpfs_mode(struct mount_flag *f, const char *value, struct err *e)
{
	_cleanup_free_ char *word = NULL;

	if (str_printf(&word, "mode=%s", value ? value : "") < 0)
		return err_nomem(e);
	return take_tmpfs_word(&f->options, word, e);
}

static int key_tmpcopyup(struct mount_flag *f, const char *value, struct err *e)
{
	bool on = false;
	int r = take_truth(value, &on, e);

	return r < 0 || !on ? r : add_word(f, "tmpcopyup", e);
}

static int key_moot(struct mount_flag *f, const char *value, struct err *e)
{
	(void)f;
	(void)value;
	(void)e;
	return 0;
}

static int key_relabel(struct mount_flag *f, const char *value, struct err *e)
{
	(void)f;
	(void)value;
	return err_unsupported(e, "SELinux relabelling is not done");
}

static int key_owner(struct mount_flag *f, const char *value, struct err *e)
{
	bool on = false;
	int r = take_truth(value, &on, e);

	(void)f;
	return r < 0 || !on ? r : err_unsupported(e, "changing owners of a volume is not done");
}

static int key_idmap(struct mount_flag *f, const char *value, struct err *e)
{
	(void)f;
	(void)value;
	return err_unsupported(e, "id-mapped mounts are not done");
}

static int key_volume(struct mount_flag *f, const char *value, struct err *e)
{
	(void)f;
	(void)value;
	return err_unsupported(e, "it is for named volumes, which are not done");
}

/* Docker makes a missing source only when asked to by this. */
static int key_create_source(struct mount_flag *f, const char *value, struct err *e)
{
	bool on = false;
	int r = take_truth(value, &on, e);

	(void)f;
	return r < 0 || !on ? r
			    : err_unsupported(e, "a missing source is not made; mkdir it first");
}

#define ANY (TYPE_BIND | TYPE_VOLUME | TYPE_TMPFS)

static const struct {
	const char *key;
	unsigned kinds;
	int (*take)(struct mount_flag *f, const char *value, struct err *e);
} mount_keys[] = {
	{"readonly", ANY, key_readonly},
	{"ro", ANY, key_readonly},
	{"rw", ANY, key_rw},
	{"consistency", ANY, key_moot}, /* as the words of -v */
	{"bind-propagation", TYPE_BIND, key_propagation},
	{"bind-nonrecursive", TYPE_BIND, key_nonrecursive},
	{"bind-recursive", TYPE_BIND, key_recursive},
	{"bind-create-src", TYPE_BIND, key_create_source},
	{"tmpfs-size", TYPE_TMPFS, key_tmpfs_size},
	{"tmpfs-mode", TYPE_TMPFS, key_tmpfs_mode},
	{"tmpcopyup", TYPE_TMPFS, key_tmpcopyup},
	{"notmpcopyup", TYPE_TMPFS, key_moot}, /* and the default */
	{"relabel", TYPE_BIND | TYPE_VOLUME, key_relabel},
	{"z", TYPE_BIND | TYPE_VOLUME, key_relabel},
	{"Z", TYPE_BIND | TYPE_VOLUME, key_relabel},
	{"U", ANY, key_owner},
	{"chown", ANY, key_owner},
	{"idmap", TYPE_BIND | TYPE_VOLUME, key_idmap},
	{"volume-driver", TYPE_VOLUME, key_volume},
	{"volume-opt", TYPE_VOLUME, key_volume},
	{"volume-label", TYPE_VOLUME, key_volume},
	{"volume-nocopy", TYPE_VOLUME, key_volume},
	{"volume-subpath", TYPE_VOLUME, key_volume},
	{"subpath", TYPE_VOLUME, key_volume},
};

/* Words of -v that stand alone as keys of podman's. */
static const char *const bare_words[] = {"nosuid", "suid", "nodev", "dev", "noexec", "exec"};

static int take_key(struct mount_flag *f, const char *key, const char *value, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(mount_keys); i++) {
		if (!STREQ(mount_keys[i].key, key))
			continue;
		if (!(mount_keys[i].kinds & f->kind))
			return err_invalid(e, "'%s' is not for type=%s", key, f->type);
		if (mount_keys[i].take(f, value, e) < 0)
			return err_wrap(e, "%s", key);
		return 0;
	}
	for (size_t i = 0; !value && i < ARRAY_SIZE(bare_words); i++)
		if (STREQ(bare_words[i], key))
			return add_word(f, key, e);
	err_invalid(e, "unknown key '%s'", key);
	return err_hint(e, "such as type=bind,source=DIR,destination=DIR,readonly");
}

static bool is_source(const char *key)
{
	return STREQ(key, "source") || STREQ(key, "src");
}

static bool is_destination(const char *key)
{
	return STREQ(key, "destination") || STREQ(key, "dst") || STREQ(key, "target");
}

static int set_once(char **field, const char *key, const char *value, struct err *e)
{
	if (!value || !*value)
		return err_invalid(e, "'%s' has no value", key);
	if (*field)
		return err_invalid(e, "'%s' is given twice", key);
	*field = strdup(value);
	return *field ? 0 : err_nomem(e);
}

static int take_type(struct mount_flag *f, struct err *e)
{
	static const struct {
		const char *name;
		unsigned kind;
	} types[] = {{"bind", TYPE_BIND}, {"volume", TYPE_VOLUME}, {"tmpfs", TYPE_TMPFS}};
	static const char *const others[] = {"image", "devpts", "npipe",   "cluster",
					     "ramfs", "glob",   "artifact"};

	if (!f->type && !(f->type = strdup("volume"))) /* docker's default */
		return err_nomem(e);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (STREQ(types[i].name, f->type))
			f->kind = types[i].kind;
	if (f->kind)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (STREQ(others[i], f->type))
			return err_unsupported(e, "type=%s is not supported", f->type);
	err_invalid(e, "type=%s is not known", f->type);
	return err_hint(e, "there are bind, tmpfs and volume");
}

/* Fields of a line of CSV: "…" holds commas, and "" in it is one quote. */
static int split_csv(const char *line, char ***ret, struct err *e)
{
	_cleanup_strv_ char **fields = NULL;

	for (const char *p = line;; p++) {
		struct strbuf b = {0};
		char *field;
		bool quoted = *p == '"';

		strbuf_add(&b, "");
		for (p += quoted; *p && (quoted || *p != ','); p++) {
			if (quoted && *p == '"' && p[1] != '"')
				break;
			if (*p == '"' && !quoted) {
				strbuf_done(&b);
				return err_invalid(e, "a '\"' inside of a field; quote the whole "
						      "field");
			}
			strbuf_add_len(&b, p, 1);
			p += quoted && *p == '"';
		}
		if (strbuf_take(&b, &field) < 0 || strv_consume(&fields, field) < 0)
			return err_nomem(e);
		if (quoted && *p++ != '"')
			return err_invalid(e, "a '\"' that is not closed");
		if (!*p)
			break;
		if (*p != ',')
			return err_invalid(e, "text behind a closing '\"'");
	}
	*ret = TAKE_PTR(fields);
	return 0;
}

/* First what and where, since the other keys mean something only for a type. */
static int take_fields(struct mount_flag *f, char **fields, bool first_pass, struct err *e)
{
	for (size_t i = 0; i < strv_len(fields); i++) {
		char *value = strchr(fields[i], '=');
		size_t n = value ? (size_t)(value - fields[i]) : strlen(fields[i]);
		_cleanup_free_ char *key = strndup(fields[i], n);
		int r = 0;

		if (!key)
			return err_nomem(e);
		if (!n)
			return err_invalid(e, "an empty key");
		value = value ? value + 1 : NULL;
		if (STREQ(key, "type"))
			r = first_pass ? set_once(&f->type, key, value, e) : 0;
		else if (is_source(key))
			r = first_pass ? set_once(&f->source, key, value, e) : 0;
		else if (is_destination(key))
			r = first_pass ? set_once(&f->destination, key, value, e) : 0;
		else if (!first_pass)
			r = take_key(f, key, value, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int push_bind(struct run_mounts *m, struct mount_flag *f, const char *options, struct err *e)
{
	_cleanup_free_ char *source = NULL;
	int r;

	if (!f->source)
		return err_invalid(e, "type=bind needs a source");
	source = realpath(f->source, NULL);
	if (!source)
		return run_check_source(f->source, e) < 0
			       ? -ENOENT
			       : err_sys(e, errno, "source '%s'", f->source);
	r = run_check_source(source, e);
	return r < 0 ? r : run_mounts_push(m, f->destination, "bind", source, options, e);
}

static int push(struct run_mounts *m, struct mount_flag *f, const char *options, struct err *e)
{
	if (!f->destination)
		return err_invalid(e, "no destination given");
	switch ((enum mount_type)f->kind) {
	case TYPE_BIND:
		return push_bind(m, f, options, e);
	case TYPE_TMPFS:
		if (f->source)
			return err_invalid(e, "type=tmpfs has no source");
		return run_mounts_push(m, f->destination, "tmpfs", "tmpfs", options, e);
	case TYPE_VOLUME:
		if (!f->source)
			return run_mounts_push_anonymous(m, f->request, f->destination, options, e);
		err_unsupported(e, "named volumes are not supported yet");
		return err_hint(e, "for a directory of the host say type=bind");
	}
	return -EINVAL;
}

static int take_flag(struct run_mounts *m, struct mount_flag *f, char **fields, struct err *e)
{
	_cleanup_free_ char *options = NULL;
	int r = take_fields(f, fields, true, e);

	if (r == 0)
		r = take_type(f, e);
	if (r < 0)
		return r;
	if (f->kind == TYPE_BIND)
		strbuf_add(&f->options, "rbind,rprivate");
	else if (f->kind == TYPE_TMPFS)
		strbuf_add(&f->options, "nosuid,nodev,noexec");
	else
		strbuf_add(&f->options, "");
	r = take_fields(f, fields, false, e);
	if (r < 0)
		return r;
	if (strbuf_take(&f->options, &options) < 0)
		return err_nomem(e);
	return push(m, f, options, e);
}

int run_take_mount_flag(struct run_mounts *m, const struct rt_run_request *r, const char *flag,
			struct err *e)
{
	_cleanup_strv_ char **fields = NULL;
	struct mount_flag f = {.request = r};
	int rc = split_csv(flag, &fields, e);

	if (rc == 0)
		rc = take_flag(m, &f, fields, e);
	strbuf_done(&f.options);
	free(f.type);
	free(f.source);
	free(f.destination);
	return rc;
}
