/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planting the fake host, and taking it away.
 */
#include "fake_host.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

#define SHM_KEY 0x1a5b71

/* ---- places --------------------------------------------------------------------------------------- */

/* `copied` ones keep what is there. */
static const struct {
	const char *path, *options;
	bool copied;
} places[] = {
	{"/etc", "mode=755", true},       {"/root", "mode=700", false},
	{"/home", "mode=755", false},     {"/run", "mode=755", false},
	{"/opt", "mode=755", false},      {"/var/spool", "mode=755", false},
	{"/dev/shm", "mode=1777", false},
};

static void place(size_t i, const char *scratch)
{
	expect_result(run(&(struct run_spec){
			      .argv = ARGV("/bin/sh", "-ec",
					   "mkdir -p \"$1\"; mount -n -t tmpfs -o \"$2\" x \"$1\"; "
					   "[ -z \"$3\" ] || cp -a \"$0/.\" \"$1\"; "
					   "mount -n --move \"$1\" \"$0\"",
					   places[i].path, text("%s/%zu", scratch, i),
					   places[i].options, places[i].copied ? "copy" : "")}),
		      0, "", "");
}

static void loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(s >= 0);
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &r), 0);
	close(s);
}

void fake_places(struct world *w)
{
	const char *scratch = text("%s/places", w->dir);
	char program[512];

	assert_int_equal(unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET), 0);
	loopback_up();
	make_tree(scratch);
	/* --move wants a mount point whose parent is not shared. */
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		place(i, scratch);
	make_tree("/tmp/.X11-unix");
	assert_int_equal(mount("x", "/tmp/.X11-unix", "tmpfs", 0, "mode=1777"), 0);
	make_tree("/opt/hostile");
	make_tree("/opt/leak");
	build_path("tests/helpers/hostile-host", program, sizeof(program));
	for (int i = 0; i < 2; i++)
		expect_result(run(&(struct run_spec){
				      .argv = ARGV("/bin/cp", program,
						   i ? "/opt/hostile/setuid" : FAKE_PROGRAM)}),
			      0, "", "");
	assert_int_equal(chmod("/opt/hostile/setuid", 04755), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL), 0);
}

/* The one directory that was made outside of our namespaces, should the machine have had none. */
void fake_places_undo(void)
{
	umount2("/tmp/.X11-unix", MNT_DETACH);
	rmdir("/tmp/.X11-unix");
}

/* ---- secrets ------------------------------------------------------------------------------------------ */

static void fact(struct fake_host *h, const char *name, const char *value)
{
	assert_true(h->n_facts < FAKE_FACTS_MAX);
	assert_true(asprintf(&h->facts[h->n_facts++], "%s=%s", name, value) > 0);
}

static void secret(const struct fake_host *h, const char *dir, const char *name, uid_t owner)
{
	const char *path = text("%s/%s", dir, name);
	char *parent = strdup(path);

	*strrchr(parent, '/') = '\0';
	make_tree(parent);
	write_file(path, text("%s\n", h->mark), 0644);
	/* From the directory on down to the file, all is the owner's. */
	for (char *p = strdup(path); strlen(p) > strlen(dir); *strrchr(p, '/') = '\0')
		assert_int_equal(chown(p, owner, owner), 0);
	free(parent);
}

static const char *const own_secrets[] = {
	".ssh/id_ed25519",
	".gnupg/private-keys-v1.d/one.key",
	".aws/credentials",
	".netrc",
	".Xauthority",
	".config/gh/hosts.yml",
	".docker/config.json",
	".kube/config",
	".mozilla/firefox/x.default/logins.json",
	".local/share/keyrings/login.keyring",
	".git-credentials",
	".bash_history",
};

static void plant_files(struct fake_host *h, const struct user *other)
{
	uid_t uid = h->user ? h->user->uid : 0;
	const char *others_at = other ? other->home_at : "/home/grace";

	for (size_t i = 0; i < sizeof(own_secrets) / sizeof(*own_secrets); i++)
		secret(h, h->home_at, own_secrets[i], uid);
	write_file(text("%s/notes.txt", h->home_at), "ordinary\n", 0644);
	write_file(text("%s/.bashrc", h->home_at), "# mine\n", 0644);
	assert_int_equal(chown(text("%s/notes.txt", h->home_at), uid, uid), 0);
	assert_int_equal(chown(text("%s/.bashrc", h->home_at), uid, uid), 0);
	make_tree(others_at);
	secret(h, others_at, "letters/one.txt", other ? other->uid : 4711);
	/* Modes are not what is to protect it. */
	assert_int_equal(chmod(others_at, 0755), 0);
	if (h->user)
		secret(h, "/root", "plain", 0);
	assert_int_equal(chmod("/root", 0755), 0);
	secret(h, "/etc", "shadow", 0);
	secret(h, "/etc/ssh", "ssh_host_ed25519_key", 0);
	secret(h, "/run", "secrets/token", 0);
	secret(h, "/var/spool", "cron/crontabs/root", 0);
	secret(h, "/dev/shm", "segment", uid);
	secret(h, "/opt/leak", "secret", uid);
	fact(h, "home", h->home);
	fact(h, "ownfile", text("%s/notes.txt", h->home));
	fact(h, "other", other ? other->home : "/home/grace");
	fact(h, "otherfile", text("%s/letters/one.txt", other ? other->home : "/home/grace"));
	fact(h, "setuid", "/opt/hostile/setuid");
}

static void listener(struct fake_host *h, const char *name, const char *at, const char *seen)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(a);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	uid_t uid = h->user ? h->user->uid : 0;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", at);
	if (at[0] == '@') {
		a.sun_path[0] = '\0';
		len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(at));
	} else {
		char *parent = strdup(at);

		*strrchr(parent, '/') = '\0';
		make_tree(parent);
		free(parent);
		unlink(at);
	}
	if (s < 0 || bind(s, (struct sockaddr *)&a, len) < 0 || listen(s, 16) < 0)
		fail_msg("%s: %s", at, strerror(errno));
	if (at[0] != '@') {
		assert_int_equal(chmod(at, 0666), 0);
		assert_int_equal(chown(at, uid, uid), 0);
	}
	assert_true(h->n_sockets < FAKE_SOCKETS);
	snprintf(h->sockets[h->n_sockets].name, sizeof(h->sockets[0].name), "%s", name);
	h->sockets[h->n_sockets++].fd = s;
	fact(h, name, seen);
}

static void plant_port(struct fake_host *h)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(s >= 0 && bind(s, (struct sockaddr *)&a, len) == 0 && listen(s, 16) == 0);
	assert_int_equal(getsockname(s, (struct sockaddr *)&a, &len), 0);
	snprintf(h->sockets[h->n_sockets].name, sizeof(h->sockets[0].name), "port");
	h->sockets[h->n_sockets++].fd = s;
	fact(h, "port", text("%u", ntohs(a.sin_port)));
}

static void plant_sockets(struct fake_host *h)
{
	uid_t uid = h->user ? h->user->uid : 0;
	const char *run = text("/run/user/%u", uid),
		   *ssh = text("%s/ssh-agent/agent.1", h->w->dir); /* below /tmp */
	static const struct {
		const char *name, *below;
	} of_user[] = {{"userbus", "bus"},
		       {"wayland", "wayland-0"},
		       {"pipewire", "pipewire-0"},
		       {"podman", "podman/podman.sock"},
		       {"systemd", "systemd/private"}};
	static const char *const others[][2] = {{"systembus", "/run/dbus/system_bus_socket"},
						{"docker", "/run/docker.sock"},
						{"journal", "/run/systemd/journal/socket"},
						{"x11", "/tmp/.X11-unix/X0"},
						{"abstractx11", "@/tmp/.X11-unix/X0"},
						{"abstractbus", "@/tmp/dbus-hostile"}};

	for (size_t i = 0; i < sizeof(of_user) / sizeof(*of_user); i++)
		listener(h, of_user[i].name, text("%s/%s", run, of_user[i].below),
			 text("%s/%s", run, of_user[i].below));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		listener(h, others[i][0], others[i][1], others[i][1]);
	listener(h, "agent", ssh, ssh);
	listener(h, "gpg", text("%s/.gnupg/S.gpg-agent", h->home_at),
		 text("%s/.gnupg/S.gpg-agent", h->home));
	plant_port(h);
	assert_int_equal(chown(run, uid, uid), 0);
}

static void plant_ipc(struct fake_host *h)
{
	const char *queue = "/insula-hostile";
	void *p;

	h->shm = shmget(SHM_KEY, 4096, IPC_CREAT | 0666);
	p = h->shm < 0 ? (void *)-1 : shmat(h->shm, NULL, 0);
	assert_true(p != (void *)-1);
	strcpy(p, h->mark);
	shmdt(p);
	h->queue = mq_open(queue, O_RDWR | O_CREAT | O_CLOEXEC, 0666, NULL);
	fact(h, "shm", text("%d", h->shm));
	fact(h, "shmkey", text("%d", SHM_KEY));
	fact(h, "queue", queue);
}

/* ---- the process that is a victim ---------------------------------------------------------------------- */

static void start_victim(struct fake_host *h)
{
	int in[2], out[2];
	char line[128] = "", address[32], key[32];
	ssize_t n;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	h->victim = fork();
	assert_true(h->victim >= 0);
	if (h->victim == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		setenv("VICTIM_TOKEN", h->mark, 1);
		if (h->user)
			user_become(h->user, true);
		execl(FAKE_PROGRAM, "hostile-victim", "victim", h->mark, (char *)NULL);
		_exit(126);
	}
	close(in[0]);
	close(out[1]);
	h->to_victim = in[1];
	h->from_victim = out[0];
	n = read(h->from_victim, line, sizeof(line) - 1);
	assert_true(n > 0);
	assert_int_equal(sscanf(line, "%31s %31s", address, key), 2);
	fact(h, "pid", text("%d", (int)h->victim));
	fact(h, "address", address);
	fact(h, "key", strcmp(key, "0") == 0 ? "" : key);
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

void fake_host_open(struct fake_host *h, struct world *w, const struct user *user,
		    const struct user *other)
{
	struct stat st;

	*h = (struct fake_host){.w = w, .user = user, .shm = -1, .queue = -1};
	h->home = user ? user->home : "/root";
	h->home_at = user ? user->home_at : "/root";
	snprintf(h->mark, sizeof(h->mark), "the-secret-mark-%s", w->id);
	fact(h, "mark", h->mark);
	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	fact(h, "netns", text("%lu", (unsigned long)st.st_ino));
	plant_files(h, other);
	plant_sockets(h);
	plant_ipc(h);
	start_victim(h);
	assert_int_equal(gethostname(h->hostname, sizeof(h->hostname) - 1), 0);
}

void fake_host_close(struct fake_host *h)
{
	close(h->to_victim);
	close(h->from_victim);
	if (h->victim > 0 && waitpid(h->victim, NULL, WNOHANG) == 0) {
		kill(h->victim, SIGKILL);
		waitpid(h->victim, NULL, 0);
	}
	for (size_t i = 0; i < h->n_sockets; i++)
		close(h->sockets[i].fd);
	for (size_t i = 0; i < h->n_facts; i++)
		free(h->facts[i]);
	if (h->shm >= 0)
		shmctl(h->shm, IPC_RMID, NULL);
	if (h->queue >= 0)
		mq_close(h->queue);
	mq_unlink("/insula-hostile");
	for (size_t i = 0; i < sizeof(own_secrets) / sizeof(*own_secrets); i++)
		unlink(text("%s/%s", h->home_at, own_secrets[i]));
	free(h->before);
}
