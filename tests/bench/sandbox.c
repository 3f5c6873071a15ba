/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of `insula run` for people, end to end as whole processes:
 *
 *	- an app on the host's own system, as root and as an ordinary user without subordinate ids, against bubblewrap
 *	  (with what it can do of it) and a floor that makes the same mounts and is no runtime;
 *	- an image at hand, against `podman run` of the same image (overlay storage) and a floor with the same overlay.
 *
 *	sandbox [ROUNDS]	or BENCH_ROUNDS; root. podman runs in a quarter of the rounds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "common/bench.h"

#define USER_ID   4321
#define USER_HOME "/home/bench"
#define PLAN_MAX  (1u << 16)
#define PROGRAMS  WORK "/programs"
#define INSULA    PROGRAMS "/insula"
#define FLOOR     PROGRAMS "/tests/bench/floor_sandbox"
#define STATE     WORK "/state"
#define STORE     WORK "/store"

#define AIM_FLOOR  1.5
#define AIM_PODMAN 0.15

static const char *const user_env[] = {"HOME=" USER_HOME, "USER=bench", "PATH=/usr/bin:/bin",
				       "XDG_RUNTIME_DIR=" WORK "/user", NULL};

static void shell(const char *command)
{
	int status = system(command);

	if (status != 0) {
		errno = 0;
		die(command);
	}
}

static void make_dir(const char *path, mode_t mode, uid_t owner)
{
	if (mkdir(path, mode) < 0 || chown(path, owner, owner) < 0)
		die(path);
}

/* ---- the floor's plan ----------------------------------------------------------------------- */

/* What mount(8) calls them. */
static const struct {
	const char *name;
	unsigned long flag;
} flags[] = {
	{"nosuid", MS_NOSUID}, {"nodev", MS_NODEV}, {"noexec", MS_NOEXEC}, {"ro", MS_RDONLY},
	{"bind", 0},           {"rbind", 0},        {"rprivate", 0},       {"private", 0},
	{"relatime", 0},       {"rw", 0},           {"strictatime", 0},
};

static unsigned long split_options(const struct json_at *mount, char *data, size_t size)
{
	unsigned long all = 0;
	struct json_at options;
	size_t used = 0;

	data[0] = '\0';
	if (!json_member(mount, "options", &options))
		return 0;
	for (size_t i = 0; i < json_array_len(&options); i++) {
		struct json_at o = json_array_at(&options, i);
		const char *text = json_peek_string(&o);
		bool found = false;

		for (size_t k = 0; k < sizeof(flags) / sizeof(*flags); k++)
			if (!strcmp(flags[k].name, text))
				found = true, all |= flags[k].flag;
		if (!found)
			used += (size_t)snprintf(data + used, size - used, "%s%s", used ? "," : "",
						 text);
	}
	return all;
}

static const char *member(const struct json_at *at, const char *key)
{
	struct json_at v;
	const char *text = json_member(at, key, &v) ? json_peek_string(&v) : NULL;

	return text ? text : "";
}

static void plan_mount(FILE *out, const struct json_at *mount)
{
	const char *type = member(mount, "type"), *to = member(mount, "destination");
	const char *from = member(mount, "source"), *base;
	char data[512], copy[256];
	unsigned long f = split_options(mount, data, sizeof(data));

	if (!strcmp(type, "cgroup")) {
		fprintf(out, "cgroups\t%s\n", to);
	} else if (!strcmp(type, "overlay") || strstr(data, "throwaway")) {
		fprintf(out, "home\t%s\n", to);
	} else if (!strcmp(type, "bind")) {
		/* The sandbox's own files are gone: it was only planned. */
		base = strrchr(from, '/');
		FORMAT(copy, WORK "/files%s", base ? base : from);
		fprintf(out, "bind\t%s\t%s\t%lu\n", !strncmp(from, "/dev/", 5) ? from : copy, to,
			f);
	} else {
		fprintf(out, "fs\t%s\t%s\t%lu\t%s\n", type, to, f, data);
		if (!strcmp(to, "/dev"))
			fprintf(out, "dev\n");
	}
}

static void plan_masks(FILE *out, const struct json_at *linux_part, const char *root)
{
	static const char *const keys[] = {"maskedPaths", "readonlyPaths"};
	struct json_at list;
	char path[4096];
	struct stat st;

	for (int k = 0; k < 2; k++) {
		if (!json_member(linux_part, keys[k], &list))
			continue;
		for (size_t i = 0; i < json_array_len(&list); i++) {
			struct json_at at = json_array_at(&list, i);
			const char *p = json_peek_string(&at);

			/* Of /proc and /sys it sees its own; of the rest what the root has. */
			if (!strncmp(p, "/proc", 5) || !strncmp(p, "/sys", 4))
				FORMAT(path, "%s", p);
			else
				FORMAT(path, "%s%s", root, p);
			if (stat(path, &st) == 0)
				fprintf(out, "%s\t%s\n",
					k                     ? "readonly"
					: S_ISDIR(st.st_mode) ? "maskdir"
							      : "mask",
					p);
		}
	}
}

/* The document is the first thing that --explain prints. */
static struct json *explained(const char *command)
{
	static char text[1 << 20];
	FILE *in = popen(command, "r");
	struct json *doc = NULL;
	struct err e = ERR_INIT;
	size_t n = in ? fread(text, 1, sizeof(text) - 1, in) : 0;
	char *end;

	text[n] = '\0';
	end = strstr(text, "\n}\n");
	if (!in || pclose(in) != 0 || !end ||
	    json_parse(text, (size_t)(end + 2 - text), "plan", &doc, &e) < 0) {
		fprintf(stderr, "bench: %s: %s\n", command, e.text);
		exit(1);
	}
	return doc;
}

/* `first`: the lines that make the root. */
static void write_plan(const char *path, const char *first, const char *command, const char *root)
{
	_cleanup_json_ struct json *doc = explained(command);
	struct json_at top = json_top(doc), list, linux_part;
	FILE *out = fopen(path, "w");

	if (!out)
		die(path);
	fputs(first, out);
	if (json_member(&top, "mounts", &list))
		for (size_t i = 0; i < json_array_len(&list); i++) {
			struct json_at mount = json_array_at(&list, i);

			plan_mount(out, &mount);
		}
	if (json_member(&top, "linux", &linux_part))
		plan_masks(out, &linux_part, root);
	fclose(out);
	chmod(path, 0644);
}

/* In a child, so that our memory stays small. */
static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		exit(0);
	}
	if (waitpid(pid, &status, 0) < 0 || status != 0) {
		errno = 0;
		die("preparation");
	}
}

/* ---- the host's own system, as root -------------------------------------------------------- */

static const char *const bwrap_argv[] = {
	"/usr/bin/bwrap", "--ro-bind", "/",       "/",    "--dev",         "/dev",
	"--proc",         "/proc",     "--tmpfs", "/tmp", "--unshare-all", "--die-with-parent",
	"/usr/bin/true",  NULL};

/* Real file systems below the root, as isolate/rootfs_throwaway.c takes them, are few: ask the kernel. */
static void plan_root(void)
{
	char first[4096] = "", *line = NULL, at[512], type[64];
	FILE *in = fopen("/proc/self/mountinfo", "r");
	size_t size = 0, used;
	bool any = false;

	FORMAT(first, "%sthrowaway\t", world_v2 ? "" : "group\n");
	used = strlen(first);
	while (in && getline(&line, &size, in) > 0) {
		char *dash = strstr(line, " - ");

		if (!dash || sscanf(line, "%*s %*s %*s %*s %511s", at) != 1 ||
		    sscanf(dash, " - %63s", type) != 1 || !strcmp(at, "/") ||
		    !strncmp(at, "/proc", 5) || !strncmp(at, "/sys", 4) ||
		    !strncmp(at, "/dev", 4) || !strncmp(at, "/run", 4))
			continue;
		used += (size_t)snprintf(first + used, sizeof(first) - used, "%s%s",
					 any ? "\t" : "", at);
		any = true;
	}
	if (!any)
		first[used - 1] = '\0';
	strcat(first, "\n");
	free(line);
	if (in)
		fclose(in);
	write_plan(WORK "/plan-root", first,
		   INSULA " --root " STATE " run --rm --rootfs / --explain true", "");
}

static void host_as_root(int rounds)
{
	static const char *const ours[] = {INSULA,     "--root", STATE,  "run", "--rm",
					   "--rootfs", "/",      "true", NULL};
	static const char *const floor[] = {FLOOR, WORK "/plan-root", "true", NULL};
	struct contender v[] = {
		{.name = "insula run", .argv = ours},
		{.name = "bwrap", .argv = bwrap_argv},
		{.name = "floor", .argv = floor},
	};

	in_child(plan_root);
	measure(&(struct setting){.title = "the host's own system, as root", .rounds = rounds}, v,
		3);
	compare(v, 3, "floor", AIM_FLOOR, rounds);
}

/* ---- the same as an ordinary user ------------------------------------------------------------ */

static void make_user(void)
{
	static const char *const none[] = {"/etc/subuid", "/etc/subgid"};

	if (mount("home", "/home", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		die("/home");
	make_dir(USER_HOME, 0700, USER_ID);
	make_dir(WORK "/user", 0700, USER_ID);
	shell("cp /etc/passwd " WORK "/passwd && echo bench:x:4321:4321::" USER_HOME
	      ":/bin/sh >>" WORK "/passwd && mount --bind " WORK "/passwd /etc/passwd");
	put(WORK "/none", "");
	for (size_t i = 0; i < 2; i++)
		if (mount(WORK "/none", none[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			die(none[i]);
}

/* Group 5 (tty) does not exist there. */
static void plan_user(void)
{
	write_plan(WORK "/plan-user", "user\t4321\t4321\nbound\n",
		   "cd " USER_HOME " && setpriv --reuid 4321 --regid 4321 --clear-groups env -i "
		   "HOME=" USER_HOME " USER=bench PATH=/usr/bin:/bin XDG_RUNTIME_DIR=" WORK
		   "/user " INSULA " run --rm --rootfs / --explain true",
		   "");
	shell("sed -i s/,gid=5// " WORK "/plan-user");
}

static void host_as_user(int rounds)
{
	static const char *const ours[] = {INSULA, "run", "--rm", "--rootfs", "/", "true", NULL};
	static const char *const floor[] = {FLOOR, WORK "/plan-user", "true", NULL};
	struct contender v[] = {
		{.name = "insula run", .argv = ours},
		{.name = "bwrap", .argv = bwrap_argv},
		{.name = "floor", .argv = floor},
	};

	for (size_t i = 0; i < 3; i++) {
		v[i].uid = USER_ID;
		v[i].env = user_env;
		v[i].cwd = USER_HOME;
	}
	make_user();
	in_child(plan_user);
	measure(&(struct setting){.title = "the host's own system, as an ordinary user",
				  .rounds = rounds},
		v, 3);
	compare(v, 3, "floor", AIM_FLOOR, rounds);
}

/* ---- an image at hand ------------------------------------------------------------------------- */

#define PODMAN                                                                                     \
	"/usr/bin/podman", "--root", WORK "/podman/root", "--runroot", WORK "/podman/run",         \
		"--tmpdir", WORK "/podman/tmp", "--storage-driver", "overlay", "--cgroup-manager", \
		"cgroupfs", "--events-backend", "file"
#define PODMAN_SHELL                                                                      \
	"podman --root " WORK "/podman/root --runroot " WORK "/podman/run --tmpdir " WORK \
	"/podman/tmp --storage-driver overlay --cgroup-manager cgroupfs --events-backend file "

static bool have_podman(void)
{
	return access("/usr/bin/podman", X_OK) == 0;
}

static void make_image(void)
{
	shell("mkdir -p " WORK "/image/bin " WORK "/image/etc " WORK "/image/dev " WORK
	      "/image/proc " WORK "/image/sys && cp " PROGRAMS "/tests/helpers/nothing " WORK
	      "/image/bin/true && tar -C " WORK "/image -c . >" WORK "/image.tar");
	if (have_podman()) {
		put(WORK "/containers.conf",
		    "[containers]\ndefault_ulimits=[\"nofile=4096:4096\",\"nproc=4096:4096\"]\n"
		    "log_driver=\"k8s-file\"\n");
		setenv("CONTAINERS_CONF", WORK "/containers.conf", 1);
		shell("mkdir -p " WORK "/podman && " PODMAN_SHELL
		      "import -q -c 'CMD=[\"/bin/true\"]' " WORK
		      "/image.tar localhost/bench:1 >/dev/null 2>&1 && " PODMAN_SHELL
		      "save -q --format oci-dir -o " WORK "/layout localhost/bench:1 >/dev/null");
		shell(INSULA " --store " STORE " load -q -i oci:" WORK "/layout >/dev/null");
		shell(INSULA " --store " STORE " --root " STATE " run --rm oci:" WORK "/layout");
		shell(INSULA " --store " STORE " images -q | head -1 | xargs -I ID " INSULA
			     " --store " STORE " tag ID bench:1");
	} else {
		shell(INSULA " --store " STORE " import -c 'CMD=[\"/bin/true\"]' " WORK
			     "/image.tar bench:1 >/dev/null");
	}
}

static void plan_image(void)
{
	char first[1024];

	/* Whatever form the store has given the layer, this is what is in it. */
	FORMAT(first, "%slayers\t%s\t%s\n", world_v2 ? "" : "group\n", WORK "/own", WORK "/image");
	write_plan(WORK "/plan-image", first,
		   INSULA " --root " STATE " --store " STORE
			  " run --rm --explain bench:1 /bin/true",
		   WORK "/image");
}

static void image(int rounds)
{
	static const char *const named[] = {INSULA, "--root", STATE,     "--store", STORE,
					    "run",  "--rm",   "bench:1", NULL};
	static const char *const layout[] = {INSULA, "--root", STATE,  "--store",
					     STORE,  "run",    "--rm", "oci:" WORK "/layout",
					     NULL};
	static const char *const floor[] = {FLOOR, WORK "/plan-image", "/bin/true", NULL};
	static const char *const podman[] = {
		PODMAN, "run", "--rm", "--network", "none", "localhost/bench:1", NULL};
	struct contender v[] =
		{
			{.name = "insula run NAME", .argv = named},
			{.name = "insula run oci:", .argv = layout, .left_out = !have_podman()},
			{.name = "floor", .argv = floor},
		},
			 w[] = {
				 {.name = "insula run NAME", .argv = named},
				 {.name = "podman run", .argv = podman},
			 };

	make_image();
	in_child(plan_image);
	measure(&(struct setting){.title = "an image at hand", .rounds = rounds}, v, 3);
	compare(v, 3, "floor", AIM_FLOOR, rounds);
	rounds = rounds > 4 ? rounds / 4 : 1;
	measure(
		&(struct setting){
			.title = "an image at hand (podman: overlay storage, its own runtime)",
			.rounds = rounds},
		w, 2);
	compare(w, 2, "podman run", AIM_PODMAN, rounds);
}

static int inside(int rounds)
{
	make_dir(PROGRAMS, 0755, 0);
	make_dir(WORK "/files", 0755, 0);
	put(WORK "/files/hostname", "floor\n");
	put(WORK "/files/hosts", "127.0.0.1 localhost\n");
	put(WORK "/files/resolv.conf", "");
	/* The build tree may lie where an ordinary user cannot go. */
	if (mount(tools, PROGRAMS, NULL, MS_BIND | MS_REC, NULL) < 0)
		die(tools);
	host_as_root(rounds);
	image(rounds);
	host_as_user(rounds);
	return 0;
}

int main(int argc, char **argv)
{
	return world_run(inside, rounds_from(argc, argv, 20));
}
