/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From `insula run --vm DISK` to a document without root and with vm.image (guest_system.h).
 */
#include "runtime/system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "creation.h"
#include "guest_system.h"
#include "run_document.h"
#include "run_userns.h"

static int add_vm(struct json *document, const struct rt_system *s)
{
	struct json *vm = json_object_member(document, "vm", true);
	struct json *image = vm ? json_object_member(vm, "image", true) : NULL;
	struct json *kernel;

	if (!image || json_set(image, "path", json_new_string(s->image)) < 0 ||
	    (s->format && json_set(image, "format", json_new_string(s->format)) < 0))
		return -ENOMEM;
	if (!s->kernel && !s->initrd && !s->append)
		return 0;
	kernel = json_object_member(vm, "kernel", true);
	if (!kernel || (s->kernel && json_set(kernel, "path", json_new_string(s->kernel)) < 0) ||
	    (s->initrd && json_set(kernel, "initrd", json_new_string(s->initrd)) < 0))
		return -ENOMEM;
	if (s->append) {
		char *words[] = {(char *)s->append, NULL};

		return json_set(kernel, "parameters", json_new_strv(words));
	}
	return 0;
}

static int disks_text(const struct rt_system *s, char **ret)
{
	_cleanup_json_ struct json *list = json_new_array();

	for (size_t i = 0; list && i < s->n_disks; i++) {
		_cleanup_json_ struct json *o = json_new_object();

		if (!o || json_set(o, "path", json_new_string(s->disks[i].path)) < 0 ||
		    json_set(o, "readonly", json_new_bool(s->disks[i].read_only)) < 0 ||
		    json_push(list, TAKE_PTR(o)) < 0)
			return -ENOMEM;
	}
	return list ? json_to_text(list, false, ret, NULL) : -ENOMEM;
}

/* The caller's own first, so that ours win. */
static int add_callers(struct json *o, const struct rt_run_request *r, struct err *e)
{
	for (char *const *a = r->annotations; a && *a; a++) {
		const char *equals = strchr(*a, '=');
		_cleanup_free_ char *key = equals ? strndup(*a, (size_t)(equals - *a)) : strdup(*a);

		if (!key)
			return err_nomem(e);
		if (!*key)
			return err_invalid(e, "--annotation '%s' has no name", *a);
		if (STREQ(key, ANNOTATION_ISOLATION))
			return err_invalid(e, "--annotation '%s': it follows from other flags",
					   key);
		if (json_set(o, key, json_new_string(equals ? equals + 1 : "")) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int add_annotations(struct json *document, const struct rt_run_request *r,
			   const struct rt_system *s, struct err *e)
{
	struct json *o = json_object_member(document, "annotations", true);
	_cleanup_free_ char *root = NULL, *disks = NULL;
	int x = o ? add_callers(o, r, e) : err_nomem(e);

	if (x < 0)
		return x;
	if (s->root_partition >= 0 &&
	    str_printf(&root, "/dev/nvme0n1%s%.0lld", s->root_partition ? "p" : "",
		       (long long)s->root_partition) < 0)
		return err_nomem(e);
	if (s->n_disks && disks_text(s, &disks) < 0)
		return err_nomem(e);
	const char *const own[][2] = {
		{ANNOTATION_ISOLATION, r->driver},
		{ANNOTATION_VM_BOOT, s->boot},
		{ANNOTATION_VM_ROOT, root},
		{ANNOTATION_VM_PERSIST, s->persist ? "true" : NULL},
		{ANNOTATION_VM_DISKS, disks},
		{ANNOTATION_VM_CLOUD_INIT, s->cloud_init},
	};
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i][1] && json_set(o, own[i][0], json_new_string(own[i][1])) < 0)
			return err_nomem(e);
	return 0;
}

/* The machine's processes on the host have no network, and an ordinary user's a namespace with his own ids alone. */
static int add_linux(struct json *document, const struct rt_run_request *r, struct err *e)
{
	struct json *l = json_object_member(document, "linux", true);
	_cleanup_json_ struct json *resources = NULL, *spaces = NULL;
	_cleanup_free_ char *uid = NULL, *gid = NULL;
	bool ordinary = run_is_ordinary();
	int x = l ? run_resources_json(r, &resources, e) : err_nomem(e);

	if (x < 0)
		return x;
	spaces = run_fixed(ordinary ? "[{\"type\":\"network\"},{\"type\":\"user\"}]"
				    : "[{\"type\":\"network\"}]");
	if (!spaces || json_set(l, "namespaces", TAKE_PTR(spaces)) < 0 ||
	    json_set(l, "resources", TAKE_PTR(resources)) < 0)
		return err_nomem(e);
	if (!ordinary)
		return 0;
	if (str_printf(&uid, "[{\"containerID\":0,\"hostID\":%u,\"size\":1}]", geteuid()) < 0 ||
	    str_printf(&gid, "[{\"containerID\":0,\"hostID\":%u,\"size\":1}]", getegid()) < 0 ||
	    json_set(l, "uidMappings", run_fixed(uid)) < 0 ||
	    json_set(l, "gidMappings", run_fixed(gid)) < 0)
		return err_nomem(e);
	return 0;
}

int rt_system_document(const struct rt_run_request *r, const struct rt_system *s, struct json **ret,
		       struct err *e)
{
	_cleanup_json_ struct json *document = json_new_object();
	struct json *process;
	int x;

	if (s->root_partition > 128)
		return err_invalid(e, "--root-partition: a GPT has partitions 1 to 128; 0 is the "
				      "disk as a whole");
	process = document ? run_fixed("{\"cwd\":\"/\",\"args\":[\"guest system\"],"
				       "\"user\":{\"uid\":0,\"gid\":0}}")
			   : NULL;
	if (!process || json_set(process, "terminal", json_new_bool(s->tty)) < 0) {
		json_free(process);
		return err_nomem(e);
	}
	if (json_set(document, "process", process) < 0 ||
	    json_set(document, "ociVersion", json_new_string(OCI_VERSION)) < 0 ||
	    add_vm(document, s) < 0)
		return err_nomem(e);
	x = add_annotations(document, r, s, e);
	if (x == 0)
		x = add_linux(document, r, e);
	if (x == 0)
		*ret = TAKE_PTR(document);
	return x;
}
