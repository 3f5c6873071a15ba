/* SPDX-License-Identifier: Apache-2.0 */
/* Filters that hand system calls to an agent: a small agent that answers mkdir(2) itself and lets the rest go on. */
#include "box.h"

#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define ANSWER ENOMSG /* of mkdir; nothing else gives it */

/* ---- the agent (a process of its own) --------------------------------------------------------- */

static int take_descriptor(int socket, char *text, size_t size)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {text, size - 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fd;

	if (n <= 0 || !c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	text[n] = '\0';
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static _Noreturn void be_agent(int socket, int report_fd)
{
	char text[512];
	int fd = take_descriptor(socket, text, sizeof(text)), mkdirs = 0, others = 0;

	if (fd < 0)
		_exit(1);
	for (;;) {
		struct seccomp_notif req = {0};
		struct seccomp_notif_resp resp = {0};
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, -1) < 0 || (p.revents & POLLHUP))
			break;
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
			continue;
		resp.id = req.id;
		if (req.data.nr == SYS_mkdirat
#ifdef SYS_mkdir
		    || req.data.nr == SYS_mkdir
#endif
		) {
			resp.error = -ANSWER;
			mkdirs++;
		} else {
			resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
			others++;
		}
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
	}
	dprintf(report_fd, "%s|%d|%s", text, mkdirs, others ? "others" : "no others");
	_exit(0);
}

struct agent {
	pid_t pid;
	int report_fd, message_fd;
	struct iso_notify notify;
	char report[600];
};

static int fill(void *arg, pid_t pid, int message_fd, struct err *e)
{
	(void)arg;
	(void)e;
	dprintf(message_fd, "state of %s", pid > 0 ? "somebody" : "nobody");
	return 0;
}

static void agent_start(struct agent *a, bool alive)
{
	int pair[2], report[2];

	box_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "sockets");
	box_must(pipe2(report, O_CLOEXEC) == 0, "pipe");
	a->pid = -1;
	if (alive) {
		a->pid = fork();
		if (a->pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(pair[0]);
			be_agent(pair[1], report[1]);
		}
	}
	close(pair[1]);
	close(report[1]);
	a->report_fd = report[0];
	a->message_fd = memfd_create("message", MFD_CLOEXEC);
	a->notify =
		(struct iso_notify){.socket = pair[0], .message_fd = a->message_fd, .fill = fill};
}

/* Its end comes when nobody is left under the filter. */
static void agent_end(struct agent *a)
{
	int status;

	close(a->notify.socket);
	close(a->message_fd);
	drain(a->report_fd, a->report, sizeof(a->report));
	close(a->report_fd);
	if (a->pid > 0)
		assert_int_equal(waitpid(a->pid, &status, 0), a->pid);
}

/* ---- filters ---------------------------------------------------------------------------------- */

static int compile(const char *const *calls, const char *default_action, bool listener,
		   struct iso_bpf *ret, struct err *e)
{
	char *names[16] = {0};
	struct iso_seccomp_rule rule = {.names = names};
	struct iso_seccomp s = {.present = true, .rules = &rule, .n_rules = 1};

	for (size_t i = 0; calls[i]; i++)
		names[i] = (char *)calls[i];
	assert_int_equal(iso_seccomp_action_parse("SCMP_ACT_NOTIFY", &rule.action), 0);
	assert_int_equal(iso_seccomp_action_parse(default_action, &s.default_action), 0);
	s.listener_path = listener ? (char *)"/x" : NULL;
	return iso_seccomp_compile(&s, ret, e);
}

static const char *const usual[] = {"mkdir", "mkdirat", NULL};
/* Nearly all that lies between the filter and the exec, and the exec. */
static const char *const many[] = {"mkdir",     "mkdirat",   "wait4",  "waitid",
				   "setresuid", "setresgid", "capset", "setgroups",
				   "execve",    "sendmsg",   "prctl",  NULL};

static void with_box(const char *const *calls, bool no_new_privileges, uint32_t uid)
{
	_cleanup_(iso_bpf_done) struct iso_bpf bpf = {0};
	_cleanup_box_ struct box b;
	struct agent a;

	box_init(&b);
	if (compile(calls, "SCMP_ACT_ALLOW", true, &bpf, &b.e) < 0)
		fail_msg("%s", b.e.text);
	agent_start(&a, true);
	b.params.bpf = &bpf;
	b.params.notify = &a.notify;
	b.p.no_new_privileges = no_new_privileges;
	b.p.user.uid = b.p.user.gid = uid;
	box_args(&b.p, "sh", "-c",
		 "mkdir /tmp/x 2>&1; test ! -d /tmp/x && echo none; "
		 "for p in /proc/[0-9]*; do echo process; done",
		 NULL);
	box_run_ok(&b);
	close(b.out_fd);
	b.out_fd = -1;
	/* One process: the helper was reaped. */
	assert_string_equal(b.out,
			    "mkdir: can't create directory '/tmp/x': No message of desired type\n"
			    "none\nprocess\n");
	agent_end(&a);
	assert_contains(a.report, "state of somebody|1|");
	assert_contains(a.report, calls == many ? "|others" : "|no others");
}

static void an_agent_answers(void **state)
{
	(void)state;
	with_box(usual, true, 0);
	with_box(usual, false, 0);
	with_box(usual, true, 1000);
}

static void even_our_own_last_calls(void **state)
{
	(void)state;
	with_box(many, true, 0);
	with_box(many, false, 1000);
}

static void an_agent_that_is_gone(void **state)
{
	_cleanup_(iso_bpf_done) struct iso_bpf bpf = {0};
	_cleanup_box_ struct box b;
	struct agent a;

	(void)state;
	box_init(&b);
	assert_int_equal(compile(usual, "SCMP_ACT_ALLOW", true, &bpf, &b.e), 0);
	agent_start(&a, false);
	b.params.bpf = &bpf;
	b.params.notify = &a.notify;
	b.p.no_new_privileges = true;
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -ENOTCONN);
	assert_contains(b.e.text, "agent of seccomp.listenerPath");
	assert_contains(b.e.hint, "until the start");
	agent_end(&a);
}

static void refusals(void **state)
{
	static const char *const with_write[] = {"mkdir", "write", NULL};
	struct iso_bpf bpf;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(compile(with_write, "SCMP_ACT_ALLOW", true, &bpf, &e), -ENOTSUP);
	assert_contains(e.text, "seccomp.syscalls[0]: SCMP_ACT_NOTIFY for 'write'");
	assert_int_equal(compile(usual, "SCMP_ACT_NOTIFY", true, &bpf, &e), -ENOTSUP);
	assert_contains(e.text, "seccomp.defaultAction");
	err_clear(&e);
	assert_int_equal(compile(usual, "SCMP_ACT_ALLOW", false, &bpf, &e), -EINVAL);
	assert_contains(e.hint, "listenerPath");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_answers),
		cmocka_unit_test(even_our_own_last_calls),
		cmocka_unit_test(an_agent_that_is_gone),
		cmocka_unit_test(refusals),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	box_prepare_tree();
	return cmocka_run_group_tests(tests, NULL, no_children_left);
}
