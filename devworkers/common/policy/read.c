/* SPDX-License-Identifier: Apache-2.0 */
/* Reads policy files line by line. */
#include "devworkers/common/policy/policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDE_FOLDER "devworkers/common"

/* Cut "text # reason" in two. The reason comes back without blanks around, NULL if there is none.
 */
static const char *line_split_reason(char *text)
{
	char *reason = strchr(text, '#');
	char *end;

	if (!reason)
		return NULL;
	*reason++ = '\0';
	while (isspace((unsigned char)*reason))
		reason++;
	end = reason + strlen(reason);
	while (end > reason && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return *reason ? reason : NULL;
}

static void line_read_default(struct policy *policy, const char *file, unsigned line,
			      const char *word)
{
	if (word && strcmp(word, "notify") == 0)
		policy->default_action = POLICY_DEFAULT_NOTIFY;
	else if (word && strcmp(word, "kill") == 0)
		policy->default_action = POLICY_DEFAULT_KILL;
	else
		policy_fail(file, line, "expected \"default notify\" or \"default kill\"");
}

static void line_read_include(struct policy *policy, const char *file, unsigned line,
			      const char *word)
{
	char *path = NULL;

	if (!word || strchr(word, '/'))
		policy_fail(file, line, "expected \"include NAME\"");
	if (asprintf(&path, INCLUDE_FOLDER "/%s.seccomp", word) < 0)
		policy_fail(file, line, "out of memory");
	policy_read_file(policy, path); /* rules keep pointing at path */
}

static void line_read_rule(struct policy *policy, const char *file, unsigned line,
			   const char *syscall, bool refused, char **save)
{
	struct policy_rule *rule = &policy->rules[policy->rule_count];
	char *word;

	if (policy->rule_count == POLICY_MAX_RULES)
		policy_fail(file, line, "more than %d rules", POLICY_MAX_RULES);
	rule->file = file;
	rule->line = line;
	rule->condition_count = 0;
	rule->refused = refused;
	rule->syscall_number = seccomp_syscall_resolve_name(syscall);
	if (rule->syscall_number == __NR_SCMP_ERROR)
		policy_fail(file, line, "unknown system call \"%s\"", syscall);
	if (rule->syscall_number < 0)
		policy_fail(file, line, "no system call \"%s\" on this architecture", syscall);
	while ((word = strtok_r(NULL, " \t\n", save))) {
		if (rule->condition_count == POLICY_MAX_CONDITIONS)
			policy_fail(file, line, "too many limits");
		rule->conditions[rule->condition_count++] =
			policy_parse_condition(file, line, syscall, word);
	}
	policy->rule_count++;
}

static void line_read(struct policy *policy, const char *file, unsigned line, char *text)
{
	const char *reason = line_split_reason(text);
	char *save = NULL;
	const char *word = strtok_r(text, " \t\n", &save);

	if (!word)
		return;
	if (strcmp(word, "default") == 0) {
		line_read_default(policy, file, line, strtok_r(NULL, " \t\n", &save));
	} else if (strcmp(word, "include") == 0) {
		line_read_include(policy, file, line, strtok_r(NULL, " \t\n", &save));
	} else {
		if (!reason)
			policy_fail(file, line, "\"%s\" has no reason", word);
		bool refused = strcmp(word, "refuse") == 0;

		if (refused)
			word = strtok_r(NULL, " \t\n", &save);
		if (!word)
			policy_fail(file, line, "expected \"refuse SYSCALL\"");
		line_read_rule(policy, file, line, word, refused, &save);
	}
}

void policy_read_file(struct policy *policy, const char *path)
{
	FILE *input = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;
	unsigned line = 0;

	if (!input)
		policy_fail(path, 0, "%s", strerror(errno));
	while (getline(&text, &size, input) >= 0)
		line_read(policy, path, ++line, text);
	if (ferror(input))
		policy_fail(path, 0, "cannot be read");
	free(text);
	fclose(input);
}
