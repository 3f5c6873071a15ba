/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What engine and VMM process say to each other: messages of fixed size over a SEQPACKET socket. Both are built
 * together, so a version that differs is a mistake of the installation and told as such. Neither believes
 * the other's lengths; the engine takes nothing that the (possibly conquered) process says for more than text and
 * numbers.
 *
 *	engine                          process
 *	CONFIG -----------------------> enters its jail, builds the machine
 *	                       <------- READY, or FAILED and the end
 *	PAUSE, RESUME, STATS, … ------> one at a time
 *	                       <------- DONE or REFUSED
 *	                       <------- ENDED, whenever it happens
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define CONTROL_VERSION     1u
#define CONTROL_NAME_MAX    136u
#define CONTROL_TAG_MAX     40u
#define CONTROL_PORT_MAX    64u
#define CONTROL_CMDLINE_MAX 2048u
#define CONTROL_TEXT_MAX    512u

enum control_type {
	/* engine → process */
	CONTROL_CONFIG = 1,
	CONTROL_PAUSE,
	CONTROL_RESUME,
	CONTROL_STATS,
	CONTROL_STOP,
	CONTROL_BALLOON, /* value[0]: bytes that the guest is to give back */
	/* process → engine */
	CONTROL_READY = 64,
	CONTROL_DONE, /* STATS: value is exits, port accesses, MMIO accesses, bytes in the balloon */
	CONTROL_REFUSED, /* kind, errnum, text */
	CONTROL_FAILED,  /* the same, before READY */
	CONTROL_ENDED,   /* value[0]: enum machine_end; text */
};

#define CONTROL_VALUES 8

struct control_message {
	uint32_t version, type;
	int32_t kind, errnum; /* of struct err */
	uint64_t value[CONTROL_VALUES];
	char text[CONTROL_TEXT_MAX];
	char hint[CONTROL_TEXT_MAX];
};

/* Optional descriptors and what is wanted. */
enum control_has { CONTROL_HAS_AGENT = 1, CONTROL_HAS_SHARE = 2, CONTROL_HAS_TAP = 4 };

struct control_config {
	uint32_t version, type;
	uint64_t memory_bytes;
	uint32_t vcpus;
	uint32_t entry;                    /* enum kernel_entry_choice */
	uint32_t has;                      /* enum control_has */
	uint32_t n_disks, read_only_disks; /* the latter a bit for each */
	uint8_t mac[6];
	uint8_t reserved[6];
	char name[CONTROL_NAME_MAX];
	char agent_port[CONTROL_PORT_MAX];
	char share_tag[CONTROL_TAG_MAX];
	char cmdline[CONTROL_CMDLINE_MAX];
};

/* -EPROTO with a text that names the field. */
int control_config_check(const struct control_config *c, struct err *e);

/* Send one; a peer that is gone is -EPIPE. */
int control_send(int fd, const void *message, size_t bytes, struct err *e);
/* Receive exactly one of that size and our version, waiting up to timeout_msec (-1: for ever). 1, 0 for the peer's end,
 * -ETIMEDOUT, -EPROTO. Texts are terminated and made printable. */
int control_receive(int fd, struct control_message *ret, int timeout_msec, struct err *e);
int control_receive_config(int fd, struct control_config *ret, struct err *e);

/* A message that carries an error, and back. */
void control_from_error(struct control_message *m, enum control_type type, const struct err *e);
int control_to_error(const struct control_message *m, struct err *e);
