// SPDX-License-Identifier: Apache-2.0
#include "http/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    return HTTP_FUZZ(data, bytes);
}
