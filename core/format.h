// SPDX-License-Identifier: Apache-2.0
//
// Text from numbers and strings: the part of snprintf that Tina needs, without what libc adds.
//
// libc's printf may allocate, takes its stream's lock and reads the locale. This one does none of
// that, touches only its arguments and the caller's buffer, and its stack is bounded; so it may run
// in a handler, in a signal handler, and after boot, when nothing may allocate.
//
//     %s %c %%          strings: width, -, precision (%.8s, %.*s)
//     %d %i %u %x %X    integers: width, -, 0, + (signed), sizes hh h l ll j z t
//     %p                pointers: width, -
//     %f                |x| < 2^63, precision 0 to 9, or 6; exact, ties to even
//
// Results are those of the C standard's snprintf, byte for byte. Any other conversion, flag or
// precision is a programmer's error and asserts; so the subset cannot be left without notice.

#ifndef TINA_CORE_FORMAT_H
#define TINA_CORE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// tina_format writes at most capacity bytes to out, the terminating 0 included, and returns the
// length that the whole text has without it: a result >= capacity says that the text was cut. out
// may be null when capacity is 0, and overlaps no argument.
//
// A string's precision bounds what is read of it, and must not be negative. A null string asserts,
// unless its precision is 0: an empty span of bytes may have no address.
size_t tina_format(char *out, size_t capacity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

size_t tina_format_v(char *out, size_t capacity, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#ifdef __cplusplus
}
#endif

#endif
