# SPDX-License-Identifier: Apache-2.0
.DEFAULT_GOAL := all

LIBS_pager := -l:libxxhash.a
