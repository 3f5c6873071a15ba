/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --security-opt seccomp=FILE. What docker and podman take is not linux.seccomp but a template of it: rules hold
 * for some architectures, kernels and capabilities only ("includes", "excludes"), and architectures bring
 * their 32-bit relatives along ("archMap"). Here the template is filled in for this host and these
 * capabilities; whether the result makes sense is judged by the reader of linux.seccomp.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "run_document.h"

#define PROFILE_BYTES_MAX (1u << 20)

/* The names of this architecture: libseccomp's, Go's (which profiles use in conditions). */
#if defined(__x86_64__)
#define ARCH_SCMP "SCMP_ARCH_X86_64"
#define ARCH_GO   "amd64"
#elif defined(__aarch64__)
#define ARCH_SCMP "SCMP_ARCH_AARCH64"
#define ARCH_GO   "arm64"
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH_SCMP "SCMP_ARCH_RISCV64"
#define ARCH_GO   "riscv64"
#elif defined(__s390x__)
#define ARCH_SCMP "SCMP_ARCH_S390X"
#define ARCH_GO   "s390x"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define ARCH_SCMP "SCMP_ARCH_PPC64LE"
#define ARCH_GO   "ppc64le"
#else
#define ARCH_SCMP ""
#define ARCH_GO   ""
#endif

/* Does any word of the list fulfil `is`? *ret_given: there is a list at all. */
static int any_of(const struct json_at *at, const char *key,
		  bool (*is)(const char *word, uint64_t caps), uint64_t caps, bool *ret_given,
		  bool *ret_any, struct err *e)
{
	struct json_at list;

	*ret_given = *ret_any = false;
	if (!json_member(at, key, &list))
		return 0;
	if (json_type_of(list.value) != JSON_ARRAY)
		return json_error(&list, e, "expected an array of strings");
	for (size_t i = 0; i < json_array_len(&list); i++) {
		struct json_at item = json_array_at(&list, i);
		const char *word = json_peek_string(&item);

		if (!word)
			return json_error(&item, e, "expected a string");
		*ret_given = true;
		*ret_any = *ret_any || is(word, caps);
	}
	return 0;
}

static bool is_our_arch(const char *word, uint64_t caps)
{
	(void)caps;
	return STREQ(word, ARCH_GO);
}

/* One that nobody knows is one that nobody has. */
static bool is_our_cap(const char *word, uint64_t caps)
{
	int cap;

	return iso_cap_parse(word, &cap) == 0 && (caps & UINT64_C(1) << cap);
}

/* Profiles list the capabilities that all must be there, or one per rule. */
static bool is_missing_cap(const char *word, uint64_t caps)
{
	return !is_our_cap(word, caps);
}

static bool kernel_is_at_least(const char *wanted)
{
	unsigned major = 0, minor = 0, our_major = 0, our_minor = 0;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &our_major, &our_minor) == 2 &&
	       sscanf(wanted, "%u.%u", &major, &minor) == 2 &&
	       (our_major > major || (our_major == major && our_minor >= minor));
}

/* Is this rule for us? */
static int applies(const struct json_at *rule, uint64_t caps, bool *ret, struct err *e)
{
	struct json_at when, kernel;
	bool given, any;
	int r;

	*ret = true;
	if (json_member(rule, "includes", &when)) {
		r = any_of(&when, "arches", is_our_arch, caps, &given, &any, e);
		if (r == 0 && given && !any)
			*ret = false;
		if (r == 0)
			r = any_of(&when, "caps", is_missing_cap, caps, &given, &any, e);
		if (r < 0)
			return r;
		if (any)
			*ret = false;
		if (json_member(&when, "minKernel", &kernel) &&
		    (!json_peek_string(&kernel) || !kernel_is_at_least(json_peek_string(&kernel))))
			*ret = false;
	}
	if (!json_member(rule, "excludes", &when))
		return 0;
	r = any_of(&when, "arches", is_our_arch, caps, &given, &any, e);
	if (r == 0 && any)
		*ret = false;
	if (r == 0)
		r = any_of(&when, "caps", is_our_cap, caps, &given, &any, e);
	if (r == 0 && any)
		*ret = false;
	if (r == 0 && json_member(&when, "minKernel", &kernel) && json_peek_string(&kernel) &&
	    kernel_is_at_least(json_peek_string(&kernel)))
		*ret = false;
	return r;
}

/* Members that both have, and "name" for a rule of one call. */
static int copy_members(const struct json_at *from, struct json *to, const char *const *keys,
			size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct json_at v;

		if (json_member(from, keys[i], &v) && json_set(to, keys[i], json_copy(v.value)) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int add_rule(struct json *rules, const struct json_at *rule, struct err *e)
{
	static const char *const keys[] = {"names", "action", "errnoRet", "args"};
	_cleanup_json_ struct json *o = json_new_object();
	struct json_at one, word;
	int r;

	if (!o)
		return err_nomem(e);
	r = copy_members(rule, o, keys, ARRAY_SIZE(keys), e);
	if (r < 0)
		return r;
	if (json_member(rule, "name", &one)) {
		char *names[] = {(char *)json_peek_string(&one), NULL};

		if (!names[0] || json_member(rule, "names", &word))
			return json_error(&one, e, "expected a string, and no \"names\" beside it");
		if (json_set(o, "names", json_new_strv(names)) < 0)
			return err_nomem(e);
	}
	if (json_member(rule, "errno", &word) && !json_member(rule, "errnoRet", &one))
		return json_error(&word, e, "a name of an errno is not done; give errnoRet");
	return json_push(rules, TAKE_PTR(o)) < 0 ? err_nomem(e) : 0;
}

static int add_rules(const struct json_at *top, struct json *to, uint64_t caps, struct err *e)
{
	_cleanup_json_ struct json *rules = json_new_array();
	struct json_at list;

	if (!rules)
		return err_nomem(e);
	if (!json_member(top, "syscalls", &list))
		return 0;
	if (json_type_of(list.value) != JSON_ARRAY)
		return json_error(&list, e, "expected an array of rules");
	for (size_t i = 0; i < json_array_len(&list); i++) {
		struct json_at rule = json_array_at(&list, i);
		bool ours = false;
		int r;

		if (json_type_of(rule.value) != JSON_OBJECT)
			return json_error(&rule, e, "expected a rule");
		r = applies(&rule, caps, &ours, e);
		if (r == 0 && ours)
			r = add_rule(rules, &rule, e);
		if (r < 0)
			return r;
	}
	return json_set(to, "syscalls", TAKE_PTR(rules)) < 0 ? err_nomem(e) : 0;
}

/* "archMap" in the place of "architectures": ours and its relatives. */
static int add_arches(const struct json_at *top, struct json *to, struct err *e)
{
	_cleanup_strv_ char **arches = NULL;
	struct json_at map, name, more;

	if (!json_member(top, "archMap", &map))
		return 0;
	if (json_member(top, "architectures", &name))
		return json_error(&map, e, "either this or \"architectures\"");
	if (json_type_of(map.value) != JSON_ARRAY)
		return json_error(&map, e, "expected an array");
	for (size_t i = 0; i < json_array_len(&map); i++) {
		struct json_at item = json_array_at(&map, i);

		if (json_type_of(item.value) != JSON_OBJECT ||
		    !json_member(&item, "architecture", &name) || !json_peek_string(&name))
			return json_error(&item, e, "expected an architecture");
		if (!STREQ(json_peek_string(&name), ARCH_SCMP))
			continue;
		if (json_member(&item, "subArchitectures", &more)) {
			int r = json_get_strv(&more, &arches, e);

			if (r < 0)
				return r;
		}
		if (strv_push(&arches, ARCH_SCMP) < 0 ||
		    json_set(to, "architectures", json_new_strv(arches)) < 0)
			return err_nomem(e);
		return 0;
	}
	return 0;
}

int run_seccomp_file(const char *path, uint64_t caps, struct json **ret, struct err *e)
{
	static const char *const keys[] = {"defaultAction", "defaultErrnoRet", "architectures",
					   "flags",         "listenerPath",    "listenerMetadata"};
	_cleanup_json_ struct json *profile = NULL, *to = json_new_object();
	struct json_at top;
	int r;

	if (!to)
		return err_nomem(e);
	r = json_parse_file_at(AT_FDCWD, path, PROFILE_BYTES_MAX, &profile, e);
	if (r < 0)
		return r;
	top = json_top(profile);
	if (json_type_of(profile) != JSON_OBJECT)
		return json_error(&top, e, "expected an object");
	r = copy_members(&top, to, keys, ARRAY_SIZE(keys), e);
	if (r == 0)
		r = add_arches(&top, to, e);
	if (r == 0)
		r = add_rules(&top, to, caps, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(to);
	return 0;
}
