/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/native/helper.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "json") == 0)
		return helper_json(argc - 2, argv + 2);
	if (argc >= 2 && strcmp(argv[1], "socket") == 0)
		return helper_socket(argc - 2, argv + 2);
	if (argc >= 2 && strcmp(argv[1], "pty") == 0)
		return helper_pty(argc - 2, argv + 2);
	(void)fprintf(stderr, "usage: helper json|socket|pty …\n");
	return 2;
}
