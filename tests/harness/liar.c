/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry that lies. One image for all: a configuration and a layer that is an empty tar; each repository
 * answers in a wrong way of its own. A process per connection, one request per connection.
 */
#include "liar.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../images/digest.h"

#define LAYER_BYTES 10240
#define HALF        (LAYER_BYTES / 2)

struct peer {
	struct liar *liar;
	int fd, port;
	const char *head; /* of the request */
};

static char zeros[LAYER_BYTES];

static void put(const struct peer *p, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			_exit(0);
		data += n;
		len -= (size_t)n;
	}
}

static void say(const struct peer *p, const char *status, const char *headers, const char *body,
		size_t len)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", status, len,
		 headers);
	put(p, text, strlen(text));
	put(p, body, len);
	_exit(0);
}

static void endless(const struct peer *p, const char *bytes, size_t len)
{
	put(p, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 38);
	for (;;)
		put(p, bytes, len);
}

static void documents(char *config, size_t config_size, char *manifest, size_t size)
{
	char layer[DIGEST_MAX], id[DIGEST_MAX];
#ifdef __aarch64__
	const char *architecture = "arm64";
#else
	const char *architecture = "amd64";
#endif

	digest_of(zeros, LAYER_BYTES, layer);
	snprintf(config, config_size,
		 "{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":"
		 "\"layers\",\"diff_ids\":[\"%s\"]}}",
		 architecture, layer);
	digest_of(config, strlen(config), id);
	snprintf(
		manifest, size,
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
		"\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
		"\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%d}]}",
		id, strlen(config), layer, LAYER_BYTES);
}

/* ---- the lies ---------------------------------------------------------------------------------------- */

static bool is_first(const struct peer *p)
{
	return __atomic_fetch_add(&p->liar->seen->tries, 1, __ATOMIC_SEQ_CST) == 0;
}

static void half(const struct peer *p)
{
	char text[128];

	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LAYER_BYTES);
	put(p, text, strlen(text));
	put(p, zeros, HALF);
	_exit(0);
}

static void larger(const struct peer *p)
{
	static char more[LAYER_BYTES + 1];

	say(p, "200 OK", "", more, sizeof(more));
}

static void unending(const struct peer *p)
{
	endless(p, zeros, sizeof(zeros));
}

static void shorter(const struct peer *p)
{
	put(p, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 38);
	put(p, zeros, HALF);
	_exit(0);
}

static void other_bytes(const struct peer *p)
{
	char bytes[LAYER_BYTES];

	memset(bytes, 'x', sizeof(bytes));
	say(p, "200 OK", "", bytes, sizeof(bytes));
}

static void wrong_range(const struct peer *p)
{
	if (is_first(p))
		half(p);
	say(p, "206 Partial Content", "Content-Range: bytes 0-5119/10240\r\n", zeros, HALF);
}

static void right_range(const struct peer *p)
{
	if (is_first(p))
		half(p);
	say(p, "206 Partial Content", "Content-Range: bytes 5120-10239/10240\r\n", zeros, HALF);
}

static void second_half(const struct peer *p)
{
	if (!strstr(p->head, "Range: bytes=5120-\r\n"))
		say(p, "400 Bad Request", "", "", 0);
	say(p, "206 Partial Content", "Content-Range: bytes 5120-10239/10240\r\n", zeros, HALF);
}

static void whole_again(const struct peer *p)
{
	if (is_first(p))
		half(p);
	say(p, "200 OK", "", zeros, LAYER_BYTES);
}

static void no_range(const struct peer *p)
{
	if (is_first(p))
		half(p);
	if (strstr(p->head, "Range:"))
		say(p, "416 Range Not Satisfiable", "", "", 0);
	say(p, "200 OK", "", zeros, LAYER_BYTES);
}

static void unasked_part(const struct peer *p)
{
	say(p, "206 Partial Content", "Content-Range: bytes 0-10239/10240\r\n", zeros, LAYER_BYTES);
}

static void lead_away(const struct peer *p)
{
	char location[128];

	snprintf(location, sizeof(location), "Location: http://127.0.0.1:%d/away\r\n",
		 p->liar->elsewhere);
	say(p, "307 Temporary Redirect", location, "", 0);
}

static void lead_round(const struct peer *p)
{
	say(p, "307 Temporary Redirect", "Location: ?again\r\n", "", 0);
}

static void lead_to_file(const struct peer *p)
{
	say(p, "307 Temporary Redirect", "Location: file:///etc/passwd\r\n", "", 0);
}

static void stall(const struct peer *p)
{
	struct pollfd f = {.fd = p->fd, .events = POLLRDHUP};

	put(p, "HTTP/1.1 200 OK\r\nContent-Length: 10240\r\n\r\n", 42);
	poll(&f, 1, 60000);
	_exit(0);
}

static void stall_half(const struct peer *p)
{
	struct pollfd f = {.fd = p->fd, .events = POLLRDHUP};

	put(p, "HTTP/1.1 200 OK\r\nContent-Length: 10240\r\n\r\n", 42);
	put(p, zeros, HALF);
	poll(&f, 1, 60000);
	_exit(0);
}

static void busy_once(const struct peer *p)
{
	if (is_first(p))
		say(p, "429 Too Many Requests", "Retry-After: 0\r\n", "", 0);
	say(p, "200 OK", "", zeros, LAYER_BYTES);
}

static void busy_long(const struct peer *p)
{
	say(p, "503 Service Unavailable", "Retry-After: 3600\r\n", "", 0);
}

static void headers(const struct peer *p)
{
	put(p, "HTTP/1.1 200 OK\r\n", 17);
	for (;;)
		put(p, "X-More: more and more and more and more\r\n", 41);
}

static void bad_words(const struct peer *p)
{
	static const char body[] =
		"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\u001b[31m\\n"
		"way\"}]}";

	say(p, "404 Not Found", "", body, strlen(body));
}

static void garbage_challenge(const struct peer *p)
{
	say(p, "401 Unauthorized", "WWW-Authenticate: Bearer realm=\"never ends\r\n", "", 0);
}

static void unknown_challenge(const struct peer *p)
{
	say(p, "401 Unauthorized", "WWW-Authenticate: Negotiate\r\n", "", 0);
}

static void bad_realm(const struct peer *p)
{
	say(p, "401 Unauthorized", "WWW-Authenticate: Bearer realm=\"file:///etc/shadow\"\r\n", "",
	    0);
}

static void want_token(const struct peer *p, const char *path)
{
	char text[256];

	if (strstr(p->head, "Authorization: Bearer good"))
		return;
	snprintf(text, sizeof(text),
		 "WWW-Authenticate: Basic realm=\"a, b\", Bearer realm=\"http://127.0.0.1:%d/%s\","
		 "service=\"s, \\\"t\\\"\",scope=\"x\"\r\n",
		 p->liar->port, path);
	say(p, "401 Unauthorized", text, "", 0);
}

static void token(const struct peer *p)
{
	want_token(p, "token");
	say(p, "200 OK", "", zeros, LAYER_BYTES);
}

static void bad_token(const struct peer *p)
{
	want_token(p, "badtoken");
	_exit(0);
}

static void vast_manifest(const struct peer *p)
{
	endless(p, zeros, sizeof(zeros));
}

static void other_manifest(const struct peer *p)
{
	static const char both[] = "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}";

	say(p, "200 OK", "Content-Type: application/vnd.oci.image.index.v1+json\r\n", both,
	    strlen(both));
}

static const struct {
	const char *repository;
	const char *where; /* which requests: part of the path */
	void (*answer)(const struct peer *p);
	bool but_config; /* not for the configuration, also a blob */
} lies[] = {
	{"larger", "/blobs/", larger, true},
	{"unending", "/blobs/", unending, true},
	{"shorter", "/blobs/", shorter, true},
	{"otherbytes", "/blobs/", other_bytes, true},
	{"wrongrange", "/blobs/", wrong_range, true},
	{"rightrange", "/blobs/", right_range, true},
	{"secondhalf", "/blobs/", second_half, true},
	{"wholeagain", "/blobs/", whole_again, true},
	{"norange", "/blobs/", no_range, true},
	{"unaskedpart", "/blobs/", unasked_part, true},
	{"away", "/blobs/", lead_away, true},
	{"round", "/blobs/", lead_round, true},
	{"file", "/blobs/", lead_to_file, true},
	{"stall", "/blobs/", stall, true},
	{"stallhalf", "/blobs/", stall_half, true},
	{"busyonce", "/blobs/", busy_once, true},
	{"busylong", "/manifests/", busy_long, false},
	{"headers", "/manifests/", headers, false},
	{"badwords", "/manifests/", bad_words, false},
	{"garbage", "/manifests/", garbage_challenge, false},
	{"unknown", "/manifests/", unknown_challenge, false},
	{"badrealm", "/manifests/", bad_realm, false},
	{"token", "/blobs/", token, true},
	{"badtoken", "/manifests/", bad_token, false},
	{"vast", "/manifests/", vast_manifest, false},
	{"both", "/manifests/", other_manifest, false},
};

/* ---- lies to who pushes ------------------------------------------------------------------------------- */

static void say_place(const struct peer *p, const char *format, int port)
{
	char place[256], text[320];

	snprintf(place, sizeof(place), format, port);
	snprintf(text, sizeof(text), "Location: %s\r\n", place);
	say(p, "202 Accepted", text, "", 0);
}

/* method and repository decide; a registry that takes everything for what is not here. */
static void take(const struct peer *p, const char *method, const char *path)
{
	const char *name = path + strcspn(path + 1, "/") + 2; /* behind "/v2/" */
	const bool put = strcmp(method, "PUT") == 0, post = strcmp(method, "POST") == 0;

#define LIE(repository, when) (strncmp(name, repository "/", strlen(repository "/")) == 0 && (when))
	if (strcmp(method, "HEAD") == 0) {
		if (LIE("pushlies", true))
			say(p, "200 OK", "", "xx", 2);
		say(p, "404 Not Found", "", "", 0);
	}
	if (LIE("pushnowhere", post))
		say(p, "202 Accepted", "", "", 0);
	if (LIE("pushfile", post))
		say_place(p, "file:///etc/shadow", 0);
	if (LIE("pushelsewhere", post && !strcasestr(p->head, "\r\nAuthorization:")))
		say(p, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", "", 0);
	if (LIE("pushelsewhere", post))
		say_place(p, "http://127.0.0.1:%d/there?x=y", p->liar->elsewhere);
	if (LIE("pushround", post))
		say(p, "307 Temporary Redirect", "Location: /v2/pushround/blobs/uploads/\r\n", "",
		    0);
	if (LIE("pushmoves", put))
		say(p, "307 Temporary Redirect", "Location: /v2/\r\n", "", 0);
	if (LIE("pushbusy", put)) {
		__atomic_fetch_add(&p->liar->seen->tries, 1, __ATOMIC_SEQ_CST);
		say(p, "503 Service Unavailable", "Retry-After: 0\r\n", "", 0);
	}
	if (LIE("pushonce", put && is_first(p)))
		_exit(0);
	if (LIE("pushdenied", post))
		say(p, "403 Forbidden", "", "", 0);
	if (LIE("pushlarge", put))
		say(p, "413 Content Too Large", "", "", 0);
	if (LIE("pushaccepts", put))
		say(p, "202 Accepted", "", "", 0);
	if (post)
		say_place(p, "/take/%d", 1);
	say(p, "201 Created", "", "", 0);
}

/* A request's body is read before it is answered, or the answer may be lost with the connection. */
static void drain(const struct peer *p, size_t have)
{
	const char *end = strstr(p->head, "\r\n\r\n"), *field;
	size_t left = 0;
	char buf[4096];

	field = strcasestr(p->head, "\r\nContent-Length:");
	if (field)
		left = strtoul(field + strlen("\r\nContent-Length:"), NULL, 10);
	have -= end ? (size_t)(end + 4 - p->head) : have;
	while (left > have) {
		ssize_t n = read(p->fd, buf, sizeof(buf));

		if (n <= 0)
			return;
		have += (size_t)n;
	}
}

/* ---- serving ------------------------------------------------------------------------------------------- */

static void honest(const struct peer *p, const char *path)
{
	char config[1024], manifest[2048], id[DIGEST_MAX];

	documents(config, sizeof(config), manifest, sizeof(manifest));
	digest_of(config, strlen(config), id);
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		char prefix[64];

		snprintf(prefix, sizeof(prefix), "/v2/%s/", lies[i].repository);
		if (strncmp(path, prefix, strlen(prefix)) == 0 && strstr(path, lies[i].where) &&
		    !(lies[i].but_config && strstr(path, id)))
			lies[i].answer(p);
	}
	if (strncmp(path, "/token?", 7) == 0)
		say(p, "200 OK", "", "{\"access_token\":\"good\"}", 23);
	if (strncmp(path, "/badtoken", 9) == 0)
		say(p, "200 OK", "", "{\"token\":\"a\\r\\nb: c\"}", 21);
	if (strcmp(path, "/v2/") == 0)
		say(p, "200 OK", "", "{}", 2);
	if (strstr(path, "/manifests/"))
		say(p, "200 OK", "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n",
		    manifest, strlen(manifest));
	if (strstr(path, id))
		say(p, "200 OK", "", config, strlen(config));
	say(p, "200 OK", "", zeros, LAYER_BYTES);
}

static void serve(struct liar *l, int fd, int port)
{
	struct peer p = {.liar = l, .fd = fd, .port = port};
	char head[16384], path[1024], method[8];
	size_t len = 0;

	while (len < sizeof(head) - 1) {
		ssize_t n = read(fd, head + len, sizeof(head) - 1 - len);

		/* TLS is not spoken here. */
		if (n <= 0 || head[0] == 0x16)
			_exit(0);
		len += (size_t)n;
		head[len] = '\0';
		if (strstr(head, "\r\n\r\n"))
			break;
	}
	__atomic_fetch_add(&l->seen->requests, 1, __ATOMIC_SEQ_CST);
	if (strcasestr(head, "\r\nAuthorization:"))
		*(port == l->port ? &l->seen->secret_at_home : &l->seen->secret_elsewhere) = true;
	p.head = head;
	if (sscanf(head, "%7s %1023s", method, path) != 2 || path[0] != '/')
		say(&p, "400 Bad Request", "", "", 0);
	drain(&p, len);
	if (strcmp(method, "GET") != 0)
		take(&p, method, path);
	honest(&p, path);
}

static int listen_somewhere(int *ret_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	*ret_port = ntohs(a.sin_port);
	return fd;
}

void liar_start(struct liar *l)
{
	struct pollfd f[2];

	l->seen = mmap(NULL, sizeof(*l->seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	f[0] = (struct pollfd){.fd = listen_somewhere(&l->port), .events = POLLIN};
	f[1] = (struct pollfd){.fd = listen_somewhere(&l->elsewhere), .events = POLLIN};
	l->pid = fork();
	if (l->pid != 0) {
		close(f[0].fd);
		close(f[1].fd);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		poll(f, 2, -1);
		for (int i = 0; i < 2; i++) {
			int fd = f[i].revents ? accept(f[i].fd, NULL, NULL) : -1;

			if (fd >= 0 && fork() == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				serve(l, fd, i == 0 ? l->port : l->elsewhere);
			}
			if (fd >= 0)
				close(fd);
		}
	}
}

void liar_stop(struct liar *l)
{
	kill(l->pid, SIGKILL);
	waitpid(l->pid, NULL, 0);
	munmap(l->seen, sizeof(*l->seen));
}
