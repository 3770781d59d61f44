/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the console device. What the guest writes begins with "hvc: ". */
#include <stddef.h>

#include "cmdline.h"
#include "devices.h"
#include "guest.h"
#include "masking.h"
#include "page_alloc.h"
#include "print.h"
#include "string.h"
#include "virtio_console.h"

static const char console_greeting[] = "hvc: hello from the guest\n";

static void console_check_result(const char *prefix, const char *check, const char *problem)
{
	if (problem == NULL) {
		test_ok(devices_name(prefix, check));
	} else {
		test_fail(devices_name(prefix, check), "%s", problem);
	}
}

static void console_check_long_text(struct virtio_console *console, char *text, const char *prefix)
{
	memcpy(text, "hvc: ", 5);
	memset(text + 5, 'x', PAGE_SIZE_BYTES - 6);
	text[PAGE_SIZE_BYTES - 1] = '\n';
	console_check_result(prefix, "writes_a_page",
			     console_write(console, text, PAGE_SIZE_BYTES));
}

static void console_submit(void *argument)
{
	struct virtio_console *console = argument;
	static const char text[] = "hvc: while masked\n";
	struct virtqueue_segment segment = {(void *)(uintptr_t)text, sizeof(text) - 1, false};

	virtqueue_add(&console->transmit, &segment, 1);
	virtqueue_kick(&console->transmit);
}

static void console_run(struct virtio_console *console, char *text, const char *prefix,
			uint64_t features)
{
	uint16_t columns;
	uint16_t rows;
	const char *problem = console_start(console, features | CONSOLE_F_SIZE);

	console_check_result(prefix, "starts", problem);
	if (problem != NULL) {
		return;
	}
	console_read_size(console, &columns, &rows);
	print("console size %u x %u\n", columns, rows);
	console_check_result(
		prefix, "writes_a_line",
		console_write(console, console_greeting, sizeof(console_greeting) - 1));
	console_check_long_text(console, text, prefix);
	masking_check(&console->transmit, prefix, console_submit, console);
}

/* Sends every line of input back until the time is over or a line "quit" comes. */
static void console_echo(struct virtio_console *console, char *text)
{
	uint64_t timeout_us = cmdline_number("echo_ms", 0) * 1000;
	uint32_t echoed = 0;
	int count;

	if (timeout_us == 0) {
		return;
	}
	print("console waits for input\n");
	while ((count = console_read(console, text, PAGE_SIZE_BYTES, timeout_us)) > 0) {
		const char *problem = console_write(console, text, (uint32_t)count);

		if (problem != NULL) {
			test_fail("console.echoes_input", "%s", problem);
			return;
		}
		echoed += (uint32_t)count;
		if (count >= 4 && memcmp(text, "quit", 4) == 0) {
			break;
		}
	}
	test_check("console.echoes_input", echoed > 0 && count >= 0, "no input, or a wrong length");
}

void devices_check_console(const struct virtio_device *device, uint32_t index)
{
	static struct virtio_console console;
	char *text = page_alloc(1);

	(void)index;
	console = (struct virtio_console){.device = *device};
	devices_check_transport(&console.device, "console");
	console_run(&console, text, "console.plain", 0);
	console_run(&console, text, "console.event_idx",
		    VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC);
	console_echo(&console, text);
	test_check("console.resets_at_the_end", virtio_reset(&console.device),
		   "device_status did not become 0");
}
