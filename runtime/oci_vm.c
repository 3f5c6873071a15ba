/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `vm` object of a configuration, as far as it describes a full guest system: the disk and, where it is not started by
 * firmware, the kernel. Spec: OCI runtime-spec config-vm.md.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

void oci_vm_done(struct oci_vm *vm)
{
	free(vm->image_path);
	free(vm->image_format);
	free(vm->kernel_path);
	free(vm->initrd);
	strv_free(vm->kernel_parameters);
	*vm = (struct oci_vm){0};
}

static const struct json_field image_fields[] = {
	JSON_FIELD(struct oci_vm, image_path, "path", oci_read_absolute_path),
	JSON_FIELD(struct oci_vm, image_format, "format", json_read_string),
};

static const struct json_field kernel_fields[] = {
	JSON_FIELD(struct oci_vm, kernel_path, "path", oci_read_absolute_path),
	JSON_FIELD(struct oci_vm, kernel_parameters, "parameters", json_read_strv),
	JSON_FIELD(struct oci_vm, initrd, "initrd", oci_read_absolute_path),
};

static int read_image(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, image_fields, ARRAY_SIZE(image_fields), target, e);
}

static int read_kernel(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, kernel_fields, ARRAY_SIZE(kernel_fields), target, e);
}

/* Other drivers refuse the members by name, and who asks for nothing may write what he likes: so only where there is an image
 * is the rest read. */
int oci_read_vm(const struct json_at *at, void *target, struct err *e)
{
	struct json_at image, kernel;
	int r = 0;

	if (json_type_of(at->value) != JSON_OBJECT || !json_member(at, "image", &image) ||
	    json_type_of(image.value) != JSON_OBJECT)
		return 0;
	r = read_image(&image, target, e);
	if (r == 0 && json_member(at, "kernel", &kernel))
		r = read_kernel(&kernel, target, e);
	return r;
}
