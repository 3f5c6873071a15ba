/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a container's datagram reaches the service manager.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../runtime/sd_notify.h"

static const struct {
	const char *sent, *passed;
	bool ready;
} rows[] = {
	{"READY=1", "READY=1", true},
	{"READY=1\n", "READY=1", true},
	{"READY=0", "", false},
	{"READY=", "", false},
	{"READY", "", false},
	{"ready=1", "", false},
	{"READY=1\nSTATUS=at work", "READY=1\nSTATUS=at work", true},
	{"STATUS=a\nREADY=1\nMAINPID=1\nSTOPPING=1", "STATUS=a\nREADY=1\nSTOPPING=1", true},
	{"MAINPID=4711", "", false},
	{"NOTIFYACCESS=all", "", false},
	{"FDSTORE=1\nFDNAME=x\nFDSTOREREMOVE=1\nFDPOLL=0", "", false},
	{"BARRIER=1", "", false},
	{"EXTEND_TIMEOUT_USEC=1000000", "", false},
	{"WATCHDOG_USEC=0", "", false},
	{"WATCHDOG=1\nWATCHDOG=trigger\nWATCHDOG=2", "WATCHDOG=1\nWATCHDOG=trigger", false},
	{"RELOADING=1\nMONOTONIC_USEC=123", "RELOADING=1\nMONOTONIC_USEC=123", false},
	{"MONOTONIC_USEC=-1\nMONOTONIC_USEC=\nMONOTONIC_USEC=123456789012345678901", "", false},
	{"ERRNO=2\nBUSERROR=org.freedesktop.DBus.Error.TimedOut\nBUSERROR=a b",
	 "ERRNO=2\nBUSERROR=org.freedesktop.DBus.Error.TimedOut", false},
	{"STATUS=\x1b[31mred", "", false},
	{"STATUS=\xff\xfe", "", false},
	{"STATUS=Gr\xc3\xbc\xc3\x9f"
	 "e",
	 "STATUS=Gr\xc3\xbc\xc3\x9f"
	 "e",
	 false},
	{"X_MINE=1\n\n\n=\n", "", false},
};

static void what_passes(void **state)
{
	char out[SD_NOTIFY_MAX + 64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ready = !rows[i].ready;
		size_t n = sd_notify_filter(rows[i].sent, strlen(rows[i].sent), 0, out, &ready);

		assert_string_equal(out, rows[i].passed);
		assert_int_equal(n, strlen(rows[i].passed));
		assert_int_equal(ready, rows[i].ready);
	}
}

static void the_main_process(void **state)
{
	char out[SD_NOTIFY_MAX + 64];
	bool ready;

	(void)state;
	sd_notify_filter("MAINPID=1\nREADY=1", 17, 815, out, &ready);
	assert_string_equal(out, "MAINPID=815\nREADY=1");
	sd_notify_filter("STATUS=x", 8, 815, out, &ready);
	assert_string_equal(out, "STATUS=x");
}

/* The largest datagram, full of lines that pass; one byte more is too long. NUL is no text. */
static void limits(void **state)
{
	static char data[SD_NOTIFY_MAX + 1];
	char out[SD_NOTIFY_MAX + 64];
	size_t n = 0;
	bool ready;

	(void)state;
	while (n + 8 <= SD_NOTIFY_MAX) {
		memcpy(data + n, "READY=1\n", 8);
		n += 8;
	}
	assert_int_equal(n, SD_NOTIFY_MAX);
	assert_int_equal(sd_notify_filter(data, n, 2147483647, out, &ready),
			 n - 1 + strlen("MAINPID=2147483647\n"));
	assert_true(ready);
	assert_int_equal(sd_notify_filter(data, n + 1, 1, out, &ready), 0);
	assert_false(ready);
	assert_int_equal(sd_notify_filter("STATUS=a\0b", 10, 0, out, &ready), 0);
	assert_int_equal(sd_notify_filter("BUSERROR=a\0b", 12, 0, out, &ready), 0);
	assert_int_equal(sd_notify_filter("", 0, 7, out, &ready), 0);
	memset(data, 'x', sizeof(data));
	memcpy(data, "STATUS=", 7);
	assert_int_equal(sd_notify_filter(data, 7 + 1024, 0, out, &ready), 7 + 1024);
	assert_int_equal(sd_notify_filter(data, 7 + 1025, 0, out, &ready), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_passes),
		cmocka_unit_test(the_main_process),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
