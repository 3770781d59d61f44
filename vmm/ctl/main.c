/* SPDX-License-Identifier: Apache-2.0 */
/* bulkheadctl: the command-line client of a VM's control socket. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/ctl/ctl.h"

#define DEFAULT_TIMEOUT_SECONDS 60
#define MAX_TIMEOUT_SECONDS	(24 * 60 * 60)

static void print_help(void)
{
	printf("Usage: bulkheadctl [--socket PATH] [--json] [--timeout SECONDS] VERB "
	       "[ARGUMENT...]\n"
	       "Control a virtual machine of Bulkhead over its API socket.\n\n"
	       "  -s, --socket PATH      the socket (default: $BULKHEAD_SOCKET)\n"
	       "  -j, --json             answers as JSON, for programs\n"
	       "  -t, --timeout SECONDS  wait that long for an answer (default %d; 0: for ever)\n"
	       "      --help             this text; behind a verb: about the verb\n"
	       "      --version          print the version\n\nVerbs:\n",
	       DEFAULT_TIMEOUT_SECONDS);
	for (unsigned i = 0; i < ctl_verb_count; i++)
		printf("  %-18s %s\n", ctl_verbs[i].name, ctl_verbs[i].summary);
	printf("\nExit status: 0 done; 1 failed; 2 wrong command line or request; 3 nobody serves "
	       "the\nsocket; 4 not in this state (no VM, no such device, not paused, busy); "
	       "5 no answer in time.\n");
}

static void print_verb_help(const struct ctl_verb *verb)
{
	printf("Usage: bulkheadctl [OPTION...] %s%s%s\n%s\n%s", verb->name,
	       verb->arguments[0] ? " " : "", verb->arguments, verb->summary,
	       verb->details ? "\n" : "");
	if (verb->details)
		printf("%s", verb->details);
}

static const struct ctl_verb *verb_find(const char *name)
{
	for (unsigned i = 0; i < ctl_verb_count; i++)
		if (strcmp(ctl_verbs[i].name, name) == 0)
			return &ctl_verbs[i];
	return NULL;
}

/* A verb that is one request. */
static enum ctl_exit verb_request(const struct ctl *ctl, const struct ctl_verb *verb)
{
	json_t *reply;
	enum ctl_exit result = ctl_request(ctl, verb->method, verb->request, NULL, &reply);

	json_decref(reply);
	return result;
}

static enum ctl_exit verb_run(const struct ctl *ctl, int count, char **arguments)
{
	const struct ctl_verb *verb = verb_find(arguments[0]);

	if (!verb) {
		ctl_complain("there is no verb \"%s\"; see bulkheadctl --help", arguments[0]);
		return CTL_EXIT_USAGE;
	}
	if (count > 1 && strcmp(arguments[1], "--help") == 0) {
		print_verb_help(verb);
		return CTL_EXIT_OK;
	}
	count--;
	if (count < verb->min_arguments || count > verb->max_arguments) {
		ctl_complain("usage: %s%s%s", verb->name, verb->arguments[0] ? " " : "",
			     verb->arguments);
		return CTL_EXIT_USAGE;
	}
	if (!ctl->socket_path || !ctl->socket_path[0]) {
		ctl_complain("which VM? Give --socket PATH or set BULKHEAD_SOCKET");
		return CTL_EXIT_USAGE;
	}
	return verb->run ? verb->run(ctl, count, arguments + 1) : verb_request(ctl, verb);
}

static int parse_timeout(const char *text, int *timeout_ms)
{
	char *end;
	unsigned long seconds = strtoul(text, &end, 10);

	if (end == text || *end || text[0] == '-' || seconds > MAX_TIMEOUT_SECONDS)
		return -1;
	*timeout_ms = seconds ? (int)seconds * 1000 : -1;
	return 0;
}

/* 0: go on; otherwise the exit status plus one. */
static int parse_options(int argc, char **argv, struct ctl *ctl)
{
	static const struct option known[] = {
		{"socket", required_argument, NULL, 's'},  {"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},	   {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "+s:jt:hV", known, NULL)) != -1) {
		if (option == 's') {
			ctl->socket_path = optarg;
		} else if (option == 'j') {
			ctl->json = true;
		} else if (option == 'h') {
			print_help();
			return CTL_EXIT_OK + 1;
		} else if (option == 'V') {
			printf("bulkheadctl v%s\n", BULKHEAD_VERSION);
			return CTL_EXIT_OK + 1;
		} else if (option != 't' || parse_timeout(optarg, &ctl->timeout_ms) < 0) {
			ctl_complain("see bulkheadctl --help");
			return CTL_EXIT_USAGE + 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {.socket_path = getenv("BULKHEAD_SOCKET"),
			  .timeout_ms = DEFAULT_TIMEOUT_SECONDS * 1000};
	int result = parse_options(argc, argv, &ctl);

	if (result)
		return result - 1;
	if (optind == argc) {
		ctl_complain("a verb is missing; see bulkheadctl --help");
		return CTL_EXIT_USAGE;
	}
	(void)signal(SIGPIPE, SIG_DFL);
	return (int)verb_run(&ctl, argc - optind, argv + optind);
}
