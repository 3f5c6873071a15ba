/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor of a detached sandbox: a small process of its own, parent of the host process. It
 * copies the output to the log and to those who are attached, notes how the sandbox ended, and removes it when it is ephemeral. It is a
 * subreaper, so that what the workload leaves behind is reaped.
 *
 * It begins as a copy of the command that was asked for the sandbox (monitor_start.c), which creates and starts it, and then
 * becomes the program insula-monitor: the heap and the sealed copy of the big program (base/self.h) are let go, which
 * is most of what a monitor would weigh. All it needs is in the descriptors below, the
 * state, and a few words of its environment.
 *
 * If it is killed, the sandbox goes on: what it writes from then on is lost (and a write gets SIGPIPE or EPIPE), and
 * when it ends, nobody learns how.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "log_write.h"
#include "runtime/runtime.h"
#include "sandbox.h"

#define MONITOR_PROGRAM "insula-monitor"

/* What it gets; a missing one is closed. */
enum monitor_fd {
	MONITOR_FD_STATE = 3, /* state directory of the sandbox */
	MONITOR_FD_ROOT,      /* and the one above */
	MONITOR_FD_ATTACH,    /* listening */
	MONITOR_FD_LOG,       /* directory of the log */
	MONITOR_FD_CONSOLE,   /* master of the terminal, or else: */
	MONITOR_FD_IN,        /* the writing end of its standard input, kept open */
	MONITOR_FD_OUT,
	MONITOR_FD_ERR,
	MONITOR_FD_END,
};

/* And in its environment. */
#define MONITOR_ENV_ROOT      "INSULA_MONITOR_ROOT"
#define MONITOR_ENV_ID        "INSULA_MONITOR_ID"
#define MONITOR_ENV_LOG_BYTES "INSULA_MONITOR_LOG_BYTES"
#define MONITOR_ENV_LOG_FILES "INSULA_MONITOR_LOG_FILES"

#define MONITOR_CLIENTS_MAX 64

struct monitor_client {
	int fd;
	bool output;  /* wants it */
	bool held;    /* its next message is input, and there is no room for it */
	uint8_t owes; /* bit n: streams[n] holds a message that it could not take yet */
};

/* One stream of the workload's. The buffer holds a message that is ready to be sent. */
struct monitor_stream {
	int fd;     /* -1: at its end */
	size_t len; /* without the type byte; 0: nothing is held */
	char message[1 + LOG_CHUNK_MAX];
};

struct monitor {
	struct rt_ctx *ctx;
	const char *id;
	struct state_dir dir;
	pid_t host;
	bool ended;
	int wait_status;
	int signal_fd, listen_fd, slave;
	bool is_terminal;
	struct monitor_stream streams[2]; /* stdout or the terminal; stderr */
	int in_fd;                        /* stdin's pipe or the terminal, or -1 */
	size_t in_start, in_end;
	char in[LOG_CHUNK_MAX];
	struct log_writer log;
	int64_t stalled_msec; /* since when somebody holds up the output; 0: nobody does */
	struct monitor_client clients[MONITOR_CLIENTS_MAX];
	size_t n_clients;
};

/* From the descriptors above, to the end of the sandbox. Returns the exit code of the process. */
int monitor_run(struct rt_ctx *ctx, const char *id, uint64_t log_bytes, unsigned log_files);

/* monitor_clients.c */
void monitor_clients_accept(struct monitor *m);
/* Take what a client sent. */
void monitor_client_read(struct monitor *m, size_t i);
/* Forget those that are gone. */
void monitor_clients_sweep(struct monitor *m);
/* Give the message of a stream to everybody who wants output; who cannot take it yet owes it. */
void monitor_stream_offer(struct monitor *m, unsigned stream);
void monitor_client_retry(struct monitor *m, size_t i);
bool monitor_stream_is_owed(const struct monitor *m, unsigned stream);
/* Drop who owes. */
void monitor_drop_stalled(struct monitor *m);
/* Tell the end to everybody, those in the queue too; nobody can connect afterwards. */
void monitor_clients_end(struct monitor *m, int exit_code);

/* monitor_note.c: what it writes into the state, under its lock. */
int monitor_note_end(struct monitor *m, int *ret_exit_code, struct err *e);
void monitor_note_loss(struct monitor *m);

/* delete.c: rt_delete() of exactly the sandbox whose directory this is; whoever has its name by now is left alone. */
int sandbox_delete_exactly(struct rt_ctx *ctx, const struct state_dir *dir, struct err *e);
