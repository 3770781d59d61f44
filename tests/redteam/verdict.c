/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/redteam/driver.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE	128
#define LONGEST_TURN_MS 100

static bool verdict_filter(const struct environment *environment, const struct outcome *outcome,
			   char *text)
{
	if (environment->filter) {
		(void)snprintf(text, TEXT_SIZE, "killed at %s", outcome->violation_name);
		return outcome->violation && !outcome->told && outcome->signal == SIGKILL;
	}
	(void)snprintf(text, TEXT_SIZE, "%s",
		       strerrorname_np((int)-outcome->result)
			       ? strerrorname_np((int)-outcome->result)
			       : "?");
	return outcome->told && outcome->result < 0;
}

static bool verdict_kernel(const struct outcome *outcome, char *text)
{
	const char *name = outcome->result < 0 ? strerrorname_np((int)-outcome->result) : NULL;

	(void)snprintf(text, TEXT_SIZE, "%s", name ? name : "?");
	return outcome->told && outcome->result < 0 && !outcome->violation;
}

static bool verdict_core(const struct outcome *outcome, char *text)
{
	const char *reason = outcome->reason;

	if (strncmp(reason, "hostile: ", 9) == 0)
		reason += 9;
	(void)snprintf(text, TEXT_SIZE, "%s: %.90s", outcome->cut_off ? "cut off" : "given up",
		       reason);
	return (outcome->cut_off || outcome->request_failed) && outcome->exited &&
	       outcome->longest_turn_ms <= LONGEST_TURN_MS;
}

bool verdict_is_denied(const struct attempt *attempt, const struct environment *environment,
		       const struct outcome *outcome, char *text)
{
	bool denied = false;

	if (outcome->pid <= 0) {
		(void)snprintf(text, TEXT_SIZE, "not started: %.100s", outcome->spawn_error);
		return false;
	}
	switch (attempt->defence) {
	case BY_FILTER:
	case BY_FILTER_ONLY:
		denied = verdict_filter(environment, outcome, text);
		break;
	case BY_KERNEL:
		denied = verdict_kernel(outcome, text);
		break;
	case BY_SIGSYS:
		(void)snprintf(text, TEXT_SIZE, "killed with SIGSYS");
		denied = outcome->exited && outcome->signal == SIGSYS && !outcome->told;
		break;
	case BY_CORE:
		denied = verdict_core(outcome, text);
		break;
	}
	if (outcome->fds_leaked) {
		(void)snprintf(text, TEXT_SIZE, "fds were left in the core");
		return false;
	}
	if (!denied)
		(void)snprintf(text, TEXT_SIZE,
			       "told %d, result %lld, violation %.31s, exited %d, signal %d, "
			       "longest turn %llu ms",
			       outcome->told, (long long)outcome->result,
			       outcome->violation ? outcome->violation_name : "none",
			       outcome->exited, outcome->signal,
			       (unsigned long long)outcome->longest_turn_ms);
	return denied;
}
