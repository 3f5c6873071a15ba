/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-layer as the store uses it: in its jail, by descriptors and reports. What it unpacks into directories, and writes into EROFS
 * images, is compared, file by file with all that stat(2) and extended attributes tell, with what GNU tar, bsdtar and umoci unpack
 * of the same archives. fsck.erofs looks at every image. All mounts are in a namespace of the test's own.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "../../../runtime/image_worker.h"
#include "base/cleanup.h"
#include "base/proc.h"
#include "images/worker.h"
#include "isolate/erofs.h"
#include "scratch_dir.h"

static struct scratch *scratch;
static char program[PATH_MAX];
static bool erofs; /* images, not directories */

/* A shell in the scratch directory. */
static void sh(const char *script)
{
	char *text;

	assert_true(asprintf(&text, "cd %s && export LC_ALL=C && { %s\n} >log 2>&1", scratch->path,
			     script) > 0);
	if (system(text) != 0) {
		fprintf(stderr, "%s\n%s", script, read_file(scratch_path(scratch, 0, "log")) ?: "");
		fail_msg("the fixture's script failed");
	}
	free(text);
}

static int open_in(const char *name, int flags)
{
	int fd = open(scratch_path(scratch, 0, name), flags | O_CLOEXEC, 0600);

	if (fd < 0)
		fail_msg("%s: %s", name, strerror(errno));
	return fd;
}

/* Run a mode with its first descriptors; the report is the last one. */
static int work(const char *mode, const char *arg, int fd0, int fd1, struct img_worker_report *ret)
{
	char *args[] = {"insula-layer", (char *)mode, (char *)arg, NULL};
	int fds[3] = {fd0}, report[2], status, n = 1;
	struct err e = ERR_INIT;
	pid_t pid;
	ssize_t got;

	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	if (fd1 >= 0)
		fds[n++] = fd1;
	fds[n++] = report[1];
	if (image_worker_start_program(program, args, fds, (size_t)n, &pid, &e) < 0)
		fail_msg("%s", e.text);
	close(report[1]);
	memset(ret, 0, sizeof(*ret));
	got = read(report[0], ret, sizeof(*ret));
	assert_int_equal(proc_reap(pid, &status, NULL), 0);
	close(report[0]);
	close(fd0);
	if (fd1 >= 0)
		close(fd1);
	if (got == 0)
		return -1;
	assert_int_equal(got, sizeof(*ret));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ret->error.kind != ERR_NONE);
	return WEXITSTATUS(status);
}

/* The image of a layer, mounted where the directory would be. */
static struct img_worker_report write_image(const char *archive, const char *dir)
{
	struct img_worker_report report;
	struct err e = ERR_INIT;
	char script[128];
	int fd, mnt;

	fd = open_in("image", O_RDWR | O_CREAT | O_TRUNC);
	if (work("erofs", NULL, open_in(archive, O_RDONLY), fd, &report) != 0)
		fail_msg("%s: %s", archive, report.error.text);
	sh("fsck.erofs --extract image");
	snprintf(script, sizeof(script), "mv image %s.image", dir);
	sh(script);
	snprintf(script, sizeof(script), "%s.image", dir);
	fd = open_in(script, O_RDONLY);
	mnt = iso_erofs_mount(fd, &e);
	if (mnt < 0)
		fail_msg("%s", e.text);
	assert_int_equal(move_mount(mnt, "", AT_FDCWD, scratch_path(scratch, 1, dir),
				    MOVE_MOUNT_F_EMPTY_PATH),
			 0);
	close(mnt);
	close(fd);
	return report;
}

/* What extract() made. */
static void drop(const char *dir)
{
	umount2(scratch_path(scratch, 1, dir), MNT_DETACH);
}

static struct img_worker_report extract(const char *archive, const char *dir)
{
	struct img_worker_report report;

	assert_int_equal(mkdir(scratch_path(scratch, 1, dir), 0700), 0);
	if (erofs)
		return write_image(archive, dir);
	if (work("extract", NULL, open_in(archive, O_RDONLY), open_in(dir, O_RDONLY | O_DIRECTORY),
		 &report) != 0)
		fail_msg("%s: %s", archive, report.error.text);
	return report;
}

static void refuse(const char *archive, const char *why)
{
	struct img_worker_report report;

	sh("rm -rf refused refused.image && mkdir refused");
	assert_int_equal(work(erofs ? "erofs" : "extract", NULL, open_in(archive, O_RDONLY),
			      erofs ? open_in("refused.image", O_RDWR | O_CREAT)
				    : open_in("refused", O_RDONLY | O_DIRECTORY),
			      &report),
			 1);
	if (!strstr(report.error.text, why))
		fail_msg("'%s' is not in '%s'", why, report.error.text);
}

/* ---- comparing trees --------------------------------------------------------------------- */

struct same {
	int a, b; /* directories */
	char path[PATH_MAX];
	unsigned files;
	bool loose_dirs; /* sizes and times of directories are an overlay's */
};

#define SAME(what, x, y)                                                              \
	do {                                                                          \
		if ((long long)(x) != (long long)(y))                                 \
			fail_msg("'%s': %s is %lld, ought to be %lld", s->path, what, \
				 (long long)(x), (long long)(y));                     \
	} while (0)

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *d)
{
	return !STREQ(d->d_name, ".") && !STREQ(d->d_name, "..");
}

static void same_xattrs(struct same *s, const char *name)
{
	char path[2][64], lists[2][4096], values[2][4096];
	ssize_t n[2], v[2];

	for (int i = 0; i < 2; i++) {
		int fd = openat(i ? s->b : s->a, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		snprintf(path[i], sizeof(path[i]), "/proc/self/fd/%d", fd);
		n[i] = listxattr(path[i], lists[i], sizeof(lists[i]));
		assert_true(n[i] >= 0);
	}
	/* An overlay's order may be another. */
	SAME("length of the list of extended attributes", n[0], n[1]);
	for (const char *x = lists[1]; x < lists[1] + n[1]; x += strlen(x) + 1) {
		for (int i = 0; i < 2; i++)
			v[i] = getxattr(path[i], x, values[i], sizeof(values[i]));
		SAME(x, v[0], v[1]);
		if (memcmp(values[0], values[1], (size_t)v[1]) != 0)
			fail_msg("'%s': another value of %s", s->path, x);
	}
	close(atoi(path[0] + strlen("/proc/self/fd/")));
	close(atoi(path[1] + strlen("/proc/self/fd/")));
}

static void same_content(struct same *s, const char *name)
{
	static char buf[2][1 << 16];
	int a = openat(s->a, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int b = openat(s->b, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = 1;

	assert_true(a >= 0 && b >= 0);
	while (n > 0) {
		n = read(a, buf[0], sizeof(buf[0]));
		assert_int_equal(n, read(b, buf[1], sizeof(buf[1])));
		assert_true(n >= 0);
		if (memcmp(buf[0], buf[1], (size_t)n) != 0)
			fail_msg("'%s': another content", s->path);
	}
	close(a);
	close(b);
}

static void same_entry(struct same *s, const char *name);

static void same_directory(struct same *s, int a, int b)
{
	struct same below = *s;
	struct dirent **list[2];
	size_t len = strlen(s->path);
	int n[2];

	n[0] = scandirat(a, ".", &list[0], not_dots, by_name);
	n[1] = scandirat(b, ".", &list[1], not_dots, by_name);
	for (int i = 0; i < n[0] && i < n[1]; i++)
		if (!STREQ(list[0][i]->d_name, list[1][i]->d_name))
			fail_msg("in '%s': '%s' where '%s' ought to be", s->path,
				 list[0][i]->d_name, list[1][i]->d_name);
	SAME("the number of entries", n[0], n[1]);
	below.a = a;
	below.b = b;
	for (int i = 0; i < n[0]; i++) {
		snprintf(below.path + len, sizeof(below.path) - len, "/%s", list[0][i]->d_name);
		same_entry(&below, list[0][i]->d_name);
		free(list[0][i]);
		free(list[1][i]);
	}
	free(list[0]);
	free(list[1]);
	s->files = below.files;
}

static void same_entry(struct same *s, const char *name)
{
	char to[2][PATH_MAX] = {"", ""};
	struct stat x, y;

	assert_int_equal(fstatat(s->a, name, &x, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(fstatat(s->b, name, &y, AT_SYMLINK_NOFOLLOW), 0);
	s->files++;
	SAME("mode", x.st_mode, y.st_mode);
	SAME("owner", x.st_uid, y.st_uid);
	SAME("group", x.st_gid, y.st_gid);
	if (!S_ISDIR(x.st_mode) || !s->loose_dirs) {
		SAME("time", x.st_mtim.tv_sec, y.st_mtim.tv_sec);
		SAME("nanoseconds", x.st_mtim.tv_nsec, y.st_mtim.tv_nsec);
	}
	SAME("device", x.st_rdev, y.st_rdev);
	same_xattrs(s, name);
	if (S_ISDIR(x.st_mode)) {
		int a = openat(s->a, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int b = openat(s->b, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		same_directory(s, a, b);
		close(a);
		close(b);
		return;
	}
	SAME("number of names", x.st_nlink, y.st_nlink);
	SAME("size", x.st_size, y.st_size);
	if (S_ISLNK(x.st_mode)) {
		assert_true(readlinkat(s->a, name, to[0], PATH_MAX - 1) >= 0);
		assert_true(readlinkat(s->b, name, to[1], PATH_MAX - 1) >= 0);
		assert_string_equal(to[0], to[1]);
	} else if (S_ISREG(x.st_mode)) {
		same_content(s, name);
	}
}

static unsigned same_trees(const char *got, const char *want, bool loose_dirs)
{
	struct same s = {.loose_dirs = loose_dirs};
	int a = open_in(got, O_RDONLY | O_DIRECTORY), b = open_in(want, O_RDONLY | O_DIRECTORY);

	same_directory(&s, a, b);
	close(a);
	close(b);
	return s.files;
}

/* ---- what others unpack ------------------------------------------------------------------ */

/* One of each thing that a root file system has. */
static const char make_tree[] =
	"mkdir -p tree/bin tree/etc tree/empty tree/sticky tree/deep/er/and/deeper\n"
	"cp /bin/busybox tree/bin/ && chroot tree /bin/busybox --install -s /bin\n"
	"for i in $(seq 50); do ln tree/bin/busybox tree/bin/hard$i; done\n"
	"cp -a /usr/share/doc/apt /usr/share/zoneinfo/Europe tree/etc/\n"
	"echo content > \"tree/$(printf 'not\\377utf8\\376')\"\n"
	"echo long > tree/deep/er/$(printf 'n%.0s' $(seq 250))\n"
	"ln -s $(printf 'target/%.0s' $(seq 60)) tree/deep/longlink\n"
	"mkdir -p tree/deep/$(printf 'd%.0s' $(seq 120))/$(printf 'e%.0s' $(seq 120))\n"
	"echo x > tree/deep/$(printf 'd%.0s' $(seq 120))/$(printf 'e%.0s' $(seq 120))/f\n"
	"echo dangling > tree/a && ln -s ../../nowhere tree/dangling && ln tree/dangling "
	"tree/dangling2\n"
	"truncate -s 5M tree/holes && echo end >> tree/holes && truncate -s 9M tree/holes\n"
	"mkfifo -m 620 tree/fifo\n"
	"echo s > tree/suid && chown 12:34 tree/suid && chmod 6755 tree/suid\n"
	"chown 65534:1000000 tree/a && chown -h 77:78 tree/dangling\n"
	"chmod 1777 tree/sticky && chown 5:6 tree/sticky && chmod 2750 tree/empty && chmod 0 "
	"tree/etc/Europe/Paris\n"
	"touch -d '2001-02-03 04:05:06.123456789' tree/a tree/deep tree/empty\n"
	"touch -h -d '1999-01-01 00:00:00.5' tree/dangling\n"
	"touch -d '1969-12-31 23:59:58.25' tree/suid\n";

static void set_xattrs(void)
{
	static const char cap[20] = {1, 0, 0, 2, 0, 4};

	assert_int_equal(setxattr(scratch_path(scratch, 0, "tree/a"), "user.one", "1", 1, 0), 0);
	assert_int_equal(
		setxattr(scratch_path(scratch, 0, "tree/deep"), "user.two", "a\0=\n", 4, 0), 0);
	assert_int_equal(setxattr(scratch_path(scratch, 0, "tree/bin/busybox"),
				  "security.capability", cap, sizeof(cap), 0),
			 0);
}

static void as_others(void **state)
{
	/* What an archive's format cannot hold, the other program does not unpack either. */
	static const struct {
		const char *make, *unpack;
	} rows[] = {
		{"tar -C tree --format=gnu -S -cf a .", "tar -C want -xpf a"},
		{"tar -C tree --format=ustar --exclude=holes --exclude='d*' --exclude=a "
		 "--exclude=suid -czf a .",
		 "tar -C want -xpzf a"},
		{"tar -C tree --format=pax --xattrs --xattrs-include='*' -cf - . | zstd -q > a",
		 "zstd -dqc a | tar -C want --xattrs --xattrs-include='*' -xpf -"},
		{"tar -C tree --format=pax --sparse-version=0.0 -S -cf a .", "tar -C want -xpf a"},
		{"tar -C tree --format=pax --sparse-version=0.1 -S -cf a .", "tar -C want -xpf a"},
		{"tar -C tree --format=pax --sparse-version=1.0 -S -cf a .", "tar -C want -xpf a"},
		/* bsdtar writes times before 1970 with decimals that POSIX understands differently. */
		{"bsdtar -C tree --format=pax --xattrs --exclude ./suid -czf a .",
		 "bsdtar -C want --xattrs -xpf a"},
		{"bsdtar -C tree --format=gnutar -cf a .", "bsdtar -C want -xpf a"},
	};
	struct img_worker_report report;
	char want[128];

	(void)state;
	sh(make_tree);
	set_xattrs();
	/* What a directory cannot have. */
	if (erofs)
		sh("mknod -m 600 tree/disk b 259 1048574; mknod -m 666 tree/null c 1 3");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		FILE *p;

		sh(rows[i].make);
		sh("mkdir want");
		sh(rows[i].unpack);
		report = extract("a", "got");
		print_message("%s: %u files\n", rows[i].make, same_trees("got", "want", false));
		assert_string_equal(report.note, "");
		/* the digest of the plain tar, whatever it is packed in */
		sh("{ gzip -dc a 2>/dev/null || zstd -dqc a 2>/dev/null || cat a; } > plain\n"
		   "sha256sum < plain | sed 's/^/sha256:/; s/ .*//' > sum");
		p = fopen(scratch_path(scratch, 0, "sum"), "r");
		assert_non_null(p);
		assert_int_equal(fscanf(p, "%127s", want), 1);
		fclose(p);
		assert_string_equal(report.diff_id, want);
		drop("got");
		sh("rm -rf got want a");
	}
}

static void sparse_stays_sparse(void **state)
{
	struct stat st;

	(void)state;
	sh("mkdir tree && truncate -s 100M tree/f && tar -C tree -S -cf a .");
	extract("a", "got");
	assert_int_equal(stat(scratch_path(scratch, 0, "got/f"), &st), 0);
	assert_int_equal(st.st_size, 100 << 20);
	assert_true(st.st_blocks < 64);
}

/* Two layers, the upper one with whiteouts wherever they can stand, under an overlay as a sandbox has it. */
static void as_umoci(void **state)
{
	char options[512];

	(void)state;
	sh("mkdir -p tree/d/sub tree/gone tree/opaque/x tree/last tree/mixed\n"
	   "for f in d/sub/a d/b gone/c opaque/x/y opaque/z last/l mixed/m file tofile todir; do "
	   "echo $f > tree/$f; done\n"
	   "rm tree/todir && mkdir tree/todir && echo in > tree/todir/in\n"
	   "chown -R 10:20 tree && chmod 700 tree/d\n"
	   "tar -C tree -czf one .\n"
	   "mkdir -p up/d up/opaque up/last up/mixed up/tofile\n"
	   "touch up/.wh.gone up/d/.wh.b up/opaque/.wh..wh..opq up/.wh.file up/last/.wh..wh..opq\n"
	   "echo new > up/opaque/new; echo new > up/last/new; echo new > up/mixed/new; echo f > "
	   "up/todir; echo i > up/tofile/i\n"
	   /* the mark of one directory first, of the other last; directories that no entry tells of have no owner of
	      theirs to compare */
	   "cd up && tar --no-recursion -czf ../two opaque/.wh..wh..opq opaque/new last/new "
	   "last/.wh..wh..opq d d/.wh.b "
	   ".wh.gone .wh.file mixed mixed/new todir tofile tofile/i opaque last && cd ..\n"
	   "umoci init --layout oci && umoci new --image oci:x\n"
	   "gzip -dc one > one.tar && gzip -dc two > two.tar\n"
	   "umoci raw add-layer --image oci:x one.tar && umoci raw add-layer --image oci:x "
	   "two.tar\n"
	   "umoci unpack --image oci:x bundle\n"
	   "mkdir merged");
	extract("one", "lower");
	extract("two", "upper");
	snprintf(options, sizeof(options), "userxattr,lowerdir=%s/upper:%s/lower", scratch->path,
		 scratch->path);
	assert_int_equal(
		mount("overlay", scratch_path(scratch, 0, "merged"), "overlay", MS_RDONLY, options),
		0);
	print_message("%u files\n", same_trees("merged", "bundle/rootfs", true));
	assert_int_equal(umount(scratch_path(scratch, 0, "merged")), 0);
	drop("lower");
	drop("upper");
}

/* ---- reports ----------------------------------------------------------------------------- */

static void refusals(void **state)
{
	(void)state;
	sh("mkdir tree && echo x > tree/f && tar -C tree -czf good .");
	sh("{ cat good; echo garbage; } > a");
	refuse("a", "bytes behind the end of the gzip stream");
	sh("{ cat good; head -c 100 /dev/zero; } > a");
	refuse("a", "bytes behind the end of the gzip stream");
	sh("head -c $(($(stat -c %s good) - 5)) good > a");
	refuse("a", "the gzip stream ends in the middle");
	sh("{ head -c $(($(stat -c %s good) - 8)) good; printf 'abcdefgh'; } > a");
	refuse("a", "the gzip checksum is wrong");
	sh("tar -C tree -cf - . | zstd -q > good.zst; head -c $(($(stat -c %s good.zst) - 5)) "
	   "good.zst > a");
	refuse("a", "the zstd stream ends in the middle");
	sh("{ cat good.zst; echo garbage; } > a");
	refuse("a", "zstd");
	sh("tar -C tree -cJf a .");
	refuse("a", "xz compression");
	sh(": > a");
	refuse("a", "the input is empty");
	sh("head -c 4096 /dev/urandom | tr '\\37\\50\\102\\375\\4\\120' x > a");
	refuse("a", "not a tar");
	/* the way out, and what it would lead to */
	sh("mkdir t2 && cd t2 && ln -s /etc way && tar -cf ../a way && rm way && mkdir way && echo "
	   "x > way/new-file && "
	   "tar -rf ../a way/new-file");
	refuse("a", "'way/new-file': it lies in 'way', which is a symlink of this layer");
	assert_int_equal(access("/etc/new-file", F_OK), -1);
	/* more than 1 GiB of zeros in some KiB */
	sh("head -c 1200M /dev/zero | zstd -q > bomb");
	refuse("bomb", "times as much");
}

/* Members follow each other as pigz and others write them. */
static void members(void **state)
{
	(void)state;
	sh("mkdir tree && head -c 3000000 /dev/urandom > tree/f && tar -C tree --format=pax -cf "
	   "plain .\n"
	   "{ head -c 1000 plain | gzip; head -c 1000001 plain | tail -c +1001 | gzip -9; tail -c "
	   "+1000002 plain | gzip; } > a\n"
	   "{ head -c 1000 plain | zstd -q; printf '\\120\\52\\115\\30\\003\\0\\0\\0abc'; tail -c "
	   "+1001 plain | zstd -q; } > b");
	extract("a", "got");
	extract("b", "got2");
	/* the root's own time differs: it was not in the directory that tar looked at */
	assert_int_equal(same_trees("got", "tree", false), 1);
	assert_int_equal(same_trees("got2", "tree", false), 1);
	drop("got");
	drop("got2");
}

static void list_inflate_remove(void **state)
{
	struct img_worker_report report;
	char text[512];
	ssize_t n;
	int fd;

	(void)state;
	sh("mkdir -p tree/d && echo hello > tree/d/f && ln -s d/f tree/l && ln tree/d/f "
	   "tree/zhard\n"
	   "cd tree && tar -cf ../a ./d/f l zhard d && cd .. && gzip -k a");
	assert_int_equal(work("list", NULL, open_in("a", O_RDONLY),
			      open_in("records", O_WRONLY | O_CREAT), &report),
			 0);
	fd = open_in("records", O_RDONLY);
	n = read(fd, text, sizeof(text));
	close(fd);
	/* `d` comes with d/f once more, as a hard link to the first */
	assert_true(n > 41);
	assert_memory_equal(
		text, "f\000512\0006\0d/f\0\0s\0000\0000\0l\0d/f\0h\0000\0000\0zhard\0./d/f\0", 41);
	assert_int_equal(work("inflate", NULL, open_in("a.gz", O_RDONLY),
			      open_in("plain", O_WRONLY | O_CREAT), &report),
			 0);
	sh("cmp plain a");
	assert_int_equal(work("inflate", NULL, open_in("a", O_RDONLY),
			      open_in("plain", O_WRONLY | O_CREAT), &report),
			 1);
	assert_non_null(strstr(report.error.text, "neither gzip nor zstd"));
	sh("mkdir p && mv tree p/ && chmod 0 p/tree/d && chown 4:4 p/tree/d && ln -s /etc "
	   "p/tree/etc");
	assert_int_equal(work("remove", "tree", open_in("p", O_RDONLY | O_DIRECTORY), -1, &report),
			 0);
	sh("rmdir p");
	/* without a report */
	assert_int_equal(work("other", NULL, open_in("a", O_RDONLY), -1, &report), -1);
}

/* An ordinary user without subordinate ids: all is his, which is told, and he can be rid of it. */
#define NOBODY 65534
static void as_user(void **state)
{
	struct img_worker_report report;
	struct stat st;
	int status;
	pid_t pid;

	(void)state;
	sh("mkdir tree user && echo x > tree/f && echo y > tree/g && chown 1000:1000 tree/f && "
	   "chmod 4711 tree/f\n"
	   "tar -C tree -cf a . && chown 65534:65534 user && chmod 755 . && chmod 644 a");
	pid = fork_tied();
	if (pid == 0) {
		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(3);
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		if (access(program, X_OK) < 0)
			_exit(2);
		report = extract("a", "user/layer");
		if (report.owners_left != 1 || !strstr(report.note, "subordinate ids"))
			_exit(4);
		_exit(0);
	}
	assert_int_equal(proc_reap(pid, &status, NULL), 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
		print_message("the build directory is not open to other users\n");
		skip();
	}
	assert_int_equal(status, 0);
	assert_int_equal(lstat(scratch_path(scratch, 0, "user/layer/f"), &st), 0);
	assert_int_equal(st.st_uid, NOBODY);
	assert_int_equal(st.st_mode, S_IFREG | 04711);
	sh("cmp tree/g user/layer/g");
}

static int make(void **state)
{
	(void)state;
	limit_time(300);
	scratch = scratch_new();
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	drop("got"); /* of a test that failed */
	drop("got2");
	drop("merged");
	drop("lower");
	drop("upper");
	scratch_free(scratch);
	return 0;
}

static bool erofs_is_missing(void)
{
	int fd = fsopen("erofs", FSOPEN_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refusals, make, unmake),
		cmocka_unit_test_setup_teardown(members, make, unmake),
		cmocka_unit_test_setup_teardown(list_inflate_remove, make, unmake),
		cmocka_unit_test_setup_teardown(sparse_stays_sparse, make, unmake),
		cmocka_unit_test_setup_teardown(as_others, make, unmake),
		cmocka_unit_test_setup_teardown(as_user, make, unmake),
		cmocka_unit_test_setup_teardown(as_umoci, make, unmake),
	};
	const struct CMUnitTest images[] = {
		cmocka_unit_test_setup_teardown(refusals, make, unmake),
		cmocka_unit_test_setup_teardown(members, make, unmake),
		cmocka_unit_test_setup_teardown(as_others, make, unmake),
		cmocka_unit_test_setup_teardown(as_umoci, make, unmake),
	};
	int failed;
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 64);

	/* BUILD/tests/unit/runtime/test_image_worker */
	for (int i = 0; n > 0 && i < 4; i++)
		while (n > 0 && program[--n] != '/')
			;
	strcpy(program + n, "/insula-layer");
	umask(022);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("a mount namespace");
		return 1;
	}
	failed = cmocka_run_group_tests_name("directories", tests, NULL, NULL);
	if (erofs_is_missing()) {
		print_message("# skipped: images: the kernel has no EROFS\n");
		return failed;
	}
	erofs = true;
	return failed + cmocka_run_group_tests_name("images", images, NULL, NULL);
}
