/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file: the gateway parses it, for the core parses no text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/control/control_parts.h"

#define PARSE_MS 10000

struct parse_request {
	control_config_fn done;
	void *opaque;
};

static void config_on_parsed(void *opaque, struct channel_message *message, const struct error *err)
{
	cleanup_free struct parse_request *request = opaque;
	const Bulkhead__Control__ParsedConfig *reply =
		message ? (const Bulkhead__Control__ParsedConfig *)message->body : NULL;
	Bulkhead__Config__Vm *config = NULL;
	struct error failure = ERROR_INIT;

	if (reply && reply->config)
		config = vm_config_copy(reply->config);
	if (!config)
		error_set(&failure, err ? err->code : -EPROTO, "%s",
			  err ? err->message : "the gateway returned no configuration");
	request->done(request->opaque, config, config ? NULL : &failure);
}

int control_parse_config(struct control *control, const void *text, size_t bytes,
			 control_config_fn done, void *opaque, struct error *err)
{
	Bulkhead__Control__ParseConfig message = BULKHEAD__CONTROL__PARSE_CONFIG__INIT;
	struct parse_request *request = malloc(sizeof(*request));
	cleanup_free uint8_t *copy = malloc(bytes + 1);
	int result = -ENOMEM;

	if (!request || !copy || !control->gateway || control->gateway->closing) {
		error_set(err, result, "cannot read the configuration: no gateway");
		goto fail;
	}
	*request = (struct parse_request){done, opaque};
	memcpy(copy, text, bytes);
	message.json.data = copy;
	message.json.len = bytes;
	result = channel_request(control->gateway->channel, CONTROL_MESSAGE(PARSE_CONFIG),
				 &message.base, NULL, 0, PARSE_MS, config_on_parsed, request, err);
	if (result < 0)
		goto fail;
	control_gateway_update(control);
	return 0;
fail:
	free(request);
	return result;
}
