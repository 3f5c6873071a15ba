/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system device: against the system's virtiofsd, with FUSE requests made by hand, and against file servers
 * that misbehave, played by a thread at the other end of a socket pair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "virtio_driver.h"

#include "../../../hypervisor/kvm/vhost_user_fs.h"
#include "../../../hypervisor/virtiofsd.h"

#define URGENT   0
#define REQUESTS 1
#define IN       VD_DATA
#define OUT      (VD_DATA + 0x10000)
#define TEXT     "what stands in the file\n"

/* The file server may mount; what it does stays here. */
static int private_mounts(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0;
}

struct fixture {
	struct vd v;
	char dir[64], share[80];
	struct vm_child server;
	bool skip;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_device *d;
	char path[128];
	int fd = -1;
	FILE *file;

	*state = f;
	if (!f || vd_prepare(&f->v) < 0)
		return -1;
	if (virtiofsd_check(&f->v.last) < 0) {
		f->skip = true;
		return 0;
	}
	snprintf(f->dir, sizeof(f->dir), "/tmp/insula-test-fs.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->share, sizeof(f->share), "%s/share", f->dir);
	snprintf(path, sizeof(path), "%s/hello", f->share);
	if (mkdir(f->share, 0755) < 0 || !(file = fopen(path, "we")))
		return -1;
	fputs(TEXT, file);
	fclose(file);
	if (virtiofsd_start(&f->server, f->share, f->dir, &fd, &f->v.last) < 0)
		return -1;
	if (vhost_user_fs_new(fd, "insula", &d, &f->v.last) < 0) {
		print_error("%s\n", f->v.last.text);
		return -1;
	}
	return vd_attach(&f->v, d);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[128];

	if (f->v.t)
		virtio_mmio_free(f->v.t);
	f->v.t = NULL;
	vm_child_kill(&f->server);
	vd_done(&f->v);
	snprintf(path, sizeof(path), "%s/hello", f->share);
	unlink(path);
	rmdir(f->share);
	rmdir(f->dir);
	free(f);
	return 0;
}

#define NEEDS_SERVER(f)                                                        \
	do {                                                                   \
		if ((f)->skip) {                                               \
			print_message("# skip: virtiofsd is not installed\n"); \
			skip();                                                \
		}                                                              \
	} while (0)

/* Send one request and wait for its answer: the error of the header, the payload in OUT. */
static int32_t ask(struct fixture *f, uint32_t opcode, uint64_t node, const void *body,
		   uint32_t body_len, uint32_t answer_max, uint32_t *ret_len)
{
	static uint64_t unique;
	struct fuse_in_header in = {
		.len = (uint32_t)sizeof(in) + body_len,
		.opcode = opcode,
		.unique = ++unique,
		.nodeid = node,
	};
	struct vd_buf b[4];
	unsigned n = 0;
	struct pollfd p = {.fd = f->v.irq_fd, .events = POLLIN};
	struct fuse_out_header out;
	uint16_t head;
	int used;

	memcpy(vd_ptr(&f->v, IN), &in, sizeof(in));
	memcpy(vd_ptr(&f->v, IN + 0x1000), body, body_len);
	b[n++] = (struct vd_buf){IN, sizeof(in), false};
	if (body_len)
		b[n++] = (struct vd_buf){IN + 0x1000, body_len, false};
	b[n++] = (struct vd_buf){OUT, sizeof(out), true};
	if (answer_max)
		b[n++] = (struct vd_buf){OUT + 0x1000, answer_max, true};
	head = vd_send(&f->v, REQUESTS, b, n);
	/* A server also interrupts when it starts a queue, for drivers that it may have kept waiting. */
	do {
		assert_int_equal(poll(&p, 1, 10000), 1);
		/* The driver is told that it is its queues. */
		assert_true(vd_read(&f->v, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_VRING);
		assert_true(vd_interrupts(&f->v) > 0);
		used = vd_used(&f->v, REQUESTS, NULL);
	} while (used < 0);
	assert_int_equal(used, head);
	memcpy(&out, vd_ptr(&f->v, OUT), sizeof(out));
	assert_int_equal(out.unique, unique);
	*ret_len = out.len - (uint32_t)sizeof(out);
	return out.error;
}

static void fuse_init(struct fixture *f)
{
	const struct fuse_init_in init = {.major = 7, .minor = 31, .max_readahead = 65536};
	struct fuse_init_out answer;
	uint32_t len;

	/* The form of protocol 7.31: four words. */
	assert_int_equal(ask(f, FUSE_INIT, 0, &init, 16, sizeof(answer), &len), 0);
	memcpy(&answer, vd_ptr(&f->v, OUT + 0x1000), sizeof(answer));
	assert_int_equal(answer.major, 7);
}

static void read_hello(struct fixture *f)
{
	struct fuse_entry_out entry;
	struct fuse_open_out opened;
	uint32_t len;

	assert_int_equal(ask(f, FUSE_LOOKUP, FUSE_ROOT_ID, "hello", 6, sizeof(entry), &len), 0);
	memcpy(&entry, vd_ptr(&f->v, OUT + 0x1000), sizeof(entry));
	assert_int_equal(entry.attr.size, strlen(TEXT));
	assert_true(S_ISREG(entry.attr.mode));

	const struct fuse_open_in open_in = {.flags = O_RDONLY};
	assert_int_equal(
		ask(f, FUSE_OPEN, entry.nodeid, &open_in, sizeof(open_in), sizeof(opened), &len),
		0);
	memcpy(&opened, vd_ptr(&f->v, OUT + 0x1000), sizeof(opened));

	const struct fuse_read_in read_in = {.fh = opened.fh, .size = 4096};
	assert_int_equal(ask(f, FUSE_READ, entry.nodeid, &read_in, sizeof(read_in), 4096, &len), 0);
	assert_int_equal(len, strlen(TEXT));
	assert_memory_equal(vd_ptr(&f->v, OUT + 0x1000), TEXT, len);
	assert_int_equal(ask(f, FUSE_LOOKUP, FUSE_ROOT_ID, "nothing", 8, sizeof(entry), &len),
			 -ENOENT);
}

static void test_configuration(void **state)
{
	struct fixture *f = *state;
	char tag[37] = {0};
	uint32_t queues = 0;

	NEEDS_SERVER(f);
	assert_int_equal(vd_read(&f->v, VIRTIO_MMIO_DEVICE_ID), 26);
	for (unsigned i = 0; i < 36; i++)
		vd_config(&f->v, i, tag + i, 1);
	assert_string_equal(tag, "insula");
	vd_config(&f->v, 36, &queues, 4);
	assert_int_equal(queues, 1);
}

static void test_a_file_is_read(void **state)
{
	struct fixture *f = *state;

	NEEDS_SERVER(f);
	assert_true(vd_start(&f->v, vd_offered(&f->v) & ~(1ull << VIRTIO_RING_F_EVENT_IDX)));
	fuse_init(f);
	read_hello(f);
	assert_int_equal(f->v.reports, 0);
}

/* A guest that reboots, or loads its driver anew. */
static void test_reset_and_again(void **state)
{
	struct fixture *f = *state;

	NEEDS_SERVER(f);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t len;

		assert_true(vd_start(&f->v, 0));
		fuse_init(f);
		read_hello(f);
		ask(f, FUSE_DESTROY, 0, "", 0, 0, &len);
	}
	vd_write(&f->v, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(f->v.reports, 0);
}

static void test_server_dies(void **state)
{
	struct fixture *f = *state;

	NEEDS_SERVER(f);
	assert_true(vd_start(&f->v, 0));
	fuse_init(f);
	vm_child_kill(&f->server);
	assert_int_equal(io_loop_step(f->v.loop, 10000, &f->v.last), 1);
	assert_int_equal(f->v.fatal, 1);
	assert_true(vd_broken(&f->v));
	assert_non_null(strstr(f->v.last.text, "file server is gone"));
	/* It stays so, and nothing spins. */
	assert_int_equal(io_loop_step(f->v.loop, 0, &f->v.last), 0);
	vd_start(&f->v, 0);
	assert_true(vd_broken(&f->v));
	assert_int_equal(f->v.fatal, 1);
}

/* A guest whose queue lies nowhere: refused before the server hears of it. */
static void test_bad_queue_never_reaches_the_server(void **state)
{
	struct fixture *f = *state;

	NEEDS_SERVER(f);
	assert_true(vd_negotiate(&f->v, 1ull << VIRTIO_F_VERSION_1));
	vd_place_queue(&f->v, REQUESTS, 64, UINT64_MAX - 15, 0x11000, 0x12000);
	vd_add_status(&f->v, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_true(vd_broken(&f->v));
	assert_int_equal(f->v.fatal, 0);
	assert_true(vd_start(&f->v, 0));
	fuse_init(f);
}

/* ---- servers that misbehave --------------------------------------------------------------------- */

struct liar {
	int fd;
	uint32_t answer[8]; /* header and payload to the first request */
	size_t bytes;
};

static void *lie(void *arg)
{
	struct liar *l = arg;
	uint32_t request[3];

	if (read(l->fd, request, sizeof(request)) == sizeof(request))
		(void)!write(l->fd, l->answer, l->bytes);
	close(l->fd);
	return NULL;
}

static void test_lies_in_the_handshake(void **state)
{
	static const struct liar lies[] = {
		{0, {0}, 0},                       /* hangs up */
		{0, {1, 5, 8}, 12},                /* half an answer */
		{0, {1, 1, 8, 0, 1}, 20},          /* not marked as an answer */
		{0, {2, 5, 8, 0, 1}, 20},          /* to another request */
		{0, {1, 5, 4, 1}, 16},             /* too short */
		{0, {1, 5, 0xffffffff, 0, 1}, 20}, /* endless */
		{0, {1, 6, 8, 0, 1}, 20},          /* another version */
		{0, {1, 5, 8, 0, 0}, 20},          /* then hangs up before SET_OWNER is through */
	};
	struct virtio_device *d = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct liar l = lies[i];
		struct err e = ERR_INIT;
		pthread_t thread;
		int sv[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
		l.fd = sv[1];
		assert_int_equal(pthread_create(&thread, NULL, lie, &l), 0);
		assert_true(vhost_user_fs_new(sv[0], "insula", &d, &e) < 0);
		assert_true(e.text[0]);
		pthread_join(thread, NULL);
	}
	assert_null(d);
}

static void test_tags(void **state)
{
	struct virtio_device *d = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(vhost_user_fs_new(-1, "", &d, &e), -EINVAL);
	assert_int_equal(vhost_user_fs_new(-1, "1234567890123456789012345678901234567", &d, &e),
			 -EINVAL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_configuration),
		T(test_a_file_is_read),
		T(test_reset_and_again),
		T(test_server_dies),
		T(test_bad_queue_never_reaches_the_server),
		cmocka_unit_test(test_lies_in_the_handshake),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, private_mounts, NULL);
}
