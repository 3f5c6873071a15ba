/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: what the first process is and has (config.md, Process, POSIX process, Linux Process, User), and its file
 * descriptors (runtime-linux.md).
 */
#include "suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- scenes ----------------------------------------------------------------------------- */

static const char *const plain[] = {NULL};

static const char *const words[] = {
	"process.args",
	"[\"/inspect\", \"two words\", \"\", \"*\", \"$HOME\", \"\\u00fc\"]",
	"process.env",
	"[\"PATH=/bin\", \"FOO=bar\", \"EQUALS=a=b\", \"EMPTY=\", \"BLANKS=a  b \"]",
	"process.cwd",
	"\"/work\"",
	"hostname",
	"\"oci-host\"",
	"process.noNewPrivileges",
	"true",
	"process.oomScoreAdj",
	"77",
	"process.consoleSize",
	"{\"height\": 10, \"width\": 20}",
	"annotations",
	"{\"com.example.key\": \"value\", \"com.example.empty\": \"\"}",
	NULL,
};

static const char *const by_path[] = {"process.args", "[\"inspect\"]", "process.env",
				      "[\"PATH=/nowhere:/usr/bin\"]", NULL};

static const char *const user[] = {
	"process.user",
	"{\"uid\": 1000, \"gid\": 1001, \"umask\": 63, \"additionalGids\": [5, 1002]}",
	"process.capabilities", "null", NULL};

#define CAPS4 "[\"CAP_KILL\", \"CAP_CHOWN\", \"CAP_NET_BIND_SERVICE\"]"
static const char *const caps[] = {
	"process.capabilities",
	"{\"bounding\": " CAPS4 ", \"permitted\": " CAPS4 ", \"inheritable\": " CAPS4
	", \"effective\": [\"CAP_KILL\", \"CAP_CHOWN\"], \"ambient\": [\"CAP_NET_BIND_SERVICE\"]}",
	"process.user",
	"{\"uid\": 1000, \"gid\": 1000}",
	NULL,
};
static const char *const caps_of_root[] = {
	"process.capabilities",
	"{\"bounding\": " CAPS4 ", \"permitted\": " CAPS4 ", \"effective\": " CAPS4 "}", NULL};
static const char *const caps_empty[] = {"process.capabilities",
					 "{\"bounding\": [], \"permitted\": [], \"inheritable\": "
					 "[], \"effective\": [], \"ambient\": []}",
					 NULL};
static const char *const caps_unknown[] = {"process.capabilities",
					   "{\"bounding\": [\"CAP_KILL\", \"CAP_OF_TOMORROW\"], "
					   "\"permitted\": [\"CAP_KILL\", \"CAP_OF_TOMORROW\"],"
					   " \"effective\": [\"CAP_KILL\", \"CAP_OF_TOMORROW\"]}",
					   NULL};

#define LIMIT(name, soft, hard) \
	"{\"type\": \"RLIMIT_" name "\", \"soft\": " soft ", \"hard\": " hard "}"
/* clang-format off */
static const char *const limits[] = {
	"process.rlimits",
	"["
	LIMIT("AS", "4000000000", "5000000000") ","
	LIMIT("CORE", "10", "20") ","
	LIMIT("CPU", "1000", "2000") ","
	LIMIT("DATA", "3000000000", "3000000001") ","
	LIMIT("FSIZE", "1000000", "2000000") ","
	LIMIT("LOCKS", "11", "12") ","
	LIMIT("MEMLOCK", "4096", "8192") ","
	LIMIT("MSGQUEUE", "1000", "2000") ","
	LIMIT("NICE", "0", "0") ","
	LIMIT("NOFILE", "100", "200") ","
	LIMIT("NPROC", "300", "400") ","
	LIMIT("RSS", "500000000", "600000000") ","
	LIMIT("RTPRIO", "0", "0") ","
	LIMIT("RTTIME", "1000000", "2000000") ","
	LIMIT("SIGPENDING", "50", "60") ","
	LIMIT("STACK", "1000000", "2000000")
	"]",
	NULL,
};
/* clang-format on */

/* ---- what is the caller's --------------------------------------------------------------- */

static void umask_of_the_caller(const struct check *c)
{
	struct box b;

	(void)c;
	umask(027);
	report_want(box_run(&b, NULL), LIST("umask=0027"));
}

static void oom_score_of_the_caller(const struct check *c)
{
	struct box b;

	(void)c;
	put_file("/proc/self/oom_score_adj", "123", 0644);
	report_want(box_run(&b, NULL), LIST("oom_score_adj=123"));
}

static void descriptors_are_not_passed(const struct check *c)
{
	struct box b;

	(void)c;
	dup2(open("/dev/null", O_RDONLY), 5);
	dup2(open("/dev/null", O_RDONLY), 77);
	report_want(box_run(&b, NULL), LIST("fds=0,1,2"));
}

static void put_descriptor(int fd, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/fd-%d", env.dir, fd);
	put_file(path, text, 0644);
	int from = open(path, O_RDONLY);

	if (from != fd && dup2(from, fd) == fd)
		close(from);
}

static void descriptors_asked_for(const struct check *c)
{
	struct box b;

	(void)c;
	put_descriptor(3, "three\n");
	put_descriptor(4, "four\n");
	box_bundle(&b, NULL);
	if (runtime_verb(b.id, LIST("run", "--preserve-fds", "2", "--bundle", b.bundle, b.id)) != 0)
		check_fail("run failed: %s", complaint(b.id));
	report_want(text_of(b.id, "out"), LIST("fds=0,1,2,3,4", "fd3=three", "fd4=four"));
}

static void sockets_to_listen_on(const struct check *c)
{
	struct box b;

	(void)c;
	put_descriptor(3, "three\n");
	setenv("LISTEN_FDS", "1", 1);
	report_want(box_run(&b, NULL), LIST("fds=0,1,2,3", "fd3=three", "env.LISTEN_FDS=1"));
}

static void exit_code_is_passed_on(const struct check *c)
{
	struct box b;

	(void)c;
	box_bundle(&b, LIST("process.args", "[\"/inspect\", \"exit\", \"42\"]"));
	int code = runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id));

	if (code != 42)
		check_fail("run ended with %d", code);
}

static void unknown_capability_warns(const struct check *c)
{
	struct box b;
	char *text;

	box_bundle(&b, c->config ? c->config : caps_unknown);
	if (runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id)) != 0)
		check_fail("run failed: %s", complaint(b.id));
	text = text_of(b.id, "err");
	if (!strstr(text, "CAP_OF_TOMORROW"))
		check_fail("nothing warns of CAP_OF_TOMORROW");
}

static void pid_file(const struct check *c)
{
	struct box b;
	char path[160], *text;

	(void)c;
	box_bundle(&b, NULL);
	snprintf(path, sizeof(path), "%s/pid-file", env.dir);
	if (runtime_verb(b.id, LIST("create", "--pid-file", path, "--bundle", b.bundle, b.id)) != 0)
		check_fail("create failed: %s", complaint(b.id));
	text = slurp("%s", path);
	if (!text || atoi(text) != box_pid(&b))
		check_fail("the file says '%s', the state %d", text ? text : "nothing",
			   box_pid(&b));
}

static const struct check process_checks[] = {
	{"process.args", "StartProcImplement",
	 "each word arrives as it is: blanks, empty ones, signs of a shell, UTF-8", words,
	 LIST("arg0=/inspect", "arg1=two words", "arg2=", "arg3=*", "arg4=$HOME", "arg5=\303\274",
	      "!arg6")},
	{"process.args.path", "ProcArgsOneEntryRequired",
	 "a name without a slash is looked for in PATH of process.env", by_path,
	 LIST("arg0=inspect")},
	{"process.args.empty", "ProcArgsOneEntryRequired", "no words at all are refused",
	 LIST("process.args", "[]"), .refused = true},
	{"process.env", "configProcess",
	 "variables as they are, with '=' and blanks in values, and empty ones", words,
	 LIST("env.FOO=bar", "env.EQUALS=a=b", "env.EMPTY=", "env.BLANKS=a  b ", "env.PATH=/bin")},
	{"process.env.no-more", "configProcess", "nothing of the caller's environment comes in",
	 words, LIST("!env.SUITE", "!env.USER", "!env.PWD")},
	{"process.cwd", "configProcess", "the working directory", words, LIST("cwd=/work")},
	{"process.cwd.relative", "ProcCwdAbs", "a relative one is refused",
	 LIST("process.cwd", "\"work\""), .refused = true},
	{"process.consoleSize.ignored", "ProcConsoleSizeIgnore",
	 "a size without a terminal changes nothing", words, LIST("tty=000")},
	{"process.exit-code", "cli", "run ends with the code of the process",
	 .run = exit_code_is_passed_on},
	{"process.pid-file", "cli", "create --pid-file writes the pid that state shows",
	 .run = pid_file},
	{"process.user.uid", "configPOSIXUser", "real and effective user", user,
	 LIST("uid=1000", "euid=1000")},
	{"process.user.gid", "configPOSIXUser", "real and effective group", user,
	 LIST("gid=1001", "egid=1001")},
	{"process.user.additionalGids", "configPOSIXUser", "both further groups are there", user,
	 LIST("groups~5", "groups~1002")},
	{"process.user.no-other-gids", "configPOSIXUser", "no group of the caller is there", user,
	 LIST("groups!0", "groups!4")},
	{"process.user.umask", "configPOSIXUser", "the mask of the process", user,
	 LIST("umask=0077")},
	{"process.user.umask.absent", "configPOSIXUserUmask",
	 "without one, that of the caller stays (027)", .run = umask_of_the_caller},
	{"process.noNewPrivileges", "configLinuxProcess", "the process has no_new_privs", words,
	 LIST("no_new_privs=1")},
	{"process.noNewPrivileges.absent", "configLinuxProcess", "without it, it has not", plain,
	 LIST("no_new_privs=0")},
	{"process.oomScoreAdj", "LinuxProcOomScoreAdjSet", "its file in /proc has the value", words,
	 LIST("oom_score_adj=77")},
	{"process.oomScoreAdj.absent", "LinuxProcOomScoreAdjNotSet",
	 "without it, that of the caller stays (123)", .run = oom_score_of_the_caller},
	{"process.capabilities.bounding", "configLinuxProcess", "the bounding set is that one",
	 caps, LIST("cap.bounding=CAP_CHOWN,CAP_KILL,CAP_NET_BIND_SERVICE")},
	{"process.capabilities.permitted", "configLinuxProcess",
	 "the permitted set of root is that one", caps_of_root,
	 LIST("cap.permitted=CAP_CHOWN,CAP_KILL,CAP_NET_BIND_SERVICE")},
	{"process.capabilities.effective", "configLinuxProcess",
	 "the effective set of root is that one", caps_of_root,
	 LIST("cap.effective=CAP_CHOWN,CAP_KILL,CAP_NET_BIND_SERVICE")},
	{"process.capabilities.inheritable", "configLinuxProcess",
	 "the inheritable set is that one", caps,
	 LIST("cap.inheritable=CAP_CHOWN,CAP_KILL,CAP_NET_BIND_SERVICE")},
	{"process.capabilities.ambient", "configLinuxProcess", "the ambient set is that one", caps,
	 LIST("cap.ambient=CAP_NET_BIND_SERVICE")},
	{"process.capabilities.ambient.exec", "configLinuxProcess",
	 "of a user without root's number, the program has the ambient ones and no more", caps,
	 LIST("cap.effective=CAP_NET_BIND_SERVICE", "cap.permitted=CAP_NET_BIND_SERVICE")},
	{"process.capabilities.none", "configLinuxProcess", "empty sets: root has none at all",
	 caps_empty,
	 LIST("cap.effective=", "cap.permitted=", "cap.bounding=", "cap.inheritable=",
	      "cap.ambient=")},
	{"process.capabilities.unknown", "LinuxProcCapError",
	 "a name that no kernel knows is no error", caps_unknown,
	 LIST("cap.effective=CAP_KILL", "cap.bounding=CAP_KILL")},
	{"process.capabilities.unknown.warning", "LinuxProcCapError", "and a warning names it",
	 .run = unknown_capability_warns},
	{"process.rlimits.soft", "PosixProcRlimitsSoftMatchCur", "all sixteen: the soft limit",
	 limits,
	 LIST("rlimit.AS.soft=4000000000", "rlimit.CORE.soft=10", "rlimit.CPU.soft=1000",
	      "rlimit.DATA.soft=3000000000", "rlimit.FSIZE.soft=1000000", "rlimit.LOCKS.soft=11",
	      "rlimit.MEMLOCK.soft=4096", "rlimit.MSGQUEUE.soft=1000", "rlimit.NICE.soft=0",
	      "rlimit.NOFILE.soft=100", "rlimit.NPROC.soft=300", "rlimit.RSS.soft=500000000",
	      "rlimit.RTPRIO.soft=0", "rlimit.RTTIME.soft=1000000", "rlimit.SIGPENDING.soft=50",
	      "rlimit.STACK.soft=1000000")},
	{"process.rlimits.hard", "PosixProcRlimitsHardMatchMax", "all sixteen: the hard limit",
	 limits,
	 LIST("rlimit.AS.hard=5000000000", "rlimit.CORE.hard=20", "rlimit.CPU.hard=2000",
	      "rlimit.DATA.hard=3000000001", "rlimit.FSIZE.hard=2000000", "rlimit.LOCKS.hard=12",
	      "rlimit.MEMLOCK.hard=8192", "rlimit.MSGQUEUE.hard=2000", "rlimit.NICE.hard=0",
	      "rlimit.NOFILE.hard=200", "rlimit.NPROC.hard=400", "rlimit.RSS.hard=600000000",
	      "rlimit.RTPRIO.hard=0", "rlimit.RTTIME.hard=2000000", "rlimit.SIGPENDING.hard=60",
	      "rlimit.STACK.hard=2000000")},
	{"process.rlimits.unknown", "PosixProcRlimitsTypeGenError", "an unknown type is refused",
	 LIST("process.rlimits", "[" LIMIT("FLY", "1", "1") "]"), .refused = true},
	{"process.rlimits.twice", "PosixProcRlimitsErrorOnDup", "the same type twice is refused",
	 LIST("process.rlimits", "[" LIMIT("CORE", "1", "1") "," LIMIT("CORE", "1", "1") "]"),
	 .refused = true},
	{"process.fds", "runtimeLinuxFileDescriptors",
	 "0, 1 and 2 alone are open, though the caller has more",
	 .run = descriptors_are_not_passed},
	{"process.fds.preserve", "runtimeLinuxFileDescriptors", "--preserve-fds 2 passes 3 and 4",
	 .run = descriptors_asked_for},
	{"process.fds.listen", "cli", "LISTEN_FDS=1 passes 3, and is said inside",
	 .run = sockets_to_listen_on},
	{"hostname", "configHostname", "the name that processes inside see", words,
	 LIST("hostname=oci-host")},
	{"domainname", "configDomainname", "the domain that processes inside see",
	 LIST("hostname", "\"oci-host\"", "domainname", "\"example.test\""),
	 LIST("domainname=example.test")},
};
CHECKS(process_checks);

/* ---- scheduling ------------------------------------------------------------------------- */

#define WITH(member, value) LIST(member, value)

static void exec_on_processors(const struct check *c)
{
	struct box b;
	char *text;

	(void)c;
	box_started(&b, LIST("process.args", "[\"/inspect\", \"hold\"]", "process.execCPUAffinity",
			     "{\"initial\": \"0\", \"final\": \"0\"}"));
	box_await_line(&b, "ready");
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		check_skip("there is only one processor");
	if (runtime_verb("exec", LIST("exec", b.id, "/bin/sh", "-c",
				      "grep Cpus_allowed_list /proc/self/status")) != 0)
		check_fail("exec failed: %s", complaint("exec"));
	text = text_of("exec", "out");
	if (strcmp(text, "Cpus_allowed_list:\t0\n") != 0)
		check_fail("the process may run on: %s", text);
}

static const struct check scheduling_checks[] = {
	{"process.scheduler.batch", "configLinuxProcess", "SCHED_BATCH with nice 5",
	 WITH("process.scheduler", "{\"policy\": \"SCHED_BATCH\", \"nice\": 5}"),
	 LIST("sched.policy=BATCH", "sched.nice=5")},
	{"process.scheduler.idle", "configLinuxProcess", "SCHED_IDLE",
	 WITH("process.scheduler", "{\"policy\": \"SCHED_IDLE\"}"), LIST("sched.policy=IDLE")},
	{"process.scheduler.other", "configLinuxProcess", "SCHED_OTHER with nice 7",
	 WITH("process.scheduler", "{\"policy\": \"SCHED_OTHER\", \"nice\": 7}"),
	 LIST("sched.policy=OTHER", "sched.nice=7")},
	{"process.scheduler.flags", "configLinuxProcess", "SCHED_FLAG_RESET_ON_FORK",
	 WITH("process.scheduler",
	      "{\"policy\": \"SCHED_BATCH\", \"flags\": [\"SCHED_FLAG_RESET_ON_FORK\"]}"),
	 LIST("sched.policy=BATCH", "sched.flags=0x1")},
	{"process.ioPriority.idle", "configLinuxProcess", "IOPRIO_CLASS_IDLE",
	 WITH("process.ioPriority", "{\"class\": \"IOPRIO_CLASS_IDLE\", \"priority\": 0}"),
	 LIST("ioprio=3:0")},
	{"process.ioPriority.be", "configLinuxProcess", "IOPRIO_CLASS_BE, level 6",
	 WITH("process.ioPriority", "{\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 6}"),
	 LIST("ioprio=2:6")},
	{"process.execCPUAffinity", "configLinuxProcess",
	 "a process of exec is on the final processors", .run = exec_on_processors},
	{"linux.personality", "configLinuxPersonality", "LINUX32: uname tells a 32-bit machine",
	 WITH("linux.personality", "{\"domain\": \"LINUX32\"}"), LIST("personality=0x8")},
	{"linux.personality.linux", "configLinuxPersonality", "LINUX",
	 WITH("linux.personality", "{\"domain\": \"LINUX\"}"), LIST("personality=0")},
	{"linux.memoryPolicy.bind", "configLinuxMemoryPolicy", "MPOL_BIND to node 0",
	 WITH("linux.memoryPolicy", "{\"mode\": \"MPOL_BIND\", \"nodes\": \"0\"}"),
	 LIST("mempolicy=0x2:0x1")},
	{"linux.memoryPolicy.flags", "configLinuxMemoryPolicy",
	 "MPOL_INTERLEAVE with MPOL_F_STATIC_NODES",
	 WITH("linux.memoryPolicy", "{\"mode\": \"MPOL_INTERLEAVE\", \"nodes\": \"0\", \"flags\": "
				    "[\"MPOL_F_STATIC_NODES\"]}"),
	 LIST("mempolicy=0x8003:0x1")},
	{"linux.memoryPolicy.unknown", "configLinuxMemoryPolicy", "an unknown mode is refused",
	 WITH("linux.memoryPolicy", "{\"mode\": \"MPOL_FLY\", \"nodes\": \"0\"}"), .refused = true},
};
CHECKS(scheduling_checks);
