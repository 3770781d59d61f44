/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles a policy with libseccomp and prints the filter. */
#include "devworkers/common/policy/policy.h"

#include <errno.h>
#include <linux/filter.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the library may generate, whatever the kernel that the build runs on can do. */
#define LIBRARY_API_LEVEL 5 /* user notification */
#define OPTIMIZE_BY_TREE  2
#define MAX_INSTRUCTIONS  4096 /* BPF_MAXINSNS: the kernel takes no more */

static scmp_filter_ctx policy_compile(const struct policy *policy)
{
	uint32_t action = policy->default_action == POLICY_DEFAULT_KILL ? SCMP_ACT_KILL_PROCESS
									: SCMP_ACT_NOTIFY;
	scmp_filter_ctx filter;

	if (seccomp_api_set(LIBRARY_API_LEVEL) != 0)
		policy_fail("libseccomp", 0, "does not know user notification");
	filter = seccomp_init(action);
	if (!filter)
		policy_fail("libseccomp", 0, "seccomp_init failed");
	if (seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0 ||
	    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_BY_TREE) != 0)
		policy_fail("libseccomp", 0, "seccomp_attr_set failed");
	for (unsigned i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		uint32_t verdict = rule->refused ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW;
		int rc = seccomp_rule_add_array(filter, verdict, rule->syscall_number,
						rule->condition_count, rule->conditions);

		if (rc != 0 && rc != -EEXIST)
			policy_fail(rule->file, rule->line, "%s", strerror(-rc));
	}
	return filter;
}

void policy_emit_filter(const struct policy *policy, const char *name, FILE *output)
{
	scmp_filter_ctx filter = policy_compile(policy);
	int fd = memfd_create("filter", MFD_CLOEXEC);
	struct sock_filter instruction;
	unsigned count = 0;

	if (fd < 0 || seccomp_export_bpf(filter, fd) != 0 || lseek(fd, 0, SEEK_SET) != 0)
		policy_fail(name, 0, "the filter cannot be exported");
	fprintf(output, "static const struct sock_filter %s_filter[] = {\n", name);
	while (read(fd, &instruction, sizeof(instruction)) == (ssize_t)sizeof(instruction)) {
		fprintf(output, "\t{0x%02x, %u, %u, 0x%08x},\n", instruction.code, instruction.jt,
			instruction.jf, instruction.k);
		count++;
	}
	fprintf(output, "};\n");
	if (count == 0 || count > MAX_INSTRUCTIONS)
		policy_fail(name, 0, "the filter has %u instructions", count);
	close(fd);
	seccomp_release(filter);
}
