/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People and their files. The images are made by hand, with tar and sha256sum alone: what they say must not hang on which
 * other tools are installed.
 */
#include "people.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADA_UID 4811
#define BOB_UID 4812

static struct person all[PEOPLE];
static struct world *world;
static char images[96];

struct person *people(void)
{
	return all;
}

const char *people_images(void)
{
	return images;
}

/* ---- images --------------------------------------------------------------------------------- */

/*
 * $1: a directory, $2: a root file system. Two layers: the lower one is the root file system with things to be taken away, the
 * upper one takes them away and adds a directory of ada's.
 */
static const char make_images[] =
	"cd \"$1\"; umask 022\n"
	"mkdir low; cp -a \"$2/.\" low; mkdir low/gone low/kept low/vol\n"
	"echo x > low/gone/x; echo low > low/kept/low; echo begins > low/vol/first\n"
	"mkdir -p up/kept up/work; : > up/.wh.gone; echo up > up/kept/up; echo hers > "
	"up/work/note\n"
	"chown -R 1815:1815 up/work\n"
	"blobs=layout/blobs/sha256; mkdir -p $blobs\n"
	"tar -C low -cf low.tar .; tar -C up -cf up.tar .\n"
	"sum() { sha256sum < \"$1\" | cut -c1-64; }\n"
	"size() { stat -c %s \"$1\"; }\n"
	"keep() { cp \"$1\" \"$blobs/$(sum \"$1\")\"; }\n"
	"keep low.tar; keep up.tar; refs=\n"
	"image() {\n"
	"  printf "
	"'{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":%s,\"rootfs\":{\"type\":\"layers\","
	"\"diff_ids\":[\"sha256:%s\",\"sha256:%s\"]}}' \"$arch\" \"$2\" \"$(sum low.tar)\" "
	"\"$(sum up.tar)\" > \"$1.json\"\n"
	"  keep \"$1.json\"; m=application/vnd.oci.image\n"
	"  printf "
	"'{\"schemaVersion\":2,\"config\":{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%"
	"s},"
	"\"layers\":[{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%s},{\"mediaType\":\"%"
	"s\",\"digest\":"
	"\"sha256:%s\",\"size\":%s}]}' $m.config.v1+json $(sum \"$1.json\") $(size \"$1.json\") "
	"$m.layer.v1.tar $(sum low.tar) $(size low.tar) $m.layer.v1.tar $(sum up.tar) $(size "
	"up.tar) > m\n"
	"  keep m; "
	"refs=\"$refs${refs:+,}{\\\"mediaType\\\":\\\"$m.manifest.v1+json\\\",\\\"digest\\\":"
	"\\\"sha256:$(sum m)\\\",\\\"size\\\":$(size m),\\\"annotations\\\":"
	"{\\\"org.opencontainers.image.ref.name\\\":\\\"$1\\\"}}\"\n"
	"}\n"
	"case $(uname -m) in x86_64) arch=amd64;; aarch64) arch=arm64;; *) arch=$(uname -m);; "
	"esac\n"
	"path='\"PATH=/usr/bin:/bin\"'\n"
	"image box "
	"\"{\\\"Env\\\":[$path,\\\"COLOUR=blue\\\",\\\"SIZE=9\\\"],\\\"Cmd\\\":[\\\"sh\\\",\\\"-"
	"c\\\","
	"\\\"id -un; pwd; echo "
	"\\$COLOUR\\\"],\\\"WorkingDir\\\":\\\"/work\\\",\\\"StopSignal\\\":\\\"SIGUSR1\\\","
	"\\\"Labels\\\":{\\\"maker\\\":\\\"test\\\"},\\\"Volumes\\\":{\\\"/vol\\\":{}}}\"\n"
	"image ada "
	"\"{\\\"Env\\\":[$path],\\\"Cmd\\\":[\\\"id\\\",\\\"-un\\\"],\\\"User\\\":\\\"ada\\\"}\"\n"
	"image entry "
	"\"{\\\"Env\\\":[$path],\\\"Entrypoint\\\":[\\\"echo\\\",\\\"entry\\\"],\\\"Cmd\\\":["
	"\\\"cmd\\\"]}\"\n"
	"printf '{\"imageLayoutVersion\":\"1.0.0\"}' > layout/oci-layout\n"
	"printf '{\"schemaVersion\":2,\"manifests\":[%s]}' \"$refs\" > layout/index.json\n"
	"tar -C layout -cf layout.tar .\n"
	"printf "
	"'[{\"Config\":\"box.json\",\"RepoTags\":[\"example.org/"
	"box:1\"],\"Layers\":[\"low.tar\",\"up.tar\"]}]' "
	"> manifest.json\n"
	"tar -cf box.tar manifest.json box.json low.tar up.tar\n"
	"tar -C \"$2\" -cf root.tar .\n"
	"rm -rf low up low.tar up.tar m *.json\n";

static void images_make(void)
{
	snprintf(images, sizeof(images), "%s/images", world->dir);
	assert_int_equal(mkdir(images, 0755), 0);
	struct run_result r = run(&(struct run_spec){
		.argv = ARGV("/bin/sh", "-ec", make_images, "sh", images, world->rootfs)});

	if (r.code != 0)
		fail_msg("images: %s%s", r.out, r.err);
	run_result_done(&r);
}

/* ---- their files ------------------------------------------------------------------------------ */

static void file_of(const struct person *p, const char *dir, const char *name, const char *text,
		    mode_t mode)
{
	char path[256];
	uid_t uid = p->w.user ? p->w.user->uid : 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	write_file(path, text, mode);
	assert_int_equal(chown(path, uid, uid), 0);
}

static void dir_of(const struct person *p, const char *path, mode_t mode)
{
	uid_t uid = p->w.user ? p->w.user->uid : 0;

	assert_int_equal(mkdir(path, mode), 0);
	assert_int_equal(chown(path, uid, uid), 0);
}

static void person_make(struct person *p, unsigned who, const struct user *u, const char *other)
{
	char path[160];

	p->who = who;
	p->other = other;
	p->w = world_as(world, u);
	snprintf(p->name, sizeof(p->name), "%s", u ? u->name : "root");
	snprintf(p->home, sizeof(p->home), "%s", u ? u->home : "/root");
	snprintf(p->home_at, sizeof(p->home_at), "%s", u ? u->home_at : "");
	snprintf(p->data, sizeof(p->data), "%s/data", u ? u->dir : world->dir);
	if (u)
		snprintf(p->store, sizeof(p->store), "%s/store", u->dir);
	else
		snprintf(p->store, sizeof(p->store), "%s/store", world->dir);
	dir_of(p, p->data, 0755);
	file_of(p, p->data, "given", "from the host\n", 0644);
	file_of(p, p->data, "env", "# a file of variables\nFRUIT=apple\nPERSON_MOOD\n", 0644);
	if (!u)
		return;
	file_of(p, p->home_at, "file", "mine\n", 0600);
	file_of(p, p->home_at, ".netrc", "password\n", 0600);
	snprintf(path, sizeof(path), "%s/.ssh", p->home_at);
	dir_of(p, path, 0700);
	file_of(p, path, "id", "key\n", 0600);
	file_of(p, path, "known_hosts", "known\n", 0600);
}

int people_setup(void **state)
{
	if (world_setup(state) < 0)
		return -1;
	world = *state;
	const struct user *ada = world_add_user(world, "ada", ADA_UID, "200000:65536");
	const struct user *bob = world_add_user(world, "bob", BOB_UID, NULL);

	person_make(&all[0], ROOT, NULL, bob->home);
	person_make(&all[1], SUBIDS, ada, bob->home);
	person_make(&all[2], PLAIN, bob, ada->home);
	images_make();
	/* What a person has in the environment. */
	setenv("PERSON_MOOD", "good", 1);
	setenv("PERSON_SECRET", "token", 1);
	return 0;
}

int people_teardown(void **state)
{
	return world_teardown(state);
}

/* ---- words ------------------------------------------------------------------------------------- */

struct filler {
	const char *name, *value;
};

static const char *filled(char *buf, size_t size, const struct filler *f, size_t n,
			  const char *word)
{
	size_t len = 0;

	while (*word) {
		size_t i = 0;

		for (; i < n && strncmp(word, f[i].name, strlen(f[i].name)) != 0; i++)
			;
		if (i == n)
			buf[len++] = *word++;
		else {
			len += (size_t)snprintf(buf + len, size - len, "%s", f[i].value);
			word += strlen(f[i].name);
		}
		assert_true(len + 1 < size);
	}
	buf[len] = '\0';
	return buf;
}

const char *told_to(const struct person *p, const char *word)
{
	static char ring[128][8192];
	static unsigned next;
	char uid[16], layout[128], network[64] = "";

	assert_true(readlink("/proc/self/ns/net", network, sizeof(network) - 1) > 0);
	snprintf(uid, sizeof(uid), "%u", p->w.user ? p->w.user->uid : 0);
	snprintf(layout, sizeof(layout), "oci:%s/layout:", images);
	const struct filler f[] = {
		{"{HOME}", p->home},    {"{DATA}", p->data},   {"{ROOTFS}", p->w.rootfs},
		{"{UID}", uid},         {"{GID}", uid},        {"{OTHER}", p->other},
		{"{NAME}", p->name},    {"{IMAGES}", images},  {"{LAYOUT}:", layout},
		{"{NETWORK}", network}, {"{STORE}", p->store},
	};

	return filled(ring[next++ % 128], sizeof(ring[0]), f, sizeof(f) / sizeof(*f), word);
}

const char *const *person_argv(const struct person *p, const char *const *words)
{
	static const char *line[64];
	size_t n = 0;

	line[n++] = p->w.insula;
	line[n++] = "--root";
	line[n++] = p->w.state;
	line[n++] = "--store";
	line[n++] = p->store;
	for (; *words; words++) {
		assert_true(n + 1 < sizeof(line) / sizeof(*line));
		line[n++] = told_to(p, *words);
	}
	line[n] = NULL;
	return line;
}

struct run_result person_run(const struct person *p, const char *const *words)
{
	return run(&(struct run_spec){.argv = person_argv(p, words),
				      .user = p->w.user,
				      .cwd = p->data,
				      .detaching = true});
}

struct run_result person_pipe(const struct person *p, const char *const *words, const char *input)
{
	return run(&(struct run_spec){
		.argv = person_argv(p, words), .user = p->w.user, .cwd = p->data, .input = input});
}

pid_t person_start(const struct person *p, const char *const *words, bool pty, int *ret_fd)
{
	return start_as(p->w.user, person_argv(p, words), pty, ret_fd);
}

/* ---- what is theirs ------------------------------------------------------------------------------ */

static char *files_of(const struct person *p)
{
	struct run_result r = run(&(struct run_spec){
		.argv = ARGV("/bin/sh", "-c", "find \"$@\" -printf '%p %y %m %U %s %l\\n' | sort",
			     "sh", p->data, p->w.rootfs, p->home_at[0] ? p->home_at : p->data)});
	char *text = strdup(r.out);

	assert_int_equal(r.code, 0);
	run_result_done(&r);
	return text;
}

struct belongings belongings_note(const struct person *p)
{
	return (struct belongings){snapshot_take(&p->w), files_of(p)};
}

void belongings_compare(const struct person *p, struct belongings *before)
{
	struct snapshot after = snapshot_take(&p->w);
	char *files = files_of(p);

	/* A monitor tells its end, and then ends. */
	for (int i = 0; i < 100 && strcmp(before->snapshot.text, after.text) != 0; i++) {
		poll(NULL, 0, 20);
		free(after.text);
		after = snapshot_take(&p->w);
	}
	bool same = strcmp(files, before->files) == 0;

	if (!same)
		fprintf(stderr, "%s's files before:\n%s\nafter:\n%s\n", p->name, before->files,
			files);
	free(files);
	free(before->files);
	snapshot_compare(&before->snapshot, &after);
	assert_true(same);
}
