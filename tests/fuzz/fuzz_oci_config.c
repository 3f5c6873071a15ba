/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a config.json. Reading must end in a configuration or an error with a
 * text, must not leak, and what was read must survive being written and read again (processes) and
 * being looked up in the support table.
 *
 * For libFuzzer: clang -fsanitize=fuzzer,address,undefined with the archives of runtime, isolate,
 * cgroups and base.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "runtime/driver.h"
#include "runtime/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct driver drivers[DRIVER_COUNT] = {
	[DRIVER_CONTAINER] = {.name = "container", .id = DRIVER_CONTAINER},
	[DRIVER_VM] = {.name = "vm", .id = DRIVER_VM},
};

static void check(int ok)
{
	if (!ok)
		abort();
}

static void look(struct oci_config *c)
{
	for (size_t i = 0; i < DRIVER_COUNT; i++)
		(void)driver_check_config(&drivers[i], c, NULL);
	(void)iso_config_check(&c->isolation, &c->process, NULL);
	check(c->isolation.rootfs.path && c->isolation.rootfs.path[0] == '/');
	for (size_t i = 0; i < c->isolation.n_mounts; i++)
		check(c->isolation.mounts[i].destination[0] == '/' &&
		      c->isolation.mounts[i].source_fd == -1);

	if (c->has_process) {
		_cleanup_json_ struct json *written = oci_process_to_json(&c->process);
		struct json_at top = json_top(written);
		struct iso_process again;
		struct err e = ERR_INIT;

		check(written && oci_process_read(&top, &again, &e) == 0);
		check(again.user.uid == c->process.user.uid &&
		      again.n_rlimits == c->process.n_rlimits);
		iso_process_done(&again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json *document = NULL;
	struct oci_config c;
	struct err e = ERR_INIT;

	if (json_parse((const char *)data, size, "fuzz", &document, &e) < 0) {
		check(e.text[0] != '\0');
		return 0;
	}
	if (oci_config_read(document, "/bundle", &c, &e) < 0) {
		check(e.kind != ERR_NONE && e.text[0] != '\0');
		json_free(document);
		return 0;
	}
	look(&c);
	oci_config_done(&c);
	return 0;
}
