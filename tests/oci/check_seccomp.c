/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of system calls: actions, errors, conditions, architectures, flags (config-linux.md, Seccomp). The calls that
 * are decided about are harmless, and nothing else makes them.
 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILTER(rest) "linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_ALLOW\"" rest "}"
#define RULES(...)   ", \"syscalls\": [" __VA_ARGS__ "]"
#define RULE(names, action, rest) \
	"{\"names\": [" names "], \"action\": \"SCMP_ACT_" action "\"" rest "}"
#define MAX                "\"sched_get_priority_max\""
#define MIN                "\"sched_get_priority_min\""
#define CALL(name, number) "\"call\", \"sched_get_priority_" name "\", \"" number "\""
#define ARGS(...)          "process.args", "[\"/inspect\", " __VA_ARGS__ "]"

/* clang-format off */
static const char *const errors[] = {
	FILTER(RULES(RULE(MAX, "ERRNO", "") "," RULE(MIN, "ERRNO", ", \"errnoRet\": 99") ","
		     RULE("\"getcpu\"", "LOG", ""))),
	ARGS(CALL("max", "0") "," CALL("min", "0") ", \"call\", \"getcpu\", \"0\""),
	NULL,
};

/* What the inspector and the runtimes' last steps need is too much to list: everything but one call fails with 99. */
static const char *const by_default[] = {
	"linux.seccomp",
	"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\", \"SCMP_ARCH_AARCH64\"],"
	" \"syscalls\": [" RULE(MAX "," MIN, "ERRNO", ", \"errnoRet\": 38") "]}",
	ARGS(CALL("max", "0") "," CALL("min", "0")),
	NULL,
};

/* One value that meets the condition, one that does not. */
#define OP(name, value, rest, hit, miss)                                                                            \
	{"linux.seccomp.op." name, "configLinuxSeccomp", "SCMP_CMP_" name ": " hit " meets it, " miss " does not",       \
	 LIST(FILTER(RULES(RULE(MAX, "ERRNO", ", \"errnoRet\": 99, \"args\": [{\"index\": 0, \"value\": " value          \
				", \"op\": \"SCMP_CMP_" name "\"" rest "}]"))),                                      \
	      ARGS(CALL("max", hit) "," CALL("max", miss))),                                                             \
	 LIST("call sched_get_priority_max " hit "=EADDRNOTAVAIL", "call sched_get_priority_max " miss "=EINVAL")}
#define FLAG(name)                                                                                          \
	{"linux.seccomp.flag." name, "configLinuxSeccomp", "SECCOMP_FILTER_FLAG_" name " is taken",              \
	 LIST(FILTER(", \"flags\": [\"SECCOMP_FILTER_FLAG_" name "\"]" RULES(RULE(MAX, "ERRNO", ""))),            \
	      ARGS(CALL("max", "0"))),                                                                         \
	 LIST("call sched_get_priority_max 0=EPERM")}
#define REFUSED(name, requirement, how, filter) \
	{"linux.seccomp." name, requirement, how, LIST("linux.seccomp", filter), .refused = true}
/* clang-format on */

/* The process ends by SIGSYS. */
static void kills(const struct check *c)
{
	struct box b;
	char filter[256];

	snprintf(filter, sizeof(filter),
		 "{\"defaultAction\": \"SCMP_ACT_ALLOW\"" RULES(RULE(MAX, "%s", "")) "}", c->arg);
	box_bundle(&b, LIST("linux.seccomp", filter, ARGS(CALL("max", "0") ", \"exit\", \"0\"")));
	int code = runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id));
	char *text = text_of(b.id, "out");

	if (!strstr(text, "pid="))
		check_fail("run failed (%d): %s", code, complaint(b.id));
	if (strstr(text, "call sched_get_priority_max"))
		check_fail("the process lived on");
	if (code != 128 + 31)
		check_fail("run ended with %d, wanted 159 (SIGSYS)", code);
}

static const struct check seccomp_checks[] = {
	{"linux.seccomp.errno", "configLinuxSeccomp", "SCMP_ACT_ERRNO without a number is EPERM",
	 errors, LIST("call sched_get_priority_max 0=EPERM")},
	{"linux.seccomp.errnoRet", "configLinuxSeccomp", "errnoRet is the number", errors,
	 LIST("call sched_get_priority_min 0=EADDRNOTAVAIL")},
	{"linux.seccomp.log", "configLinuxSeccomp", "SCMP_ACT_LOG lets the call through", errors,
	 LIST("call getcpu 0=ok")},
	{"linux.seccomp.names", "configLinuxSeccomp", "a rule of several names is for each",
	 by_default,
	 LIST("call sched_get_priority_max 0=ENOSYS", "call sched_get_priority_min 0=ENOSYS")},
	{"linux.seccomp.architectures", "configLinuxSeccomp",
	 "a list of architectures, not all of this machine", by_default,
	 LIST("call sched_get_priority_max 0=ENOSYS")},
	{"linux.seccomp.trap", "configLinuxSeccomp", "SCMP_ACT_TRAP: the process gets SIGSYS",
	 LIST(FILTER(RULES(RULE(MAX, "TRAP", ""))), ARGS(CALL("max", "0"))),
	 LIST("call sched_get_priority_max 0=SIGSYS")},
	{"linux.seccomp.trace", "configLinuxSeccomp", "SCMP_ACT_TRACE without a tracer is ENOSYS",
	 LIST(FILTER(RULES(RULE(MAX, "TRACE", ""))), ARGS(CALL("max", "0"))),
	 LIST("call sched_get_priority_max 0=ENOSYS")},
	{"linux.seccomp.kill", "configLinuxSeccomp", "SCMP_ACT_KILL", .run = kills, .arg = "KILL"},
	{"linux.seccomp.kill-process", "configLinuxSeccomp", "SCMP_ACT_KILL_PROCESS", .run = kills,
	 .arg = "KILL_PROCESS"},
	{"linux.seccomp.kill-thread", "configLinuxSeccomp", "SCMP_ACT_KILL_THREAD", .run = kills,
	 .arg = "KILL_THREAD"},
	{"linux.seccomp.empty", "configLinuxSeccomp", "a filter that allows all changes nothing",
	 LIST(FILTER(""), ARGS(CALL("max", "0"))), LIST("call sched_get_priority_max 0=ok")},
	{"linux.seccomp.defaultErrnoRet", "configLinuxSeccomp",
	 "defaultErrnoRet is the number of what no rule names",
	 LIST("linux.seccomp",
	      "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 99, \"syscalls\": "
	      "[" RULE("\"execve\", \"write\", \"exit_group\", \"brk\", \"arch_prctl\", "
		       "\"set_tid_address\", \"set_robust_list\","
		       " \"rseq\", \"prlimit64\", \"readlinkat\", \"readlink\", \"getrandom\", "
		       "\"mprotect\", \"newfstatat\", \"fstat\","
		       " \"prctl\", \"getgroups\", \"umask\", \"getcwd\", \"getuid\", \"geteuid\", "
		       "\"getgid\", \"getegid\", \"getpid\","
		       " \"getppid\", \"getsid\", \"capget\", \"capset\", \"uname\", "
		       "\"personality\", \"openat\", \"open\", \"read\", \"close\","
		       " \"fcntl\", \"pread64\", \"ioctl\", \"mmap\", \"munmap\", "
		       "\"rt_sigaction\", \"rt_sigprocmask\", \"futex\","
		       " \"setgroups\", \"setresuid\", \"setresgid\", \"setuid\", \"setgid\", "
		       "\"setfsuid\", \"setfsgid\", \"chdir\", \"stat\", \"lstat\","
		       " \"lseek\", \"getdents64\", \"tgkill\", \"gettid\", \"nanosleep\", "
		       "\"clock_nanosleep\", \"sched_yield\","
		       " \"epoll_ctl\", \"epoll_pwait\", \"sigaltstack\", \"madvise\", \"dup3\", "
		       "\"dup2\", \"exit\", \"execveat\", \"faccessat\","
		       " \"faccessat2\", \"fstatfs\", \"statfs\", \"fchdir\", \"fchown\", "
		       "\"writev\", \"statx\", \"poll\", \"ppoll\", \"recvfrom\","
		       " \"sendto\", \"recvmsg\", \"sendmsg\", \"setsid\", \"seccomp\", "
		       "\"close_range\", \"keyctl\", \"rt_sigreturn\", \"kill\","
		       " \"restart_syscall\", \"access\", \"wait4\", \"clone\", \"clone3\", "
		       "\"pipe2\", \"mlock\", \"unlinkat\", \"fadvise64\"",
		       "ALLOW", "") "]}",
	      ARGS(CALL("max", "0"))),
	 LIST("call sched_get_priority_max 0=EADDRNOTAVAIL")},
	OP("EQ", "77", "", "77", "78"),
	OP("NE", "77", "", "78", "77"),
	OP("LT", "77", "", "76", "77"),
	OP("LE", "77", "", "77", "78"),
	OP("GT", "77", "", "78", "77"),
	OP("GE", "77", "", "77", "76"),
	OP("MASKED_EQ", "240", ", \"valueTwo\": 32", "47", "63"),
	FLAG("LOG"),
	FLAG("TSYNC"),
	FLAG("SPEC_ALLOW"),
	REFUSED("names.empty", "SeccSyscallsNamesRequired", "a rule without names is refused",
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\"" RULES(RULE("", "ERRNO", "")) "}"),
	REFUSED("action.unknown", "ValidValues", "an unknown action is refused",
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\"" RULES(RULE(MAX, "FLY", "")) "}"),
	REFUSED("default.unknown", "ValidValues", "an unknown default action is refused",
		"{\"defaultAction\": \"SCMP_ACT_FLY\"}"),
	REFUSED("default.missing", "ValidValues", "no default action is refused",
		"{\"syscalls\": []}"),
	REFUSED("arch.unknown", "ValidValues", "an unknown architecture is refused",
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": "
		"[\"SCMP_ARCH_PDP11\"]" RULES(RULE(MAX, "ERRNO", "")) "}"),
	REFUSED("op.unknown", "ValidValues", "an unknown operator is refused",
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\"" RULES(
			RULE(MAX, "ERRNO",
			     ", \"args\": [{\"index\": 0, \"value\": 1, \"op\": "
			     "\"SCMP_CMP_LIKE\"}]")) "}"),
	REFUSED("flag.unknown", "ValidValues", "an unknown flag is refused",
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": "
		"[\"SECCOMP_FILTER_FLAG_FLY\"]" RULES(RULE(MAX, "ERRNO", "")) "}"),
	REFUSED("errnoRet.allow", "configLinuxSeccompErrnoRet",
		"errnoRet with SCMP_ACT_ALLOW is refused",
		"{\"defaultAction\": \"SCMP_ACT_ERRNO\"" RULES(
			RULE(MAX, "ALLOW", ", \"errnoRet\": 5")) "}"),
	REFUSED("defaultErrnoRet.allow", "configLinuxSeccompErrnoRet",
		"defaultErrnoRet with SCMP_ACT_ALLOW is refused",
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 5" RULES(
			RULE(MAX, "ERRNO", "")) "}"),
	REFUSED("listenerMetadata.alone", "configLinuxSeccompListenerMetadata",
		"listenerMetadata without listenerPath is refused",
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerMetadata\": \"x\"" RULES(
			RULE(MAX, "ERRNO", "")) "}"),
};
CHECKS(seccomp_checks);
