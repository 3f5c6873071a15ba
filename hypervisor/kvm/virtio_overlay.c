/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header for the format. The bitmap in memory is the truth while the disk is open; which of its pages differ from
 * the file is kept beside it. Bits only ever go from 0 to 1.
 *
 * A write that covers a block only in part, of a block that is not here yet, reads the block from below, lays the
 * written part over it and writes the whole: under a lock, since two such writes to one block may come at once and neither
 * may lose the other's part. All else needs no lock: the guest itself orders what overlaps.
 */
#include "virtio_overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "virtio_queue.h"

#define MAGIC            0x31796c7265766f49ull /* "Ioverly1" */
#define VERSION          1u
#define HEADER_BYTES     4096u
#define PAGE             4096u
#define DATA_ALIGN       (1ull << 20)
#define BLOCK_BYTES_MIN  4096u
#define BLOCK_BYTES_MAX  (1u << 20)
#define BITMAP_BYTES_MAX (4ull << 20) /* of memory: beyond 128 GiB of disk, blocks grow */

struct header {
	uint64_t magic;
	uint32_t version, block_bytes;
	uint64_t disk_bytes;
};

struct overlay {
	int fd;
	uint32_t block_bytes;
	uint64_t disk_bytes, blocks, data_start;
	uint64_t bitmap_bytes; /* whole pages */
	uint8_t *bitmap;
	uint8_t *dirty; /* one byte per page of the bitmap */
	pthread_mutex_t copy_up, flush;
};

/* By preadv and pwritev, as all of a disk's data goes: the VMM's system call filter needs to know no others. */
static int write_all(int fd, const void *from, uint64_t bytes, uint64_t at)
{
	for (uint64_t done = 0; done < bytes;) {
		struct iovec iov = {.iov_base = (uint8_t *)(uintptr_t)from + done,
				    .iov_len = bytes - done};
		ssize_t n = pwritev(fd, &iov, 1, (off_t)(at + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (uint64_t)n;
	}
	return 0;
}

static int read_all(int fd, void *to, uint64_t bytes, uint64_t at)
{
	for (uint64_t done = 0; done < bytes;) {
		struct iovec iov = {.iov_base = (uint8_t *)to + done, .iov_len = bytes - done};
		ssize_t n = preadv(fd, &iov, 1, (off_t)(at + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ENODATA;
		if (n > 0)
			done += (uint64_t)n;
	}
	return 0;
}

static void lay_out(struct overlay *o)
{
	o->blocks = (o->disk_bytes + o->block_bytes - 1) / o->block_bytes;
	o->bitmap_bytes = ((o->blocks + 7) / 8 + PAGE - 1) / PAGE * PAGE;
	o->data_start = (HEADER_BYTES + o->bitmap_bytes + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
}

static int initialise(struct overlay *o, struct err *e)
{
	struct header h = {.magic = MAGIC, .version = VERSION, .disk_bytes = o->disk_bytes};
	int r;

	o->block_bytes = BLOCK_BYTES_MIN;
	lay_out(o);
	while (o->bitmap_bytes > BITMAP_BYTES_MAX && o->block_bytes < BLOCK_BYTES_MAX) {
		o->block_bytes *= 2;
		lay_out(o);
	}
	h.block_bytes = o->block_bytes;
	if (ftruncate(o->fd, (off_t)(o->data_start + o->blocks * o->block_bytes)) < 0)
		return err_sys(e, errno, "overlay: set its size");
	r = write_all(o->fd, &h, sizeof(h), 0);
	if (r == 0 && fdatasync(o->fd) < 0)
		r = -errno;
	return r < 0 ? err_sys(e, r, "overlay: write its header") : 0;
}

static int check_header(struct overlay *o, uint64_t file_bytes, struct err *e)
{
	struct header h;
	int r = read_all(o->fd, &h, sizeof(h), 0);

	if (r < 0 && r != -ENODATA)
		return err_sys(e, r, "overlay: read its header");
	if (r < 0 || h.magic != MAGIC || h.version != VERSION)
		return err_invalid(e, "overlay: the file is not empty and not an overlay");
	if (h.disk_bytes != o->disk_bytes)
		return err_invalid(e,
				   "overlay: it belongs to a disk of %ju bytes, this one has %ju",
				   (uintmax_t)h.disk_bytes, (uintmax_t)o->disk_bytes);
	if (h.block_bytes < BLOCK_BYTES_MIN || h.block_bytes > BLOCK_BYTES_MAX ||
	    (h.block_bytes & (h.block_bytes - 1)))
		return err_invalid(e, "overlay: impossible block size %u", h.block_bytes);
	o->block_bytes = h.block_bytes;
	lay_out(o);
	if (file_bytes < o->data_start + o->blocks * o->block_bytes)
		return err_invalid(e, "overlay: the file is cut off");
	return 0;
}

int overlay_open(int fd, uint64_t disk_bytes, struct overlay **ret, struct err *e)
{
	struct overlay *o = calloc(1, sizeof(*o));
	struct stat st;
	int r;

	if (!o)
		return err_nomem(e);
	o->fd = fd;
	o->disk_bytes = disk_bytes;
	pthread_mutex_init(&o->copy_up, NULL);
	pthread_mutex_init(&o->flush, NULL);
	if (fstat(fd, &st) < 0)
		r = err_sys(e, errno, "overlay: stat");
	else if (!S_ISREG(st.st_mode))
		r = err_invalid(e, "overlay: not a regular file");
	else
		r = st.st_size ? check_header(o, (uint64_t)st.st_size, e) : initialise(o, e);
	if (r == 0) {
		o->bitmap = calloc(1, o->bitmap_bytes);
		o->dirty = calloc(1, o->bitmap_bytes / PAGE);
		r = o->bitmap && o->dirty ? 0 : err_nomem(e);
	}
	if (r == 0 && st.st_size) {
		r = read_all(fd, o->bitmap, o->bitmap_bytes, HEADER_BYTES);
		if (r < 0)
			err_sys(e, r, "overlay: read its bitmap");
	}
	if (r < 0) {
		overlay_close(o);
		return r;
	}
	*ret = o;
	return 0;
}

void overlay_close(struct overlay *o)
{
	if (!o)
		return;
	free(o->bitmap);
	free(o->dirty);
	pthread_mutex_destroy(&o->copy_up);
	pthread_mutex_destroy(&o->flush);
	free(o);
}

uint32_t overlay_block_bytes(const struct overlay *o)
{
	return o->block_bytes;
}

int overlay_fd(const struct overlay *o)
{
	return o->fd;
}

uint64_t overlay_position(const struct overlay *o, uint64_t at)
{
	return o->data_start + at;
}

static bool is_here(const struct overlay *o, uint64_t block)
{
	return __atomic_load_n(&o->bitmap[block / 8], __ATOMIC_ACQUIRE) & 1u << block % 8;
}

static void set_here(struct overlay *o, uint64_t first, uint64_t end)
{
	for (uint64_t b = first; b < end; b++) {
		if (is_here(o, b))
			continue;
		__atomic_fetch_or(&o->bitmap[b / 8], (uint8_t)(1u << b % 8), __ATOMIC_ACQ_REL);
		__atomic_store_n(&o->dirty[b / 8 / PAGE], 1, __ATOMIC_RELEASE);
	}
}

uint64_t overlay_run(struct overlay *o, uint64_t at, uint64_t max, bool *ret_here)
{
	uint64_t block = at / o->block_bytes, end;
	bool here = is_here(o, block);

	*ret_here = here;
	do
		end = ++block * o->block_bytes;
	while (end - at < max && block < o->blocks && is_here(o, block) == here);
	return end - at < max ? end - at : max;
}

/* Part of one block, which may not be here yet. */
static int write_part(struct overlay *o, const struct iovec *iov, unsigned n, uint64_t at,
		      uint32_t bytes, overlay_read_below *below, void *self)
{
	uint64_t block = at / o->block_bytes, start = block * o->block_bytes;
	uint64_t end =
		start + o->block_bytes < o->disk_bytes ? start + o->block_bytes : o->disk_bytes;
	_cleanup_free_ uint8_t *whole = NULL;
	uint32_t done = (uint32_t)(at - start);
	int r;

	pthread_mutex_lock(&o->copy_up);
	if (is_here(o, block)) {
		/* Somebody copied it meanwhile: in place, still in turn. */
		uint64_t skip = 0;

		r = 0;
		for (unsigned i = 0; r == 0 && i < n; skip += iov[i++].iov_len)
			r = write_all(o->fd, iov[i].iov_base, iov[i].iov_len,
				      o->data_start + at + skip);
		pthread_mutex_unlock(&o->copy_up);
		return r;
	}
	whole = calloc(1, o->block_bytes);
	r = whole ? 0 : -ENOMEM;
	if (r == 0 && bytes < end - start)
		r = below(self, whole, start, (uint32_t)(end - start));
	for (unsigned i = 0; r == 0 && i < n; done += (uint32_t)iov[i++].iov_len)
		memcpy(whole + done, iov[i].iov_base, iov[i].iov_len);
	if (r == 0)
		r = write_all(o->fd, whole, o->block_bytes, o->data_start + start);
	if (r == 0)
		set_here(o, block, block + 1);
	pthread_mutex_unlock(&o->copy_up);
	return r;
}

/* Whole blocks, or blocks that are here. */
static int write_whole(struct overlay *o, struct iovec *iov, unsigned n, uint64_t at)
{
	uint64_t position = o->data_start + at;

	while (n) {
		ssize_t done = pwritev(o->fd, iov, (int)n, (off_t)position);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done <= 0)
			continue;
		position += (uint64_t)done;
		while (n && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (uint8_t *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

int overlay_write(struct overlay *o, const struct iovec *iov, unsigned n, uint64_t at,
		  uint64_t bytes, overlay_read_below *below, void *self)
{
	struct iovec part[VIRTQ_SIZE_MAX];
	uint64_t done = 0;

	while (done < bytes) {
		uint64_t pos = at + done, in_block = pos % o->block_bytes, left = bytes - done, len;
		bool here, partial;
		unsigned k;
		int r;

		len = overlay_run(o, pos, left, &here);
		if (!here) {
			/* The last block of the disk may be short: whole is what the disk has of it. */
			uint64_t to_end = o->disk_bytes - pos;

			partial = in_block || (len < o->block_bytes && len < to_end);
			if (partial && len > o->block_bytes - in_block)
				len = o->block_bytes - in_block;
			else if (!partial && len % o->block_bytes && len < to_end)
				len -= len % o->block_bytes;
		} else {
			partial = false;
		}
		k = virtq_slice(iov, n, done, len, part, VIRTQ_SIZE_MAX);
		r = partial ? write_part(o, part, k, pos, (uint32_t)len, below, self)
			    : write_whole(o, part, k, pos);
		if (r < 0)
			return r;
		if (!here && !partial)
			set_here(o, pos / o->block_bytes,
				 (pos + len + o->block_bytes - 1) / o->block_bytes);
		done += len;
	}
	return 0;
}

int overlay_zero(struct overlay *o, uint64_t at, uint64_t bytes)
{
	if (fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(o->data_start + at), (off_t)bytes) < 0)
		return -errno;
	set_here(o, at / o->block_bytes, (at + bytes) / o->block_bytes);
	return 0;
}

int overlay_flush(struct overlay *o)
{
	int r = 0;

	/* One at a time: the second must not return before the pages that the first took are written. */
	pthread_mutex_lock(&o->flush);
	for (uint64_t page = 0; r == 0 && page < o->bitmap_bytes / PAGE; page++) {
		uint8_t copy[PAGE];

		if (!__atomic_exchange_n(&o->dirty[page], 0, __ATOMIC_ACQ_REL))
			continue;
		/* Copied before the barrier: a bit that comes later has data that may not be there yet. All pages could be
		 * copied first and take one barrier; each dirty page stands for 128 MiB of disk or more. */
		for (unsigned i = 0; i < PAGE; i++)
			copy[i] = __atomic_load_n(&o->bitmap[page * PAGE + i], __ATOMIC_ACQUIRE);
		if (fdatasync(o->fd) < 0)
			r = -errno;
		if (r == 0)
			r = write_all(o->fd, copy, PAGE, HEADER_BYTES + page * PAGE);
		if (r < 0)
			__atomic_store_n(&o->dirty[page], 1, __ATOMIC_RELEASE);
	}
	if (r == 0 && fdatasync(o->fd) < 0)
		r = -errno;
	pthread_mutex_unlock(&o->flush);
	return r;
}
