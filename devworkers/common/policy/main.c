/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy-compiler INPUT.seccomp OUTPUT.h: compile one system call policy. Run from the top of the
 * source tree. The syntax and the names it generates are in README.md beside this file.
 */
#include "devworkers/common/policy/policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SANITIZER_POLICY "devworkers/common/sanitizer.seccomp"

void policy_fail(const char *file, unsigned line, const char *format, ...)
{
	va_list arguments;

	if (line)
		fprintf(stderr, "%s:%u: ", file, line);
	else
		fprintf(stderr, "%s: ", file);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

/* "vmm/core/kvm/policy-vcpu.seccomp" -> "kvm_vcpu". */
static void policy_name_from_path(const char *path, char *name, size_t size)
{
	const char *base = strrchr(path, '/');
	const char *folder = base;
	int length;

	if (!base || base == path)
		policy_fail(path, 0, "expected FOLDER/policy[-ROLE].seccomp");
	while (folder > path && folder[-1] != '/')
		folder--;
	length = snprintf(name, size, "%.*s", (int)(base - folder), folder);
	base++;
	if (strncmp(base, "policy", strlen("policy")) != 0)
		policy_fail(path, 0, "the file's name must begin with \"policy\"");
	base += strlen("policy");
	if (*base == '-')
		snprintf(name + length, size - (size_t)length, "_%.*s", (int)strcspn(base + 1, "."),
			 base + 1);
	for (char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at))
			*at = '_';
}

static void policy_write_header(const char *input, const char *name, const struct policy *plain,
				const struct policy *sanitize, FILE *output)
{
	fprintf(output, "/* Generated from %s. */\n", input);
	fprintf(output, "#ifndef BULKHEAD_POLICY_%s\n#define BULKHEAD_POLICY_%s\n\n", name, name);
	fprintf(output, "#include <linux/filter.h>\n\n#ifdef BULKHEAD_SANITIZE\n");
	policy_emit_filter(sanitize, name, output);
	fprintf(output, "#else\n");
	policy_emit_filter(plain, name, output);
	fprintf(output, "#endif\n\n");
	/* sock_fprog wants a pointer to non-const; the kernel only reads. */
	fprintf(output, "#pragma GCC diagnostic push\n"
			"#pragma GCC diagnostic ignored \"-Wcast-qual\"\n");
	fprintf(output,
		"static const struct sock_fprog %s_policy = {\n"
		"\t.len = sizeof(%s_filter) / sizeof(%s_filter[0]),\n"
		"\t.filter = (struct sock_filter *)%s_filter,\n};\n",
		name, name, name, name);
	fprintf(output, "#pragma GCC diagnostic pop\n\n#endif\n");
}

int main(int argc, char **argv)
{
	static struct policy plain, sanitize;
	char name[64];
	FILE *output;

	if (argc != 3) {
		fprintf(stderr, "usage: policy-compiler INPUT.seccomp OUTPUT.h\n");
		return 2;
	}
	policy_name_from_path(argv[1], name, sizeof(name));
	policy_read_file(&plain, argv[1]);
	sanitize = plain;
	policy_read_file(&sanitize, SANITIZER_POLICY);
	sanitize.default_action = plain.default_action;

	output = fopen(argv[2], "w");
	if (!output)
		policy_fail(argv[2], 0, "%s", strerror(errno));
	policy_write_header(argv[1], name, &plain, &sanitize, output);
	if (fclose(output) != 0)
		policy_fail(argv[2], 0, "%s", strerror(errno));
	return 0;
}
