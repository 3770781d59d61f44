/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/terminal.h"

#include <unistd.h>

void terminal_set_raw(struct terminal *terminal, int fd)
{
	struct termios raw;

	terminal->fd = -1;
	if (fd < 0 || !isatty(fd) || tcgetattr(fd, &terminal->saved) < 0)
		return;
	/* A background process that changes its terminal is stopped by SIGTTOU. */
	if (tcgetpgrp(fd) >= 0 && tcgetpgrp(fd) != getpgrp())
		return;
	raw = terminal->saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST | ONLCR;
	if (tcsetattr(fd, TCSANOW, &raw) == 0)
		terminal->fd = fd;
}

void terminal_restore(struct terminal *terminal)
{
	if (terminal->fd >= 0)
		(void)tcsetattr(terminal->fd, TCSANOW, &terminal->saved);
	terminal->fd = -1;
}
