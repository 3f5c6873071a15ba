/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and ending the real registries.
 */
#include "registry.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct run_result run_shell(const char *format, va_list ap)
{
	static char command[8192];
	struct run_result r;
	int n = vsnprintf(command, sizeof(command), format, ap);

	assert_true(n > 0 && (size_t)n < sizeof(command));
	r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-ec", command)});
	if (r.code != 0)
		print_message("%s\n%s%s", command, r.out, r.err);
	assert_int_equal(r.code, 0);
	return r;
}

void shell(const char *format, ...)
{
	struct run_result r;
	va_list ap;

	va_start(ap, format);
	r = run_shell(format, ap);
	va_end(ap);
	run_result_done(&r);
}

const char *shell_line(const char *format, ...)
{
	static char lines[8][4096];
	static unsigned next;
	char *line = lines[next++ % 8];
	struct run_result r;
	va_list ap;

	va_start(ap, format);
	r = run_shell(format, ap);
	va_end(ap);
	assert_true(r.out_len < sizeof(lines[0]));
	memcpy(line, r.out, r.out_len + 1);
	line[strcspn(line, "\n")] = '\0';
	run_result_done(&r);
	return line;
}

int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static bool answers(void *arg)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)(*(int *)arg)),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return ok;
}

static void serve(struct real_registries *r, int i, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	r->pids[i] = start(ARGV("/usr/bin/docker-registry", "serve", path), false, &r->outs[i]);
}

void real_registries_start(const struct world *w, struct real_registries *r)
{
	*r = (struct real_registries){.http = free_port(), .tls = free_port()};
	snprintf(r->dir, sizeof(r->dir), "%s/reg", w->dir);
	snprintf(r->ca, sizeof(r->ca), "%s/ca.pem", r->dir);
	shell("mkdir -p '%s'; cd '%s'; tar -C '%s' -cf root.tar .; umoci init --layout oci; "
	      "umoci new --image oci:one; umoci raw add-layer --image oci:one root.tar; "
	      "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out ca.pem -days 2 "
	      "-subj /CN=localhost -addext subjectAltName=DNS:localhost; "
	      "htpasswd -Bbn " REGISTRY_USER " " REGISTRY_PASSWORD " > users",
	      r->dir, r->dir, w->rootfs);
	shell("cd '%s'; for k in http tls; do printf 'version: 0.1\\nlog: {level: error}\\n"
	      "storage: {delete: {enabled: true}, filesystem: {rootdirectory: %s/data-%%s}}\\n' "
	      "$k > $k.yml; done; echo 'http: {addr: \"127.0.0.1:%d\"}' >> http.yml; "
	      "printf 'http: {addr: \"127.0.0.1:%d\", tls: {certificate: %s, key: %s/key.pem}}\\n"
	      "auth: {htpasswd: {realm: r, path: %s/users}}\\n' >> tls.yml",
	      r->dir, r->dir, r->http, r->tls, r->ca, r->dir, r->dir);
	serve(r, 0, "http.yml");
	serve(r, 1, "tls.yml");
	assert_true(eventually(answers, &r->http, 60));
	assert_true(eventually(answers, &r->tls, 60));
}

void real_registries_stop(struct real_registries *r)
{
	for (int i = 0; i < 2; i++) {
		if (r->pids[i] <= 0)
			continue;
		kill(r->pids[i], SIGKILL);
		finish(r->pids[i], 20);
		close(r->outs[i]);
		r->pids[i] = 0;
	}
}
