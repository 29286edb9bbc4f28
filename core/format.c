// SPDX-License-Identifier: Apache-2.0

#include "core/format.h"

#include "core/assert.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

// What a format itself may ask for, as in %40s; more is a typing error.
#define FIELD_BYTES_MAX     4096
#define PRECISION_FLOAT_MAX 9
// "18446744073709551615" is 20 bytes; %f adds a point and nine digits.
#define DIGITS_BYTES_MAX 32

typedef struct output {
    char *text;
    size_t capacity;
    size_t length;
} output;

typedef enum size_modifier {
    SIZE_INT,
    SIZE_CHAR,
    SIZE_SHORT,
    SIZE_LONG,
    SIZE_LONG_LONG,
    SIZE_INTMAX,
    SIZE_SIZE,
    SIZE_PTRDIFF,
} size_modifier;

// What a conversion uses, and (conversion_allows) what its kind knows.
enum {
    USES_LEFT = 1,
    USES_ZERO = 2,
    USES_PLUS = 4,
    USES_WIDTH = 8,
    USES_PRECISION = 16,
    USES_SIZE = 32,
};

typedef struct conversion {
    unsigned uses;
    int width;
    int precision; // Only with USES_PRECISION.
    size_modifier size;
    char kind;
} conversion;

// A va_list parameter is a pointer on some targets and a value on others; inside a struct it is the
// same thing everywhere, so functions can share one.
typedef struct arguments {
    va_list list;
} arguments;

static const char *conversion_parse(const char *at, conversion *c, arguments *args);
static void conversion_write(output *out, const conversion *c, arguments *args);
static void output_bytes(output *out, const char *bytes, size_t count);

size_t tina_format(char *out, size_t capacity, const char *format, ...) {
    va_list list;
    va_start(list, format);
    size_t length = tina_format_v(out, capacity, format, list);
    va_end(list);
    return length;
}

size_t tina_format_v(char *text, size_t capacity, const char *format, va_list list) {
    TINA_ASSERT(text != NULL || capacity == 0);
    TINA_ASSERT(format != NULL);
    output out = {.text = text, .capacity = capacity};
    arguments args;
    va_copy(args.list, list);

    while (*format != 0) {
        size_t literal = strcspn(format, "%");
        output_bytes(&out, format, literal);
        format += literal;
        if (*format == '%') {
            conversion c;
            format = conversion_parse(format + 1, &c, &args);
            conversion_write(&out, &c, &args);
        }
    }
    va_end(args.list);
    if (capacity > 0)
        text[out.length < capacity ? out.length : capacity - 1] = 0;
    return out.length;
}

// Counts every byte, stores those that leave room for the terminating 0.
static void output_bytes(output *out, const char *bytes, size_t count) {
    if (count > 0 && out->length + 1 < out->capacity) {
        size_t room = out->capacity - 1 - out->length;
        memcpy(out->text + out->length, bytes, count < room ? count : room);
    }
    out->length += count;
}

static void output_repeat(output *out, char byte, size_t count) {
    if (count > 0 && out->length + 1 < out->capacity) {
        size_t room = out->capacity - 1 - out->length;
        memset(out->text + out->length, byte, count < room ? count : room);
    }
    out->length += count;
}

static const char *parse_number(const char *at, int *number) {
    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        *number = *number * 10 + (*at - '0');
        TINA_ASSERT(*number <= FIELD_BYTES_MAX);
    }
    return at;
}

static const char *parse_precision(const char *at, int *precision, arguments *args) {
    if (*at != '*')
        return parse_number(at, precision);
    *precision = va_arg(args->list, int);
    // C takes a negative one for none. It is a length that did not fit an int, and without it the
    // string would be read to a 0 that need not be there.
    TINA_ASSERT(*precision >= 0);
    return at + 1;
}

static const char *parse_size(const char *at, size_modifier *size) {
    switch (*at) {
    case 'h':
        *size = at[1] == 'h' ? SIZE_CHAR : SIZE_SHORT;
        return at + (at[1] == 'h' ? 2 : 1);
    case 'l':
        *size = at[1] == 'l' ? SIZE_LONG_LONG : SIZE_LONG;
        return at + (at[1] == 'l' ? 2 : 1);
    case 'j':
        *size = SIZE_INTMAX;
        return at + 1;
    case 'z':
        *size = SIZE_SIZE;
        return at + 1;
    case 't':
        *size = SIZE_PTRDIFF;
        return at + 1;
    default:
        *size = SIZE_INT;
        return at;
    }
}

static unsigned conversion_allows(char kind) {
    switch (kind) {
    case 's':
        return USES_LEFT | USES_WIDTH | USES_PRECISION;
    case 'c':
    case 'p':
        return USES_LEFT | USES_WIDTH;
    case 'd':
    case 'i':
        return USES_LEFT | USES_ZERO | USES_PLUS | USES_WIDTH | USES_SIZE;
    case 'u':
    case 'x':
    case 'X':
        return USES_LEFT | USES_ZERO | USES_WIDTH | USES_SIZE;
    case 'f':
        return USES_LEFT | USES_ZERO | USES_PLUS | USES_WIDTH | USES_PRECISION;
    default:
        TINA_ASSERT(kind == '%');
        return 0;
    }
}

static const char *conversion_parse(const char *at, conversion *c, arguments *args) {
    *c = (conversion){0};
    for (; *at == '-' || *at == '0' || *at == '+'; at++)
        c->uses |= *at == '-' ? USES_LEFT : *at == '0' ? USES_ZERO : USES_PLUS;
    const char *width = at;
    at = parse_number(at, &c->width);
    if (at != width)
        c->uses |= USES_WIDTH;
    if (*at == '.') {
        c->uses |= USES_PRECISION;
        at = parse_precision(at + 1, &c->precision, args);
    }
    at = parse_size(at, &c->size);
    c->kind = *at;
    bool is_lf = c->kind == 'f' && c->size == SIZE_LONG; // Which C defines as %f.
    if (c->size != SIZE_INT && !is_lf)
        c->uses |= USES_SIZE;
    TINA_ASSERT((c->uses & ~conversion_allows(c->kind)) == 0);
    return at + 1;
}

// Writes sign and digits as one field: padded left of the sign with spaces, right of it with zeros.
static void write_field(output *out, const conversion *c, const char *sign, const char *body,
                        size_t body_bytes) {
    size_t sign_bytes = strlen(sign);
    size_t bytes = sign_bytes + body_bytes;
    size_t width = (size_t)c->width;
    size_t padding = width > bytes ? width - bytes : 0;
    bool left = (c->uses & USES_LEFT) != 0;
    bool zeros = (c->uses & USES_ZERO) != 0 && !left;
    if (!left && !zeros)
        output_repeat(out, ' ', padding);
    output_bytes(out, sign, sign_bytes);
    if (zeros)
        output_repeat(out, '0', padding);
    output_bytes(out, body, body_bytes);
    if (left)
        output_repeat(out, ' ', padding);
}

static void write_string(output *out, const conversion *c, const char *string) {
    bool bounded = (c->uses & USES_PRECISION) != 0;
    bool empty = bounded && c->precision == 0;
    TINA_ASSERT(string != NULL || empty);
    size_t bytes = empty ? 0 : bounded ? strnlen(string, (size_t)c->precision) : strlen(string);
    write_field(out, c, "", string, bytes);
}

// Writes backwards from end, at least digits_min digits; returns the first.
static char *digits_decimal(char *end, uint64_t value, int digits_min) {
    char *at = end;
    for (; value != 0 || digits_min > 0; digits_min--) {
        *--at = (char)('0' + value % 10);
        value /= 10;
    }
    return at;
}

static char *digits_hex(char *end, uint64_t value, char kind) {
    const char *alphabet = kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char *at = end;
    do {
        *--at = alphabet[value & 15];
        value >>= 4;
    } while (value != 0);
    return at;
}

static int64_t read_signed(size_modifier size, arguments *args) {
    switch (size) {
    case SIZE_INT:
        return va_arg(args->list, int);
    case SIZE_CHAR:
        return (signed char)va_arg(args->list, int);
    case SIZE_SHORT:
        return (short)va_arg(args->list, int);
    case SIZE_LONG:
        return va_arg(args->list, long);
    case SIZE_LONG_LONG:
        return va_arg(args->list, long long);
    case SIZE_INTMAX:
        return va_arg(args->list, intmax_t);
    case SIZE_SIZE:
    case SIZE_PTRDIFF:
        return va_arg(args->list, ptrdiff_t);
    }
    __builtin_unreachable();
}

static uint64_t read_unsigned(size_modifier size, arguments *args) {
    switch (size) {
    case SIZE_INT:
        return va_arg(args->list, unsigned);
    case SIZE_CHAR:
        return (unsigned char)va_arg(args->list, unsigned);
    case SIZE_SHORT:
        return (unsigned short)va_arg(args->list, unsigned);
    case SIZE_LONG:
        return va_arg(args->list, unsigned long);
    case SIZE_LONG_LONG:
        return va_arg(args->list, unsigned long long);
    case SIZE_INTMAX:
        return va_arg(args->list, uintmax_t);
    case SIZE_SIZE:
    case SIZE_PTRDIFF:
        return va_arg(args->list, size_t);
    }
    __builtin_unreachable();
}

static const char *sign_of(const conversion *c, bool negative) {
    return negative ? "-" : c->uses & USES_PLUS ? "+" : "";
}

static void write_signed(output *out, const conversion *c, int64_t value) {
    char digits[DIGITS_BYTES_MAX];
    char *end = digits + sizeof digits;
    // Negated as unsigned: INT64_MIN has no positive counterpart.
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *first = digits_decimal(end, magnitude, 1);
    write_field(out, c, sign_of(c, value < 0), first, (size_t)(end - first));
}

static void write_unsigned(output *out, const conversion *c, uint64_t value) {
    char digits[DIGITS_BYTES_MAX];
    char *end = digits + sizeof digits;
    char *first = c->kind == 'u' ? digits_decimal(end, value, 1) : digits_hex(end, value, c->kind);
    write_field(out, c, "", first, (size_t)(end - first));
}

static void write_pointer(output *out, const conversion *c, const void *pointer) {
    if (pointer == NULL) {
        write_field(out, c, "", "(nil)", 5);
        return;
    }
    char digits[DIGITS_BYTES_MAX];
    char *end = digits + sizeof digits;
    char *first = digits_hex(end, (uintptr_t)pointer, 'x');
    write_field(out, c, "0x", first, (size_t)(end - first));
}

typedef struct fixed_point {
    uint64_t whole;
    uint64_t fraction; // Of units of 10^-precision.
} fixed_point;

// A double is mantissa * 2^-fraction_bits, so its digits are exact in integers: below 2^63 what
// stands before the point fits 64 bits, and what stands behind it, times 10^9, fits 128.
static fixed_point fixed_point_round(uint64_t mantissa, int fraction_bits, int precision) {
    static const uint64_t powers_of_ten[PRECISION_FLOAT_MAX + 1] = {
        1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};
    TINA_ASSERT(precision <= PRECISION_FLOAT_MAX);
    TINA_ASSERT(mantissa < UINT64_C(1) << 53);
    if (fraction_bits <= 0)
        return (fixed_point){.whole = mantissa << -fraction_bits};
    // Below 2^-74: no digit of nine differs from 0.
    if (fraction_bits >= 127)
        return (fixed_point){0};

    uint64_t whole = fraction_bits < 64 ? mantissa >> fraction_bits : 0;
    uint64_t behind = fraction_bits < 64 ? mantissa - (whole << fraction_bits) : mantissa;
    u128 scaled = (u128)behind * powers_of_ten[precision];
    uint64_t fraction = (uint64_t)(scaled >> fraction_bits);
    u128 rest = scaled - ((u128)fraction << fraction_bits);
    u128 half = (u128)1 << (fraction_bits - 1);
    // Ties go to the even last digit; without a fraction that is the whole part's.
    bool odd = ((precision == 0 ? whole : fraction) & 1) != 0;
    if (rest > half || (rest == half && odd))
        fraction += 1;
    if (fraction < powers_of_ten[precision])
        return (fixed_point){.whole = whole, .fraction = fraction};
    return (fixed_point){.whole = whole + 1};
}

static void write_double(output *out, const conversion *c, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> 52) & 0x7FF;
    // Excludes infinity and what is not a number as well.
    TINA_ASSERT(exponent < 1023 + 63);
    // Zero and subnormal numbers have no hidden bit; with it they are still far below 2^-74.
    uint64_t mantissa = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    int precision = c->uses & USES_PRECISION ? c->precision : 6;
    fixed_point number = fixed_point_round(mantissa, 1023 + 52 - exponent, precision);
    char digits[DIGITS_BYTES_MAX];
    char *end = digits + sizeof digits;
    char *first = digits_decimal(end, number.fraction, precision);
    if (precision > 0)
        *--first = '.';
    first = digits_decimal(first, number.whole, 1);
    write_field(out, c, sign_of(c, bits >> 63), first, (size_t)(end - first));
}

static void conversion_write(output *out, const conversion *c, arguments *args) {
    switch (c->kind) {
    case 's':
        write_string(out, c, va_arg(args->list, const char *));
        return;
    case 'c': {
        char byte = (char)va_arg(args->list, int);
        write_field(out, c, "", &byte, 1);
        return;
    }
    case 'd':
    case 'i':
        write_signed(out, c, read_signed(c->size, args));
        return;
    case 'u':
    case 'x':
    case 'X':
        write_unsigned(out, c, read_unsigned(c->size, args));
        return;
    case 'p':
        write_pointer(out, c, va_arg(args->list, const void *));
        return;
    case 'f':
        write_double(out, c, va_arg(args->list, double));
        return;
    default:
        TINA_ASSERT(c->kind == '%');
        output_bytes(out, "%", 1);
        return;
    }
}
