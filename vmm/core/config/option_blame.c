/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/config/option_blame.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool option_is_last(const struct argp_option *option)
{
	return !option->name && !option->key && !option->doc && !option->group;
}

/* The option of that name, or the only one that begins so, as getopt_long(3) takes them. */
static const struct argp_option *option_find(const struct argp_option *options, const char *name,
					     size_t length, bool *ambiguous)
{
	const struct argp_option *found = NULL;

	*ambiguous = false;
	for (; !option_is_last(options); options++) {
		if (!options->name || strncmp(options->name, name, length) != 0)
			continue;
		if (!options->name[length]) {
			*ambiguous = false;
			return options;
		}
		*ambiguous = *ambiguous || found;
		found = options;
	}
	return found;
}

static bool option_letter_is_known(const struct argp_option *options, char letter)
{
	for (; !option_is_last(options); options++)
		if (options->key == letter)
			return true;
	return false;
}

/* Long option argv[index]. 0: nothing wrong with it; *index moves past its value. */
static int option_blame_long(const struct argp_option *options, int argc, char **argv, int *index,
			     struct error *err)
{
	const char *word = argv[*index];
	size_t length = strcspn(word + 2, "=");
	const char *value = word[2 + length] ? word + 2 + length : NULL;
	bool ambiguous;
	const struct argp_option *option = option_find(options, word + 2, length, &ambiguous);

	if (ambiguous)
		return error_set(err, -EINVAL,
				 "%.64s: there are several options that begin so; see bulkhead "
				 "--help",
				 word);
	if (!option)
		return error_set(err, -EINVAL, "%.64s: unknown option; see bulkhead --help", word);
	if (!option->arg && value)
		return error_set(err, -EINVAL, "--%s takes no value", option->name);
	if (option->arg && !value && ++*index == argc)
		return error_set(err, -EINVAL, "--%s: its value is missing: --%s %s", option->name,
				 option->name, option->arg);
	return 0;
}

int option_blame(const struct argp_option *options, int argc, char **argv, struct error *err)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], "--", 2) == 0) {
			if (option_blame_long(options, argc, argv, &i, err) < 0)
				return err->code;
			continue;
		}
		for (const char *at = argv[i] + 1; argv[i][0] == '-' && *at; at++)
			if (!option_letter_is_known(options, *at))
				return error_set(err, -EINVAL,
						 "-%c: unknown option; see bulkhead --help", *at);
	}
	return error_set(err, -EINVAL, "bad command line; see bulkhead --help");
}
