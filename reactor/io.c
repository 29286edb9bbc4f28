// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE // strerrordesc_np

#include "core/format.h"
#include "reactor/op.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool unix_parse(const char *path, tina_address *address) {
    size_t bytes = strlen(path);
    if (bytes == 0 || bytes > TINA_UNIX_PATH_BYTES_MAX) {
        return false;
    }
    address->family = TINA_ADDRESS_UNIX;
    address->path_bytes = (uint8_t)bytes;
    memcpy(address->path, path, bytes);
    return true;
}

// "fe80::1%2": the scope is a number; names of interfaces would need a system call.
static bool ipv6_parse(const char *text, tina_address *address) {
    char host[INET6_ADDRSTRLEN];
    const char *percent = strchr(text, '%');
    size_t bytes = percent == NULL ? strlen(text) : (size_t)(percent - text);
    if (bytes >= sizeof host) {
        return false;
    }
    memcpy(host, text, bytes);
    host[bytes] = 0;
    if (percent != NULL) {
        uint64_t scope = 0;
        const char *digit = percent + 1;
        if (*digit == 0) {
            return false;
        }
        for (; *digit != 0; digit++) {
            if (*digit < '0' || *digit > '9' || scope > UINT32_MAX / 10) {
                return false;
            }
            scope = scope * 10 + (uint64_t)(*digit - '0');
        }
        if (scope > UINT32_MAX) {
            return false;
        }
        address->scope = (uint32_t)scope;
    }
    address->family = TINA_ADDRESS_IPV6;
    return inet_pton(AF_INET6, host, address->ip) == 1;
}

bool tina_address_parse(const char *text, uint16_t port, tina_address *address) {
    tina_address parsed = {0};
    bool known;
    parsed.port = port;
    if (strncmp(text, "unix:", 5) == 0) {
        parsed.port = 0;
        known = unix_parse(text + 5, &parsed);
    } else if (strchr(text, ':') != NULL) {
        known = ipv6_parse(text, &parsed);
    } else {
        parsed.family = TINA_ADDRESS_IPV4;
        known = inet_pton(AF_INET, text, parsed.ip) == 1;
    }
    if (known) {
        *address = parsed;
    }
    return known;
}

size_t tina_address_format(const tina_address *address, char text[TINA_ADDRESS_TEXT_BYTES]) {
    char host[INET6_ADDRSTRLEN] = "";
    size_t bytes = 0;
    switch (address->family) {
    case TINA_ADDRESS_IPV4:
        (void)inet_ntop(AF_INET, address->ip, host, sizeof host);
        bytes = tina_format(text, TINA_ADDRESS_TEXT_BYTES, "%s:%u", host, address->port);
        break;
    case TINA_ADDRESS_IPV6:
        (void)inet_ntop(AF_INET6, address->ip, host, sizeof host);
        if (address->scope != 0) {
            bytes = tina_format(text, TINA_ADDRESS_TEXT_BYTES, "[%s%%%u]:%u", host, address->scope,
                                address->port);
        } else {
            bytes = tina_format(text, TINA_ADDRESS_TEXT_BYTES, "[%s]:%u", host, address->port);
        }
        break;
    case TINA_ADDRESS_UNIX:
        bytes = tina_format(text, TINA_ADDRESS_TEXT_BYTES, "unix:%.*s", (int)address->path_bytes,
                            address->path);
        break;
    default:
        bytes = tina_format(text, TINA_ADDRESS_TEXT_BYTES, "none");
        break;
    }
    return bytes;
}

const char *tina_io_error_text(int32_t result) {
    switch (result) {
    case TINA_IO_TIMED_OUT:
        return "The operation's deadline passed";
    case TINA_IO_CANCELED:
        return "The operation was canceled, or its file descriptor was closed";
    case TINA_IO_BAD_FD:
        return "The file descriptor is none, closed, or another isolate's";
    case TINA_IO_NO_RIGHT:
        return "The file descriptor lacks the right to read or to write";
    case TINA_IO_OPS_FULL:
        return "The shard's table of operations, of addresses or of paths is full";
    case TINA_IO_FDS_FULL:
        return "The shard's table of file descriptors is full";
    case TINA_IO_BUSY:
        return "Another operation of the same direction is in flight on this file descriptor";
    case TINA_IO_BAD_OP:
        return "A field of the operation, an address or an option is out of its range";
    default:
        break;
    }
    // Unlike strerror, strerrordesc_np knows no locale and so never allocates.
    const char *text = result < 0 && result > -4096 ? strerrordesc_np(-result) : NULL;
    return text != NULL ? text : "Unknown error";
}
