/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to a registry. A blob is sent only when it is neither there nor in another repository that the registry can take it
 * from; then in one piece, to the place that the registry names for it. That place may be another host: it gets the
 * bytes, which are no secret of the registry's, and no credentials; nothing goes from https to http. What breaks begins anew, since a registry
 * keeps nothing of an upload that broke.
 *
 * Spec: OCI distribution-spec 1.1 "Pushing a blob monolithically", "Mounting a blob from another repository", "Pushing Manifests".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "fetch_session_internal.h"

/* 0: yes; 1: no. */
static int is_there(struct session *s, const struct fetch_request *q, struct http_answer *a,
		    struct err *e)
{
	struct http_request h = session_plain(s, a);
	_cleanup_free_ char *path = NULL;
	int r;

	if (str_printf(&path, "/v2/%s/blobs/%s", s->registry->repository, q->reference) < 0)
		return err_nomem(e);
	h.head = true;
	r = session_exchange(s, path, &h, e);
	if (r < 0)
		return r;
	if (a->status == 404)
		return 1;
	if (a->status != 200)
		return session_refused(s, a, e);
	return a->content_length == UINT64_MAX || a->content_length == q->size_bytes
		       ? 0
		       : err_invalid(e, "the registry has %llu bytes of that digest, not %llu",
				     (unsigned long long)a->content_length,
				     (unsigned long long)q->size_bytes);
}

/* Where to: a->location. 1: nowhere, since it has the blob now. */
static int begin_upload(struct session *s, const struct fetch_request *q, struct http_answer *a,
			struct err *e)
{
	const struct fetch_registry *g = s->registry;
	_cleanup_free_ char *path = NULL, *from = NULL;
	struct http_request h = session_plain(s, a);
	int r;

	if (*g->mount_from && !(from = url_escape(g->mount_from)))
		return err_nomem(e);
	r = from ? str_printf(&path, "/v2/%s/blobs/uploads/?mount=%s&from=%s", g->repository,
			      q->reference, from)
		 : str_printf(&path, "/v2/%s/blobs/uploads/", g->repository);
	if (r < 0)
		return err_nomem(e);
	h.form = "";
	h.content_type = "application/octet-stream";
	r = session_exchange(s, path, &h, e);
	if (r < 0)
		return r;
	if (a->status == 201 && from)
		return 1;
	return a->status == 202 ? 0 : session_refused(s, a, e);
}

/* The registry's place for the upload, with the digest that will be there. */
static int upload_url(struct session *s, const struct fetch_request *q, const struct http_answer *a,
		      char **ret, bool *ret_bare, struct err *e)
{
	_cleanup_free_ char *base = NULL, *url = NULL, *to = NULL;
	struct url_parts from = {0}, parts = {0};
	int r;

	if (!*a->location)
		return err_invalid(e, "the registry names no place for the upload");
	if (str_printf(&base, "%s://%s/", s->scheme, s->registry->host) < 0)
		return err_nomem(e);
	r = url_resolve(NULL, base, &url, &from, e);
	if (r == 0)
		r = url_resolve(base, a->location, &to, &parts, e);
	if (r == 0 && STREQ(from.scheme, "https") && !STREQ(parts.scheme, "https"))
		r = err_invalid(e, "from https to http");
	if (r == 0) {
		*ret_bare = !url_same_place(&from, &parts);
		to[strcspn(to, "#")] = '\0';
		r = str_printf(ret, "%s%cdigest=%s", to, strchr(to, '?') ? '&' : '?',
			       q->reference) < 0
			    ? err_nomem(e)
			    : 0;
	}
	url_parts_done(&from);
	url_parts_done(&parts);
	return r < 0 ? err_wrap(e, "place of the upload") : 0;
}

static int send_blob(struct session *s, const struct fetch_request *q, int fd,
		     struct http_answer *a, struct err *e)
{
	struct http_request h = session_plain(s, a);
	_cleanup_free_ char *url = NULL;
	bool bare = false;
	int r = upload_url(s, q, a, &url, &bare, e);

	if (r < 0)
		return r;
	h.url = url;
	h.upload = true;
	h.upload_fd = fd;
	h.upload_bytes = q->size_bytes;
	h.content_type = "application/octet-stream";
	r = session_show(s, bare, &h, e);
	if (r < 0)
		return r;
	if (session_is_redirect(a->status))
		return err_unsupported(e, "the registry leads an upload elsewhere (%d)", a->status);
	return a->status == 201 || a->status == 204 ? 0 : session_refused(s, a, e);
}

static int put_blob(struct session *s, const struct fetch_request *q, int fd, struct http_answer *a,
		    struct err *e)
{
	int r = is_there(s, q, a, e);

	if (r <= 0)
		return r;
	r = begin_upload(s, q, a, e);
	if (r == 0)
		r = send_blob(s, q, fd, a, e);
	return r < 0 ? r : 0;
}

static int put_manifest(struct session *s, const struct fetch_request *q, int fd,
			struct http_answer *a, struct err *e)
{
	struct http_request h = session_plain(s, a);
	_cleanup_free_ char *path = NULL;
	int r;

	if (str_printf(&path, "/v2/%s/manifests/%s", s->registry->repository, q->reference) < 0)
		return err_nomem(e);
	h.upload = true;
	h.upload_fd = fd;
	h.upload_bytes = q->size_bytes;
	h.content_type = q->media_type;
	r = session_exchange(s, path, &h, e);
	if (r < 0)
		return r;
	return a->status == 201 || a->status == 200 ? 0 : session_refused(s, a, e);
}

int session_put(struct session *s, const struct fetch_request *q, int fd, struct err *e)
{
	_cleanup_free_ struct http_answer *a = calloc(1, sizeof(*a));

	if (!a)
		return err_nomem(e);
	for (int tries = 0;; tries++) {
		uint64_t msec;
		int r;

		*a = (struct http_answer){0};
		r = q->kind == FETCH_PUT_BLOB ? put_blob(s, q, fd, a, e)
					      : put_manifest(s, q, fd, a, e);
		if (r == 0)
			return 0;
		/* A refusal that may pass, or a connection that broke. */
		if (tries == SESSION_TRIES_MAX - 1 ||
		    !(a->failure == HTTP_BROKEN ||
		      (a->failure == HTTP_OK && session_is_busy(a->status))))
			return r;
		if (session_pause_for(a, tries, &msec, e) < 0)
			return -EAGAIN;
		err_clear(e);
		session_pause(msec);
	}
}
