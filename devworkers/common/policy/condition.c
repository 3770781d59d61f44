/* SPDX-License-Identifier: Apache-2.0 */
/* Parses argument limits: ARGUMENT[&MASK]OPERATOR VALUE. */
#include "devworkers/common/policy/policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where a condition stands, for messages. */
struct place {
	const char *file;
	unsigned line;
	const char *text;
};

static const struct {
	const char *text;
	enum scmp_compare compare;
} operators[] = {
	/* the longer ones first */
	{"==", SCMP_CMP_EQ}, {"!=", SCMP_CMP_NE}, {"<=", SCMP_CMP_LE},
	{">=", SCMP_CMP_GE}, {"<", SCMP_CMP_LT},  {">", SCMP_CMP_GT},
};

static uint64_t term_value(const struct place *place, const char *term)
{
	uint64_t value = 0;
	char *end;

	if (policy_constant_value(term, &value))
		return value;
	errno = 0;
	value = strtoull(term, &end, 0);
	if (errno || !*term || *end)
		policy_fail(place->file, place->line, "unknown value \"%s\"", term);
	return value;
}

/* NUMBER, NAME, (A|B|…), each optionally after '~'. */
static uint64_t expression_value(const struct place *place, char *text)
{
	size_t length = strlen(text);
	uint64_t value = 0;
	char *save = NULL;

	if (text[0] == '~')
		return ~expression_value(place, text + 1);
	if (text[0] != '(')
		return term_value(place, text);
	if (length < 3 || text[length - 1] != ')')
		policy_fail(place->file, place->line, "unbalanced \"%s\"", text);
	text[length - 1] = '\0';
	for (char *term = strtok_r(text + 1, "|", &save); term; term = strtok_r(NULL, "|", &save))
		value |= term_value(place, term);
	return value;
}

/* Split at the operator; returns it, and the text behind it in *right. */
static enum scmp_compare operator_split(const struct place *place, char *text, char **right)
{
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		char *at = strstr(text, operators[i].text);

		if (!at)
			continue;
		*right = at + strlen(operators[i].text);
		*at = '\0';
		return operators[i].compare;
	}
	policy_fail(place->file, place->line, "no comparison in \"%s\"", text);
}

struct scmp_arg_cmp policy_parse_condition(const char *file, unsigned line, const char *syscall,
					   char *text)
{
	struct place place = {file, line, text};
	struct scmp_arg_cmp condition = {0};
	char *right = NULL, *mask_text;
	bool is_32bit = false;
	uint64_t mask = UINT64_MAX, value;
	int index;

	condition.op = operator_split(&place, text, &right);
	mask_text = strchr(text, '&');
	if (mask_text) {
		*mask_text++ = '\0';
		mask = expression_value(&place, mask_text);
		if (condition.op != SCMP_CMP_EQ)
			policy_fail(file, line, "a mask goes with == only");
	}
	index = policy_argument_index(syscall, text, &is_32bit);
	if (index < 0)
		policy_fail(file, line, "\"%s\" has no argument \"%s\"", syscall, text);
	value = expression_value(&place, right);
	if (is_32bit) {
		if (condition.op != SCMP_CMP_EQ)
			policy_fail(file, line, "32-bit arguments are compared with == only");
		mask &= UINT32_MAX;
		value &= UINT32_MAX;
	}
	if (value & ~mask)
		policy_fail(file, line, "can never hold: the value has bits outside the mask");
	condition.arg = (unsigned)index;
	if (mask == UINT64_MAX) {
		condition.datum_a = value;
		return condition;
	}
	condition.op = SCMP_CMP_MASKED_EQ;
	condition.datum_a = mask;
	condition.datum_b = value;
	return condition;
}
