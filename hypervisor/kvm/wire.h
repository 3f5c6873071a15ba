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

#define WIRE_VERSION     1u
#define WIRE_NAME_MAX    136u
#define WIRE_TAG_MAX     40u
#define WIRE_PORT_MAX    64u
#define WIRE_CMDLINE_MAX 2048u
#define WIRE_TEXT_MAX    512u

enum wire_type {
	/* engine → process */
	WIRE_CONFIG = 1,
	WIRE_PAUSE,
	WIRE_RESUME,
	WIRE_STATS,
	WIRE_STOP,
	WIRE_BALLOON, /* value[0]: bytes that the guest is to give back */
	/* process → engine */
	WIRE_READY = 64,
	WIRE_DONE,    /* STATS: value is by enum wire_stat */
	WIRE_REFUSED, /* kind, errnum, text */
	WIRE_FAILED,  /* the same, before READY */
	WIRE_ENDED,   /* value[0]: enum machine_end; text */
};

#define WIRE_VALUES 16

enum wire_stat {
	WIRE_STAT_EXITS,
	WIRE_STAT_PORTS,
	WIRE_STAT_MMIO,
	WIRE_STAT_BALLOON, /* bytes */
	WIRE_STAT_ANSWERS, /* of the guest */
	WIRE_STAT_KNOWN,   /* a bit per enum vm_guest_stat */
	WIRE_STAT_GUEST,   /* the first of VM_GUEST_STATS */
};

struct wire_message {
	uint32_t version, type;
	int32_t kind, errnum; /* of struct err */
	uint64_t value[WIRE_VALUES];
	char text[WIRE_TEXT_MAX];
	char hint[WIRE_TEXT_MAX];
};

/* Optional descriptors and what is wanted. */
enum wire_has {
	WIRE_HAS_AGENT = 1,
	WIRE_HAS_SHARE = 2,
	WIRE_HAS_TAP = 4,
	WIRE_STARTS_PAUSED = 8, /* READY, and nothing runs before RESUME */
	WIRE_HAS_VSOCK = 16,    /* two descriptors */
};

struct wire_config {
	uint32_t version, type;
	uint64_t memory_bytes;
	uint32_t vcpus;
	uint32_t entry;                    /* enum kernel_entry_choice */
	uint32_t has;                      /* enum wire_has */
	uint32_t n_disks, read_only_disks; /* the latter a bit for each */
	uint32_t overlay_disks;            /* the same: what has an overlay */
	uint8_t mac[6];
	uint8_t reserved[2];
	uint64_t vsock_cid;
	char name[WIRE_NAME_MAX];
	char agent_port[WIRE_PORT_MAX];
	char share_tag[WIRE_TAG_MAX];
	char cmdline[WIRE_CMDLINE_MAX];
};

/* -EPROTO with a text that names the field. */
int wire_config_check(const struct wire_config *c, struct err *e);

/* Send one; a peer that is gone is -EPIPE. */
int wire_send(int fd, const void *message, size_t bytes, struct err *e);
/* Receive exactly one of that size and our version, waiting up to timeout_msec (-1: for ever). 1, 0 for the peer's end,
 * -ETIMEDOUT, -EPROTO. Texts are terminated and made printable. */
int wire_receive(int fd, struct wire_message *ret, int timeout_msec, struct err *e);
int wire_receive_config(int fd, struct wire_config *ret, struct err *e);

/* A message that carries an error, and back. */
void wire_from_error(struct wire_message *m, enum wire_type type, const struct err *e);
int wire_to_error(const struct wire_message *m, struct err *e);
