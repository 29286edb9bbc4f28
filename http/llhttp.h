// SPDX-License-Identifier: Apache-2.0
//
// The one place that includes llhttp's header, whose names collide with ours.

#ifndef TINA_HTTP_LLHTTP_H
#define TINA_HTTP_LLHTTP_H

#include "http/message.h"

#ifdef __cplusplus
extern "C" {
#endif

// http_llhttp_read has llhttp parse a head whose lines are in order, `bytes` from the method to the
// last LF, and fills in head's method, minor, target and fields, ending each string with a NUL in
// place. Returns 0, 400, or 501 for a method that is not understood.
uint16_t http_llhttp_read(http_head *head, uint32_t field_count_max, char *message, uint32_t bytes);

#ifdef __cplusplus
}
#endif

#endif
