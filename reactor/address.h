// SPDX-License-Identifier: Apache-2.0
//
// Addresses of sockets, as values: IPv4, IPv6 and Unix.

#ifndef TINA_REACTOR_ADDRESS_H
#define TINA_REACTOR_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tina_address_family {
    TINA_ADDRESS_NONE = 0,
    TINA_ADDRESS_IPV4,
    TINA_ADDRESS_IPV6,
    TINA_ADDRESS_UNIX,
} tina_address_family;

#define TINA_UNIX_PATH_BYTES_MAX 107 // sun_path less its terminator, unix(7)

typedef struct tina_address {
    uint8_t family;     // tina_address_family
    uint8_t path_bytes; // TINA_ADDRESS_UNIX; 0: a socket without a name
    uint16_t port;      // host byte order
    uint32_t scope;     // IPv6 scope id, ipv6(7)
    union {
        uint8_t ip[16]; // network order; IPv4 uses the first 4
        char path[TINA_UNIX_PATH_BYTES_MAX + 1];
    };
} tina_address;

static inline tina_address tina_address_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d,
                                             uint16_t port) {
    tina_address address = {TINA_ADDRESS_IPV4, 0, port, 0, {{a, b, c, d}}};
    return address;
}

// tina_address_is_valid returns whether the family is one of the three and the path, if it is
// Unix's, has its 1 to TINA_UNIX_PATH_BYTES_MAX bytes. What takes an address refuses any other with
// TINA_IO_BAD_OP.
static inline bool tina_address_is_valid(const tina_address *address) {
    return address->family == TINA_ADDRESS_UNIX
               ? address->path_bytes > 0 && address->path_bytes <= TINA_UNIX_PATH_BYTES_MAX
               : address->family == TINA_ADDRESS_IPV4 || address->family == TINA_ADDRESS_IPV6;
}

// tina_address_parse reads "1.2.3.4", "::1" or "unix:/path" into *address (port is used as given)
// and returns false when text is none of them.
bool tina_address_parse(const char *text, uint16_t port, tina_address *address);

#define TINA_ADDRESS_TEXT_BYTES 128

// tina_address_format writes "1.2.3.4:80", "[::1]:80" or "unix:/path" with its terminator and
// returns the length without it.
size_t tina_address_format(const tina_address *address, char text[TINA_ADDRESS_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
