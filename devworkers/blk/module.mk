# SPDX-License-Identifier: Apache-2.0
LIBS_blk := -l:liburing.a
