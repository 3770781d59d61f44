/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the common configuration structure that behave alike in every device. */
#include <stddef.h>

#include "cmdline.h"
#include "devices.h"
#include "guest.h"
#include "mmio.h"

static void transport_check_reset_values(struct virtio_device *device, const char *prefix)
{
	bool enabled = false;

	test_check(devices_name(prefix, "reset_reads_back_zero"), virtio_reset(device),
		   "device_status did not become 0");
	for (uint16_t i = 0; i < virtio_queue_count(device); i++) {
		virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SELECT, i);
		enabled = enabled || virtio_common_read16(device, VIRTIO_COMMON_QUEUE_ENABLE) != 0;
	}
	test_check(devices_name(prefix, "queues_are_disabled_after_reset"), !enabled,
		   "queue_enable is set");
	test_check(devices_name(prefix, "config_vector_is_none_after_reset"),
		   virtio_common_read16(device, VIRTIO_COMMON_CONFIG_VECTOR) == VIRTIO_NO_VECTOR,
		   "config_msix_vector is set");
}

static void transport_check_absent_queue(struct virtio_device *device, const char *prefix)
{
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SELECT, virtio_queue_count(device));
	test_check(devices_name(prefix, "absent_queue_has_size_0"),
		   virtio_common_read16(device, VIRTIO_COMMON_QUEUE_SIZE) == 0, "size is not 0");
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SELECT, 0);
}

static void transport_check_vectors(struct virtio_device *device, const char *prefix)
{
	uint16_t absent = device->msix.entry_count;

	virtio_common_write16(device, VIRTIO_COMMON_CONFIG_VECTOR, 0);
	test_check(devices_name(prefix, "config_vector_is_kept"),
		   virtio_common_read16(device, VIRTIO_COMMON_CONFIG_VECTOR) == 0,
		   "config_msix_vector does not read back");
	virtio_common_write16(device, VIRTIO_COMMON_CONFIG_VECTOR, absent);
	test_check(devices_name(prefix, "absent_vector_is_refused"),
		   virtio_common_read16(device, VIRTIO_COMMON_CONFIG_VECTOR) == VIRTIO_NO_VECTOR,
		   "an MSI-X entry that does not exist was taken");
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SELECT, 0);
	virtio_common_write16(device, VIRTIO_COMMON_QUEUE_VECTOR, absent);
	test_check(devices_name(prefix, "absent_queue_vector_is_refused"),
		   virtio_common_read16(device, VIRTIO_COMMON_QUEUE_VECTOR) == VIRTIO_NO_VECTOR,
		   "an MSI-X entry that does not exist was taken");
}

/*
 * A feature that was not offered should keep FEATURES_OK from sticking (virtio 1.2, 2.2.2). A
 * device may also take the valid subset of what was written, so only strict_features=1 makes that a
 * failure.
 */
static void transport_check_bad_feature(struct virtio_device *device, const char *prefix)
{
	uint64_t offered = virtio_read_device_features(device);
	uint64_t absent = 1ull << 23; /* no device type defines it */

	if (offered & absent) {
		test_skip(devices_name(prefix, "unoffered_feature_is_refused"),
			  "bit 23 is offered");
		return;
	}
	virtio_reset(device);
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE);
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 0);
	virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE, (uint32_t)absent);
	virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 1);
	virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE, 1);
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
	if (!(virtio_read_status(device) & VIRTIO_FEATURES_OK)) {
		test_ok(devices_name(prefix, "unoffered_feature_is_refused"));
	} else if (cmdline_number("strict_features", 0) == 1) {
		test_fail(devices_name(prefix, "unoffered_feature_is_refused"),
			  "FEATURES_OK stayed set");
	} else {
		test_skip(devices_name(prefix, "unoffered_feature_is_refused"),
			  "FEATURES_OK stayed set");
	}
}

void devices_check_transport(struct virtio_device *device, const char *prefix)
{
	test_check(devices_name(prefix, "has_a_queue"), virtio_queue_count(device) > 0,
		   "num_queues is 0");
	test_check(devices_name(prefix, "offers_version_1"),
		   virtio_read_device_features(device) & VIRTIO_F_VERSION_1, "legacy device");
	transport_check_reset_values(device, prefix);
	transport_check_absent_queue(device, prefix);
	transport_check_vectors(device, prefix);
	transport_check_bad_feature(device, prefix);
	virtio_reset(device);
}
