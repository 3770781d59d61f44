/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redteam FOLDER BROKER [ATTEMPT…]: try every attempt under every policy; print a table and a
 * closing count. FOLDER holds a folder for each kind of device with the hostile worker in it under
 * the name of the real one. Attempts can be chosen by name. redteam --index ATTEMPT prints the
 * number of one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/redteam/driver.h"

static const struct environment environments[] = {
	{.policy = "blk", .kind = "blk", .filter = true, .has_ring = true},
	{.policy = "rng", .kind = "rng", .filter = true},
	{.policy = "console", .kind = "console", .filter = true},
	/* Without the last stage, the ones before it must hold on their own. */
	{.policy = "blk, no filter", .kind = "blk", .filter = false, .has_ring = true},
	{.policy = "rng, no filter", .kind = "rng", .filter = false},
};

struct count {
	unsigned passed, failed;
};

static bool attempt_applies(const struct attempt *attempt, const struct environment *environment)
{
	if (attempt->needs_ring && !environment->has_ring)
		return false;
	return environment->filter ||
	       (attempt->defence != BY_FILTER_ONLY && attempt->defence != BY_SIGSYS);
}

static bool attempt_chosen(const struct attempt *attempt, char **names, int name_count)
{
	for (int i = 0; i < name_count; i++)
		if (strcmp(names[i], attempt->name) == 0)
			return true;
	return name_count == 0;
}

static void print_row(const char *attempt, const char *policy, bool passed, const char *outcome)
{
	printf("%-40s %-16s %-8s %s\n", attempt, policy, passed ? "denied" : "FAILED", outcome);
	(void)fflush(stdout);
}

static void environment_try_all(struct driver *driver, char **names, int name_count,
				struct count *count)
{
	const struct environment *environment = driver->environment;
	const struct attempt *attempt;
	struct outcome outcome;
	char text[128];

	for (size_t i = 0; (attempt = attempt_at(i)); i++) {
		bool passed;

		if (!attempt_applies(attempt, environment) ||
		    !attempt_chosen(attempt, names, name_count))
			continue;
		driver_try(driver, i, attempt, &outcome);
		passed = verdict_is_denied(attempt, environment, &outcome, text);
		if (!driver_others_are_well(driver)) {
			passed = false;
			(void)snprintf(text, sizeof(text), "the others were disturbed");
		}
		print_row(attempt->name, environment->policy, passed, text);
		if (passed)
			count->passed++;
		else
			count->failed++;
		if (driver->broker_gone)
			return;
	}
}

static int print_index(const char *name)
{
	const struct attempt *attempt;

	for (size_t i = 0; (attempt = attempt_at(i)); i++) {
		if (strcmp(attempt->name, name) == 0) {
			printf("%zu\n", i);
			return EXIT_SUCCESS;
		}
	}
	fprintf(stderr, "redteam: no attempt is called \"%s\"\n", name);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct count count = {0};

	if (argc == 3 && strcmp(argv[1], "--index") == 0)
		return print_index(argv[2]);
	if (argc < 3) {
		fprintf(stderr, "usage: redteam FOLDER BROKER [ATTEMPT…]\n");
		return 2;
	}
	printf("%-40s %-16s %-8s %s\n", "attempt", "policy", "outcome", "how");
	for (size_t i = 0; i < sizeof(environments) / sizeof(environments[0]); i++) {
		struct error err = ERROR_INIT;
		struct driver driver;
		char folder[4096];

		(void)snprintf(folder, sizeof(folder), "%s/%s", argv[1], environments[i].kind);
		if (driver_start(&driver, &environments[i], folder, argv[2], &err) == 0) {
			environment_try_all(&driver, argv + 3, argc - 3, &count);
		} else {
			print_row("start", environments[i].policy, false, err.message);
			count.failed++;
		}
		driver_stop(&driver);
	}
	printf("%u passed, %u failed\n", count.passed, count.failed);
	return count.failed == 0 && count.passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
