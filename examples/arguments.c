// SPDX-License-Identifier: Apache-2.0

#include "examples/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int arguments_refuse(const arguments *into, const char *what, const char *word) {
    fprintf(stderr, "%s: %s %s; see --help\n", into->program, what, word);
    return 1;
}

static bool port_read(const char *text, uint16_t *port) {
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *port = (uint16_t)number;
    return *text >= '0' && *text <= '9' && !*end && number <= 65535;
}

// "1.2.3.4:80", "[::1]:80" or "unix:/path".
static bool address_read(const char *text, tina_address *address) {
    char host[TINA_ADDRESS_TEXT_BYTES];
    uint16_t port = 0;
    const char *colon = strrchr(text, ':');
    if (strncmp(text, "unix:", 5) == 0)
        return tina_address_parse(text, 0, address);
    if (!colon || (size_t)(colon - text) >= sizeof host || !port_read(colon + 1, &port))
        return false;
    bool brackets = *text == '[' && colon > text && colon[-1] == ']';
    const char *start = brackets ? text + 1 : text;
    const char *end = brackets ? colon - 1 : colon;
    size_t bytes = (size_t)(end - start);
    memcpy(host, start, bytes);
    host[bytes] = '\0';
    return tina_address_parse(host, port, address);
}

static int value_read(arguments *into, const char *option, const char *value) {
    if (strcmp(option, "--port") == 0)
        return port_read(value, &into->port)
                   ? -1
                   : arguments_refuse(into, "--port takes a number from 0 to 65535, not", value);
    if (strcmp(option, "--backend") == 0)
        return tina_backend_parse(value, &into->backend)
                   ? -1
                   : arguments_refuse(into, "--backend takes auto, io_uring or epoll, not", value);
    if (strcmp(option, "--to") == 0)
        return address_read(value, &into->to)
                   ? -1
                   : arguments_refuse(into, "--to takes ADDRESS:PORT or unix:PATH, not", value);
    return arguments_refuse(into, "unknown argument", option);
}

static bool is_option(const arguments *into, const char *word) {
    return word[0] == '-' && strstr(into->usage, word);
}

int arguments_read(arguments *into, int argc, char **argv) {
    uint32_t words = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return fputs(into->usage, stdout) < 0;
        if (strncmp(argv[i], "--", 2) == 0) {
            if (!is_option(into, argv[i]))
                return arguments_refuse(into, "unknown argument", argv[i]);
            if (i + 1 == argc)
                return arguments_refuse(into, "a value is missing after", argv[i]);
            int status = value_read(into, argv[i], argv[i + 1]);
            if (status != -1)
                return status;
            i++;
        } else if (words == into->word_count) {
            return arguments_refuse(into, "unknown argument", argv[i]);
        } else {
            into->words[words++] = argv[i];
        }
    }
    return words == into->word_count
               ? -1
               : arguments_refuse(into, "an argument is missing after", into->program);
}
