// SPDX-License-Identifier: Apache-2.0
//
// The header that a proxy in front sends before a connection's first byte, to say who its client
// is: the PROXY protocol, versions 1 (a line) and 2 (binary), as HAProxy's proxy-protocol.txt has
// it.

#ifndef TINA_HTTP_PROXY_H
#define TINA_HTTP_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/io.h"

#ifdef __cplusplus
extern "C" {
#endif

// The other end of a connection.
typedef struct http_peer {
    tina_fd fd;
    uint8_t ip[16]; // valid when `told`; IPv4 uses the first 4
    uint16_t port;
    uint8_t family; // tina_address_family
    bool told;      // by a proxy, or asked of the kernel before
} http_peer;

typedef enum http_proxy_result {
    HTTP_PROXY_MORE = 0, // so far it may be one
    HTTP_PROXY_DONE,     // *used bytes; peer says who, unless the proxy itself is the client
    HTTP_PROXY_FAILED,   // it is none
} http_proxy_result;

#define HTTP_PROXY_LINE_MAX    107u  // of version 1, its line end included
#define HTTP_PROXY_TRAILER_MAX 2048u // of version 2, addresses and what else follows its 16 bytes

http_proxy_result http_proxy_read(const uint8_t *bytes, uint32_t count, http_peer *peer,
                                  uint32_t *used);

#ifdef __cplusplus
}
#endif

#endif
