/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of extents. Every operation is cut where the overlay's blocks or the extents end; each piece is then one
 * range of one file. A file that became shorter than it was is an I/O error of the guest's, never a silent zero.
 */
#include "virtio_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "virtio_overlay.h"
#include "virtio_queue.h"

#define DISK_BYTES_MAX (1ull << 50)

struct extent {
	int fd;
	uint64_t offset; /* in the file */
	uint64_t start;  /* on the disk */
	uint64_t bytes;
};

struct disk {
	uint64_t bytes;
	bool read_only;
	struct overlay *overlay;
	unsigned n;
	struct extent extent[];
};

/* A range of one file. */
struct piece {
	int fd;
	uint64_t position, bytes;
};

static int file_bytes(int fd, uint64_t *ret, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat");
	if (S_ISREG(st.st_mode)) {
		*ret = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return err_invalid(e, "neither a regular file nor a block device");
	return ioctl(fd, BLKGETSIZE64, ret) < 0 ? err_sys(e, errno, "size of the block device") : 0;
}

static int add_extent(struct disk *d, const struct disk_extent *x, struct err *e)
{
	uint64_t size, bytes = x->bytes;
	int r = file_bytes(x->fd, &size, e);

	if (r < 0)
		return r;
	if (x->offset > size)
		return err_invalid(e, "it begins at byte %ju, beyond the file's end at %ju",
				   (uintmax_t)x->offset, (uintmax_t)size);
	/* To the end: whole sectors of it. */
	if (bytes == 0)
		bytes = (size - x->offset) / DISK_SECTOR * DISK_SECTOR;
	if (bytes == 0 || bytes % DISK_SECTOR || bytes > size - x->offset)
		return err_invalid(
			e, "%ju bytes from byte %ju on are not whole sectors inside the file's %ju",
			(uintmax_t)bytes, (uintmax_t)x->offset, (uintmax_t)size);
	if (bytes > DISK_BYTES_MAX - d->bytes)
		return err_invalid(e, "the disk grows beyond 1 PiB");
	d->extent[d->n++] = (struct extent){
		.fd = x->fd, .offset = x->offset, .start = d->bytes, .bytes = bytes};
	d->bytes += bytes;
	return 0;
}

int disk_open(const struct disk_config *c, struct disk **ret, struct err *e)
{
	struct disk *d;
	int r = 0;

	if (c->n == 0 || c->n > DISK_EXTENTS_MAX)
		return err_invalid(e, "disk: %u extents, but 1 to %u are possible", c->n,
				   DISK_EXTENTS_MAX);
	d = calloc(1, sizeof(*d) + c->n * sizeof(d->extent[0]));
	if (!d)
		return err_nomem(e);
	for (unsigned i = 0; r == 0 && i < c->n; i++) {
		r = add_extent(d, &c->extents[i], e);
		if (r < 0)
			err_wrap(e, "extent %u", i);
	}
	d->read_only = c->read_only;
	if (r == 0 && c->overlay_fd >= 0)
		r = overlay_open(c->overlay_fd, d->bytes, &d->overlay, e);
	if (r < 0) {
		disk_close(d);
		return err_wrap(e, "disk");
	}
	*ret = d;
	return 0;
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	overlay_close(d->overlay);
	free(d);
}

uint64_t disk_bytes(const struct disk *d)
{
	return d->bytes;
}

bool disk_is_read_only(const struct disk *d)
{
	return d->read_only;
}

static struct piece in_extents(const struct disk *d, uint64_t at, uint64_t max)
{
	unsigned low = 0, high = d->n - 1;
	const struct extent *x;
	uint64_t left;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (at - d->extent[middle].start < d->extent[middle].bytes ||
		    at < d->extent[middle].start)
			high = middle;
		else
			low = middle + 1;
	}
	x = &d->extent[low];
	left = x->bytes - (at - x->start);
	return (struct piece){.fd = x->fd,
			      .position = x->offset + (at - x->start),
			      .bytes = max < left ? max : left};
}

/* Read or write a piece whole. iov is consumed. */
static int transfer(const struct piece *p, struct iovec *iov, unsigned n, bool write)
{
	uint64_t position = p->position;

	while (n) {
		ssize_t done = write ? pwritev(p->fd, iov, (int)n, (off_t)position)
				     : preadv(p->fd, iov, (int)n, (off_t)position);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done == 0)
			return -EIO;
		if (done < 0)
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

static int through_extents(struct disk *d, const struct iovec *iov, unsigned n, uint64_t skip,
			   uint64_t at, uint64_t bytes, bool write)
{
	struct iovec part[VIRTQ_SIZE_MAX];

	for (uint64_t done = 0; done < bytes;) {
		struct piece p = in_extents(d, at + done, bytes - done);
		unsigned k = virtq_slice(iov, n, skip + done, p.bytes, part, VIRTQ_SIZE_MAX);
		int r = transfer(&p, part, k, write);

		if (r < 0)
			return r;
		done += p.bytes;
	}
	return 0;
}

int disk_read(struct disk *d, const struct iovec *iov, unsigned n, uint64_t at, uint64_t bytes)
{
	struct iovec part[VIRTQ_SIZE_MAX];
	int r = 0;

	if (!d->overlay)
		return through_extents(d, iov, n, 0, at, bytes, false);
	for (uint64_t done = 0, len; r == 0 && done < bytes; done += len) {
		bool here;

		len = overlay_run(d->overlay, at + done, bytes - done, &here);
		if (here) {
			struct piece p = {.fd = -1, .position = 0, .bytes = len};
			unsigned k = virtq_slice(iov, n, done, len, part, VIRTQ_SIZE_MAX);

			p.position = overlay_position(d->overlay, at + done);
			p.fd = overlay_fd(d->overlay);
			r = transfer(&p, part, k, false);
		} else {
			r = through_extents(d, iov, n, done, at + done, len, false);
		}
	}
	return r;
}

static int read_below(void *self, void *to, uint64_t at, uint32_t bytes)
{
	const struct iovec iov = {.iov_base = to, .iov_len = bytes};

	return through_extents(self, &iov, 1, 0, at, bytes, false);
}

int disk_write(struct disk *d, const struct iovec *iov, unsigned n, uint64_t at, uint64_t bytes)
{
	if (d->read_only)
		return -EROFS;
	if (d->overlay)
		return overlay_write(d->overlay, iov, n, at, bytes, read_below, d);
	return through_extents(d, iov, n, 0, at, bytes, true);
}

static int write_zeros(struct disk *d, uint64_t at, uint64_t bytes)
{
	static const uint8_t zeros[64 << 10];
	int r = 0;

	for (uint64_t done = 0, len; r == 0 && done < bytes; done += len) {
		struct iovec iov = {.iov_base = (void *)(uintptr_t)zeros};

		len = bytes - done < sizeof(zeros) ? bytes - done : sizeof(zeros);
		iov.iov_len = len;
		r = disk_write(d, &iov, 1, at + done, len);
	}
	return r;
}

/* The overlay's whole blocks become a hole; what is left at both ends is written. */
static int zero_overlay(struct disk *d, uint64_t at, uint64_t bytes)
{
	uint64_t block = overlay_block_bytes(d->overlay), end = at + bytes;
	uint64_t first = (at + block - 1) / block * block, last = end / block * block;
	int r = 0;

	if (first >= last)
		return write_zeros(d, at, bytes);
	if (at < first)
		r = write_zeros(d, at, first - at);
	if (r == 0)
		r = overlay_zero(d->overlay, first, last - first);
	if (r == 0 && last < end)
		r = write_zeros(d, last, end - last);
	return r;
}

/* fallocate(2) on what lies in the extents; -EOPNOTSUPP where one cannot. */
static int allocate(struct disk *d, int mode, uint64_t at, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes;) {
		struct piece p = in_extents(d, at + done, bytes - done);

		if (fallocate(p.fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)p.position,
			      (off_t)p.bytes) == 0)
			done += p.bytes;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int disk_zero(struct disk *d, uint64_t at, uint64_t bytes, bool may_unmap)
{
	int r;

	if (d->read_only)
		return -EROFS;
	if (d->overlay)
		return zero_overlay(d, at, bytes);
	r = allocate(d, may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, at, bytes);
	return r == -EOPNOTSUPP ? write_zeros(d, at, bytes) : r;
}

int disk_discard(struct disk *d, uint64_t at, uint64_t bytes)
{
	int r;

	if (d->read_only)
		return -EROFS;
	if (d->overlay) {
		/* Only whole blocks are worth it. */
		uint64_t block = overlay_block_bytes(d->overlay);
		uint64_t first = (at + block - 1) / block * block,
			 last = (at + bytes) / block * block;

		r = first < last ? overlay_zero(d->overlay, first, last - first) : 0;
	} else {
		r = allocate(d, FALLOC_FL_PUNCH_HOLE, at, bytes);
	}
	return r == -EOPNOTSUPP ? 0 : r;
}

int disk_flush(struct disk *d)
{
	if (d->read_only)
		return 0;
	if (d->overlay)
		return overlay_flush(d->overlay);
	for (unsigned i = 0; i < d->n; i++) {
		/* The same file in several pieces: once is enough where they follow each other. */
		if (i && d->extent[i].fd == d->extent[i - 1].fd)
			continue;
		if (fdatasync(d->extent[i].fd) < 0)
			return -errno;
	}
	return 0;
}
