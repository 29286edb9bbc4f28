// SPDX-License-Identifier: Apache-2.0
#include "http/proxy.h"

#include <string.h>

#define SIGNATURE_BYTES 12u
#define BINARY_BYTES    16u // signature, version and command, family, length

static const uint8_t signature[SIGNATURE_BYTES + 1] = "\r\n\r\n\0\r\nQUIT\n";

static http_proxy_result binary_read(const uint8_t *bytes, uint32_t count, http_peer *peer,
                                     uint32_t *used);
static http_proxy_result line_read(const uint8_t *bytes, uint32_t count, http_peer *peer,
                                   uint32_t *used);
static bool words_read(char *line, http_peer *peer);
static char *word_next(char **at);
static bool address_read(const char *text, const char *port, uint8_t family, tina_address *address);
static bool port_read(const char *text, uint16_t *port);

http_proxy_result http_proxy_read(const uint8_t *bytes, uint32_t count, http_peer *peer,
                                  uint32_t *used) {
    if (count == 0)
        return HTTP_PROXY_MORE;
    if (bytes[0] == signature[0])
        return binary_read(bytes, count, peer, used);
    return line_read(bytes, count, peer, used);
}

// LOCAL is the proxy's own connection, e.g. to see whether we are there; and of what is not TCP
// there is no address. Both are good, and the socket's peer is who it is.
static http_proxy_result binary_read(const uint8_t *bytes, uint32_t count, http_peer *peer,
                                     uint32_t *used) {
    uint32_t known = count < SIGNATURE_BYTES ? count : SIGNATURE_BYTES;
    if (memcmp(bytes, signature, known) != 0)
        return HTTP_PROXY_FAILED;
    if (count < BINARY_BYTES)
        return HTTP_PROXY_MORE;
    uint32_t length = (uint32_t)bytes[14] << 8 | bytes[15];
    bool local = bytes[12] == 0x20;
    if ((!local && bytes[12] != 0x21) || length > HTTP_PROXY_TRAILER_MAX)
        return HTTP_PROXY_FAILED;
    bool ipv4 = bytes[13] == 0x11;
    bool ipv6 = bytes[13] == 0x21;
    uint32_t ip_bytes = ipv4 ? 4 : 16;
    if (!local && (ipv4 || ipv6) && length < 2 * ip_bytes + 4)
        return HTTP_PROXY_FAILED;
    if (count < BINARY_BYTES + length)
        return HTTP_PROXY_MORE;
    *used = BINARY_BYTES + length;
    if (local || (!ipv4 && !ipv6))
        return HTTP_PROXY_DONE;
    const uint8_t *source_port = bytes + BINARY_BYTES + 2 * (size_t)ip_bytes;
    memcpy(peer->ip, bytes + BINARY_BYTES, ip_bytes);
    peer->port = (uint16_t)(source_port[0] << 8 | source_port[1]);
    peer->family = ipv4 ? TINA_ADDRESS_IPV4 : TINA_ADDRESS_IPV6;
    peer->told = true;
    return HTTP_PROXY_DONE;
}

static http_proxy_result line_read(const uint8_t *bytes, uint32_t count, http_peer *peer,
                                   uint32_t *used) {
    uint32_t known = count < 6 ? count : 6;
    if (memcmp(bytes, "PROXY ", known) != 0)
        return HTTP_PROXY_FAILED;
    uint32_t most = count < HTTP_PROXY_LINE_MAX ? count : HTTP_PROXY_LINE_MAX;
    const uint8_t *end = memchr(bytes, '\n', most);
    if (end == NULL)
        return count < HTTP_PROXY_LINE_MAX ? HTTP_PROXY_MORE : HTTP_PROXY_FAILED;
    char line[HTTP_PROXY_LINE_MAX + 1];
    uint32_t length = (uint32_t)(end - bytes);
    if (bytes[length - 1] != '\r' || memchr(bytes, '\0', length) != NULL)
        return HTTP_PROXY_FAILED;
    memcpy(line, bytes, length - 1);
    line[length - 1] = '\0';
    *used = length + 1;
    return words_read(line + 6, peer) ? HTTP_PROXY_DONE : HTTP_PROXY_FAILED;
}

// "TCP4" or "TCP6", the client's address, ours, its port, ours; or "UNKNOWN" and anything.
static bool words_read(char *line, http_peer *peer) {
    const char *protocol = word_next(&line);
    if (strcmp(protocol, "UNKNOWN") == 0)
        return true;
    bool ipv4 = strcmp(protocol, "TCP4") == 0;
    if (!ipv4 && strcmp(protocol, "TCP6") != 0)
        return false;
    uint8_t family = ipv4 ? TINA_ADDRESS_IPV4 : TINA_ADDRESS_IPV6;
    const char *source = word_next(&line);
    const char *destination = word_next(&line);
    const char *source_port = word_next(&line);
    const char *destination_port = word_next(&line);
    tina_address from;
    tina_address to;
    if (line != NULL || !address_read(source, source_port, family, &from) ||
        !address_read(destination, destination_port, family, &to))
        return false;
    memcpy(peer->ip, from.ip, sizeof peer->ip);
    peer->port = from.port;
    peer->family = family;
    peer->told = true;
    return true;
}

// Words have one blank between them. *at is NULL after the last, and then the word is "".
static char *word_next(char **at) {
    static char none[1];
    char *word = *at;
    if (word == NULL)
        return none;
    char *blank = strchr(word, ' ');
    if (blank != NULL)
        *blank = '\0';
    *at = blank != NULL ? blank + 1 : NULL;
    return word;
}

static bool address_read(const char *text, const char *port, uint8_t family,
                         tina_address *address) {
    uint16_t number;
    return port_read(port, &number) && tina_address_parse(text, number, address) &&
           address->family == family;
}

static bool port_read(const char *text, uint16_t *port) {
    uint32_t number = 0;
    size_t bytes = strlen(text);
    if (bytes == 0 || bytes > 5 || (text[0] == '0' && bytes > 1))
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    *port = (uint16_t)number;
    return *text == '\0' && number <= UINT16_MAX;
}
