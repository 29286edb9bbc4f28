// SPDX-License-Identifier: Apache-2.0
#include "http/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/format.h"
#include "sched/system.h"

typedef enum arguments_result {
    ARGUMENTS_OK = 0,
    ARGUMENTS_HELP,
    ARGUMENTS_BAD,
} arguments_result;

static arguments_result arguments_read(http_server *server, int argc, char **argv, char *sentence);
static bool port_read(const char *text, uint16_t *port);
static bool address_is_free(const http_program *program, char *sentence);
static int address_try(const tina_address *address);
static void help_write(const http_server *server);
static void listening_write(void *context, const tina_address *address, const char *backend);
static void line_write(int fd, const char *line, size_t bytes);

int http_serve(const http_server *server, int argc, char **argv) {
    // Not on the stack: it is large, and the shard's thread reads it until tina_run returns.
    static http_program program;
    char sentence[TINA_SENTENCE_BYTES];
    http_server chosen = *server;
    if (chosen.name == NULL && argc > 0) {
        const char *slash = strrchr(argv[0], '/');
        chosen.name = slash != NULL ? slash + 1 : argv[0];
    }
    if (chosen.listening == NULL)
        chosen.listening = listening_write;
    arguments_result arguments = arguments_read(&chosen, argc, argv, sentence);
    if (arguments == ARGUMENTS_HELP) {
        help_write(&chosen);
        return 0;
    }
    if (arguments == ARGUMENTS_OK && http_server_spec(&chosen, &program, sentence) &&
        address_is_free(&program, sentence))
        return tina_run(&program.spec);
    char line[TINA_SENTENCE_BYTES + 64];
    line_write(STDERR_FILENO, line,
               tina_format(line, sizeof line, "%.60s: %s\n", chosen.name, sentence));
    return 1;
}

static const char *const options[] = {"--port", "--address", "--backend"};

enum {
    OPTION_PORT = 0,
    OPTION_ADDRESS,
    OPTION_BACKEND,
    OPTION_COUNT,
};

// Returns which option a word is, alone or before its "=", or OPTION_COUNT.
static int option_of(const char *word) {
    int i = 0;
    for (; i < OPTION_COUNT; i++) {
        size_t bytes = strlen(options[i]);
        if (strncmp(word, options[i], bytes) == 0 && (word[bytes] == '=' || word[bytes] == '\0'))
            break;
    }
    return i;
}

static bool option_read(http_server *server, int option, const char *value, char *sentence) {
    if (option == OPTION_ADDRESS) {
        server->address = value;
        return true;
    }
    if (option == OPTION_BACKEND ? tina_backend_parse(value, &server->backend)
                                 : port_read(value, &server->port))
        return true;
    tina_format(sentence, TINA_SENTENCE_BYTES, "%s is %.80s, but %s is needed", options[option],
                value,
                option == OPTION_BACKEND ? "auto, io_uring or epoll" : "a number from 0 to 65535");
    return false;
}

static arguments_result arguments_read(http_server *server, int argc, char **argv, char *sentence) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
            return ARGUMENTS_HELP;
        int option = option_of(name);
        if (option == OPTION_COUNT) {
            tina_format(sentence, TINA_SENTENCE_BYTES,
                        "%.80s is no option of this program; --help lists them", name);
            return ARGUMENTS_BAD;
        }
        const char *equals = strchr(name, '=');
        const char *value = equals != NULL ? equals + 1 : ++i < argc ? argv[i] : NULL;
        if (value == NULL) {
            tina_format(sentence, TINA_SENTENCE_BYTES, "%s lacks its value", name);
            return ARGUMENTS_BAD;
        }
        if (!option_read(server, option, value, sentence))
            return ARGUMENTS_BAD;
    }
    return ARGUMENTS_OK;
}

static bool port_read(const char *text, uint16_t *port) {
    uint32_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && at - text < 6; at++)
        number = number * 10 + (uint32_t)(*at - '0');
    if (at == text || *at != '\0' || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

// The listener says so too when it cannot listen; but then a shard has been built, and its log
// speaks of isolates and children. Who only mistook the port is told before anything starts.
static bool address_is_free(const http_program *program, char *sentence) {
    int error = address_try(&program->address);
    if (error == 0)
        return true;
    char text[TINA_ADDRESS_TEXT_BYTES];
    tina_address_format(&program->address, text);
    const char *remedy = error == EADDRINUSE      ? "stop what listens there, or choose a --port"
                         : error == EACCES        ? "choose a --port above 1023"
                         : error == EADDRNOTAVAIL ? "choose an --address of this machine"
                                                  : "choose another --address or --port";
    tina_format(sentence, TINA_SENTENCE_BYTES, "cannot listen on %s: %s; %s", text,
                tina_io_error_text(-error), remedy);
    return false;
}

static int address_try(const tina_address *address) {
    struct sockaddr_storage storage = {0};
    socklen_t bytes;
    if (address->family == TINA_ADDRESS_IPV4) {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)&storage;
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(address->port);
        memcpy(&ipv4->sin_addr, address->ip, sizeof ipv4->sin_addr);
        bytes = sizeof *ipv4;
    } else if (address->family == TINA_ADDRESS_IPV6) {
        struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&storage;
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons(address->port);
        ipv6->sin6_scope_id = address->scope;
        memcpy(&ipv6->sin6_addr, address->ip, sizeof ipv6->sin6_addr);
        bytes = sizeof *ipv6;
    } else {
        return 0; // binding would make the file
    }
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int on = 1;
    bool free = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                bind(fd, (const struct sockaddr *)&storage, bytes) == 0 && listen(fd, 1) == 0;
    int error = free ? 0 : errno;
    close(fd);
    return error;
}

static void help_write(const http_server *server) {
    char text[640];
    size_t bytes = tina_format(
        text, sizeof text,
        "usage: %.60s [--port N] [--address A] [--backend B]\n"
        "  --port N     listen on port N, or on one that the kernel chooses when N is 0 (%u)\n"
        "  --address A  listen on A: 1.2.3.4, ::1 or unix:/path (%.80s)\n"
        "  --backend B  io_uring, epoll, or auto: the one that is granted (auto)\n"
        "  --help       write this text\n"
        "SIGINT and SIGTERM end it when all requests in progress are answered.\n",
        server->name, server->port, server->address != NULL ? server->address : "127.0.0.1");
    line_write(STDOUT_FILENO, text, bytes);
}

static void listening_write(void *context, const tina_address *address, const char *backend) {
    (void)context;
    char text[TINA_ADDRESS_TEXT_BYTES];
    char line[TINA_ADDRESS_TEXT_BYTES + 64];
    tina_address_format(address, text);
    const char *scheme = address->family == TINA_ADDRESS_UNIX ? "" : "http://";
    line_write(STDOUT_FILENO, line,
               tina_format(line, sizeof line, "listening on %s%s (%s)\n", scheme, text, backend));
}

static void line_write(int fd, const char *line, size_t bytes) {
    ssize_t written = write(fd, line, bytes);
    (void)written; // a closed stdout is no reason not to serve
}
