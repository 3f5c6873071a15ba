/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of block devices. Throttling is in both versions; weights need an I/O scheduler or controller that
 * knows them: BFQ has files of its own name, v2's `io.weight` is that of the cost model.
 * Source: Documentation/admin-guide/cgroup-v1/blkio-controller.rst, Documentation/admin-guide/cgroup-v2.rst "IO",
 * Documentation/block/bfq-iosched.rst.
 */
#include "backend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

/* The first of two names that the kernel has. NULL: neither. */
static const char *existing(const struct cg_dir *d, const char *first, const char *second)
{
	if (cg_file_exists(d->fd, first))
		return first;
	return cg_file_exists(d->fd, second) ? second : NULL;
}

static int no_weights(struct err *e)
{
	err_unsupported(e, "block I/O weight: no I/O scheduler of this kernel knows weights");
	return err_hint(e, "BFQ does: echo bfq > /sys/block/DEVICE/queue/scheduler");
}

static int write_rule(const struct cg_dir *d, const char *file, const struct cg_io_rule *rule,
		      const char *prefix, uint64_t value, struct err *e)
{
	char text[96];
	int r;

	if (value == UINT64_MAX)
		snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %smax", rule->major,
			 rule->minor, prefix);
	else
		snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %s%" PRIu64, rule->major,
			 rule->minor, prefix, value);
	r = cg_file_write(d->fd, file, text, e);
	if (r == -ENODEV || r == -ENXIO)
		err_hint(e,
			 "there is no block device %" PRId64 ":%" PRId64
			 " (a partition has no limits of its own)",
			 rule->major, rule->minor);
	return r;
}

/* ---- v1 -------------------------------------------------------------------------------------- */

static int set_weights_v1(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	const char *file = existing(d, "blkio.weight", "blkio.bfq.weight");
	const char *devices = existing(d, "blkio.weight_device", "blkio.bfq.weight_device");
	int r = 0;

	if (l->io_weight != CG_UNSET)
		r = file ? cg_file_write_i64(d->fd, file, l->io_weight, e) : no_weights(e);
	if (r == 0 && l->n_io_weights && !devices)
		return no_weights(e);
	for (size_t i = 0; r == 0 && i < l->n_io_weights; i++)
		r = write_rule(d, devices, &l->io_weights[i], "", l->io_weights[i].value, e);
	return r;
}

int cg_io_set_v1(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	static const char *const files[CG_IO_COUNT] = {
		[CG_IO_READ_BPS] = "blkio.throttle.read_bps_device",
		[CG_IO_WRITE_BPS] = "blkio.throttle.write_bps_device",
		[CG_IO_READ_IOPS] = "blkio.throttle.read_iops_device",
		[CG_IO_WRITE_IOPS] = "blkio.throttle.write_iops_device",
	};
	int r = set_weights_v1(d, l, e);

	/* 0 takes a limit away there. */
	for (size_t k = 0; k < CG_IO_COUNT; k++)
		for (size_t i = 0; r == 0 && i < l->n_io_max[k]; i++)
			r = write_rule(d, files[k], &l->io_max[k][i], "", l->io_max[k][i].value, e);
	return r;
}

/* ---- v2 -------------------------------------------------------------------------------------- */

/* OCI's 10..1000 on v2's 1..10000, as the specification's conversion table has it. */
static uint64_t weight_v2(uint64_t weight)
{
	return 1 + (weight - 10) * 9999 / 990;
}

static int set_weights_v2(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	bool bfq = cg_file_exists(d->fd, "io.bfq.weight");
	const char *file = bfq ? "io.bfq.weight" : "io.weight";
	int r = 0;

	if (l->io_weight == CG_UNSET && !l->n_io_weights)
		return 0;
	if (!bfq && !cg_file_exists(d->fd, file))
		return no_weights(e);
	if (l->io_weight != CG_UNSET)
		r = cg_file_write_i64(
			d->fd, file,
			bfq ? l->io_weight : (int64_t)weight_v2((uint64_t)l->io_weight), e);
	for (size_t i = 0; r == 0 && i < l->n_io_weights; i++) {
		uint64_t w = l->io_weights[i].value;

		r = write_rule(d, file, &l->io_weights[i], "", bfq || w == 0 ? w : weight_v2(w), e);
	}
	return r;
}

int cg_io_set_v2(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	static const char *const keys[CG_IO_COUNT] = {
		[CG_IO_READ_BPS] = "rbps=",
		[CG_IO_WRITE_BPS] = "wbps=",
		[CG_IO_READ_IOPS] = "riops=",
		[CG_IO_WRITE_IOPS] = "wiops=",
	};
	int r = set_weights_v2(d, l, e);

	for (size_t k = 0; k < CG_IO_COUNT; k++)
		for (size_t i = 0; r == 0 && i < l->n_io_max[k]; i++) {
			uint64_t v = l->io_max[k][i].value;

			r = write_rule(d, "io.max", &l->io_max[k][i], keys[k],
				       v == 0 ? UINT64_MAX : v, e);
		}
	return r;
}

/* ---- statistics ------------------------------------------------------------------------------- */

/* "8:0 Read 4096" lines of all devices; "Total 8192" at the end has no device. */
static void sum_v1(const struct cg_dir *d, const char *file, uint64_t *reads, uint64_t *writes)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (cg_file_slurp(d->fd, file, &text, NULL) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned major, minor;
		uint64_t v;
		char word[16];

		if (sscanf(line, "%u:%u %15s %" SCNu64, &major, &minor, word, &v) != 4)
			continue;
		if (STREQ(word, "Read"))
			*reads += v;
		else if (STREQ(word, "Write"))
			*writes += v;
	}
}

void cg_stats_io_v1(const struct cg_dir *d, struct cg_stats *s)
{
	sum_v1(d, "blkio.throttle.io_service_bytes_recursive", &s->io_read_bytes,
	       &s->io_write_bytes);
	sum_v1(d, "blkio.throttle.io_serviced_recursive", &s->io_reads, &s->io_writes);
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" lines. */
void cg_stats_io_v2(const struct cg_dir *d, struct cg_stats *s)
{
	const struct {
		const char *key;
		uint64_t *sum;
	} keys[] = {
		{"rbytes=", &s->io_read_bytes},
		{"wbytes=", &s->io_write_bytes},
		{"rios=", &s->io_reads},
		{"wios=", &s->io_writes},
	};
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (cg_file_slurp(d->fd, "io.stat", &text, NULL) < 0)
		return;
	for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (str_has_prefix(word, keys[i].key))
				*keys[i].sum += strtoull(word + strlen(keys[i].key), NULL, 10);
}
