/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store and the process that speaks to registries (insula-fetch) say to each other.
 *
 * insula-fetch is the only process that touches the network for images. It runs without privileges in the host's network
 * (runtime/image_fetch.c), sees neither the store nor other files, and parses whatever HTTP, TLS, challenges and tokens bring.
 * The store tells it which registry, what it may do there (plain http, unverified TLS), and which
 * credentials to show; it believes nothing of the answers: digests and sizes are checked by the store on the raw bytes
 * (images/pull.c), so a lying registry or a taken over insula-fetch can only make a pull fail.
 *
 *	descriptor	is
 *	3		requests: a socket (SOCK_SEQPACKET), one struct fetch_registry, then any number of struct
 *			fetch_request; with a FETCH_PUT_* comes the descriptor of a file (SCM_RIGHTS), of which the
 *			first size_bytes are sent to the registry
 *	4		answers: a pipe; per request one struct fetch_answer, then body_len bytes of a FETCH_MANIFEST's,
 *			FETCH_SMALL's body
 *	5		stream: a pipe for the bytes of FETCH_BLOB
 *	6		certificates: a sealed file with the PEM of all authorities to be trusted
 *
 * A request is worked on to its end before the next is read; end of file on 3 ends the process, and so does the death of its
 * parent. FETCH_BLOB: the bytes go to 5 as they come, from from_bytes on and never more than size_bytes, and the answer follows
 * them. On a failure 5 is closed before the answer, and every later FETCH_BLOB fails. A broken download is taken up
 * where it broke; the reader sees one stream.
 *
 * The environment has the usual variables for proxies and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define IMG_FETCH_PROGRAM "insula-fetch"

enum fetch_fd {
	FETCH_FD_REQUESTS = 3,
	FETCH_FD_ANSWERS,
	FETCH_FD_STREAM,
	FETCH_FD_CERTIFICATES,
};

#define FETCH_MANIFEST_MAX (4u << 20) /* also of a configuration */

/* Texts are NUL-terminated; the rest of each is 0. */
struct fetch_registry {
	char host[280]; /* "registry-1.docker.io", "localhost:5000", "[::1]:5000" */
	char repository[256];
	/* Plain http where the other end does not speak TLS. */
	bool may_http;
	/* The certificate of the registry is checked. */
	bool verify;
	bool push;            /* ask for the right to write, too */
	char mount_from[256]; /* another repository there, that may have what is pushed; or "" */
	/* Credentials; user "" and password "": none. user "": password is a refresh ("identity") token. */
	char user[256];
	char password[16384];
	uint32_t stall_sec; /* give up when nothing comes for so long; > 0 */
};

enum fetch_kind {
	FETCH_PING,     /* is it a registry, and are the credentials good? no body */
	FETCH_MANIFEST, /* by tag or digest: body in the answer */
	FETCH_SMALL, /* a blob of at most FETCH_MANIFEST_MAX (a configuration): body in the answer */
	FETCH_BLOB,  /* a blob, to the stream */
	FETCH_PUT_BLOB, /* have the registry have this blob: it is sent unless it is there, or in mount_from */
	FETCH_PUT_MANIFEST, /* under a tag or its digest */
};

struct fetch_request {
	uint32_t kind;
	char reference[136];  /* tag, or "sha256:…" */
	char media_type[128]; /* FETCH_PUT_MANIFEST */
	/* That the blob must have; FETCH_MANIFEST: UINT64_MAX when not known. */
	uint64_t size_bytes;
	/* FETCH_BLOB: of it, so many are there already; less than size_bytes. */
	uint64_t from_bytes;
};

struct fetch_answer {
	struct err error; /* ERR_NONE: done */
	uint64_t body_len;
	char media_type[128]; /* FETCH_MANIFEST: as the registry says, without parameters; or "" */
};
