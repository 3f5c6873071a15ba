/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of criu's RPC in their wire form. Internal to this folder. Source: criu, images/rpc.proto; protobuf's encoding. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* criu_req_type */
enum criu_request { CRIU_DUMP = 1, CRIU_RESTORE = 2, CRIU_PRE_DUMP = 4, CRIU_NOTIFY = 6 };

/* Fields of criu_opts that we set. */
enum criu_opt {
	CRIU_IMAGES_DIR_FD = 1,
	CRIU_PID = 2,
	CRIU_LEAVE_RUNNING = 3,
	CRIU_EXT_UNIX_SK = 4,
	CRIU_TCP_ESTABLISHED = 5,
	CRIU_EVASIVE_DEVICES = 6,
	CRIU_SHELL_JOB = 7,
	CRIU_FILE_LOCKS = 8,
	CRIU_LOG_LEVEL = 9,
	CRIU_LOG_FILE = 10,
	CRIU_PAGE_SERVER = 11,
	CRIU_NOTIFY_SCRIPTS = 12,
	CRIU_ROOT = 13,
	CRIU_PARENT_IMG = 14,
	CRIU_TRACK_MEM = 15,
	CRIU_AUTO_DEDUP = 16,
	CRIU_WORK_DIR_FD = 17,
	CRIU_EXT_MNT = 23,
	CRIU_MANAGE_CGROUPS = 24,
	CRIU_CG_ROOT = 25,
	CRIU_RST_SIBLING = 26,
	CRIU_INHERIT_FD = 27,
	CRIU_EXT_MASTERS = 30,
	CRIU_MANAGE_CGROUPS_MODE = 34,
	CRIU_EXTERNAL = 37,
	CRIU_EMPTY_NS = 38,
	CRIU_LSM_PROFILE = 53,
	CRIU_LSM_MOUNT_CONTEXT = 63,
};

/* Append a field; a failed allocation is found by strbuf_take(). */
void wire_number(struct strbuf *b, unsigned field, uint64_t value);
void wire_text(struct strbuf *b, unsigned field, const char *text);
void wire_message(struct strbuf *b, unsigned field, const void *data, size_t len);
/* A message of two: text or number in field 2, as ext_mount_map, cgroup_root, inherit_fd and page_server_info are. */
void wire_text_and_text(struct strbuf *b, unsigned field, const char *first, const char *second);
void wire_text_and_number(struct strbuf *b, unsigned field, const char *first, uint64_t second);

/* criu_resp, what we read of it. */
struct criu_reply {
	uint64_t type;
	bool success;
	int32_t pid; /* of a restore, or of a notification */
	char script[64];
	int32_t error; /* errno */
	char message[256];
};
/* -EBADMSG for anything that is no such message. */
int wire_read_reply(const void *data, size_t len, struct criu_reply *ret);
