/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kind of file a kernel image is. Anything we cannot boot is named for what it is, with what
 * to do about it.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_KERNEL_IMAGE_H
#define BULKHEAD_VMM_CORE_BOOT_KERNEL_IMAGE_H

#include "ipc/error.h"
#include "vmm/core/boot/boot_file.h"

enum kernel_image_kind {
	KERNEL_IMAGE_BZIMAGE,
	KERNEL_IMAGE_ELF,
};

/* -EINVAL when it is neither; err says what the file is instead. */
int kernel_image_detect(const struct boot_file *file, enum kernel_image_kind *kind,
			struct error *err);

#endif
