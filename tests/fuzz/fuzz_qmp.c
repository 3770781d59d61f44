/* SPDX-License-Identifier: Apache-2.0 */
/* QMP lines: where a document ends, what it says, and the reader of its arguments. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gateway/json_text.h"
#include "vmm/gateway/qmp_commands.h"
#include "vmm/gateway/qmp_document.h"

static void handle(json_t *document)
{
	const char *name = json_string_value(json_object_get(document, "execute"));
	const struct qmp_command *command = name ? qmp_command_find(name) : NULL;
	json_t *arguments = json_object_get(document, "arguments");
	struct json_errors errors = {0};
	ProtobufCMessage *message;

	if (!command || !command->read || !arguments)
		return;
	message = command->read(arguments, &errors);
	if ((message != NULL) != (errors.count == 0))
		abort();
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t at = 0;

	while (at < size) {
		struct json_errors errors = {0};
		int blank;
		size_t length = qmp_document_length(text + at, size - at, &blank);
		json_t *document;

		if (length > size - at)
			abort();
		if (length == 0)
			break;
		document = blank ? NULL : json_text_parse(text + at, length, &errors);
		if (document)
			handle(document);
		json_decref(document);
		at += length;
	}
	return 0;
}
